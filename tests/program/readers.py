"""Those who read take the service from nobody: one greedy client with every read in the making that
it can have, on many connections, beside a good client and the probes on another address."""

import contextlib
import socket
import threading

import harness
from harness import Client, expect, order_body

GREEDY_ADDRESS = "127.0.0.2"
GREEDY_CONNECTIONS = 12
PIPELINED = 32
ROUNDS = 60


class GreedyReader(threading.Thread):
    """Keeps PIPELINED lists in the making on one connection until it is told to stop."""

    def __init__(self, host, port, target):
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self.answered = 0
        self._request = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode() * PIPELINED
        self._address = (host, port)

    def run(self):
        while not self.stopped.is_set():
            with contextlib.suppress(OSError), socket.create_connection(
                    self._address, timeout=harness.HANG_SECONDS,
                    source_address=(GREEDY_ADDRESS, 0)) as connection:
                connection.settimeout(1)
                connection.sendall(self._request)
                while not self.stopped.is_set():
                    try:
                        received = connection.recv(1 << 20)
                    except TimeoutError:
                        continue
                    if not received:
                        break
                    count = received.count(b"HTTP/1.1 ")
                    self.answered += count
                    connection.sendall(self._request[:len(self._request) // PIPELINED] * count)


class Readers(harness.ProgramTest):

    def test_a_greedy_reader_leaves_probes_orders_and_reads_of_others_answered(self):
        server = self.ground.server("--demo-catalog", "--read-threads", "2")
        good = server.client()
        large = {"metadata": {f"name-{n}": "\x01" * 500 for n in range(20)}}
        for _ in range(60):
            good.place(order_body(tenant_id="greedy", **large))
        mine = good.place(order_body(tenant_id="good")).json()["order_id"]
        host, port = server.address()
        readers = [GreedyReader(host, port, "/orders?tenant_id=greedy&limit=500")
                   for _ in range(GREEDY_CONNECTIONS)]
        for reader in readers:
            reader.start()
        harness.wait_until(lambda: sum(r.answered for r in readers) > 2 * PIPELINED,
                           "the greedy reader is at it")
        # Bound work: each of these is answered, and with what was asked for.
        for number in range(ROUNDS):
            expect(good.get("/healthz"), 200)
            expect(good.get("/readyz"), 200)
            self.assertEqual(good.order(mine)["tenant_id"], "good")
            page = expect(good.get("/orders?tenant_id=good&limit=500"), 200).json()
            self.assertEqual(len(page["orders"]), number + 1)
            good.place(order_body(tenant_id="good"))
            good.queues()
        metrics = expect(good.get("/metrics"), 200).body.decode()
        self.assertIn('penstock_pool_requests_total{lane="reads",outcome="done"}', metrics)
        for reader in readers:
            reader.stopped.set()
        for reader in readers:
            reader.join()
        print(f"{sum(r.answered for r in readers)} lists of the greedy one were answered meanwhile")
        # Afterwards nothing is left of it.
        harness.wait_until(lambda: 'penstock_pool_waiting{lane="reads"} 0' in
                           good.get("/metrics").body.decode(), "the queue is empty")
        good.close()

    def test_a_page_of_large_orders_is_cut_and_goes_on(self):
        server = self.ground.server("--demo-catalog")
        client = server.client()
        large = {"metadata": {f"name-{n}": "\x01" * 500 for n in range(20)}}
        placed = {client.place(order_body(tenant_id="large", **large)).json()["order_id"]
                  for _ in range(60)}
        page = expect(client.get("/orders?tenant_id=large&limit=500"), 200)
        self.assertLess(len(page.body), 1_200_000)
        self.assertIsNotNone(page.json()["next_cursor"])
        found = client.pages("/orders?tenant_id=large&limit=500", "orders")
        self.assertEqual({o["order_id"] for o in found}, placed)
        self.assertEqual(len(found), len(placed))
        client.close()


if __name__ == "__main__":
    harness.main()
