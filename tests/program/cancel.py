"""An acknowledged cancel is never fulfilled, in whatever state it arrives, and money comes back."""

import random
import threading

import harness
from harness import expect, order_body
from ledger import assert_money, read_ledger
from sinks import Fulfiller

QUICK = ("--retry-base", "20ms", "--retry-cap", "200ms", "--gateway-timeout", "10s")


class Cancel(harness.ProgramTest):

    def begin(self, *flags, gateway_flags=()):
        self.gateway = self.ground.gateway(*gateway_flags)
        self.server = self.ground.server("--gateway", self.gateway.url, *QUICK, *flags)
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.client.set_stock("p", 1000)

    def place(self, **more):
        return self.client.place(order_body("p", **more)).json()["order_id"]

    def cancel(self, order_id):
        """The order as the acknowledgement shows it."""
        order = expect(self.client.post(f"/orders/{order_id}/cancel"), 202).json()
        self.assertIn(order["status"], ("cancelling", "cancelled"))
        return order

    def assert_cancelled(self, order_id, reason="cancelled-by-request"):
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["reason"]), ("cancelled", reason), order)
        events = self.client.events(order_id)
        self.assert_timeline(order, events)
        self.assertNotIn("fulfilled", [e["to"] for e in events])
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])
        expect(self.client.get(f"/orders/{order_id}/receipt"), 404)
        return order

    def assert_stock_is_back(self, sold=0):
        stock = self.client.stock("p")
        self.assertEqual((stock["on_hand"], stock["reserved"], stock["sold"]),
                         (1000 - sold, 0, sold))

    def in_flight(self, order_id):
        def look(_):
            why = expect(self.client.get(f"/orders/{order_id}/why"), 200).json()
            return why["in_flight"] and why["effect"] == "charge"
        self.client.until(order_id, look, "has its charge in flight")

    def test_while_the_charge_is_in_flight(self):
        self.begin()
        order_id = self.place(method="pm_delay_1500")
        self.in_flight(order_id)
        order = self.cancel(order_id)
        self.assertEqual(order["status"], "cancelling")
        self.assert_stock_is_back()
        self.cancel(order_id)  # a second one means the same
        self.assert_cancelled(order_id)
        self.cancel(order_id)
        self.assert_stock_is_back()

    def test_while_the_gateway_is_away(self):
        self.begin(gateway_flags=("--latency", "600000"))
        order_id = self.place()
        self.in_flight(order_id)
        self.gateway.kill()
        self.cancel(order_id)
        self.assertEqual(self.client.order(order_id)["status"], "cancelling")
        self.assert_stock_is_back()
        self.gateway = self.gateway.again("--latency", "0")
        self.assert_cancelled(order_id)

    def test_after_the_capture_whose_reply_was_lost(self):
        self.begin()
        order_ids = [self.place(method="pm_drop_reply") for _ in range(30)]
        cancelled = []
        for order_id in order_ids:
            if self.client.post(f"/orders/{order_id}/cancel").status == 202:
                cancelled.append(order_id)
        for order_id in cancelled:
            self.assert_cancelled(order_id)
        for order_id in set(order_ids) - set(cancelled):
            self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
        self.assert_stock_is_back(sold=len(order_ids) - len(cancelled))
        print(f"{len(cancelled)} of {len(order_ids)} were cancelled in time")

    def test_while_it_is_charged_and_handed_over(self):
        fulfiller = Fulfiller()
        self.addCleanup(fulfiller.close)
        self.begin("--fulfiller-hook", fulfiller.url)
        order_id = self.place()
        self.client.until(order_id, lambda o: o["status"] == "charged", "is charged")
        harness.wait_until(lambda: fulfiller.arrivals, "the fulfiller was asked")
        self.assertEqual(self.cancel(order_id)["status"], "cancelling")
        self.assert_stock_is_back()
        self.assert_cancelled(order_id)
        movements = read_ledger(self.gateway.ledger)[order_id]
        self.assertEqual((len(movements.captures), len(movements.refunds)), (1, 1))
        self.assertEqual(fulfiller.states, {f"{order_id}/fulfill": "closed"})
        fulfiller.released.set()
        self.assertEqual(self.client.ended(self.place())["status"], "fulfilled")

    def test_while_it_is_a_dead_letter(self):
        self.begin()
        order_id = self.place(method="pm_fail_99")
        self.client.until(order_id, lambda o: o["dead_letter"], "is dead-lettered")
        self.cancel(order_id)
        order = self.assert_cancelled(order_id)
        self.assertIs(order["dead_letter"], True, "the mark stays as the record")
        self.assert_stock_is_back()
        answer = expect(self.client.post("/dead-letters/redrive", {"order_ids": [order_id]}), 202)
        self.assertEqual(answer.json()["redriven"], 0)

    def test_while_it_waits_for_its_next_try(self):
        self.gateway = self.ground.gateway()
        self.server = self.ground.server("--gateway", self.gateway.url, "--retry-base", "1h",
                                         "--retry-cap", "1h")
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.client.set_stock("p", 1000)
        order_id = self.place(method="pm_fail_2")
        self.client.until(order_id, lambda o: o["attempts"] == 1, "has failed once")
        self.cancel(order_id)
        self.assert_cancelled(order_id)

    def test_after_the_end_it_is_refused(self):
        self.begin()
        fulfilled, declined = self.place(), self.place(method="pm_decline")
        rejected = self.client.place(order_body("unknown")).json()["order_id"]
        before = [self.client.ended(order_id) for order_id in (fulfilled, declined, rejected)]
        for order_id in (fulfilled, rejected):
            reply = self.client.post(f"/orders/{order_id}/cancel")
            expect(reply, 409, "order-already-terminal")
        self.cancel(declined)
        after = [self.client.order(order_id) for order_id in (fulfilled, declined, rejected)]
        self.assertEqual(after, before)
        expect(self.client.post("/orders/01893e2d-0000-7000-8000-000000000000/cancel"), 404,
               "not-found")

    def test_a_race_of_many_cancels_has_one_outcome_for_each_order(self):
        self.begin(gateway_flags=("--latency", "5", "--drop-reply", "0.1", "--fail", "0.05"))
        chance = random.Random(11)
        clients = [self.server.client() for _ in range(4)]
        for client in clients:
            self.addCleanup(client.close)
        order_ids, acknowledged, fault = [], set(), []

        def race(client, seed):
            own = random.Random(seed)
            try:
                for _ in range(40):
                    order_id = client.place(order_body("p")).json()["order_id"]
                    order_ids.append(order_id)
                    target = own.choice(order_ids)
                    reply = client.post(f"/orders/{target}/cancel")
                    if reply.status == 202:
                        acknowledged.add(target)
                    else:
                        expect(reply, 409)
            except Exception as error:  # shown by the assertion below
                fault.append(repr(error))
        threads = [threading.Thread(target=race, args=(c, chance.random())) for c in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(fault, [])
        sold = 0
        for order_id in order_ids:
            self.client.until(order_id, lambda o: o["status"] in harness.TERMINAL or
                              o["dead_letter"], "has ended")
        expect(self.client.post("/dead-letters/redrive", {"all": True}), 202)
        for order_id in order_ids:
            if order_id in acknowledged:
                self.assert_cancelled(order_id)
                continue
            order = self.client.ended(order_id)
            self.assertEqual(order["status"], "fulfilled")
            assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])
            sold += 1
        self.assert_stock_is_back(sold)
        print(f"{len(order_ids)} orders, {len(acknowledged)} cancelled, {sold} sold")


if __name__ == "__main__":
    harness.main()
