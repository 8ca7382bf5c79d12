#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/check.h"
#include "cli/exit_code.h"
#include "cli/server_access.h"
#include "net/json.h"

namespace penstock::cli {

/// How an answer's list becomes a table.
struct TableShape {
  std::string_view list;  ///< the member that holds the rows; empty: the answer is one object
  std::vector<std::string_view> columns{};  ///< of a row, as "order_id" or "total.amount"
};

/// A table of the objects in `rows`, a line each under a line of headings; "-" for what is missing.
std::string table_of(const net::JsonView& rows, std::span<const std::string_view> columns);

/// A line for each member of an object, nested ones as "outer.inner".
std::string lines_of(const net::JsonView& object);

/// Where a command's output goes.
struct Output {
  OutputForm form = OutputForm::text;
  std::ostream& out;
  std::ostream& complaints;
};

/// Prints what a server answered: as it came with OutputForm::json, else as a table or lines. A
/// refusal goes to `complaints` with its code, and is `failed`; so is no answer.
ExitCode present(const std::expected<ServerAnswer, std::string>& answer, const TableShape& shape,
                 const Output& output);

}  // namespace penstock::cli
