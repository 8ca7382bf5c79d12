#include "cli/child_process.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/json.h"

namespace penstock::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLook{5};
constexpr std::chrono::minutes kStartup{1};

/// Between fork and exec nothing may allocate: all texts are made before.
[[noreturn]] void become(const std::vector<char*>& arguments, const std::vector<char*>& environment,
                         int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it ended before the line above
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGPIPE, &standard, nullptr);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve(arguments[0], arguments.data(), environment.data());
  ::_exit(127);
}

std::string reason_of(int number) {
  return std::generic_category().message(number);
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return std::move(text).str();
}

/// The address in the first whole log line that has one.
std::optional<std::string> address_in(const std::string& log) {
  std::istringstream lines(log);
  std::string line;
  while (std::getline(lines, line) && !lines.eof()) {
    auto const document = net::JsonDocument::parse(line);
    if (!document) continue;
    auto const address = document->root().find("address");
    if (address && address->as_string()) return std::string(*address->as_string());
  }
  return std::nullopt;
}

std::string end_of(const std::string& log) {
  constexpr std::size_t kShown = 2000;
  return log.size() > kShown ? log.substr(log.size() - kShown) : log;
}

}  // namespace

std::expected<ChildProcess, std::string> ChildProcess::start(const ChildOptions& options) {
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment;
  // Settings that stand in the environment are meant for another server than this one.
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("PENSTOCK_")) environment.emplace_back(*entry);
  }
  for (auto const& [name, value] : options.environment) {
    environment.push_back(fmt::format("{}={}", name, value));
  }
  std::vector<char*> const argument_pointers = pointers_to(arguments);
  std::vector<char*> const environment_pointers = pointers_to(environment);
  int const log =
      ::open(options.log_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) {
    return std::unexpected(fmt::format("{}: {}", options.log_path, reason_of(errno)));
  }
  pid_t const parent = ::getpid();
  pid_t const process = ::fork();
  if (process == 0) become(argument_pointers, environment_pointers, log, parent);
  ::close(log);
  if (process < 0) return std::unexpected(fmt::format("fork: {}", reason_of(errno)));
  return ChildProcess(process);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    kill();
    process_ = std::exchange(other.process_, -1);
    exit_ = other.exit_;
  }
  return *this;
}

bool ChildProcess::running() {
  return !wait(std::chrono::milliseconds::zero());
}

void ChildProcess::send(int signal) const {
  if (process_ > 0 && !exit_) ::kill(process_, signal);
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds timeout) {
  auto const deadline = std::chrono::steady_clock::now() + timeout;
  while (process_ > 0 && !exit_) {
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) == process_) {
      exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (std::chrono::steady_clock::now() >= deadline) {
      break;
    } else {
      std::this_thread::sleep_for(kLook);
    }
  }
  return exit_;
}

void ChildProcess::kill() {
  if (process_ <= 0 || exit_) return;
  ::kill(process_, SIGKILL);
  int status = 0;
  while (::waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_ = 128 + SIGKILL;
}

std::expected<ListeningProcess, std::string> start_listening(const ChildOptions& options) {
  auto process = ChildProcess::start(options);
  if (!process) return std::unexpected(process.error());
  auto const deadline = std::chrono::steady_clock::now() + kStartup;
  while (std::chrono::steady_clock::now() < deadline) {
    bool const running = process->running();
    std::string const log = text_of(options.log_path);
    if (auto const address = address_in(log); address && running) {
      return ListeningProcess{.process = std::move(*process), .url = "http://" + *address};
    }
    if (!running) {
      return std::unexpected(fmt::format("{} ended: {}", options.arguments[0], end_of(log)));
    }
    std::this_thread::sleep_for(kLook);
  }
  return std::unexpected(fmt::format("{} does not listen: {}", options.arguments[0],
                                     end_of(text_of(options.log_path))));
}

std::string own_program() {
  std::error_code failed;
  return fs::read_symlink("/proc/self/exe", failed).string();
}

TemporaryDirectory::TemporaryDirectory() {
  // The process has one thread where it reads its environment.
  const char* const wanted = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe)
  fs::path const parent = wanted == nullptr || *wanted == '\0' ? "/tmp" : wanted;
  std::string pattern = (parent / "penstock-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error(
        fmt::format("no temporary directory can be made in {}: {}; set TMPDIR to one that can be "
                    "written",
                    parent.string(), reason_of(errno)));
  }
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code failed;
  if (!path_.empty()) fs::remove_all(path_, failed);
}

}  // namespace penstock::cli
