#pragma once

#include <cstdint>
#include <initializer_list>
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
/// another type, "not-an-integer" for a number with a fraction or beyond 64 bits.
///
/// It is lenient or strict. Lenient, for clients' bodies: null counts as absent, and members that
/// nobody asks for are ignored (docs/decisions/0020-unknown-members.md). Strict, for operators'
/// bodies: a member that is not among `known` is "unknown-member", null is "null" unless `removes`
/// asks for it, an empty string, array or object is "empty"
/// (docs/decisions/0064-operators-bodies-are-strict.md). Returned views live as long as the
/// document.
class ObjectReader {
 public:
  /// `pointer` is the object's own JSON pointer; "" for the document. Borrows `errors`.
  ObjectReader(net::JsonView object, std::string_view pointer, std::vector<FieldProblem>& errors)
      : object_(object), pointer_(pointer), errors_(errors) {}
  /// Strict: complains about each member that is not `known`.
  ObjectReader(net::JsonView object, std::string_view pointer, std::vector<FieldProblem>& errors,
               std::initializer_list<std::string_view> known);

  std::optional<std::string_view> string(std::string_view name, Presence presence);
  std::optional<std::int64_t> integer(std::string_view name, Presence presence);
  /// A JSON number or string, as it was written: an exact decimal for somebody else to read.
  std::optional<std::string_view> decimal(std::string_view name, Presence presence);
  std::optional<net::JsonView> object(std::string_view name, Presence presence);
  std::optional<net::JsonView> array(std::string_view name, Presence presence);
  std::optional<bool> boolean(std::string_view name, Presence presence);
  /// Whether the member is there and null: what it names is to be removed. Ask this before any
  /// other question about the member, and ask no other where it is true.
  bool removes(std::string_view name) const;

  /// Notes that a member is wrong; `detail` tells what is expected.
  void complain(std::string_view name, std::string_view code, std::string detail = {});

 private:
  std::optional<net::JsonView> member(std::string_view name, Presence presence);

  net::JsonView object_;
  std::string_view pointer_;
  std::vector<FieldProblem>& errors_;
  bool strict_ = false;
};

/// The name among `known` that is most like `name`; "" where none is.
std::string_view closest_name(std::string_view name, std::initializer_list<std::string_view> known);

}  // namespace penstock::api
