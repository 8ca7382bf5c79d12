#include "api/api_fixture.h"

#include <algorithm>

#include <fmt/format.h>

#include "api/problem.h"
#include "net/raw_connection.h"

namespace penstock::api {

domain::OrderId order_id(std::uint64_t number) {
  return domain::OrderId::make(kNow, 0, number);
}

domain::Order placed_order(std::uint64_t number) {
  domain::Order order;
  order.id = order_id(number);
  order.tenant = domain::TenantId::unchecked("default");
  order.customer = domain::CustomerId::unchecked("cust-123");
  order.items.push_back(
      {.product = domain::ProductId::unchecked("PROD-001"), .quantity = 2, .price_minor = 1000});
  order.total = {.minor_units = 2000, .currency = domain::Currency::usd()};
  order.payment_method = "pm_ok";
  order.correlation = domain::CorrelationId::unchecked("corr-1");
  order.created_at = kNow;
  order.updated_at = kNow;
  order.version = {1};
  order.timeline.push_back({.version = {1},
                            .at = kNow,
                            .from = std::nullopt,
                            .to = domain::Status::placed,
                            .stage = domain::Stage::ingest,
                            .reason = domain::Reason::accepted,
                            .attempt = 0});
  return order;
}

pipeline::PlaceResult result(pipeline::PlaceOutcome outcome) {
  pipeline::PlaceResult made;
  made.outcome = outcome;
  return made;
}

void FakeIntake::submit(pipeline::Request request) {
  const std::lock_guard lock(mutex_);
  ++submitted_;
  if (on_submit) on_submit(request);
  if (refusal) return pipeline::refuse(request, *refusal);
  std::visit([this](auto& known) { answer(known); }, request);
}

void FakeIntake::answer(pipeline::PlaceOrder& request) {
  draft = request.draft;
  claim = request.idempotency;
  pipeline::PlaceResult placed = place;
  if (placed.outcome == pipeline::PlaceOutcome::accepted && !placed.order) {
    placed.order = request.draft;
    placed.order->id = order_id();
    placed.order->created_at = kNow;
  }
  request.done(std::move(placed));
}

void FakeIntake::answer(pipeline::PeekRateLimit& request) {
  tenant = request.tenant;
  request.done(pipeline::PeekResult{.take = place.take, .contract = place.contract});
}

void FakeIntake::answer(pipeline::CancelOrder& request) {
  request.done(changed_order.value_or(placed_order()));
}

void FakeIntake::answer(pipeline::WaitForEnd& request) {
  wait_until = request.until;
  if (before_end_of_wait) before_end_of_wait();
  request.done(ended);
}

void FakeIntake::answer(pipeline::SetStock& request) {
  tenant = request.tenant;
  request.done(domain::Stock{.received = request.on_hand, .reserved = 0, .sold = 0});
}

void FakeIntake::answer(pipeline::Restock& request) {
  tenant = request.tenant;
  stock.received += request.quantity;
  request.done(stock);
}

void FakeIntake::answer(pipeline::PutContract& request) {
  tenant = request.tenant;
  if (before_put_contract) before_put_contract();
  if (reader_contract && request.instead_of != reader_contract()) {
    return request.done(std::unexpected(pipeline::Refusal::stale));
  }
  contract = request.contract;
  request.done(std::monostate());
}

void FakeIntake::answer(pipeline::Redrive& request) {
  redriven = request.orders;
  redrive_filter = request.filter;
  request.done(request.orders.size());
}

void FakeIntake::answer(pipeline::Discard& request) {
  request.done(changed_order.value_or(placed_order()));
}

void FakeIntake::answer(pipeline::AskProgress& request) {
  request.done(progress);
}

void FakeIntake::answer(pipeline::ListUnresolved& request) {
  request.done(unresolved);
}

void FakeIntake::answer(pipeline::AskStatistics& request) {
  request.done(statistics);
}

FakeReader::Found FakeReader::find(const domain::OrderId& order) const {
  begin_read();
  if (before_find) before_find(order);
  const std::lock_guard lock(mutex_);
  if (error) return std::unexpected(*error);
  const auto found = orders_.find(order);
  if (found == orders_.end()) return std::nullopt;
  return found->second;
}

ports::OrderPage FakeReader::page(const std::function<bool(const domain::Order&)>& wanted,
                                  std::size_t limit) const {
  ports::OrderPage result;
  for (const auto& [id, stored] : orders_) {
    if (!wanted(stored.order)) continue;
    if (result.orders.size() == limit) {
      result.next = result.orders.back().id;
      break;
    }
    result.orders.push_back(stored.order);
  }
  return result;
}

std::expected<ports::OrderPage, ports::StoreError> FakeReader::list(
    const ports::OrderQuery& query) const {
  begin_read();
  const std::lock_guard lock(mutex_);
  if (error) return std::unexpected(*error);
  last_query = query;
  ports::OrderPage result;
  for (auto entry = orders_.rbegin(); entry != orders_.rend(); ++entry) {
    const domain::Order& order = entry->second.order;
    if (!query.tenant.empty() && order.tenant != query.tenant) continue;
    if (query.before && order.id >= *query.before) continue;
    if (result.orders.size() == query.limit) {
      result.next = result.orders.back().id;
      break;
    }
    result.orders.push_back(order);
  }
  return result;
}

std::expected<ports::OrderPage, ports::StoreError> FakeReader::dead_letters(
    const ports::DeadLetterQuery& query) const {
  begin_read();
  const std::lock_guard lock(mutex_);
  if (error) return std::unexpected(*error);
  last_dead_letter_query = query;
  return page(
      [&](const domain::Order& order) {
        return order.dead_letter && (!query.after || order.id > *query.after);
      },
      query.limit);
}

std::expected<ports::OrderPage, ports::StoreError> FakeReader::owed_refunds(
    std::optional<domain::OrderId> after, std::size_t limit) const {
  begin_read();
  const std::lock_guard lock(mutex_);
  if (error) return std::unexpected(*error);
  return page(
      [&](const domain::Order& order) {
        return domain::owes_refund(order) && (!after || order.id > *after);
      },
      limit);
}

std::expected<std::optional<domain::Stock>, ports::StoreError> FakeReader::stock(
    const domain::TenantId& tenant, const domain::ProductId& product) const {
  begin_read();
  if (error) return std::unexpected(*error);
  if (tenant.str() != "default" || product.str() != "PROD-001") return std::nullopt;
  return domain::Stock{.received = 10, .reserved = 2, .sold = 1};
}

std::expected<domain::Contract, ports::StoreError> FakeReader::contract(
    const domain::TenantId& tenant) const {
  begin_read();
  if (error) return std::unexpected(*error);
  const auto found = known_contracts.find(tenant.str());
  if (found != known_contracts.end()) return found->second;
  return domain::Contract{.bucket = {.rate = {.micro_tokens = 1'000'000'000}, .burst = 2000},
                          .guarantee = std::nullopt,
                          .weight = 1,
                          .webhook = std::nullopt};
}

std::expected<std::vector<std::pair<domain::TenantId, domain::Contract>>, ports::StoreError>
FakeReader::contracts(const domain::TenantId& after, std::size_t limit) const {
  begin_read();
  if (error) return std::unexpected(*error);
  std::vector<std::pair<domain::TenantId, domain::Contract>> result;
  for (auto entry = known_contracts.upper_bound(after.str());
       entry != known_contracts.end() && result.size() < limit; ++entry) {
    result.emplace_back(domain::TenantId::unchecked(entry->first), entry->second);
  }
  return result;
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  open_ = true;
  changed_.notify_all();
}

void Gate::pass() {
  std::unique_lock lock(mutex_);
  ++arrived_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return open_; });
}

void Gate::wait_for(std::size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return arrived_ >= count; });
}

