#pragma once

#include <atomic>
#include <string>
#include <thread>

namespace penstock::postgres_testing {

/// Stands between clients and a server's unix socket, so that a test can lose answers on the way.
/// One client at a time. Runs on a thread of its own until it is destroyed.
class Relay {
 public:
  /// Listens on a socket in a new temporary directory and passes on to the one in
  /// `server_directory`. Throws std::runtime_error where it cannot.
  explicit Relay(const std::string& server_directory);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  /// What a client names as its host.
  const std::string& directory() const { return directory_; }

  /// From here on what the server says is thrown away.
  void lose_answers() { loses_answers_ = true; }
  /// From here on the client speaks to nobody, and hears notices: as of a server that goes down.
  /// Ends with the client's connection.
  void break_off();
  /// Ends the client's connection and passes answers on again for the next one. The server's side
  /// stays open, as behind a network that broke, until the relay has another client or ends.
  void cut();

 private:
  void run();
  void take_client();
  void pass(int from, int to, bool is_answer);
  void go_down();
  void end_client();

  std::string directory_;
  std::string server_path_;
  int listener_ = -1;
  int client_ = -1;
  int server_ = -1;
  std::atomic<bool> loses_answers_ = false;
  std::atomic<bool> breaks_off_ = false;
  std::atomic<bool> is_down_ = false;
  std::atomic<bool> is_to_cut_ = false;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

}  // namespace penstock::postgres_testing
