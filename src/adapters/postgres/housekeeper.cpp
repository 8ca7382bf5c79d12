#include "adapters/postgres/housekeeper.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "adapters/postgres/binary.h"
#include "adapters/postgres/migrations.h"

namespace penstock::postgres_store {
namespace {

using ports::LogLevel;

constexpr Statement kElect{.name = "elect",
                           .sql =
                               "SELECT pg_try_advisory_lock(hashtext('penstock housekeeper'),"
                               " hashtext(current_schema()))"};
constexpr Statement kAlive{.name = "alive", .sql = "SELECT 1"};
constexpr Statement kMakeMonths{.name = "make_months", .sql = "SELECT create_monthly_partitions()"};
/// The months that end before the first one that is kept.
constexpr Statement kDropMonths{
    .name = "drop_months",
    .sql =
        "SELECT drop_partitions_before((date_trunc('month', least(store_now(), $2::timestamptz)"
        " AT TIME ZONE 'UTC') - $1::int4 * interval '1 month')::date)"};
/// How far the database's clock is ahead of $1, and of the newest order that ended before the last
/// day began: in whole days, the second one null where there is none.
constexpr Statement kClocks{
    .name = "clocks",
    .sql =
        "SELECT extract(day FROM store_now() - $1::timestamptz)::int8,"
        " extract(day FROM store_now() - (SELECT created_at FROM orders WHERE order_id <"
        "   rpad(lpad(to_hex((extract(epoch FROM store_now() - interval '1 day') * 1000)::int8),"
        "   12, '0'), 32, '0')::uuid ORDER BY order_id DESC LIMIT 1))::int8"};
constexpr Statement kDeleteKeys{.name = "delete_keys", .sql = "SELECT delete_expired_keys($1)"};
constexpr Statement kDefaultRows{
    .name = "default_rows",
    .sql = "SELECT count(*) FROM (SELECT FROM default_partition_rows LIMIT $1) r"};
/// Which hot tables hold more dead rows than $1.
constexpr Statement kOverdue{
    .name = "overdue",
    .sql =
        "SELECT relname::text FROM pg_stat_user_tables WHERE schemaname = current_schema()"
        " AND relname IN ('active_orders', 'outbox', 'deliveries') AND n_dead_tup > $1::int8"};
constexpr std::array kStatements{kElect,      kAlive,       kMakeMonths, kDropMonths,
                                 kDeleteKeys, kDefaultRows, kOverdue,    kClocks};
/// Nobody waits long behind a lock on a whole table that itself has to wait.
constexpr const char* kSettings = "SET lock_timeout = '2s'";
/// What vacuuming a table or dropping a month may take.
constexpr domain::Duration kChoreTimeout = domain::Duration::seconds(300);
/// How far the database's clock may be from this machine's, and from the newest order of an earlier
/// day, in days, where something is to be dropped for good.
constexpr std::int64_t kMaxDaysApart = 1;
constexpr std::int64_t kMaxDaysOfSilence = 31;

domain::Instant own_time() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

/// Between two batches of keys: what is on the way to the disk goes first.
constexpr std::chrono::milliseconds kKeysPause{50};

}  // namespace

Housekeeper::Housekeeper(HousekeeperOptions options, ports::Log& log)
    : options_(std::move(options)), log_(log) {
  thread_ = std::thread([this] { run(); });
}

Housekeeper::~Housekeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
}

void Housekeeper::run() {
  while (!stopping_) {
    look();
    std::unique_lock lock(mutex_);
    stop_.wait_for(lock, std::chrono::microseconds(options_.look.us),
                   [this] { return stopping_.load(); });
  }
}

void Housekeeper::look() {
  if (connection_) be_quick();
  if (connection_ && keeps_house_) {
    if (auto alive = connection_->run(kAlive, {}); !alive) lose(alive.error());
  }
  if (!keeps_house_ && !elect()) return;
  connection_->end_by(Clock::time_point::max());
  vacuum();
  if (Clock::now() < next_round_) return;
  next_round_ = Clock::now() + std::chrono::microseconds(options_.round.us);
  if (!do_round() && !stopping_ && connection_ && !connection_->is_alive()) {
    lose({.error = ports::StoreError::unavailable,
          .sql_state = {},
          .detail = "the connection broke"});
  }
}

bool Housekeeper::elect() {
  if (connection_ && !connection_->is_alive()) connection_.reset();
  if (!connection_) {
    auto opened = Connection::open(options_.connection, {});
    // A schema of another version has functions of another form.
    if (!opened || !check_schema_version(**opened, options_.connection.schema)) return false;
    opened->reset();
    opened = Connection::open(options_.connection, kStatements);
    if (!opened || !(*opened)->execute(kSettings) || !(*opened)->allow(kChoreTimeout)) return false;
    connection_ = *std::move(opened);
    be_quick();
  }
  const auto elected = connection_->run(kElect, {});
  if (!elected || !elected->boolean(0, 0)) return false;
  keeps_house_ = true;
  next_round_ = Clock::now();
  log_.write(LogLevel::info, "this process keeps the database's house", {{"node", options_.node}});
  return true;
}

