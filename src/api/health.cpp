#include <utility>

#include "api/resources.h"
#include "net/json_writer.h"

namespace penstock::api {
namespace {

net::HttpResponse status_response(std::string_view status) {
  std::string body;
  net::JsonWriter(body).begin_object().member("status", status).end_object();
  return json_response(200, std::move(body));
}

}  // namespace

void get_health(Context&, Call call) {
  call.reply.send(status_response("ok"));
}

void get_readiness(Context& context, Call call) {
  if (!context.parts.intake.ready()) {
    return call.reply.give(verdict_of(pipeline::Refusal::draining));
  }
  call.reply.send(status_response("ready"));
}

void get_root(Context& context, Call call) {
  std::string body;
  net::JsonWriter writer(body);
  writer.begin_object()
      .member("service", "penstock")
      .member("version", context.options.version)
      .key("routes")
      .begin_array();
  std::string route_text;
  for (const Route& route : routes()) {
    route_text.assign(net::to_string(route.method));
    route_text += ' ';
    route_text += route.pattern;
    writer.string(route_text);
  }
  writer.end_array().end_object();
  call.reply.send(json_response(200, std::move(body)));
}

}  // namespace penstock::api
