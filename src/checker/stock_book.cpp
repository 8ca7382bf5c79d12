#include "checker/stock_book.h"

#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace penstock::checker {
namespace {

enum class Piece : std::uint8_t { none, reserved, sold };

Piece piece_of(std::optional<domain::Status> status) {
  if (status == domain::Status::reserved || status == domain::Status::charged) {
    return Piece::reserved;
  }
  return status == domain::Status::fulfilled ? Piece::sold : Piece::none;
}

std::int64_t narrow(domain::Int128 value) {
  return static_cast<std::int64_t>(value);
}

std::string name_of(const domain::TenantId& tenant, const domain::ProductId& product) {
  return fmt::format("{}/{}", tenant.str(), product.str());
}

}  // namespace

StockBook::Shelf& StockBook::shelf_of(TenantNumber tenant, const domain::ProductId& product) {
  return shelves_.try_emplace(Key{tenant, product.str()}).first->second;
}

void StockBook::committed(const domain::Order& order, std::optional<domain::Status> before,
                          TenantNumber tenant) {
  Piece const from = piece_of(before);
  Piece const to = piece_of(order.status);
  if (from == to) return;
  for (const domain::Item& item : order.items) {
    Shelf& shelf = shelf_of(tenant, item.product);
    if (from == Piece::reserved) shelf.reserved -= item.quantity;
    if (from == Piece::sold) shelf.sold -= item.quantity;
    if (to == Piece::reserved) shelf.reserved += item.quantity;
    if (to == Piece::sold) shelf.sold += item.quantity;
    if (from == Piece::none && shelf.on_hand() < 0) {
      report_.add(Invariant::no_negative_term, name_of(order.tenant, item.product),
                  fmt::format("{} takes {}, {} are missing", order.id.str(), item.quantity,
                              narrow(-shelf.on_hand())));
    }
  }
}

void StockBook::compare(Shelf& shelf, const domain::Stock& stock, std::string_view where) {
  bool const same = shelf.received == stock.received && shelf.reserved == stock.reserved &&
                    shelf.sold == stock.sold;
  if (same) return;
  std::string const name = name_of(shelf.tenant, shelf.product);
  report_.add(Invariant::stock_balances, name,
              fmt::format("{}: received {}, reserved {}, sold {}; movements say {}, {}, {}", where,
                          stock.received, stock.reserved, stock.sold, narrow(shelf.received),
                          narrow(shelf.reserved), narrow(shelf.sold)));
  // One finding for one difference; what orders hold is theirs and stays.
  shelf.received = stock.received;
}

void StockBook::set(const StockSet& set, TenantNumber tenant) {
  Shelf& shelf = shelf_of(tenant, set.product);
  shelf.tenant = set.tenant;
  shelf.product = set.product;
  shelf.received = shelf.reserved + shelf.sold + set.on_hand;
  compare(shelf, set.stock, "a set");
}

void StockBook::restocked(const Restocked& restocked, TenantNumber tenant) {
  Shelf& shelf = shelf_of(tenant, restocked.product);
  shelf.tenant = restocked.tenant;
  shelf.product = restocked.product;
  shelf.received += restocked.quantity;
  compare(shelf, restocked.stock, "a restock");
}

void StockBook::shown(const StockNow& now, TenantNumber tenant) {
  Shelf& shelf = shelf_of(tenant, now.product);
  if (shelf.product.empty()) {
    shelf.tenant = now.tenant;
    shelf.product = now.product;
  }
  compare(shelf, now.stock, "the record");
  if (now.stock.on_hand() < 0 || now.stock.reserved < 0 || now.stock.sold < 0) {
    report_.add(Invariant::no_negative_term, name_of(now.tenant, now.product),
                fmt::format("on hand {}, reserved {}, sold {}", now.stock.on_hand(),
                            now.stock.reserved, now.stock.sold));
  }
}

void StockBook::check_final(const StockNow& now, TenantNumber tenant) {
  Shelf& shelf = shelf_of(tenant, now.product);
  shelf.tenant = now.tenant;
  shelf.product = now.product;
  shelf.in_final_store = true;
  compare(shelf, now.stock, "at the end");
}

void StockBook::check_missing() {
  for (auto const& [key, shelf] : shelves_) {
    bool const empty = shelf.received == 0 && shelf.reserved == 0 && shelf.sold == 0;
    if (empty || shelf.in_final_store) continue;
    report_.add(
        Invariant::nothing_stored_is_lost, key.product,
        fmt::format("its stock of {} pieces has no record at the end", narrow(shelf.received)));
  }
}

void StockBook::change_began(const Change& change) {
  Shelf& shelf = shelf_of(change.tenant, *change.product);
  if (shelf.running > 0) shelf.overlapped = change.invoked;
  ++shelf.running;
}

void StockBook::change_acknowledged(const Change& change,
                                    const std::optional<domain::Stock>& stock) {
  Shelf& shelf = shelf_of(change.tenant, *change.product);
  --shelf.running;
  if (change.kind == Change::Kind::restock) {
    shelf.base += change.quantity;
    return;
  }
  // Which of two that ran at once came last is not known, nor is what a set on top of orders made.
  bool const alone = shelf.overlapped < change.invoked && shelf.running == 0;
  shelf.certain = alone && stock.has_value();
  if (!shelf.certain) return;
  shelf.base = stock->received;
  shelf.perhaps = 0;
}

void StockBook::change_refused(const Change& change) {
  --shelf_of(change.tenant, *change.product).running;
}

void StockBook::change_unknown(const Change& change) {
  Shelf& shelf = shelf_of(change.tenant, *change.product);
  --shelf.running;
  if (change.kind == Change::Kind::set) {
    shelf.set_unknown = true;
  } else {
    shelf.perhaps += change.quantity;
  }
}

void StockBook::check_against_changes(const StockNow& now, TenantNumber tenant) {
  Shelf const& shelf = shelf_of(tenant, now.product);
  if (!shelf.certain || shelf.set_unknown || shelf.running > 0) return;
  if (now.stock.received >= shelf.base && now.stock.received <= shelf.base + shelf.perhaps) return;
  report_.add(Invariant::stock_balances, name_of(now.tenant, now.product),
              fmt::format("received {}, clients were told of {} and perhaps {} more",
                          now.stock.received, narrow(shelf.base), narrow(shelf.perhaps)));
}

}  // namespace penstock::checker
