"""A benchmark: what tenant B's orders and webhooks wait for while tenant A is hostile.

usage: neighbours.py PENSTOCK [ROUNDS]

Each round measures B alone and beside each A, in turn, so that a busy machine slows down both. A
has 1 000 orders; it is a receiver of webhooks that never answers, one that answers a byte each
0.2 s, or cards that take 3 s with 50 places for payments. B's orders follow one another: to the
end (payment included), and to the arrival of the webhook. Prints a line of JSON a case with the
medians and 99th percentiles over all rounds, and the medians' ratio to B alone; judges nothing.
"""

import contextlib
import json
import socket
import statistics
import sys
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "program"))

import harness  # noqa: E402
from harness import expect, order_body, wait_until  # noqa: E402
from sinks import Sink  # noqa: E402

A, B = "a", "b"
A_ORDERS = 1000
B_ORDERS = 40
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CASES = ("alone", "hanging receiver", "dripping receiver", "slow cards")


class Dripper:
    """Takes requests and answers one byte each 0.2 s."""

    def __init__(self, drips):
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._drips = drips
        self._open = []
        if drips:
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                self._open.append(self._socket.accept()[0])
                threading.Thread(target=self._drip, args=(self._open[-1],), daemon=True).start()

    def _drip(self, connection):
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100:
                connection.sendall(bytes([byte]))
                time.sleep(0.2)

    def close(self):
        for each in [self._socket, *self._open]:
            each.close()


class Neighbours(harness.ProgramTest):
    """One server and one case at a time."""

    rounds = 1

    def test_latency(self):
        ends = {case: [] for case in CASES}
        arrivals = {case: [] for case in CASES}
        for _ in range(self.rounds):
            for case in CASES:
                self.measure(case, ends[case], arrivals[case])
        for case in CASES:
            self.assertEqual(len(ends[case]), self.rounds * B_ORDERS)
            figures = {"case": case, "a_orders": A_ORDERS, "b_orders": len(ends[case])}
            for name, values in (("end_ms", ends), ("webhook_ms", arrivals)):
                ordered = sorted(values[case])
                figures[name] = round(statistics.median(ordered) * 1000, 2)
                figures[name + "_p99"] = round(ordered[len(ordered) * 99 // 100] * 1000, 2)
                figures[name + "_ratio"] = round(
                    statistics.median(values[case]) / statistics.median(values["alone"]), 2)
            print(json.dumps(figures), flush=True)

    def measure(self, case, ends, arrivals):
        server = self.ground.server("--max-payments-in-flight", "50", "--webhook-allow-private",
                                    "--drain-seconds", "0")
        server.await_ready()
        told = {}
        sink = Sink(lambda arrival: told.setdefault(
            json.loads(arrival.body)["data"]["order"]["order_id"], time.monotonic()) and 204)
        self.addCleanup(sink.close)
        hostile = Dripper(case == "dripping receiver")
        self.addCleanup(hostile.close)
        with contextlib.closing(server.client()) as client:
            contract = {"rate_per_second": 100_000, "burst": 100_000}
            of_a = dict(contract, webhook={"url": hostile.url, "secret": SECRET})
            expect(client.put(f"/tenants/{A}", of_a if "receiver" in case else contract), 200)
            expect(client.put(f"/tenants/{B}", dict(contract, webhook={
                "url": sink.url + "/", "secret": SECRET})), 200)
            for tenant in (A, B):
                client.set_stock("p", 1_000_000, tenant)
            if case != "alone":
                method = "pm_delay_3000" if case == "slow cards" else "pm_ok"
                for _ in range(A_ORDERS):
                    expect(client.post("/orders", order_body("p", tenant_id=A, method=method)), 202)
            for _ in range(B_ORDERS):
                began = time.monotonic()
                order = client.place(order_body("p", tenant_id=B)).json()["order_id"]
                expect(client.get(f"/orders/{order}?wait=30"), 200)
                ends.append(time.monotonic() - began)
                wait_until(lambda order=order: order in told, "B is told")
                arrivals.append(told[order] - began)
        server.kill()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Neighbours.rounds = int(sys.argv.pop())
    unittest.TestCase.maxDiff = None
    harness.main()
