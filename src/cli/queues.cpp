#include "cli/operate.h"

namespace penstock::cli {

ExitCode show_queues(const ServerAccess& server, const Output& output) {
  return present(
      ServerClient(server).call(net::HttpMethod::get, "/queues"),
      {.list = "stages",
       .columns = {"stage", "depth", "in_flight", "oldest_age_seconds", "completed_per_second",
                   "failed_per_second", "dead_letters", "paused"}},
      output);
}

}  // namespace penstock::cli
