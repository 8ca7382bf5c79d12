#include "tests/postgres/test_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/postgres/migrations.h"

namespace penstock::postgres_testing {
namespace {

namespace fs = std::filesystem;
using postgres_store::Connection;
using postgres_store::ConnectionOptions;

constexpr auto kPatience = std::chrono::seconds(60);

/// The newest server's programs that Debian or the PATH has.
std::string find_programs() {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    if (fs::exists(entry.path() / "bin" / "initdb")) found.push_back(entry.path() / "bin");
  }
  if (found.empty()) throw std::runtime_error("no PostgreSQL server: run scripts/setup");
  return *std::max_element(found.begin(), found.end());
}

/// The unprivileged user that a server runs as; PostgreSQL refuses root.
const passwd* server_user() {
  if (geteuid() != 0) return nullptr;
  const passwd* user = getpwnam("postgres");
  if (user == nullptr) throw std::runtime_error("root needs a user \"postgres\" to run a server");
  return user;
}

/// In a child between fork and exec: the user, the output, and an end with the parent.
[[noreturn]] void become(const std::vector<std::string>& command, const std::string& log,
                         const passwd* user) {
  if (user != nullptr) {
    if (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0) {
      _exit(126);
    }
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output >= 0) {
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
  }
  std::vector<char*> arguments;
  for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

pid_t spawn(const std::vector<std::string>& command, const std::string& log) {
  const passwd* user = server_user();
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) become(command, log, user);
  return child;
}

}  // namespace

TestServer::TestServer(Disk disk) : programs_(find_programs()) {
  std::string pattern = (fs::temp_directory_path() / "penstock-pg-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  if (const passwd* user = server_user()) {
    if (chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("chown failed");
    }
  }
  initialise();
  start(disk);
  await();
}

TestServer::~TestServer() {
  stop();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::string TestServer::url() const {
  return "host=" + directory_ + " port=5432 user=penstock dbname=postgres";
}

void TestServer::initialise() {
  const pid_t child = spawn({programs_ + "/initdb", "-D", directory_ + "/data", "-U", "penstock",
                             "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
                            directory_ + "/initdb.log");
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed in " + directory_);
}

void TestServer::start(Disk disk) {
  const std::string synced = disk == Disk::synced ? "on" : "off";
  server_ = spawn(
      {programs_ + "/postgres", "-D", directory_ + "/data", "-k", directory_, "-c",
       "listen_addresses=", "-c", "port=5432", "-c", "fsync=" + synced, "-c", "max_connections=50",
       "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "full_page_writes=" + synced},
      directory_ + "/server.log");
}

void TestServer::await() {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  const ConnectionOptions options{.url = url(), .schema = "public", .name = "test"};
  for (;;) {
    if (Connection::open(options, {})) return;
    int status = 0;
    const bool has_ended = waitpid(server_, &status, WNOHANG) == server_;
    if (has_ended) server_ = 0;
    if (has_ended || std::chrono::steady_clock::now() > until) {
      stop();
      throw std::runtime_error("the server does not start, see " + directory_);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void TestServer::stop() {
  if (server_ == 0) return;
  kill(server_, SIGQUIT);  // nothing of it is needed again
  int status = 0;
  waitpid(server_, &status, 0);
  server_ = 0;
}

TestServer& shared_server() {
  static TestServer server(Disk::ignored);
  return server;
}

TestSchema::TestSchema(TestServer& server) : url_(server.url()) {
  static std::atomic<int> count = 0;
  name_ = "test_" + std::to_string(++count);
  const auto done = postgres_store::migrate(connection_options());
  if (!done) throw std::runtime_error("migrate: " + done.error().detail);
  auto opened = Connection::open(connection_options(), {});
  if (!opened) throw std::runtime_error("open: " + opened.error().detail);
  connection_ = *std::move(opened);
}

TestSchema::~TestSchema() {
  const auto dropped = connection_->execute("DROP SCHEMA " + name_ + " CASCADE");
  if (!dropped) std::abort();
}

ConnectionOptions TestSchema::connection_options() const {
  return {.url = url_, .schema = name_, .name = "test", .timeout = domain::Duration::seconds(60)};
}

postgres_store::PostgresStoreOptions TestSchema::store_options() const {
  postgres_store::PostgresStoreOptions options;
  options.url = url_;
  options.schema = name_;
  options.node = "node-1";
  options.timeout = domain::Duration::seconds(60);
  options.depth_age = domain::Duration{};
  options.contracts_age = domain::Duration{};
  return options;
}

void TestSchema::execute(const std::string& sql) {
  const auto done = connection_->execute(sql);
  if (!done) throw std::runtime_error(sql + ": " + done.error().detail);
}

std::int64_t TestSchema::number(const std::string& sql) {
  const auto rows = connection_->query(sql);
  if (!rows) throw std::runtime_error(sql + ": " + rows.error().detail);
  if (rows->size() == 0) throw std::runtime_error(sql + ": no row");
  return rows->integer(0, 0);
}

}  // namespace penstock::postgres_testing
