"""Local HTTP servers that the program talks to: a webhook sink and a fulfiller hook."""

import http.server
import json
import threading
import urllib.parse
from dataclasses import dataclass


@dataclass
class Arrival:
    """One request as it came in."""
    method: str
    path: str
    headers: dict  # lower-case names
    body: bytes


class Sink:
    """Keeps every request; `answer(arrival)` gives the status, or (status, headers, body)."""

    def __init__(self, answer=lambda arrival: 204):
        self.arrivals = []
        self.answer = answer
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _take(self):
                size = int(self.headers.get("Content-Length", 0))
                arrival = Arrival(self.command, self.path,
                                  {k.lower(): v for k, v in self.headers.items()},
                                  self.rfile.read(size))
                sink.arrivals.append(arrival)
                answer = sink.answer(arrival)
                status, headers, body = answer if isinstance(answer, tuple) else (answer, {}, b"")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _take

            def log_message(self, *arguments):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass  # the program was killed in the middle, which is what some tests do

        self._server = Listener(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Fulfiller(Sink):
    """A fulfiller hook that is as good as its word: what it accepted stays accepted, and what was
    closed is never accepted. `hold` makes a key wait for `release`."""

    def __init__(self):
        self.released = threading.Event()
        self.states = {}
        self._lock = threading.Lock()
        super().__init__(self._decide)

    def _decide(self, arrival):
        if arrival.method == "POST":
            key = arrival.headers["idempotency-key"]
            self.released.wait()
            with self._lock:
                if self.states.setdefault(key, "accepted") == "accepted":
                    return 204
                return 410, {}, b""
        query = urllib.parse.urlsplit(arrival.path).query
        key = urllib.parse.parse_qs(query)["key"][0]
        with self._lock:
            if arrival.method == "DELETE":
                self.states.setdefault(key, "closed")
            state = self.states.get(key)
        if state is None:
            return 404, {}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps({"state": state}).encode()

    def close(self):
        self.released.set()
        super().close()
