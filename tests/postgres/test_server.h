#pragma once

#include <memory>
#include <string>

#include <sys/types.h>

#include "adapters/postgres/connection.h"
#include "adapters/postgres/postgres_store_options.h"

namespace penstock::postgres_testing {

/// Whether commits wait for the disk: tests of behaviour do without.
enum class Disk { ignored, synced };

/// A PostgreSQL server of this process's own: a fresh cluster in a temporary directory, reached by
/// a unix socket in it alone, run as the user "postgres" where this process is root. Stopped and
/// removed with the object; it also ends when this process ends without a farewell. Throws
/// std::runtime_error where the server's programs are missing or it does not start.
class TestServer {
 public:
  explicit TestServer(Disk disk);
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer();

  /// Of the superuser that owns everything.
  std::string url() const;
  const std::string& directory() const { return directory_; }

 private:
  void initialise();
  void start(Disk disk);
  void await();
  void stop();

  std::string directory_;
  std::string programs_;
  pid_t server_ = 0;
};

/// The server of this test program, started at the first call.
TestServer& shared_server();

/// A schema of its own in the shared server, migrated; dropped with the object.
class TestSchema {
 public:
  explicit TestSchema(TestServer& server = shared_server());
  TestSchema(const TestSchema&) = delete;
  TestSchema& operator=(const TestSchema&) = delete;
  ~TestSchema();

  postgres_store::ConnectionOptions connection_options() const;
  /// Of a store in this schema, as node "node-1".
  postgres_store::PostgresStoreOptions store_options() const;
  const std::string& name() const { return name_; }
  /// A connection of the test's own.
  postgres_store::Connection& connection() { return *connection_; }
  /// Runs SQL that must succeed; throws otherwise.
  void execute(const std::string& sql);
  /// The first integer of a query that must succeed.
  std::int64_t number(const std::string& sql);

 private:
  std::string url_;
  std::string name_;
  std::unique_ptr<postgres_store::Connection> connection_;
};

}  // namespace penstock::postgres_testing
