"""Real processes for whole-program tests: `penstock serve` and `penstock gateway` on free loopback
ports and temporary directories, a small HTTP client, and waiting that never decides a verdict.

Every test program is called with the path of the binary as its first argument.
"""

import contextlib
import ctypes
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from dataclasses import dataclass, field
from pathlib import Path

# A hang guard, never a verdict: a sanitized build on a busy machine is many times slower.
HANG_SECONDS = 300
POLL_SECONDS = 0.02
# What a sanitizer writes when it has found something.
_SANITIZER = re.compile(r"(?:Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:")
_ADDRESS = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]):(\d+)")
TERMINAL = ("fulfilled", "rejected", "cancelled")
# semantics.md 4, written down a second time on purpose: this is the reference.
LEGAL = {
    "placed": {"placed", "reserved", "rejected", "cancelling", "cancelled"},
    "reserved": {"reserved", "charged", "cancelling"},
    "charged": {"charged", "fulfilled", "cancelling"},
    "cancelling": {"cancelling", "cancelled"},
}

binary = ""


def main():
    """Runs the calling module's tests; the first argument is the binary, the rest is unittest's."""
    global binary
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} PENSTOCK [unittest arguments]")
    module = sys.modules["__main__"]
    sys.modules["harness"].binary = binary = str(Path(sys.argv[1]).resolve())
    # ctest ends a test that hangs with a signal; what was started and mounted is still cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    unittest.main(module=module, argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)


def is_sanitized():
    """Whether the binary was built with a sanitizer."""
    content = Path(binary).read_bytes()
    return b"__asan_init" in content or b"__tsan_init" in content


def wait_until(condition, what, seconds=HANG_SECONDS):
    """Polls until `condition()` is truthy and returns it. Running out of time is a hang."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"hung for {seconds} s while waiting until {what}")
        time.sleep(POLL_SECONDS)


def free_port():
    """A port that nothing uses now, below the range from which the kernel picks by itself, so that
    it is still free when a process comes back to it."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(15_000, 32_000)
        with contextlib.closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


@dataclass
class Reply:
    """One HTTP answer."""
    status: int
    headers: dict = field(repr=False)  # lower-case names
    body: bytes = b""

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The problem's code, or None."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return self.json().get("code")


class Client:
    """A synchronous client on one kept connection. A lost connection is an OSError or
    http.client.HTTPException, and the next request opens a new one."""

    LOST = (OSError, http.client.HTTPException)

    def __init__(self, host, port, headers=None):
        self.host, self.port, self.headers = host, port, dict(headers or {})
        self._connection = None

    def request(self, method, path, body=None, headers=None):
        data = body
        sent = dict(self.headers)
        if body is not None and not isinstance(body, (bytes, str)):
            data = json.dumps(body)
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, self.port,
                                                          timeout=HANG_SECONDS)
        try:
            self._connection.request(method, path, body=data, headers=sent)
            answer = self._connection.getresponse()
            reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()},
                          answer.read())
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return reply

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body=body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body=body, **more)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # The routes that most tests need; each insists on the documented status.

    def order(self, order_id):
        return expect(self.get(f"/orders/{order_id}"), 200).json()

    def ended(self, order_id):
        """The order once it has ended."""
        def look():
            order = expect(self.get(f"/orders/{order_id}?wait=20"), 200).json()
            return order if order["status"] in TERMINAL else None
        return wait_until(look, f"order {order_id} ends")

    def until(self, order_id, condition, what):
        """The order once `condition(order)` holds."""
        def look():
            order = self.order(order_id)
            return order if condition(order) else None
        return wait_until(look, f"order {order_id} {what}")

    def events(self, order_id):
        return expect(self.get(f"/orders/{order_id}/events"), 200).json()["events"]

    def set_stock(self, product, on_hand, tenant=None):
        body = {"on_hand": on_hand}
        if tenant:
            body["tenant_id"] = tenant
        return expect(self.put(f"/inventory/{product}", body), 200).json()

    def stock(self, product, tenant=None):
        query = f"?tenant_id={tenant}" if tenant else ""
        return expect(self.get(f"/inventory/{product}{query}"), 200).json()

    def place(self, body, status=202, **more):
        return expect(self.post("/orders", body, **more), status)

    def queues(self):
        return expect(self.get("/queues"), 200).json()

    def pages(self, path, member):
        """All of a list, page by page."""
        found, cursor = [], None
        while True:
            mark = "&" if "?" in path else "?"
            page = expect(self.get(path + (f"{mark}cursor={cursor}" if cursor else "")), 200).json()
            found += page[member]
            cursor = page.get("next_cursor")
            if not cursor:
                return found


