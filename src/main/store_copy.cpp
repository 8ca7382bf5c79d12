#include "main/store_copy.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "adapters/postgres/copy_target.h"
#include "adapters/rocksdb/copy_source.h"
#include "domain/error_code.h"
#include "domain/limits.h"

namespace penstock::main {
namespace {

using postgres_store::CopyPhase;
using postgres_store::CopyTarget;
using postgres_store::kMaxCopyPage;
using postgres_store::Tally;
using rocksdb_store::CopyAccess;
using rocksdb_store::CopySource;
using Done = std::expected<void, std::string>;

constexpr std::uint64_t kEveryBatch = std::numeric_limits<std::int64_t>::max();
/// A running server may remove a file while a copy opens it.
constexpr int kMaxOpenTries = 5;
constexpr std::chrono::milliseconds kOpenPause{500};
/// An index over a month, a count over everything: one statement may take this long.
constexpr domain::Duration kStatementTimeout = domain::Duration::hours(1);
/// Order ids are made by clocks that may stand back this far (semantics of the start check).
constexpr domain::Duration kKeyMargin = domain::limits::kMaxClockBehind;
/// Values of one record in a sum are taken modulo this prime, on both sides.
constexpr std::int64_t kSumModulus = 1'000'003;
constexpr const char* kKeysStep = "keys";

std::string sentence(const rocksdb_store::OpenError& error) {
  return fmt::format("the source: {} ({})", error.detail, domain::to_string(error.code));
}

std::string sentence(const postgres_store::Failure& failure) {
  return fmt::format("the target: {} {}", failure.sql_state, failure.detail);
}

template <typename Error>
Done checked(std::expected<void, Error> done) {
  if (done) return {};
  return std::unexpected(sentence(done.error()));
}

/// Collects records into pages and writes each full one. The first failure stays.
template <typename Record, typename Write>
class Pages {
 public:
  explicit Pages(Write write) : write_(std::move(write)) {}

  /// False once a write failed.
  bool add(const Record& record) {
    page_.push_back(record);
    return page_.size() < kMaxCopyPage || flush();
  }
  bool flush() {
    if (page_.empty()) return !failure_;
    written_ += page_.size();
    if (auto done = write_(page_); !done) failure_ = sentence(done.error());
    page_.clear();
    return !failure_;
  }
  /// How the visit that filled the pages ended, the last page included.
  template <typename Error>
  Done finish(const std::expected<void, Error>& visited) {
    if (!visited) return std::unexpected(sentence(visited.error()));
    if (!failure_) flush();
    if (failure_) return std::unexpected(*failure_);
    return {};
  }
  std::size_t written() const { return written_; }

 private:
  Write write_;
  std::vector<Record> page_;
  std::size_t written_ = 0;
  std::optional<std::string> failure_;
};

template <typename Record, typename Write>
Pages<Record, Write> pages_of(Write write) {
  return Pages<Record, Write>(std::move(write));
}

/// Which ended orders a pass moves: those of terminal batches in [from, to).
struct Bounds {
  std::uint64_t from = 0;
  std::uint64_t to = kEveryBatch;
};

class StoreCopy {
 public:
  StoreCopy(const CopySource& source, CopyTarget& target, std::ostream& told)
      : source_(source), target_(target), told_(told) {}

  /// Ends a pass that was interrupted, then moves what ended below `to_batch` since.
  Done move_ended(std::uint64_t to_batch);
  Done move_live();
  Done compare_and_mend();

 private:
  Done pass(Bounds bounds);
  Done month(domain::Month month, Bounds bounds, std::optional<domain::OrderId> after);
  Done keys(std::optional<domain::Instant> claimed_from, const std::string& after);
  std::expected<Tally, std::string> source_tally() const;
  std::expected<std::set<std::string>, std::string> differences();
  Done mend(const std::set<std::string>& names);
  void tell(const std::string& line) { told_ << line << '\n' << std::flush; }

