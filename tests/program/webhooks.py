"""Webhooks as the Standard Webhooks specification has them, at a sink of our own."""

import base64
import collections
import hashlib
import hmac
import json
import time

import harness
from harness import expect, order_body, wait_until
from sinks import Sink

RAW_KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(RAW_KEY).decode()


def signatures(arrival, key=RAW_KEY):
    """(sent, expected): the signatures in the header, and the one of this key."""
    text = b".".join([arrival.headers["webhook-id"].encode(),
                      arrival.headers["webhook-timestamp"].encode(), arrival.body])
    right = base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return arrival.headers["webhook-signature"].split(" "), f"v1,{right}"


class Webhooks(harness.ProgramTest):

    def begin(self, allowed=True, answer=lambda arrival: 204, secret=SECRET):
        self.sink = Sink(answer)
        self.addCleanup(self.sink.close)
        self.server = self.ground.server(*(["--webhook-allow-private"] if allowed else []))
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.client.set_stock("p", 1000, "hooked")
        self.contract = {"rate_per_second": 1000, "burst": 1000,
                         "webhook": {"url": self.sink.url + "/hook?a=b", "secret": secret}}
        if allowed:
            expect(self.client.put("/tenants/hooked", self.contract), 200)

    def place(self, **more):
        return self.client.place(order_body("p", tenant_id="hooked", **more),
                                 headers={"X-Correlation-Id": "hook-corr"}).json()["order_id"]

    def about(self, order_id):
        return [a for a in list(self.sink.arrivals)
                if json.loads(a.body)["data"]["order"]["order_id"] == order_id]

    def deliveries(self, order_id):
        """What the timeline tells of the webhook, behind the note of the end."""
        told = [(e["reason"], e["attempt"]) for e in self.client.events(order_id)
                if e["version"] is None]
        self.assertEqual(told[:1], [("end-noted", 1)][:len(told)])
        return told[1:]

    def delivered(self, order_id, deliveries):
        wait_until(lambda: self.deliveries(order_id) == deliveries,
                   f"the timeline of {order_id} tells {deliveries}")

    def test_each_terminal_event_arrives_signed_and_each_id_is_its_own(self):
        self.begin()
        orders = {self.place(): "fulfilled", self.place(method="pm_decline"): "cancelled",
                  self.place(items=[{"product_id": "none", "quantity": 1, "price": 1}]): "rejected"}
        for order_id, status in orders.items():
            self.assertEqual(self.client.ended(order_id)["status"], status)
            arrival, = wait_until(lambda i=order_id: self.about(i), "the event arrives")
            self.assertEqual((arrival.method, arrival.path), ("POST", "/hook?a=b"))
            self.assertTrue(arrival.headers["content-type"].startswith("application/json"))
            sent, right = signatures(arrival)
            self.assertEqual(sent, [right])
            self.assertLess(abs(time.time() - int(arrival.headers["webhook-timestamp"])), 300)
            self.assertEqual(arrival.headers["x-correlation-id"], "hook-corr")
            event = json.loads(arrival.body)
            self.assertEqual(event["type"], f"order.{status}")
            self.assertEqual(event["data"]["order"]["status"], status)
            order = self.client.order(order_id)
            self.assertEqual(event["data"]["order"]["total"], order["total"])
            self.delivered(order_id, [("delivered", 1)])
            self.assertEqual(self.client.order(order_id), order, "a delivery changes no order")
        ids = {a.headers["webhook-id"] for a in self.sink.arrivals}
        self.assertEqual(len(ids), len(orders))
        self.assertNotIn(SECRET, self.server.log())
        print(f"{len(self.sink.arrivals)} events delivered")

    def test_a_failed_delivery_is_sent_again_with_the_same_id_and_a_fresh_timestamp(self):
        tries = collections.Counter()

        def fail_first(arrival):
            tries[arrival.headers["webhook-id"]] += 1
            return 500 if tries[arrival.headers["webhook-id"]] == 1 else 200
        self.begin(answer=fail_first)
        order_id = self.place()
        self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
        wait_until(lambda: len(self.about(order_id)) == 2, "the event arrives a second time")
        first, second = self.about(order_id)
        self.assertEqual(first.headers["webhook-id"], second.headers["webhook-id"])
        self.assertEqual(first.body, second.body)
        self.assertGreater(int(second.headers["webhook-timestamp"]),
                           int(first.headers["webhook-timestamp"]))
        for arrival in (first, second):
            sent, right = signatures(arrival)
            self.assertEqual(sent, [right])
        self.delivered(order_id, [("delivery-failed", 1), ("delivered", 2)])

    def test_a_redirect_is_a_failure_and_is_not_followed(self):
        trap = Sink()
        self.addCleanup(trap.close)
        self.begin(answer=lambda arrival: (302, {"Location": trap.url}, b""))
        order_id = self.place()
        self.delivered(order_id, [("delivery-failed", 1)])
        self.assertEqual(trap.arrivals, [])

    def test_410_disables_the_webhook(self):
        self.begin(answer=lambda arrival: 410)
        order_id = self.place()
        self.delivered(order_id, [("endpoint-gone", 1)])
        wait_until(lambda: self.client.get("/tenants/hooked").json()["webhook"]["disabled"],
                   "the webhook is disabled")
        again = self.place()
        self.assertEqual(self.client.ended(again)["status"], "fulfilled")
        self.client.until(again, lambda _: len(self.client.events(again)) > 4, "is notified")
        wait_until(lambda: self.client.queues()["deliveries_waiting"] == 0, "nothing waits")
        self.assertEqual(self.about(again), [])

    def test_private_addresses_are_refused_unless_allowed(self):
        self.begin(allowed=False)
        port = self.sink.url.rsplit(":", 1)[1]
        for url in (self.sink.url, f"http://localhost:{port}/", f"http://[::1]:{port}/",
                    f"http://0.0.0.0:{port}/", f"http://[::ffff:127.0.0.1]:{port}/",
                    f"http://127.1:{port}/", f"http://2130706433:{port}/"):
            with self.subTest(url):
                self.contract["webhook"]["url"] = url
                reply = expect(self.client.put("/tenants/hooked", self.contract), 422)
                self.assertEqual(reply.json()["errors"][0]["code"], "private-address")
        order_id = self.place()
        self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
        self.assertEqual(self.sink.arrivals, [])

    def test_a_private_webhook_that_was_allowed_once_fails_where_it_is_not(self):
        self.begin()
        self.client.close()
        self.assertEqual(self.server.terminate(), 0)
        self.server = self.ground.server()
        self.client = self.server.client()
        order_id = self.place()
        self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
        self.delivered(order_id, [("delivery-failed", 1)])
        self.assertEqual(self.sink.arrivals, [])

    def test_two_secrets_sign_while_they_rotate(self):
        other = b"fedcba9876543210fedcba9876543210"
        self.begin(secret=f"{SECRET} whsec_{base64.b64encode(other).decode()}")
        order_id = self.place()
        arrival, = wait_until(lambda: self.about(order_id), "the event arrives")
        sent, right = signatures(arrival)
        self.assertEqual(set(sent), {right, signatures(arrival, other)[1]})

    def test_events_survive_a_kill_and_arrive_at_least_once(self):
        self.begin()
        order_ids = [self.place() for _ in range(100)]
        self.client.close()
        self.server.kill()
        self.server = self.ground.server("--webhook-allow-private")
        self.client = self.server.client()
        for order_id in order_ids:
            self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
            arrivals = wait_until(lambda i=order_id: self.about(i), "the event arrives")
            self.assertEqual(len({a.headers["webhook-id"] for a in arrivals}), 1)
            for arrival in arrivals:
                sent, right = signatures(arrival)
                self.assertEqual(sent, [right])
        print(f"{len(self.sink.arrivals)} deliveries of {len(order_ids)} events over a kill")


if __name__ == "__main__":
    harness.main()
