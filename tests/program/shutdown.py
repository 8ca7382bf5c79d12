"""SIGTERM drains, a second one exits at once, and neither loses anything."""

import contextlib
import json
import signal

import harness
from harness import Client, Server, expect, order_body, wait_until
from ledger import assert_money, read_ledger
from raw import RawConnection, post


class Shutdown(harness.ProgramTest):

    def place_slow(self, client, count, delay_ms):
        return [client.place(order_body("p", method=f"pm_delay_{delay_ms}")).json()["order_id"]
                for _ in range(count)]

    def test_sigterm_finishes_what_is_in_flight_and_takes_nothing_new(self):
        gateway = self.ground.gateway()
        server = self.ground.server("--gateway", gateway.url, "--drain-seconds", "120")
        client = server.client()
        client.set_stock("p", 100)
        order_ids = self.place_slow(client, 20, 2000)
        kept = RawConnection(server.address())  # opened before, so that it outlives the listener
        self.addCleanup(kept.close)
        kept.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(kept.reply().status, 200)
        spare = RawConnection(server.address())
        self.addCleanup(spare.close)
        spare.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(spare.reply().status, 200)
        server.signal(signal.SIGTERM)

        def is_draining():
            # Each answer may close its connection; a refused connection is a closed listener.
            with contextlib.suppress(*Client.LOST):
                with contextlib.closing(Client(*server.address())) as probe:
                    return probe.get("/readyz").status == 503
            return True
        wait_until(is_draining, "the server drains")
        kept.send(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = kept.reply()
        self.assertEqual((reply.status, reply.code), (503, "draining"))
        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
        spare.send(post("/orders", json.dumps(order_body("p"))))
        reply = spare.reply()
        self.assertEqual((reply.status, reply.code), (503, "draining"))
        self.assertEqual(server.wait(), 0)

        server = self.ground.server("--gateway", gateway.url)
        client = server.client()
        orders = client.pages("/orders?limit=500", "orders")
        self.assertEqual({o["order_id"] for o in orders}, set(order_ids), "the late one is not in")
        ledger = read_ledger(gateway.ledger)
        self.assertEqual({o["status"] for o in orders}, {"fulfilled"}, "drained, not interrupted")
        for order in orders:
            self.assertEqual([e["reason"] for e in client.events(order["order_id"])][:4],
                             ["accepted", "stock-reserved", "payment-captured", "receipt-issued"])
            assert_money(self, order, ledger[order["order_id"]])
        client.close()
        print(f"{len(orders)} orders finished while draining")

    def test_the_drain_ends_when_its_time_is_over_and_nothing_is_lost(self):
        gateway = self.ground.gateway()
        server = self.ground.server("--gateway", gateway.url, "--drain-seconds", "1")
        client = server.client()
        client.set_stock("p", 100)
        order_ids = self.place_slow(client, 5, 8000)
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.finish(gateway, order_ids)

    def test_a_second_sigterm_exits_at_once_and_loses_nothing(self):
        gateway = self.ground.gateway()
        server = self.ground.server("--gateway", gateway.url, "--drain-seconds", "3600")
        client = server.client()
        client.set_stock("p", 100)
        order_ids = self.place_slow(client, 10, 4000)
        client.close()
        server.signal(signal.SIGTERM)
        self.wait_for_draining(server)
        server.signal(signal.SIGTERM)
        server.wait()
        self.finish(gateway, order_ids)

    def test_sigint_is_the_same_as_sigterm(self):
        server = self.ground.server("--demo-catalog")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        client.close()
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)
        client = self.ground.server().client()
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        client.close()

    def test_a_signal_while_it_starts_ends_it(self):
        for _ in range(5):
            server = Server(self.ground)
            server.signal(signal.SIGTERM)
            self.assertIn(server.wait(), (0, -signal.SIGTERM))
        self.ground.server()

    def test_sighup_is_the_same_as_sigterm(self):
        server = self.ground.server()
        server.signal(signal.SIGHUP)
        self.assertEqual(server.wait(), 0)
        self.assertIn("draining", server.log())

    def test_while_it_leaves_everything_is_served_and_readyz_says_503(self):
        server = self.ground.server("--demo-catalog", "--shutdown-delay", "3600")
        client = server.client()
        server.signal(signal.SIGTERM)
        wait_until(lambda: client.get("/readyz").status == 503, "it says that it leaves")
        order_id = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        with contextlib.closing(server.client()) as another:
            reply = another.place(order_body())
            self.assertNotEqual(reply.headers.get("connection"), "close")
            self.assertEqual(another.get("/healthz").status, 200)
        client.close()
        server.signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0)
        self.ground.check()

    def test_then_answers_say_close_and_the_listener_goes(self):
        server = self.ground.server("--demo-catalog", "--shutdown-delay", "1",
                                    "--drain-seconds", "120")
        client = server.client()
        client.place(order_body(method="pm_delay_5000"))
        server.signal(signal.SIGTERM)

        def says_close():
            reply = client.get("/healthz")
            self.assertEqual(reply.status, 200)
            return reply.headers.get("connection") == "close"
        wait_until(says_close, "an answer says close")

        def is_gone():
            try:
                with contextlib.closing(server.client()) as late:
                    late.get("/healthz")
            except Client.LOST:
                return True
            return False
        wait_until(is_gone, "the listener is gone")
        self.assertEqual(server.wait(), 0)
        self.ground.check()

    def test_who_waits_is_told_how_the_order_is_at_the_end(self):
        # Nobody charges, so the order does not end.
        server = self.ground.server("--gateway", "http://127.0.0.1:1", "--drain-seconds", "1",
                                    "--demo-catalog")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        client.until(order_id, lambda seen: seen["status"] == "reserved", "is reserved")
        waiting = [RawConnection(server.address()) for _ in range(5)]
        for each in waiting:
            self.addCleanup(each.close)
            each.send(f"GET /orders/{order_id}?wait=30 HTTP/1.1\r\n"
                      "Host: localhost\r\n\r\n".encode())
        # They are read by the time that later requests are answered.
        for _ in range(20):
            client.get("/healthz")
        client.close()
        server.signal(signal.SIGTERM)
        for each in waiting:
            reply = each.reply()
            self.assertIsNotNone(reply, "a waiting request was cut off")
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.json()["status"], "reserved")
        self.assertEqual(server.wait(), 0)

    def wait_for_draining(self, server):
        def look():
            if not server.running():
                return True
            try:
                with contextlib.closing(Client(*server.address())) as probe:
                    return probe.get("/readyz").status == 503
            except Client.LOST:
                return True
        wait_until(look, "the server drains")

    def finish(self, gateway, order_ids):
        """A new start ends every order; the audit and the ledger agree."""
        server = self.ground.server("--gateway", gateway.url, "--retry-base", "20ms",
                                    "--retry-cap", "500ms")
        client = server.client()
        orders = [client.ended(order_id) for order_id in order_ids]
        self.assertEqual({o["status"] for o in orders}, {"fulfilled"})
        for order in orders:
            self.assert_timeline(order, client.events(order["order_id"]))
            assert_money(self, order, read_ledger(gateway.ledger)[order["order_id"]])
        stock = expect(client.get("/inventory/p"), 200).json()
        self.assertEqual((stock["reserved"], stock["sold"]), (0, len(order_ids)))
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check(gateway.ledger)


if __name__ == "__main__":
    harness.main()