  const CopySource& source_;
  CopyTarget& target_;
  std::ostream& told_;
};

Done StoreCopy::move_ended(std::uint64_t to_batch) {
  if (const auto interrupted = target_.progress().pass_to) {
    tell("going on where the copy was interrupted");
    if (auto done = pass({target_.progress().copied_batches, *interrupted}); !done) return done;
  }
  const std::uint64_t from = target_.progress().copied_batches;
  if (to_batch <= from) return {};
  if (auto begun = checked(target_.begin_pass(to_batch, source_.facts().wall)); !begun) {
    return begun;
  }
  return pass({from, to_batch});
}

Done StoreCopy::pass(Bounds bounds) {
  const postgres_store::CopyProgress begun = target_.progress();
  for (const domain::Month each : source_.months()) {
    const std::string name = domain::to_string(each);
    if (name < begun.step) continue;
    std::optional<domain::OrderId> after;
    if (name == begun.step) {
      domain::OrderId::Bytes bytes{};
      begun.after.copy(reinterpret_cast<char*>(bytes.data()), bytes.size());
      after = domain::OrderId(bytes);
    }
    if (auto done = month(each, bounds, after); !done) return done;
  }
  std::optional<domain::Instant> claimed_from;
  if (begun.copied_until) claimed_from = *begun.copied_until - kKeyMargin;
  const std::string after = begun.step == kKeysStep ? begun.after : std::string{};
  if (auto done = keys(claimed_from, after); !done) return done;
  return checked(target_.end_pass());
}

Done StoreCopy::month(domain::Month month, Bounds bounds, std::optional<domain::OrderId> after) {
  if (auto made = checked(target_.make_month(month)); !made) return made;
  const std::string name = domain::to_string(month);
  auto pages = pages_of<ports::StoredOrder>([&](const std::vector<ports::StoredOrder>& orders) {
    return target_.write_ended(orders,
                               {.step = name, .after = std::string(orders.back().order.id.view())});
  });
  auto done = pages.finish(source_.ended(month, after, [&](const rocksdb_store::EndedOrder& ended) {
    const bool is_due = ended.batch >= bounds.from && ended.batch < bounds.to;
    return !is_due || pages.add(ended.stored);
  }));
  if (done) tell(fmt::format("{}: {} ended orders", name, pages.written()));
  return done;
}

Done StoreCopy::keys(std::optional<domain::Instant> claimed_from, const std::string& after) {
  auto pages = pages_of<ports::CopiedKey>([&](const std::vector<ports::CopiedKey>& keys) {
    return target_.write_keys(keys,
                              {.step = kKeysStep, .after = CopySource::place_of(keys.back())});
  });
  auto done = pages.finish(source_.keys(after, [&](const ports::CopiedKey& key) {
    return (claimed_from && key.record.order.created() < *claimed_from) || pages.add(key);
  }));
  if (done) tell(fmt::format("{} idempotency keys", pages.written()));
  return done;
}

/// Everything that has no history: written whole, from nothing.
Done StoreCopy::move_live() {
  if (auto done = checked(target_.clear_live()); !done) return done;
  auto contracts = pages_of<ports::CopiedContract>(
      [this](const auto& page) { return target_.write_contracts(page); });
  auto buckets = pages_of<ports::CopiedBucket>(
      [this](const auto& page) { return target_.write_buckets(page); });
  auto stock =
      pages_of<ports::CopiedStock>([this](const auto& page) { return target_.write_stock(page); });
  auto active =
      pages_of<domain::Order>([this](const auto& page) { return target_.write_active(page); });
  auto batches = pages_of<ports::TerminalBatch>(
      [this](const auto& page) { return target_.write_batches(page); });
  auto deliveries = pages_of<ports::CopiedDelivery>(
      [this](const auto& page) { return target_.write_deliveries(page); });
  const auto into = [](auto& pages) {
    return [&pages](const auto& record) { return pages.add(record); };
  };
  // Contracts before the buckets, which list the tenants that have none.
  for (Done done :
       {contracts.finish(source_.contracts(into(contracts))),
        buckets.finish(source_.buckets(into(buckets))), stock.finish(source_.stock(into(stock))),
        active.finish(source_.active(into(active))), batches.finish(source_.batches(into(batches))),
        deliveries.finish(source_.deliveries(into(deliveries)))}) {
    if (!done) return done;
  }
  tell(
      fmt::format("{} active orders, {} products, {} buckets, {} contracts, {} terminal batches, "
                  "{} deliveries",
                  active.written(), stock.written(), buckets.written(), contracts.written(),
                  batches.written(), deliveries.written()));
  return {};
}

/// Sums over the source, named as CopyTarget::tally names them.
class SourceSums {
 public:
  void add(const std::string& name, std::int64_t value) { tally_[name] += value; }

  void add_ended(const std::string& month, const ports::StoredOrder& stored) {
    const domain::Order& order = stored.order;
    add(fmt::format("{} orders of status {}", month, static_cast<int>(order.status)), 1);
    add(month + " minor units", order.total.minor_units % kSumModulus);
    add(month + " versions", order.version.number);
    add(month + " times", order.updated_at.us % kSumModulus);
    add(month + " events of kind 1", static_cast<std::int64_t>(order.timeline.size()));
    add(month + " events of kind 2", static_cast<std::int64_t>(stored.deliveries.size()));
    add(month + " receipt bytes", static_cast<std::int64_t>(stored.receipt.size()));
  }
  void add_active(const domain::Order& order) {
    add(fmt::format("active orders of status {}", static_cast<int>(order.status)), 1);
    add("active minor units", order.total.minor_units % kSumModulus);
    add("active versions", order.version.number);
    add("active events", static_cast<std::int64_t>(order.timeline.size()));
    add("active interruptions", order.interruptions);
  }
  void add_stock(const ports::CopiedStock& each) {
    add("products", 1);
    add("pieces received", each.stock.received);
    add("pieces reserved", each.stock.reserved);
    add("pieces sold", each.stock.sold);
  }
  void add_bucket(const ports::CopiedBucket& bucket) {
    add("buckets", 1);
    add("tokens used", bucket.state.used % kSumModulus);
  }
  void add_batch(const ports::TerminalBatch& batch) {
    add("terminal batches", 1);
    add("orders in terminal batches", static_cast<std::int64_t>(batch.entries.size()));
  }

