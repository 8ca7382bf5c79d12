#include "simulation/trace.h"

#include <fmt/args.h>
#include <fmt/format.h>

namespace penstock::simulation {
namespace {

domain::OrderId order_of(std::string_view bytes) {
  domain::OrderId::Bytes id{};
  std::memcpy(id.data(), bytes.data(), id.size());
  return domain::OrderId(id);
}

}  // namespace

std::string TraceLine::str() const {
  fmt::dynamic_format_arg_store<fmt::format_context> values;
  std::string_view text = text_;
  const auto next = [&text](std::uint64_t size) {
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(size);
    return taken;
  };
  for (std::size_t index = 0; index < values_; ++index) {
    const Value& value = value_[index];
    switch (value.kind) {
      case Kind::whole:
        values.push_back(static_cast<std::int64_t>(value.number));
        break;
      case Kind::natural:
        values.push_back(value.number);
        break;
      case Kind::text:
        values.push_back(std::string(next(value.number)));
        break;
      case Kind::order:
        values.push_back(order_of(next(value.number)).str());
        break;
    }
  }
  return fmt::format("{:>12} ", elapsed_.us) + fmt::vformat(form_, values);
}

std::vector<std::string> Trace::last_lines() const {
  std::vector<std::string> result;
  const std::uint64_t first = lines_ > kKept ? lines_ - kKept : 0;
  for (std::uint64_t line = first; line < lines_; ++line) {
    result.push_back(kept_[line % kKept].str());
  }
  return result;
}

void Trace::print(const TraceLine& line) const {
  fmt::print(copy_, "{}\n", line.str());
}

}  // namespace penstock::simulation
