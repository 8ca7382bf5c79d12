"""Hostile neighbours: a greedy or malicious client or tenant against each room that all share,
while a good tenant places orders and the probes are asked.

usage: hostile.py PENSTOCK [Hostile.test_ROOM ...]

While it goes on, and after it: /healthz is 200 and answers; the good tenant's orders are accepted
and end; the memory of the program stays below RSS_BOUND. After it the program is as before: the
good tenant's orders end again, and what was accepted of the hostile one ends or is bounded.
Latencies are printed as figures, never judged.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "program"))

import harness  # noqa: E402
from harness import Client, expect, order_body, wait_until  # noqa: E402

MIB = 1024 * 1024
RSS_BOUND = 900 * MIB
GOOD, EVIL = "good", "evil"
FLAGS = ("--memory-budget", "64", "--retry-base", "20ms", "--retry-cap", "500ms",
         "--drain-seconds", "2", "--webhook-allow-private")
GOOD_ORDERS = 15


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


class Watch:
    """The good tenant and the probes, watched until `stop`."""

    def __init__(self, case, server):
        self.case, self.server = case, server
        self.probes, self.orders, self.failures = [], [], []
        self.peak = 0
        self.retried = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(work,))
                         for work in (self._probe, self._buy)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Goes on until the good tenant has had its orders, then tells the figures."""
        wait_until(lambda: len(self.orders) >= GOOD_ORDERS or self.failures,
                   "the good tenant's orders are accepted and end")
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.case.assertEqual(self.failures, [])
        self.case.assertLess(self.peak, RSS_BOUND, f"{self.peak / MIB:.0f} MiB")
        print(f"  {self.case.id().rsplit('_', 1)[1]}: probes p50 "
              f"{percentile(self.probes, 0.5):.1f} ms, worst {percentile(self.probes, 1):.0f} ms; "
              f"good tenant p50 {percentile(self.orders, 0.5):.1f} ms, worst "
              f"{percentile(self.orders, 1):.0f} ms of {len(self.orders)} orders, sent again "
              f"{self.retried}; RSS {self.peak / MIB:.0f} MiB", file=sys.stderr)

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(repr(error))

    def _probe(self):
        while not self._ended.is_set():
            for path in ("/healthz", "/readyz"):
                start = time.monotonic()
                with contextlib.closing(self.server.client()) as client:
                    expect(client.get(path), 200)
                self.probes.append(time.monotonic() - start)
            self.peak = max(self.peak, rss(self.server.pid))
            time.sleep(0.02)

    def _buy(self):
        with contextlib.closing(self.server.client()) as client:
            while not self._ended.is_set():
                start = time.monotonic()
                reply = client.post("/orders", order_body("p", tenant_id=GOOD))
                if reply.status == 503:  # told to come back: at most so often
                    self.retried += 1
                    if self.retried > 3 * GOOD_ORDERS:
                        raise AssertionError(f"the good tenant is refused: {reply.body!r}")
                    time.sleep(1)
                    continue
                order = client.ended(expect(reply, 202).json()["order_id"])
                self.case.assertEqual(order["status"], "fulfilled")
                self.orders.append(time.monotonic() - start)
                time.sleep(0.02)


