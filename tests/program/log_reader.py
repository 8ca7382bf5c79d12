"""Whoever reads the log may stop reading: orders, probes and the end never wait for it."""

import contextlib
import os
import re
import signal
import subprocess

import harness
from harness import Client, free_port, order_body, wait_until

# A pipe holds 64 KiB; at level debug an order leaves more than 1 KiB in the log.
ORDERS = 150


class LogReader(harness.ProgramTest):

    def start(self, stderr, *flags):
        """`penstock serve` whose log goes to the descriptor."""
        self.port = free_port()
        child = subprocess.Popen(
            [harness.binary, "serve", "--data", str(self.ground.path / "data"), "--listen",
             f"127.0.0.1:{self.port}", "--demo-catalog", "--log-level", "debug", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            cwd=self.ground.path, env=harness.clean_environment(None))
        self.addCleanup(self.reap, child)

        def look():
            self.assertIsNone(child.poll(), "the server ended")
            with contextlib.suppress(*Client.LOST):
                with contextlib.closing(Client("127.0.0.1", self.port)) as client:
                    return client.get("/readyz").status == 200
        wait_until(look, "the server is ready")
        return child

    @staticmethod
    def reap(child):
        if child.poll() is None:
            child.kill()
        child.wait()

    def client(self):
        client = Client("127.0.0.1", self.port)
        self.addCleanup(client.close)
        return client

    def place(self, client, count):
        return [client.place(order_body()).json()["order_id"] for _ in range(count)]

    def assert_orders_end(self, count):
        client = self.client()
        for order_id in self.place(client, count)[-20:]:
            self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        self.assertEqual(client.get("/readyz").status, 200)
        self.assertEqual(client.get("/healthz").status, 200)
        return client

    def dropped(self, client):
        text = client.get("/metrics").body.decode()
        return int(float(re.search(r"^penstock_log_dropped_total (\S+)$", text, re.M)[1]))

    def assert_ends(self, child):
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(timeout=harness.HANG_SECONDS), 0)
        self.ground.check()

    def pipe(self):
        ends = os.pipe()
        for end in ends:
            self.addCleanup(self.close, end)
        return ends

    @staticmethod
    def close(descriptor):
        with contextlib.suppress(OSError):
            os.close(descriptor)

    def test_a_pipe_that_nobody_reads(self):
        reader, writer = self.pipe()
        child = self.start(writer)
        self.assert_orders_end(ORDERS)
        self.assert_ends(child)
        self.close(reader)

    def test_a_pipe_that_is_read_late_has_every_line(self):
        reader, writer = self.pipe()
        child = self.start(writer)
        self.close(writer)
        self.assert_orders_end(ORDERS)
        child.send_signal(signal.SIGTERM)
        text = b""
        while chunk := os.read(reader, 1 << 20):
            text += chunk
        self.assertIn(b'"message":"stopped"', text)
        self.assertNotIn(b'"dropped":', text)
        self.assertEqual(text.count(b'"to":"fulfilled"'), ORDERS)
        self.assertEqual(child.wait(timeout=harness.HANG_SECONDS), 0)

    def test_a_reader_that_is_stopped(self):
        reader, writer = self.pipe()
        cat = subprocess.Popen(["cat"], stdin=reader, stdout=subprocess.DEVNULL)
        self.addCleanup(self.reap, cat)
        cat.send_signal(signal.SIGSTOP)
        child = self.start(writer)
        self.assert_orders_end(ORDERS)
        # Under way while it drains, too.
        self.client().place(order_body(method="pm_delay_500"))
        self.assert_ends(child)

    def test_a_reader_that_is_gone(self):
        reader, writer = self.pipe()
        child = self.start(writer)
        self.close(reader)
        client = self.assert_orders_end(ORDERS)
        wait_until(lambda: self.dropped(client) > 0, "lost lines are counted")
        self.assert_ends(child)

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            child = self.start(full)
        client = self.assert_orders_end(ORDERS)
        wait_until(lambda: self.dropped(client) > 0, "lost lines are counted")
        self.assert_ends(child)

    def test_a_gateway_whose_log_is_not_read(self):
        reader, writer = self.pipe()
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while os.write(writer, b"x" * 4096):
                pass
        os.set_blocking(writer, True)
        port = free_port()
        child = subprocess.Popen([harness.binary, "gateway", "--listen", f"127.0.0.1:{port}"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=writer, cwd=self.ground.path,
                                 env=harness.clean_environment(None))
        self.addCleanup(self.reap, child)

        def listens():
            with contextlib.suppress(*Client.LOST):
                with contextlib.closing(Client("127.0.0.1", port)) as client:
                    return client.get("/").status > 0
        wait_until(listens, "the gateway listens")
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(timeout=harness.HANG_SECONDS), 0)
        self.close(reader)


if __name__ == "__main__":
    harness.main()
