#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/problem.h"
#include "net/json.h"

namespace penstock::api {

enum class Presence : std::uint8_t { required, optional };

/// Reads the members of one JSON object by name and type, and collects what is wrong instead of
/// stopping at the first: "required" where a required member is absent, "wrong-type" where it has
/// another type, "not-an-integer" for a number with a fraction or beyond 64 bits. null counts as
/// absent. Members that nobody asks for are ignored (docs/decisions/0020-unknown-members.md).
/// Returned views live as long as the document.
class ObjectReader {
 public:
  /// `pointer` is the object's own JSON pointer; "" for the document. Borrows `errors`.
  ObjectReader(net::JsonView object, std::string_view pointer, std::vector<FieldProblem>& errors)
      : object_(object), pointer_(pointer), errors_(errors) {}

  std::optional<std::string_view> string(std::string_view name, Presence presence);
  std::optional<std::int64_t> integer(std::string_view name, Presence presence);
  /// A JSON number or string, as it was written: an exact decimal for somebody else to read.
  std::optional<std::string_view> decimal(std::string_view name, Presence presence);
  std::optional<net::JsonView> object(std::string_view name, Presence presence);
  std::optional<net::JsonView> array(std::string_view name, Presence presence);

  /// Notes that a member is wrong.
  void complain(std::string_view name, std::string_view code);

 private:
  std::optional<net::JsonView> member(std::string_view name, Presence presence);

  net::JsonView object_;
  std::string_view pointer_;
  std::vector<FieldProblem>& errors_;
};

}  // namespace penstock::api
