#include "cli/presentation.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace penstock::cli {
namespace {

std::string text_of(const net::JsonView& value) {
  switch (value.kind()) {
    case net::JsonKind::null:
      return "-";
    case net::JsonKind::boolean:
      return *value.as_bool() ? "yes" : "no";
    case net::JsonKind::number:
      return std::string(value.number_text());
    case net::JsonKind::string:
      return std::string(*value.as_string());
    case net::JsonKind::array:
      return fmt::format("({})", value.size());
    case net::JsonKind::object:
      return value.size() == 0 ? "-" : "{...}";
  }
  return "-";
}

std::string cell_of(const net::JsonView& row, std::string_view path) {
  std::optional<net::JsonView> at = row;
  while (at && !path.empty()) {
    std::size_t const end = path.find('.');
    at = at->find(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  }
  return at ? text_of(*at) : "-";
}

void append_lines(const net::JsonView& value, const std::string& name, std::string& out) {
  if (value.is_object() && value.size() > 0) {
    for (const net::JsonView member : value.members()) {
      append_lines(
          member,
          name.empty() ? std::string(member.name()) : fmt::format("{}.{}", name, member.name()),
          out);
    }
    return;
  }
  if (value.is_array()) {
    int index = 0;
    for (const net::JsonView item : value.items()) {
      append_lines(item, fmt::format("{}.{}", name, index++), out);
    }
    return;
  }
  out += fmt::format("{:<24} {}\n", name, text_of(value));
}

ExitCode complain(const ServerAnswer& answer, std::ostream& complaints) {
  auto const document = net::JsonDocument::parse(answer.body);
  if (!document || !document->root().is_object()) {
    complaints << fmt::format(
        "the server answered {} without saying why; is it a Penstock server?\n", answer.status);
    return ExitCode::failed;
  }
  complaints << fmt::format("{} ({}): {}\n", cell_of(document->root(), "title"),
                            cell_of(document->root(), "code"), cell_of(document->root(), "detail"));
  if (auto const errors = document->root().find("errors")) {
    for (const net::JsonView error : errors->items()) {
      complaints << fmt::format("  {} {}\n", cell_of(error, "pointer"), cell_of(error, "code"));
    }
  }
  return ExitCode::failed;
}

}  // namespace

std::string table_of(const net::JsonView& rows, std::span<const std::string_view> columns) {
  std::vector<std::vector<std::string>> cells(1);
  for (std::string_view const column : columns) cells[0].emplace_back(column);
  for (const net::JsonView row : rows.items()) {
    cells.emplace_back();
    for (std::string_view const column : columns) cells.back().push_back(cell_of(row, column));
  }
  std::vector<std::size_t> widths(columns.size());
  for (auto const& row : cells) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string out;
  for (auto const& row : cells) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      bool const last = column + 1 == row.size();
      out += last ? row[column] + "\n" : fmt::format("{:<{}}  ", row[column], widths[column]);
    }
  }
  return out;
}

std::string lines_of(const net::JsonView& object) {
  std::string out;
  append_lines(object, "", out);
  return out;
}

ExitCode present(const std::expected<ServerAnswer, std::string>& answer, const TableShape& shape,
                 const Output& output) {
  if (!answer) {
    output.complaints << answer.error() << '\n';
    return ExitCode::failed;
  }
  if (!answer->ok()) return complain(*answer, output.complaints);
  auto const document = net::JsonDocument::parse(answer->body, {.max_bytes = 16U << 20});
  auto const list = !document || !document->root().is_object() || shape.list.empty()
                        ? std::nullopt
                        : document->root().find(shape.list);
  bool const is_ours = document && document->root().is_object() &&
                       (shape.list.empty() || (list && list->is_array()));
  if (!is_ours) {
    output.complaints << fmt::format(
        "the server answered {} with something else than was asked for; is it a Penstock server?\n",
        answer->status);
    return ExitCode::failed;
  }
  if (output.form == OutputForm::json) {
    output.out << answer->body << '\n';
    return ExitCode::done;
  }
  if (!list) {
    output.out << lines_of(document->root());
    return ExitCode::done;
  }
  output.out << table_of(*list, shape.columns);
  if (auto const next = document->root().find("next_cursor"); next && next->as_string()) {
    output.out << fmt::format("more: --cursor {}\n", *next->as_string());
  }
  return ExitCode::done;
}

}  // namespace penstock::cli
