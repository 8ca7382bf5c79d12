"""What a greedy client can take of the HTTP server: bytes of answers and of requests, connections.
Another address and the probes are served meanwhile, and afterwards everything is as before."""

import contextlib
import http.client
import resource
import socket

import harness
from harness import Client, expect, order_body, wait_until

MIB = 1 << 20
# What the process may take more than before: one room of 128 MiB, and twice as much again for what
# the allocator keeps and what is being made or copied. Unbounded bodies alone are 1 GiB here.
MOST_MORE = 384 * MIB


def resident(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


class Neighbour(Client):
    """A client from another address than the greedy ones."""

    def __init__(self, host, port):
        super().__init__(host, port)
        self._connection = http.client.HTTPConnection(
            host, port, timeout=harness.HANG_SECONDS, source_address=("127.0.0.2", 0))


class HttpBounds(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def connect(self, server, source="127.0.0.1"):
        connection = socket.create_connection(server.address(), timeout=harness.HANG_SECONDS,
                                              source_address=(source, 0))
        self.addCleanup(connection.close)
        return connection

    def metric(self, server, name):
        with contextlib.closing(server.client()) as client:
            for line in client.get("/metrics").body.decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    def expect_service(self, server):
        """Probes and a neighbour's order, from another address."""
        host, port = server.address()
        with contextlib.closing(Neighbour(host, port)) as client:
            for probe in ("/healthz", "/readyz"):
                self.assertEqual(client.get(probe).status, 200)
            expect(client.post("/orders", order_body("p")), 202)

    def test_pages_that_nobody_takes(self):
        server = self.ground.server("--memory-budget", "16")
        client = server.client()
        client.set_stock("p", 100000)
        metadata = {f"key-{i}": "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 500 for i in range(20)}
        for _ in range(200):
            client.place(order_body("p", metadata=metadata))
        before = resident(server)
        page = b"GET /orders?limit=500 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        greedy = [self.connect(server) for _ in range(30)]
        for connection in greedy:
            connection.sendall(page * 64)
        most = before
        for _ in range(20):
            self.expect_service(server)
            most = max(most, resident(server))
        print(f"{len(greedy)} x 64 pages: {before >> 20} MiB, then {most >> 20} MiB")
        self.assertLess(most - before, MOST_MORE)
        for connection in greedy:
            connection.close()
        wait_until(lambda: self.metric(server, "penstock_http_answer_bytes") == 0,
                   "the answers are given up")
        self.expect_service(server)

    def test_bodies_that_never_end(self):
        server = self.ground.server("--memory-budget", "16")
        server.client().set_stock("p", 100000)
        before = resident(server)
        begun = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 250000\r\n\r\n"
        greedy = [self.connect(server) for _ in range(5000)]
        for connection in greedy:
            with contextlib.suppress(OSError):  # refused and closed
                connection.sendall(begun + b"x" * 200_000)
        most = before
        for _ in range(20):
            self.expect_service(server)
            most = max(most, resident(server))
        print(f"{len(greedy)} bodies: {before >> 20} MiB, then {most >> 20} MiB")
        self.assertLess(most - before, MOST_MORE)
        for connection in greedy:
            connection.close()
        wait_until(lambda: self.metric(server, "penstock_http_request_bytes") == 0,
                   "the bodies are given up")
        self.expect_service(server)
        lines = [r["message"] for r in server.records() if "clients are" in r["message"]]
        self.assertTrue(lines and lines[0].startswith("clients are refused"), lines)

    def test_idle_connections_of_one_address_lock_nobody_out(self):
        server = self.ground.server("--max-connections", "100")
        server.client().set_stock("p", 100000)
        idle = [self.connect(server) for _ in range(300)]
        for _ in range(5):
            self.expect_service(server)
        newest = idle[-1]
        newest.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(newest.recv(100).startswith(b"HTTP/1.1 200"))
        self.assertEqual(idle[0].recv(1), b"", "the longest idle one gave way")


if __name__ == "__main__":
    harness.main()
