# Writes OUTPUT: a C++ source that holds every NNNN_name.sql of FOLDER as text, in their order.
# Run as a script: cmake -DFOLDER=... -DOUTPUT=... -P embed_migrations.cmake
file(GLOB scripts "${FOLDER}/*.sql")
list(SORT scripts)
set(rows "")
set(count 0)
foreach(script IN LISTS scripts)
  get_filename_component(name "${script}" NAME_WE)
  math(EXPR count "${count} + 1")
  string(SUBSTRING "${name}" 0 4 digits)
  string(REGEX REPLACE "^0+" "" number "${digits}")
  if(NOT number EQUAL count)
    message(FATAL_ERROR "${script} is not number ${count}")
  endif()
  file(READ "${script}" text)
  # A literal may have 65 536 characters; larger scripts have to be split.
  string(APPEND rows "    Migration{${count}, \"${name}\", R\"~sql~(${text})~sql~\"},\n")
endforeach()
file(WRITE "${OUTPUT}.new" "#include <array>

#include \"adapters/postgres/migrations.h\"

namespace penstock::postgres_store {
namespace {

constexpr std::array<Migration, ${count}> kMigrations{{
${rows}}};

}  // namespace

std::span<const Migration> migrations() {
  return kMigrations;
}

}  // namespace penstock::postgres_store
")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
