#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_parser.h"
#include "net/http_server_thread.h"

namespace penstock::net {

/// One client's connection: bytes in, requests out to the handler, answers back in order.
/// Lives on its thread alone.
///
///     read -> parser -> slot (waiting) -> handler ... command -> slot (ready) -> output -> write
class HttpServerConnection {
 public:
  /// What a connection is doing, as far as it may give way to a new one: the first may do so
  /// before the others.
  enum class Activity : std::uint8_t { closing, idle, unfinished };
  struct Standing {
    Activity activity;
    HttpServerThread::Clock::time_point since;
  };

  HttpServerConnection(HttpServerThread& thread, ServerSocket socket, std::uint64_t id,
                       ServerPeer peer);
  HttpServerConnection(const HttpServerConnection&) = delete;
  HttpServerConnection& operator=(const HttpServerConnection&) = delete;
  ~HttpServerConnection();

  std::uint64_t id() const { return id_; }
  ClientAccount& account() const { return visit_.account(); }
  /// Nothing where a request is served or an answer not taken: such a connection stays.
  std::optional<Standing> standing() const;
  /// Closes a connection that has a standing; false where the client has just sent something.
  bool give_way();
  /// Begins to read.
  void start();
  /// Does what an answerer asked for; a sequence that is unknown, or answered, is passed over.
  void apply(ServerCommand& command);
  /// Moves ready answers to the wire, then goes on with requests which had to wait.
  void flush();
  /// Closes what has run out of time.
  void sweep();
  /// Closes at once; what is ready goes as far as the kernel takes it.
  void shut_down();

  /// Whether the thread has this connection on its list of those to flush.
  bool dirty = false;

 private:
  using Clock = HttpServerThread::Clock;

  /// A request's place in the order of answers.
  struct Slot {
    enum class State : std::uint8_t { waiting, ready, streaming, stream_ended, abandoned };
    State state = State::waiting;
    bool keep_alive = true;
    bool is_head = false;
    bool is_read = false;  ///< GET or HEAD: to be asked again without harm
    bool stream_begun = false;
    bool counted = false;
    int minor_version = 1;
    std::size_t request_bytes = 0;  ///< of a body that is large, until the answer
    HttpResponse response;
    std::shared_ptr<std::atomic<bool>> open;
  };

  enum class Phase : std::uint8_t { open, lingering, closed };

  Slot& slot(std::size_t index) { return ring_[(first_ + index) & (ring_.size() - 1)]; }
  Slot& push_slot();
  void pop_slot();

  bool may_read() const;
  void read();
  void on_read(bool failed, std::size_t bytes);
  void process_input();
  void on_unfinished();
  bool may_dispatch() const;
  void dispatch();
  void refuse(int status, std::string_view code, std::string_view detail);
  void refuse_for_room();
  HttpResponse problem_response(const HttpProblem& problem) const;
  bool is_idle() const;
  void make_room();
  /// Gives back what an idle connection's buffer has grown to.
  void trim_input();
  /// Takes an answered or lost request out of the counts of what waits.
  void end_waiting(Slot& answered);
  void take_answer(Slot& target, ServerCommand& command);

  std::size_t request_bytes() const;
  std::size_t answer_bytes() const;
  /// False, and nothing counted, where what has come in does not fit into the shared room.
  bool count_request_bytes();
  void count_answer_bytes();

  /// Whether the first slot's answer ends the connection because the server is closing.
  bool is_last_answer() const;
  void append_ready();
  bool append_stream(Slot& front);
  bool has_ready_front();
  void write();
  void on_written(bool failed, std::size_t bytes);
  std::size_t unsent() const { return output_.size() + sending_.size() - sent_; }
  void write_more();

  bool took_too_long_to_take(Clock::time_point now) const;

  void linger();
  void close();
  void release_if_idle();

  HttpServerThread& thread_;
  const HttpServerLimits& limits_;
  ServerSocket socket_;
  const std::uint64_t id_;
  const std::string peer_address_;
  ClientBook::Visit visit_;
  HttpRequestParser parser_;

  std::vector<char> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;

  std::vector<Slot> ring_;
  std::size_t first_ = 0;
  std::size_t slots_ = 0;
  std::uint32_t first_sequence_ = 0;

  /// Of the slots: what waits for an answer, and what is ready and not in `output_`.
  std::size_t waiting_reads_ = 0;
  std::size_t waiting_bytes_ = 0;
  std::size_t ready_bytes_ = 0;
  /// What the shared rooms have in their counts for this connection.
  std::size_t counted_request_bytes_ = 0;
  std::size_t counted_answer_bytes_ = 0;

  std::string output_;
  std::string sending_;
  std::size_t sent_ = 0;

  Phase phase_ = Phase::open;
  bool reading_ = false;
  bool trimming_ = false;
  bool writing_ = false;
  /// The parser has a whole request that must wait for others of this connection.
  bool request_held_ = false;
  /// No further request is taken from this connection.
  bool input_done_ = false;
  bool peer_ended_ = false;
  bool close_after_output_ = false;
  std::size_t lingered_bytes_ = 0;

  /// When the current wait (idle, head, body, linger) began.
  Clock::time_point waiting_since_;
  Clock::time_point writing_since_;
  bool in_head_ = false;
  bool in_body_ = false;
};

}  // namespace penstock::net