def rss(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def big_order(tenant, size=80_000):
    """A valid order of about `size` bytes."""
    pairs = {f"k{n}": "x" * 490 for n in range(20)}
    body = order_body("p", tenant_id=tenant, metadata=pairs)
    line = {"product_id": "p" * 120, "quantity": 1, "price": "1.00"}
    while len(json.dumps(body)) < size and len(body["items"]) < 100:
        body["items"].append(dict(line))
    body["note"] = "x" * max(0, size - len(json.dumps(body)))
    return body


class Hostile(harness.ProgramTest):

    def start(self, *flags):
        server = self.ground.server(*FLAGS, *flags)
        client = server.client()
        for tenant in (GOOD, EVIL):
            expect(client.put(f"/tenants/{tenant}", {"rate_per_second": 100_000,
                                                     "burst": 100_000}), 200)
            client.set_stock("p", 10_000_000, tenant)
        self.addCleanup(client.close)
        self.client = client
        return server

    def finish(self, server, watch):
        watch.stop()
        # The neighbour is gone: everything is as before.
        again = Watch(self, server)
        again.stop()
        self.client.close()
        self.assertIn(server.terminate(), (0,))
        self.ground.check()

    def place_many(self, server, count, make, threads=4):
        """Statuses of `count` orders, number -> body."""
        statuses = []

        def send(part):
            with contextlib.closing(server.client()) as client:
                for number in range(part, count, threads):
                    with contextlib.suppress(*Client.LOST):
                        statuses.append(client.post("/orders", make(number)).status)
        senders = [threading.Thread(target=send, args=(part,)) for part in range(threads)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return statuses

    def connect(self, server):
        connection = socket.create_connection(server.address(), timeout=harness.HANG_SECONDS)
        self.addCleanup(connection.close)
        return connection

    def test_pages(self):
        """A few kilobytes of pipelined requests ask for gigabytes of pages."""
        server = self.start()
        self.place_many(server, 400, lambda n: big_order(EVIL))
        watch = Watch(self, server)
        request = f"GET /orders?tenant_id={EVIL}&limit=500 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for _ in range(4):
            self.connect(server).sendall(request.encode() * 64)  # and nothing is read
        self.finish(server, watch)

    def test_bodies(self):
        """Bodies that never end."""
        server = self.start()
        watch = Watch(self, server)
        head = ("POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                "Content-Length: 262000\r\n\r\n").encode()
        part = b'{"x":"' + b"y" * 200_000
        held = []
        for _ in range(600):
            with contextlib.suppress(OSError):
                connection = self.connect(server)
                connection.settimeout(5)
                held.append(connection)
                connection.sendall(head + part)
        self.finish(server, watch)

    def test_connections(self):
        """One address opens more connections than there are."""
        server = self.start("--max-connections", "300")
        for _ in range(400):
            with contextlib.suppress(OSError):
                self.connect(server)
        watch = Watch(self, server)
        self.finish(server, watch)

    def test_lists(self):
        """Readers in closed loops, over a history of ended orders."""
        server = self.start()
        self.place_many(server, 2000, lambda n: order_body("p", tenant_id=EVIL))
        watch = Watch(self, server)
        stop = threading.Event()

        def read():
            with contextlib.closing(server.client()) as client:
                while not stop.is_set():
                    with contextlib.suppress(*Client.LOST):
                        client.get(f"/orders?tenant_id={EVIL}&limit=500&status=placed")
        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        try:
            watch.stop()
        finally:
            stop.set()
            for reader in readers:
                reader.join()
        self.finish(server, Watch(self, server))

    def test_waits(self):
        """Thousands of requests that wait for an order that does not end."""
        server = self.start()
        slow = self.client.place(order_body("p", tenant_id=EVIL, method="pm_delay_5000")).json()
        request = f"GET /orders/{slow['order_id']}?wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        watch = Watch(self, server)
        for _ in range(60):
            self.connect(server).sendall(request.encode() * 60)
        self.finish(server, watch)

    def test_places(self):
        """Slow cards of one tenant hold the places of payments in flight."""
        server = self.start("--max-payments-in-flight", "50")
        watch = Watch(self, server)
        self.place_many(server, 300, lambda n: order_body("p", tenant_id=EVIL,
                                                          method="pm_delay_3000"))
        self.finish(server, watch)

    def test_active(self):
        """Invented names fill the room of active orders."""
        server = self.start("--max-active", "2000", "--max-payments-in-flight", "100")
        for n in range(40):
            self.client.set_stock("p", 10_000, f"name-{n}")
        statuses = self.place_many(
            server, 4000, lambda n: order_body("p", tenant_id=f"name-{n % 40}",
                                               method="pm_delay_20000"))
        self.assertIn(503, statuses, "the room has a bound")
        watch = Watch(self, server)
        watch.stop()
        self.client.close()
        server.kill()

    def test_methods(self):
        """Cards that the gateway refuses for good."""
        server = self.start()
        watch = Watch(self, server)
        self.place_many(server, 1500, lambda n: order_body("p", tenant_id=EVIL, method="x"))
        self.finish(server, watch)
        lines = len(server.log().splitlines())
        self.assertLess(lines, 1200, "a failure that repeats is sampled in the log")

    def test_names(self):
        """Every order of another tenant."""
        server = self.start()
        watch = Watch(self, server)
        self.place_many(server, 3000, lambda n: order_body("p", tenant_id=f"invented-{n}"))
        self.finish(server, watch)

    def test_webhooks(self):
        """A receiver that never answers, for a thousand deliveries."""
        server = self.start()
        hole = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.addCleanup(hole.close)
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        contract = {"rate_per_second": 100_000, "burst": 100_000}
        expect(self.client.put(f"/tenants/{EVIL}", dict(contract, webhook={
            "url": f"http://127.0.0.1:{hole.getsockname()[1]}/", "secret": secret})), 200)
        self.place_many(server, 1000, lambda n: order_body("p", tenant_id=EVIL))
        from sinks import Sink
        sink = Sink()
        self.addCleanup(sink.close)
        expect(self.client.put(f"/tenants/{GOOD}", dict(contract, webhook={
            "url": sink.url + "/", "secret": secret})), 200)
        watch = Watch(self, server)
        watch.stop()
        wait_until(lambda: len(sink.arrivals) >= GOOD_ORDERS, "the good tenant is told")
        self.client.close()
        self.assertEqual(server.terminate(), 0)

    def test_refusals(self):
        """Requests that are wrong, as many as there can be: the log stays small."""
        server = self.start()
        watch = Watch(self, server)
        self.place_many(server, 6000, lambda n: b"{")
        self.finish(server, watch)
        self.assertLess(server.log_path.stat().st_size, 2 * MIB)

    def test_drips(self):
        """Heads and bodies that come a byte at a time, and answers that nobody takes."""
        server = self.start()
        watch = Watch(self, server)
        connections = [self.connect(server) for _ in range(200)]
        text = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        for byte in text[:40]:
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(bytes([byte]))
        self.finish(server, watch)


if __name__ == "__main__":
    harness.main()