  Tally nonzero() && {
    std::erase_if(tally_, [](const auto& sum) { return sum.second == 0; });
    return std::move(tally_);
  }

 private:
  Tally tally_;
};

std::expected<Tally, std::string> StoreCopy::source_tally() const {
  SourceSums sums;
  const auto always = [](auto add) {
    return [add](const auto& record) {
      add(record);
      return true;
    };
  };
  for (const domain::Month month : source_.months()) {
    const std::string name = domain::to_string(month);
    auto done = checked(source_.ended(month, std::nullopt, always([&](const auto& ended) {
                                        sums.add_ended(name, ended.stored);
                                      })));
    if (!done) return std::unexpected(done.error());
  }
  const domain::Instant wall = source_.facts().wall;
  for (Done done :
       {checked(source_.keys({}, always([&](const auto& key) {
                               sums.add("keys", key.record.expires_at > wall ? 1 : 0);
                             }))),
        checked(source_.active(always([&](const auto& order) { sums.add_active(order); }))),
        checked(source_.stock(always([&](const auto& each) { sums.add_stock(each); }))),
        checked(source_.buckets(always([&](const auto& bucket) { sums.add_bucket(bucket); }))),
        checked(source_.contracts(always([&](const auto&) { sums.add("contracts", 1); }))),
        checked(source_.batches(always([&](const auto& batch) { sums.add_batch(batch); }))),
        checked(source_.deliveries(always([&](const auto& delivery) {
          sums.add("deliveries", 1);
          sums.add("delivery attempts", delivery.attempt);
        })))}) {
    if (!done) return std::unexpected(done.error());
  }
  return std::move(sums).nonzero();
}

std::expected<std::set<std::string>, std::string> StoreCopy::differences() {
  auto here = source_tally();
  if (!here) return std::unexpected(here.error());
  auto there = target_.tally(source_.facts().wall);
  if (!there) return std::unexpected(sentence(there.error()));
  std::set<std::string> names;
  for (const auto& [name, value] : *here) names.insert(name);
  for (const auto& [name, value] : *there) names.insert(name);
  const std::size_t compared = names.size();
  std::erase_if(names, [&](const std::string& name) {
    const auto left = here->find(name);
    const auto right = there->find(name);
    const bool is_equal =
        left != here->end() && right != there->end() && left->second == right->second;
    if (!is_equal) {
      tell(fmt::format("differs: {}: {} in the source, {} in the target", name,
                       left == here->end() ? 0 : left->second,
                       right == there->end() ? 0 : right->second));
    }
    return is_equal;
  });
  if (names.empty()) tell(fmt::format("{} sums agree", compared));
  return names;
}

/// A history that was read beside a server may have missed what it was writing: a month or the
/// keys that differ are copied once more, whole.
Done StoreCopy::mend(const std::set<std::string>& names) {
  bool has_keys = false;
  std::set<domain::Month> months;
  for (const std::string& name : names) {
    const auto month = domain::parse_month(name.substr(0, name.find(' ')));
    if (month) months.insert(*month);
    has_keys = has_keys || name == kKeysStep;
    if (!month && name != kKeysStep) {
      return std::unexpected("the copy differs from the source: " + name);
    }
  }
  for (const domain::Month each : months) {
    if (auto made = checked(target_.make_month(each)); !made) return made;
    if (auto cleared = checked(target_.clear_month(each)); !cleared) return cleared;
    if (auto done = month(each, {}, std::nullopt); !done) return done;
  }
  return has_keys ? keys(std::nullopt, {}) : Done{};
}

Done StoreCopy::compare_and_mend() {
  auto names = differences();
  if (!names) return std::unexpected(names.error());
  if (names->empty()) return {};
  if (auto mended = mend(*names); !mended) return mended;
  names = differences();
  if (!names) return std::unexpected(names.error());
  if (names->empty()) return {};
  return std::unexpected("the copy differs from the source");
}

std::expected<std::unique_ptr<CopySource>, std::string> open_source(const std::string& path,
                                                                    CopyAccess access) {
  for (int tries = 1;; ++tries) {
    auto source = CopySource::open(path, access);
    if (source) return *std::move(source);
    if (access == CopyAccess::exclusive || tries == kMaxOpenTries) {
      return std::unexpected(sentence(source.error()));
    }
    std::this_thread::sleep_for(kOpenPause);
  }
}

/// Whether this target is, or may become, the one of this source.
Done check_pair(const CopySource& source, CopyTarget& target) {
  const postgres_store::CopyProgress& progress = target.progress();
  const auto& sealed = source.facts().sealed_for;
  if (progress.phase == CopyPhase::none && sealed) {
    return std::unexpected("the source was moved to " + *sealed);
  }
  if (progress.phase == CopyPhase::none) return {};
  if (progress.source != source.facts().identity) {
    return std::unexpected("the target is being filled, or was, from another source");
  }
  if (progress.phase == CopyPhase::abandoned) {
    return std::unexpected("this copy was abandoned: drop " + target.description());
  }
  if (progress.phase == CopyPhase::finished && !sealed) {
    return std::unexpected(
        "the target was filled from this source, and the source is not sealed: "
        "is it an old backup?");
  }
  return {};
}

Done check_clock(const CopySource& source, CopyTarget& target) {
  const auto now = target.now();
  if (!now) return std::unexpected(sentence(now.error()));
  if (*now + domain::limits::kMaxClockBehind >= source.facts().wall) return {};
  return std::unexpected(fmt::format("the database's clock says {}, the source's last time is {}",
                                     domain::to_rfc3339(*now),
                                     domain::to_rfc3339(source.facts().wall)));
}

Done copy_history(const CopySource& source, CopyTarget& target, std::ostream& told) {
  if (source.facts().sealed_for) {
    return std::unexpected("the cut-over has begun: run the copy without --history");
  }
  if (target.progress().phase == CopyPhase::none) {
    if (auto begun = checked(target.begin(source.facts().identity)); !begun) return begun;
  }
  return StoreCopy(source, target, told).move_ended(source.facts().settled_batches);
}

Done cut_over(CopySource& source, CopyTarget& target, std::ostream& told) {
  if (target.progress().phase == CopyPhase::finished) {
    told << "finished before: " << target.description() << " is open\n";
    return {};
  }
  if (auto safe = check_clock(source, target); !safe) return safe;
  if (target.progress().phase == CopyPhase::none) {
    if (auto begun = checked(target.begin(source.facts().identity)); !begun) return begun;
  }
  if (!source.facts().sealed_for) {
    if (auto sealed = checked(source.seal(target.description())); !sealed) return sealed;
  }
  told << "the source is sealed\n" << std::flush;
  StoreCopy copy(source, target, told);
  if (auto done = copy.move_ended(kEveryBatch); !done) return done;
  if (auto done = copy.move_live(); !done) return done;
  if (auto done = copy.compare_and_mend(); !done) return done;
  if (auto done = checked(target.finish()); !done) return done;
  told << "finished: " << target.description() << " is open\n";
  return {};
}

Done abandon(CopySource& source, CopyTarget& target, std::ostream& told) {
  const CopyPhase phase = target.progress().phase;
  if (phase == CopyPhase::finished) {
    return std::unexpected("the target is open, and may have taken orders: it stays the store");
  }
  if (phase == CopyPhase::none) return std::unexpected("there is no copy to abandon");
  // The target first: at no time may both be opened.
  if (auto done = checked(target.abandon()); !done) return done;
  if (source.facts().sealed_for) {
    if (auto done = checked(source.unseal()); !done) return done;
  }
  told << "abandoned: the source may be served; drop " << target.description() << '\n';
  return {};
}

}  // namespace

Done copy_store(const StoreCopyOptions& options, std::ostream& told) {
  auto source =
      open_source(options.source, options.act == CopyAct::history ? CopyAccess::beside_a_server
                                                                  : CopyAccess::exclusive);
  if (!source) return std::unexpected(source.error());
  auto target = CopyTarget::open({.url = options.target,
                                  .schema = options.schema,
                                  .name = "penstock copy",
                                  .timeout = kStatementTimeout});
  if (!target) return std::unexpected(sentence(target.error()));
  const bool is_repeated_end = options.act == CopyAct::abandon &&
                               (*target)->progress().phase == CopyPhase::abandoned &&
                               (*target)->progress().source == (*source)->facts().identity;
  if (!is_repeated_end) {
    if (auto fits = check_pair(**source, **target); !fits) return fits;
  }
  switch (options.act) {
    case CopyAct::history:
      return copy_history(**source, **target, told);
    case CopyAct::cut_over:
      return cut_over(**source, **target, told);
    case CopyAct::abandon:
      return abandon(**source, **target, told);
  }
  return {};
}

}  // namespace penstock::main