// Whether it is still elected is told in no time, or not at all.
void Housekeeper::be_quick() {
  connection_->end_by(Clock::now() + std::chrono::microseconds(options_.connection.timeout.us));
}

void Housekeeper::lose(const Failure& failure) {
  connection_.reset();
  keeps_house_ = false;
  default_rows_ = 0;
  log_.write(LogLevel::warning, "this process no longer keeps the database's house",
             {{"node", options_.node}, {"detail", failure.detail}});
}

bool Housekeeper::do_round() {
  // What fails is tried again in the next round; what comes behind it is done all the same.
  const std::array chores{&Housekeeper::make_months, &Housekeeper::drop_months,
                          &Housekeeper::delete_keys, &Housekeeper::count_default_rows};
  bool done = true;
  for (const auto chore : chores) {
    if (stopping_ || !connection_->is_alive()) return false;
    done = (this->*chore)() && done;
  }
  return done;
}

bool Housekeeper::note(const char* what, const Failure& failure) {
  log_.write(LogLevel::warning, what,
             {{"node", options_.node}, {"detail", failure.sql_state + " " + failure.detail}});
  return false;
}

// A failure costs speed alone, and is tried again at the next look.
void Housekeeper::vacuum() {
  const auto overdue = connection_->run(kOverdue, Parameters().add(to_binary(kMaxDeadRows)));
  if (!overdue) return;
  for (std::size_t row = 0; row < overdue->size() && !stopping_; ++row) {
    // Giving pages back would lock out everybody for a moment.
    std::ignore =
        connection_->execute("VACUUM (TRUNCATE off) " + std::string(overdue->bytes(row, 0)));
  }
}

bool Housekeeper::make_months() {
  const auto made = connection_->run(kMakeMonths, {});
  if (!made) return note("the months ahead could not be made", made.error());
  if (made->integer(0, 0) > 0) {
    log_.write(LogLevel::info, "months made ahead", {{"partitions", made->integer(0, 0)}});
  }
  return true;
}

bool Housekeeper::drop_months() {
  if (options_.history_months == 0 || !clocks_agree()) return true;
  const auto dropped = connection_->run(
      kDropMonths, Parameters().add(to_binary(options_.history_months)).add(to_binary(own_time())));
  if (!dropped) return note("history could not be dropped", dropped.error());
  for (std::size_t row = 0; row < dropped->size(); ++row) {
    log_.write(LogLevel::info, "history dropped", {{"table", dropped->bytes(row, 0)}});
  }
  return true;
}

// What is dropped and deleted is gone for good, so a single clock that is far off must not be
// enough: the database's, this machine's and the stored orders have to tell of the same days.
bool Housekeeper::clocks_agree() {
  const auto days = connection_->run(kClocks, Parameters().add(to_binary(own_time())));
  if (!days) return note("the clocks could not be compared", days.error());
  const std::int64_t apart = days->integer(0, 0);
  const std::int64_t silence = days->is_null(0, 1) ? 0 : days->integer(0, 1);
  if (std::abs(apart) <= kMaxDaysApart && silence <= kMaxDaysOfSilence) return true;
  log_.write(LogLevel::warning,
             "nothing is dropped or deleted: the database's clock is far from this machine's or "
             "from the newest order. Set the clock right; where it is right after a long pause, "
             "it goes on a day after the first new orders",
             {{"node", options_.node},
              {"days_ahead_of_this_machine", apart},
              {"days_since_the_newest_order", silence}});
  return false;
}

bool Housekeeper::delete_keys() {
  if (!clocks_agree()) return true;
  for (;;) {
    const auto deleted =
        connection_->run(kDeleteKeys, Parameters().add(to_binary(kMaxKeysDeleted)));
    if (!deleted) return note("expired idempotency keys could not be deleted", deleted.error());
    if (deleted->integer(0, 0) < kMaxKeysDeleted) return true;
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, kKeysPause, [this] { return stopping_.load(); })) return false;
  }
}

bool Housekeeper::count_default_rows() {
  const auto rows = connection_->run(
      kDefaultRows, Parameters().add(to_binary(static_cast<std::int64_t>(kMaxDefaultRowsCounted))));
  if (!rows) return note("the default partitions could not be looked at", rows.error());
  default_rows_ = static_cast<std::uint64_t>(rows->integer(0, 0));
  if (default_rows_ > 0) {
    log_.write(LogLevel::warning,
               "rows lie in default partitions: their months were not made ahead",
               {{"rows", default_rows_.load()}});
  }
  return true;
}

}  // namespace penstock::postgres_store
