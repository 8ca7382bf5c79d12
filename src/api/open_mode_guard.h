#pragma once

#include <optional>

#include "api/problem.h"
#include "net/http_message.h"

namespace penstock::api {

/// What a server without a key refuses. It listens on loopback alone, so that whoever reaches it
/// may use it; but a web page that is open in a browser on the same machine reaches it too. A page
/// is told apart by what the browser says for it: a Host that is not local (its name was made to
/// point here, DNS rebinding), an Origin that is not local, or Sec-Fetch-Site "cross-site" or
/// "same-site". Such a request is refused with `forbidden`; nothing else is.
///
/// Local is localhost, 127.0.0.0/8 and [::1], with any port. An HTTP/1.0 request may have no Host.
std::optional<Problem> refuse_web_page(const net::HttpRequest& request);

}  // namespace penstock::api
