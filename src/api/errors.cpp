#include <utility>

#include "api/resources.h"
#include "domain/error_code.h"
#include "domain/reason.h"
#include "net/json_writer.h"

namespace penstock::api {

void get_error(Context&, Call call) {
  const auto code = domain::parse_error_code(call.id);
  const auto reason = domain::parse_reason(call.id);
  if (!code && !reason) return call.reply.refuse(not_found());
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object().member("code", call.id);
  if (code) {
    writer.member("title", domain::title_of(*code)).key("status");
    if (domain::status_of(*code) == 0) {
      writer.null();
    } else {
      writer.number(domain::status_of(*code));
    }
  } else {
    writer.member("title", domain::meaning_of(*reason)).key("status").null();
  }
  writer.member("page", "docs/errors/" + call.id + ".md").end_object();
  call.reply.send(json_response(200, std::move(body)));
}

}  // namespace penstock::api
