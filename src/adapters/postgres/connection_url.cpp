#include "adapters/postgres/connection_url.h"

#include <libpq-fe.h>

namespace penstock::postgres_store {

std::optional<std::string> why_malformed(const std::string& url) {
  char* message = nullptr;
  PQconninfoOption* const options = PQconninfoParse(url.c_str(), &message);
  PQfreemem(message);
  if (options == nullptr) {
    return "the database's URL is malformed, or names a parameter that libpq does not know; it is "
           "not shown here, since it may hold a password";
  }
  PQconninfoFree(options);
  return std::nullopt;
}

}  // namespace penstock::postgres_store
