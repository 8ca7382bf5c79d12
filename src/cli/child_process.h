#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace penstock::cli {

struct ChildOptions {
  std::vector<std::string> arguments;                              ///< [0] is the program's path
  std::string log_path;                                            ///< stdout and stderr go there
  std::vector<std::pair<std::string, std::string>> environment{};  ///< added to this process's
};

/// A process of one's own. It ends with its parent, and is killed and waited for when this is
/// destroyed. One thread, the one that started it.
class ChildProcess {
 public:
  /// The error is a sentence.
  static std::expected<ChildProcess, std::string> start(const ChildOptions& options);

  ChildProcess(ChildProcess&& other) noexcept
      : process_(std::exchange(other.process_, -1)), exit_(other.exit_) {}
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess() { kill(); }

  pid_t id() const { return process_; }
  bool running();
  void send(int signal) const;
  /// Waits for its end; its exit code (128 + signal where one ended it), nothing when time is up.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  /// SIGKILL, and waits.
  void kill();

 private:
  explicit ChildProcess(pid_t process) : process_(process) {}

  pid_t process_ = -1;
  std::optional<int> exit_;
};

/// A `penstock` command that listens: a server or a gateway.
struct ListeningProcess {
  ChildProcess process;
  std::string url;  ///< "http://127.0.0.1:40213", from the address in its log
};

/// Starts it and waits, at most a minute, until its log names the address it listens on. The error
/// tells the end of its log.
std::expected<ListeningProcess, std::string> start_listening(const ChildOptions& options);

/// The path of the program that runs.
std::string own_program();

/// A new directory under the system's temporary one, removed with all in it when this is destroyed.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace penstock::cli