def expect(reply, status, code=None):
    """The reply, if it has this status (and problem code)."""
    if reply.status != status or (code is not None and reply.code != code):
        raise AssertionError(f"expected {status} {code or ''}, got {reply.status} "
                             f"{reply.headers} {reply.body[:2000]!r}")
    return reply


def order_body(product="PROD-001", quantity=1, price="10.00", method="pm_ok", **more):
    """A valid order; keywords replace or add members."""
    body = {"customer_id": "cust-1",
            "items": [{"product_id": product, "quantity": quantity, "price": price}],
            "payment": {"method": method}}
    body.update(more)
    return body


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _die_with_the_test():
    """In the child: a test that is itself killed leaves nothing running. The signal comes when the
    thread that started the child ends, so processes are started on the main thread only."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child process; what it writes goes to a file."""

    def __init__(self, ground, name, arguments, environment=None):
        self.name = name
        self.log_path = ground.path / f"{name}-{ground.number()}.log"
        self._log = open(self.log_path, "wb")
        self.child = subprocess.Popen([binary, *arguments], stdin=subprocess.DEVNULL,
                                      stdout=self._log, stderr=self._log, cwd=ground.path,
                                      env=clean_environment(environment),
                                      preexec_fn=_die_with_the_test)
        ground.processes.append(self)

    @property
    def pid(self):
        return self.child.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def records(self):
        """The log's JSON lines; a line cut off by a kill is left out."""
        found = []
        for line in self.log().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def address(self):
        """(host, port) from the first line that tells the address, once it is there."""
        def look():
            for record in self.records():
                match = _ADDRESS.search(str(record.get("address", "")))
                if match:
                    return match[1].strip("[]"), int(match[2])
            if self.child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.child.returncode} before it "
                                     f"told its address:\n{self.log()}")
            return None
        return wait_until(look, f"{self.name} tells its address")

    def kill(self):
        """kill -9."""
        self.child.kill()
        self.child.wait()

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self):
        """The exit code."""
        try:
            return self.child.wait(timeout=HANG_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end:\n{self.log()}") from None

    def terminate(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def running(self):
        return self.child.poll() is None

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self._log.close()


class Server(Process):
    """`penstock serve`. `await_ready` returns once /readyz answers 200."""

    def __init__(self, ground, *flags, data="data", listen="127.0.0.1:0", **more):
        arguments = ["serve", "--data", str(ground.path / data), "--listen", listen, *flags]
        super().__init__(ground, "server", arguments, **more)

    def await_ready(self):
        host, port = self.address()

        def look():
            if not self.running():
                raise AssertionError(f"the server ended with {self.child.returncode}:\n"
                                     f"{self.log()}")
            try:
                with contextlib.closing(Client(host, port)) as client:
                    return client.get("/readyz").status == 200
            except Client.LOST:
                return False
        wait_until(look, "the server is ready")
        return self

    def client(self, headers=None):
        return Client(*self.address(), headers=headers)


class Gateway(Process):
    """`penstock gateway`; its ledger is `ledger`, on a port that it can come back to."""

    def __init__(self, ground, *flags, port=None, ledger="ledger.jsonl"):
        self.port = port or free_port()
        self.ledger = ground.path / ledger
        self.flags = flags
        self._ground = ground
        super().__init__(ground, "gateway", ["gateway", "--listen", f"127.0.0.1:{self.port}",
                                             "--ledger", str(self.ledger), *flags])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def await_ready(self):
        self.address()
        return self

    def restart(self, *flags):
        """A new process on the same port and ledger; not ready yet."""
        return Gateway(self._ground, *(flags or self.flags), port=self.port,
                       ledger=self.ledger.name)

    def again(self, *flags):
        """The same, ready."""
        return self.restart(*flags).await_ready()


class Ground:
    """A temporary directory and the processes started in it; all of them end with it."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="penstock-program-"))
        self.processes = []
        self._numbers = 0

    def number(self):
        self._numbers += 1
        return self._numbers

    def server(self, *flags, **more):
        return Server(self, *flags, **more).await_ready()

    def gateway(self, *flags, **more):
        return Gateway(self, *flags, **more).await_ready()

    def run(self, *arguments, environment=None):
        """Runs the binary to its end."""
        return subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, errors="replace", timeout=HANG_SECONDS, cwd=self.path,
                              env=clean_environment(environment), preexec_fn=_die_with_the_test)

    def check(self, ledger=None, data="data", history=None, webhooks=None, store=()):
        """`penstock check` on a stopped server's data, or what `store` names; its report. It must
        find nothing."""
        arguments = ["check", *(store or ("--data", str(self.path / data)))]
        for flag, file in (("--ledger", ledger), ("--history", history), ("--webhooks", webhooks)):
            if file:
                arguments += [flag, str(file)]
        done = self.run(*arguments)
        if done.returncode != 0:
            raise AssertionError(f"penstock check ended with {done.returncode}\n{done.stdout}\n"
                                 f"{done.stderr}")
        return done.stdout

    def close(self):
        found = []
        for process in self.processes:
            process.close()
            log = process.log()
            if _SANITIZER.search(log):
                found.append(f"{process.name} {process.pid}:\n{log[-8000:]}")
        shutil.rmtree(self.path, ignore_errors=True)
        if found:
            raise AssertionError("a sanitizer reported\n" + "\n".join(found))

    def tails(self, size=3000):
        """The ends of the last logs, for a failed test."""
        return "\n".join(f"--- {p.name} {p.pid} (exit {p.child.poll()}) ---\n{p.log()[-size:]}"
                         for p in self.processes[-4:])


class ProgramTest(unittest.TestCase):
    """A test with a ground of its own; a failure shows the ends of the processes' logs."""

    maxDiff = 4000

    def setUp(self):
        self.ground = Ground()
        self.addCleanup(self.ground.close)
        self.addCleanup(self._show_logs)

    def _show_logs(self):
        if not self._outcome.success:
            print(getattr(self, "shared", self.ground).tails(), file=sys.stderr)

    def assert_timeline(self, order, events):
        """The timeline of an ended order: versions 1 to n, legal moves, one terminal state, last.
        Events without a version are deliveries and come after it."""
        moves = [e for e in events if e["version"] is not None]
        where = f"order {order['order_id']}: {events}"
        self.assertEqual([e["version"] for e in moves], list(range(1, len(moves) + 1)), where)
        self.assertEqual(len(moves), order["version"], where)
        self.assertEqual((moves[0]["from"], moves[0]["to"]), (None, "placed"), where)
        for before, event in zip(moves, moves[1:]):
            self.assertEqual(event["from"], before["to"], where)
            self.assertIn(event["to"], LEGAL.get(event["from"], ()), where)
            self.assertGreaterEqual(event["at"], before["at"], where)
        self.assertEqual(moves[-1]["to"], order["status"], where)
        self.assertEqual([e["to"] in TERMINAL for e in moves].count(True), 1, where)
        for event in events[len(moves):]:
            self.assertIsNone(event["version"], where)
            self.assertEqual(event["stage"], "notification", where)


def clean_environment(more=None):
    """The environment without settings of a developer's own server."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    preloaded = environment.get("LD_PRELOAD")
    environment.update(more or {})
    if preloaded and preloaded not in environment["LD_PRELOAD"]:  # a run on another date
        environment["LD_PRELOAD"] += ":" + preloaded
    return environment
