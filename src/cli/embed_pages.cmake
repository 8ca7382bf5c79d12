# Writes OUTPUT: a C++ source that holds every page of FOLDER (but for its README.md) as text.
# Run as a script: cmake -DFOLDER=... -DOUTPUT=... -P embed_pages.cmake
file(GLOB pages "${FOLDER}/*.md")
list(SORT pages)
set(rows "")
set(count 0)
foreach(page IN LISTS pages)
  get_filename_component(code "${page}" NAME_WE)
  if(code STREQUAL "README")
    continue()
  endif()
  file(READ "${page}" text)
  string(APPEND rows "    ErrorPage{\"${code}\", R\"~page~(${text})~page~\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}.new" "#include <array>

#include \"cli/error_pages.h\"

namespace penstock::cli {
namespace {

constexpr std::array<ErrorPage, ${count}> kPages{{
${rows}}};

}  // namespace

std::span<const ErrorPage> error_pages() {
  return kPages;
}

}  // namespace penstock::cli
")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