void FakeReader::replace(ports::StoredOrder stored) {
  const std::lock_guard lock(mutex_);
  const domain::OrderId id = stored.order.id;
  orders_.insert_or_assign(id, std::move(stored));
}

void FakeLog::write(ports::LogLevel, std::string_view,
                    std::initializer_list<ports::LogField> fields) {
  const std::lock_guard lock(mutex_);
  for (const ports::LogField& field : fields) {
    if (field.name == "code") codes_.emplace_back(field.value.str());
    if (field.name == "detail") details_.emplace_back(field.value.str());
  }
}

std::size_t FakeLog::lines(std::string_view code) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count(codes_, code));
}

std::size_t FakeLog::details(std::string_view part) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      details_, [part](const std::string& detail) { return detail.contains(part); }));
}

std::string Answer::header(std::string_view name) const {
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos) {
    const std::size_t begin = at + 2;
    at = head.find("\r\n", begin);
    const std::string_view line = std::string_view(head).substr(begin, at - begin);
    const std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    if (net::equals_ignoring_case(line.substr(0, colon), name)) {
      return std::string(line.substr(colon + 2));
    }
  }
  return {};
}

std::string Answer::member(std::string_view name) const {
  const auto document = net::JsonDocument::parse(body, {.max_bytes = 1 << 20, .max_depth = 16});
  const auto value = document ? document->root().find(name) : std::nullopt;
  if (!value) return {};
  if (value->is_null()) return "null";
  if (const auto literal = value->as_bool()) return *literal ? "true" : "false";
  return std::string(value->is_number() ? value->number_text() : value->as_string().value_or(""));
}

void ApiTest::serve(ApiOptions options, const Authenticator* authenticator) {
  ApiParts parts{.intake = intake_,
                 .reader = reader_,
                 .log = log_,
                 .clock = clock_,
                 .random = [this] { return random_++; },
                 .process_usage = {},
                 .authenticator = authenticator};
  api_ = std::make_unique<Api>(std::move(parts), std::move(options));
  net::HttpServerOptions server;
  server.problem_body = server_problem_body;
  server_ = std::make_unique<net::HttpServer>(std::move(server));
  const auto started = server_->start([this](net::HttpRequest&& request, net::Responder responder) {
    api_->handle(std::move(request), std::move(responder));
  });
  ASSERT_TRUE(started.has_value());
}

std::string ApiTest::text_of(const Sent& sent, bool keep_alive) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}", sent.method,
                                 sent.target, keep_alive ? "" : "Connection: close\r\n");
  for (const std::string& line : sent.headers) text += line + "\r\n";
  if (!sent.body.empty() || sent.method == "POST" || sent.method == "PUT") {
    text += fmt::format("Content-Length: {}\r\n", sent.body.size());
  }
  text += "\r\n";
  text += sent.body;
  return text;
}

Answer ApiTest::send(const Sent& sent) {
  if (!server_) serve({});
  const std::string text = text_of(sent);
  net::RawConnection connection(server_->port());
  connection.send(text);
  const std::string reply = connection.read_to_end();
  Answer answer{.status = net::status_of_reply(reply), .head = {}, .body = {}};
  answer.head = reply.substr(0, reply.find("\r\n\r\n"));
  answer.body = net::body_of_reply(reply);
  return answer;
}

void ApiTest::TearDown() {
  // The server first: its threads call the api.
  server_.reset();
  api_.reset();
}

}  // namespace penstock::api
