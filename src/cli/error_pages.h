#pragma once

#include <span>
#include <string_view>

namespace penstock::cli {

/// A page of docs/errors, whole, under its code.
struct ErrorPage {
  std::string_view code;
  std::string_view text;
};

/// All pages as they were when the program was built, by code. Generated: see embed_pages.cmake.
std::span<const ErrorPage> error_pages();

}  // namespace penstock::cli
