"""What the API promises about orders that go well, and about those that do not."""

import concurrent.futures
import json
import re
import subprocess
import unittest

import harness
from harness import Ground, expect, order_body
from ledger import assert_money, read_ledger
from webhooks import SECRET

STAGES = ["ingest", "inventory", "payment", "fulfillment", "notification"]
_LABELS = r'\{(?:[a-zA-Z_]+="(?:[^"\\]|\\.)*",?)*\}'
_SAMPLE = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*(?:" + _LABELS + r")? [-+]?([0-9.eE+-]+|Inf|NaN)$")


class Orders(harness.ProgramTest):
    """One server and one gateway process for all; products and keys are each test's own."""

    @classmethod
    def setUpClass(cls):
        cls.shared = Ground()
        cls.addClassCleanup(cls.shared.close)
        cls.gateway = cls.shared.gateway()
        cls.server = cls.shared.server("--demo-catalog", "--gateway", cls.gateway.url,
                                       "--retry-base", "20ms", "--retry-cap", "100ms")

    def setUp(self):
        super().setUp()
        self.client = self.server.client()
        self.addCleanup(self.client.close)

    def place(self, body, **more):
        return self.client.place(body, **more).json()["order_id"]

    def moves(self, order_id):
        """(from, to, reason) of each version."""
        return [(e["from"], e["to"], e["reason"]) for e in self.client.events(order_id)
                if e["version"] is not None]

    def test_the_documented_curl_example_reaches_fulfilled(self):
        host, port = self.server.address()
        body = ('{"customer_id": "cust-123", "tenant_id": "default", "items": [{"product_id": '
                '"PROD-001", "quantity": 2, "price": 10.0}], "idempotency_key": "idem-123", '
                '"currency": "USD", "metadata": {}, "payment": {"method": "pm_ok"}}')
        done = subprocess.run(["curl", "-sS", "-i", "-X", "POST", f"http://{host}:{port}/orders",
                               "-H", "Content-Type: application/json", "-d", body],
                              capture_output=True, text=True, check=True,
                              timeout=harness.HANG_SECONDS)
        head, _, text = done.stdout.replace("\r\n", "\n").partition("\n\n")
        self.assertTrue(head.startswith("HTTP/1.1 202"), head)
        order = json.loads(text)
        self.assertIn(f"\nLocation: /orders/{order['order_id']}\n", head + "\n")
        self.assertEqual(order["status"], "placed")
        self.assertEqual(order["version"], 1)
        self.assertEqual(order["total"],
                         {"amount": "20.00", "minor_units": 2000, "currency": "USD"})
        self.assertEqual(order["tenant_id"], "default")
        self.assertEqual(order["customer_id"], "cust-123")
        self.assertEqual(order["updated_at"], order["created_at"])
        self.assertRegex(order["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(self.client.ended(order["order_id"])["status"], "fulfilled")

    def test_the_timeline_shows_all_five_stages_in_order(self):
        order_id = self.place(order_body())
        order = self.client.ended(order_id)
        events = self.client.until(order_id, lambda _: any(
            e["stage"] == "notification" for e in self.client.events(order_id)),
            "has a notification") and self.client.events(order_id)
        self.assertEqual([e["stage"] for e in events], STAGES)
        self.assertEqual([e["to"] for e in events],
                         ["placed", "reserved", "charged", "fulfilled", "fulfilled"])
        self.assertEqual([e["reason"] for e in events],
                         ["accepted", "stock-reserved", "payment-captured", "receipt-issued",
                          "end-noted"])
        self.assertEqual(events[-1]["attempt"], 1)
        self.assert_timeline(order, events)
        self.assertEqual(order["version"], 4)
        for event in events:
            self.assertEqual(set(event),
                             {"version", "at", "from", "to", "stage", "reason", "attempt"})

    def test_a_fulfilled_order_has_a_receipt_and_waits_for_nothing(self):
        body = order_body("PROD-002", 3, "7.25", metadata={"note": "grüße ☃"})
        order_id = self.place(body)
        order = self.client.ended(order_id)
        self.assertEqual(order["metadata"], {"note": "grüße ☃"})
        self.assertIs(order["dead_letter"], False)
        receipt = expect(self.client.get(f"/orders/{order_id}/receipt"), 200).json()
        self.assertEqual(receipt["order_id"], order_id)
        self.assertEqual(receipt["total"], order["total"])
        self.assertEqual(receipt["total"]["minor_units"], 2175)
        self.assertEqual([(i["product_id"], i["quantity"]) for i in receipt["items"]],
                         [("PROD-002", 3)])
        why = expect(self.client.get(f"/orders/{order_id}/why"), 200).json()
        self.assertEqual(why["waiting_for"], "nothing")
        self.assertEqual(why["status"], "fulfilled")
        self.assertIsNone(why["next_retry_at"])

    def test_stock_goes_from_on_hand_to_sold(self):
        self.client.set_stock("counted", 10)
        self.client.ended(self.place(order_body("counted", 4)))
        stock = self.client.stock("counted")
        self.assertEqual((stock["product_id"], stock["on_hand"], stock["reserved"], stock["sold"]),
                         ("counted", 6, 0, 4))
        after = expect(self.client.post("/inventory/counted/restock", {"quantity": 5}), 200).json()
        self.assertEqual((after["on_hand"], after["sold"]), (11, 4))
        self.assertEqual(self.client.set_stock("counted", 2)["on_hand"], 2)
        self.assertEqual(self.client.stock("counted")["sold"], 4)
        expect(self.client.get("/inventory/never-set"), 404, "not-found")

    def test_stock_belongs_to_a_tenant(self):
        self.client.set_stock("theirs", 5, "stock-a")
        expect(self.client.get("/inventory/theirs"), 404, "not-found")
        order = self.client.ended(self.place(order_body("theirs", tenant_id="stock-b")))
        self.assertEqual((order["status"], order["reason"]), ("rejected", "unknown-product"))
        order = self.client.ended(self.place(order_body("theirs", tenant_id="stock-a")))
        self.assertEqual(order["status"], "fulfilled")
        self.assertEqual(self.client.stock("theirs", "stock-a")["sold"], 1)

    def test_an_order_without_stock_is_rejected_and_holds_nothing(self):
        self.client.set_stock("short", 3)
        self.client.set_stock("ample", 30)
        items = [{"product_id": "ample", "quantity": 2, "price": 1},
                 {"product_id": "short", "quantity": 4, "price": 1}]
        order_id = self.place(order_body(items=items))
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["reason"]), ("rejected", "insufficient-stock"))
        self.assertEqual(self.moves(order_id), [(None, "placed", "accepted"),
                                                ("placed", "rejected", "insufficient-stock")])
        for product, amount in (("short", 3), ("ample", 30)):
            stock = self.client.stock(product)
            self.assertEqual((stock["on_hand"], stock["reserved"], stock["sold"]), (amount, 0, 0))
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])
        expect(self.client.get(f"/orders/{order_id}/receipt"), 404, "not-found")

    def test_lines_of_the_same_product_are_reserved_together(self):
        self.client.set_stock("doubled", 5)
        items = [{"product_id": "doubled", "quantity": 3, "price": 1}] * 2
        self.assertEqual(self.client.ended(self.place(order_body(items=items)))["status"],
                         "rejected")
        items[1] = {"product_id": "doubled", "quantity": 2, "price": 1}
        self.assertEqual(self.client.ended(self.place(order_body(items=items)))["status"],
                         "fulfilled")
        self.assertEqual(self.client.stock("doubled")["on_hand"], 0)

    def test_money_is_exact_in_every_currency(self):
        for currency, price, minor, amount in (
                ("JPY", "1500", 1500, "1500"), ("KWD", "1.234", 1234, "1.234"),
                ("USD", "0.10", 10, "0.10"), ("USD", "1e2", 10_000, "100.00"),
                ("EUR", "19.990", 1999, "19.99"), ("CLF", "0.0001", 1, "0.0001")):
            with self.subTest(currency=currency, price=price):
                body = order_body("PROD-003", 1, price, currency=currency)
                order = self.client.ended(self.place(body))
                self.assertEqual(order["total"], {"amount": amount, "minor_units": minor,
                                                  "currency": currency})
                movements = read_ledger(self.gateway.ledger)[order["order_id"]]
                assert_money(self, order, movements)
                self.assertEqual(movements.net, minor)

    def test_a_json_number_is_never_rounded(self):
        text = ('{"customer_id":"c","items":[{"product_id":"PROD-003","quantity":3,'
                '"price":1234567890123.45}]}')
        reply = expect(self.client.post("/orders", text,
                                        headers={"Content-Type": "application/json"}), 202)
        self.assertEqual(reply.json()["total"]["minor_units"], 370370367037035)

    def test_an_order_of_many_items_adds_up(self):
        items = [{"product_id": f"PROD-{i:03d}", "quantity": i, "price": f"{i}.01"}
                 for i in range(1, 101)]
        order = self.client.ended(self.place(order_body(items=items)))
        self.assertEqual(order["status"], "fulfilled")
        self.assertEqual(order["total"]["minor_units"],
                         sum(i * (100 * i + 1) for i in range(1, 101)))
        self.assertEqual([i["product_id"] for i in order["items"]],
                         [i["product_id"] for i in items])

    def test_a_total_of_zero_is_never_charged(self):
        order_id = self.place(order_body("PROD-004", 1, "0"))
        self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")
        self.assertEqual([r for _, _, r in self.moves(order_id)],
                         ["accepted", "stock-reserved", "nothing-to-charge", "receipt-issued"])
        self.assertNotIn(order_id, read_ledger(self.gateway.ledger))

    def test_a_declined_order_ends_cancelled_with_its_stock_back(self):
        self.client.set_stock("declined", 8)
        order_id = self.place(order_body("declined", 5, method="pm_decline"))
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["reason"]), ("cancelled", "payment-declined"))
        self.assertIs(order["dead_letter"], False)
        stock = self.client.stock("declined")
        self.assertEqual((stock["on_hand"], stock["reserved"], stock["sold"]), (8, 0, 0))
        self.assertEqual([to for _, to, _ in self.moves(order_id)],
                         ["placed", "reserved", "cancelling", "cancelled"])
        self.assert_timeline(order, self.client.events(order_id))
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])

    def test_two_reported_failures_and_then_the_charge_works(self):
        order_id = self.place(order_body("PROD-005", method="pm_fail_2"))
        order = self.client.ended(order_id)
        self.assertEqual(order["status"], "fulfilled")
        payments = [(e["reason"], e["attempt"]) for e in self.client.events(order_id)
                    if e["stage"] == "payment"]
        self.assertEqual(payments, [("gateway-unavailable", 1), ("gateway-unavailable", 2),
                                    ("payment-captured", 3)])
        self.assert_timeline(order, self.client.events(order_id))
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])

    def dead_letter(self, body):
        """The id of an order, once it is a dead letter."""
        order_id = self.place(body)
        order = self.client.until(order_id, lambda o: o["dead_letter"], "is dead-lettered")
        self.assertEqual(order["status"], "reserved")
        return order_id

    def listed(self, query=""):
        rows = self.client.pages(f"/dead-letters{query}", "dead_letters")
        return {row["order_id"]: row for row in rows}

    def test_three_failures_dead_letter_and_a_redrive_goes_on_with_the_same_order(self):
        self.client.set_stock("redriven", 4)
        order_id = self.dead_letter(order_body("redriven", method="pm_fail_3"))
        attempts = [e["attempt"] for e in self.client.events(order_id)
                    if e["reason"] == "gateway-unavailable"]
        self.assertEqual(attempts, [1, 2, 3], "three tries, not four")
        row = self.listed("?stage=payment&error=gateway-unavailable&limit=1")[order_id]
        self.assertEqual((row["stage"], row["attempts"]), ("payment", 3))
        self.assertEqual((row["first_error"], row["last_error"]), ("gateway-unavailable",) * 2)
        self.assertEqual(row["tenant_id"], "default")
        self.assertTrue(row["correlation_id"] and row["at"] and row["first_failed_at"])
        self.assertNotIn(order_id, self.listed("?tenant_id=somebody-else"))
        self.assertNotIn(order_id, self.listed("?error=gateway-rejected"))
        self.assertEqual(self.client.stock("redriven")["reserved"], 1, "its stock is held")
        why = expect(self.client.get(f"/orders/{order_id}/why"), 200).json()
        self.assertEqual(why["waiting_for"], "redrive-or-discard")

        answer = expect(self.client.post("/dead-letters/redrive", {"order_ids": [order_id]}), 202)
        self.assertEqual(answer.json()["redriven"], 1)
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["order_id"]), ("fulfilled", order_id))
        self.assert_timeline(order, self.client.events(order_id))
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])
        self.assertNotIn(order_id, self.listed())
        again = expect(self.client.post("/dead-letters/redrive", {"order_ids": [order_id]}), 202)
        self.assertEqual(again.json()["redriven"], 0, "what has completed stays as it is")
        self.assertEqual(self.client.order(order_id), order)

    def test_a_discarded_dead_letter_ends_cancelled_with_its_stock_back(self):
        self.client.set_stock("discarded", 4)
        order_id = self.dead_letter(order_body("discarded", 3, method="pm_fail_99"))
        answer = expect(self.client.post(f"/dead-letters/{order_id}/discard"), 202).json()
        self.assertIn(answer["status"], ("cancelling", "cancelled"))
        self.assertEqual(self.client.stock("discarded")["on_hand"], 4)
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["reason"]), ("cancelled", "discarded"))
        self.assertIs(order["dead_letter"], True, "the mark stays as the record")
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])
        expect(self.client.post(f"/dead-letters/{order_id}/discard"), 409, "not-a-dead-letter")

    def test_dead_letters_are_redriven_by_filter(self):
        self.client.set_stock("filtered", 10, "filter-tenant")
        ids = {self.dead_letter(order_body("filtered", method="pm_fail_3",
                                           tenant_id="filter-tenant")) for _ in range(3)}
        self.assertEqual(set(self.listed("?tenant_id=filter-tenant")), ids)
        self.assertEqual(set(self.listed("?tenant_id=filter-tenant&limit=1")), ids)
        answer = expect(self.client.post("/dead-letters/redrive", {
            "tenant_id": "filter-tenant", "stage": "payment", "error": "gateway-unavailable",
            "rate_per_second": 100}), 202)
        self.assertEqual(answer.json()["redriven"], 3)
        for order_id in ids:
            self.assertEqual(self.client.ended(order_id)["status"], "fulfilled")

    def test_a_request_that_the_gateway_rejects_is_a_dead_letter_at_once(self):
        order_id = self.dead_letter(order_body("PROD-006", method="pm_reject"))
        row = self.listed()[order_id]
        self.assertEqual((row["last_error"], row["attempts"]), ("gateway-rejected", 1))
        expect(self.client.post(f"/orders/{order_id}/cancel"), 202)
        self.assertEqual(self.client.ended(order_id)["status"], "cancelled")

    def test_a_method_that_the_gateway_does_not_know_ends_the_order_with_its_stock_back(self):
        order_id = self.place(order_body("PROD-006", method="pm_unheard_of"))
        order = self.client.ended(order_id)
        self.assertEqual((order["status"], order["reason"]), ("cancelled", "payment-declined"))
        self.assertNotIn(order_id, self.listed())

    def test_a_gateway_that_says_every_key_is_closed_is_asked_three_times(self):
        order_id = self.dead_letter(order_body("PROD-006", method="pm_closed"))
        row = self.listed()[order_id]
        self.assertEqual((row["last_error"], row["attempts"]), ("charge-key-closed", 3))

    def test_a_lost_reply_is_asked_for_and_not_charged_again(self):
        order_id = self.place(order_body("PROD-007", method="pm_drop_reply"))
        order = self.client.ended(order_id)
        self.assertEqual(order["status"], "fulfilled")
        self.assertNotIn("gateway-unavailable", [r for _, _, r in self.moves(order_id)])
        assert_money(self, order, read_ledger(self.gateway.ledger)[order_id])

    def test_a_repeated_key_gives_the_same_bytes_and_one_order(self):
        body = order_body("PROD-008", customer_id="repeats", idempotency_key="repeat-1")
        first = self.client.place(body)
        self.assertNotIn("idempotent-replayed", first.headers)
        self.client.ended(first.json()["order_id"])
        body.pop("idempotency_key")
        for header in ("repeat-1", '"repeat-1"'):
            again = self.client.place(body, headers={"Idempotency-Key": header})
            self.assertEqual(again.body, first.body)
            self.assertEqual(again.headers["idempotent-replayed"], "true")
            self.assertEqual(again.headers["location"], first.headers["location"])
        # Another spelling of the same content is the same request.
        text = json.dumps(dict(reversed(body.items())), indent=3)
        again = self.client.place(text, headers={"Idempotency-Key": "repeat-1",
                                                 "Content-Type": "application/json"})
        self.assertEqual(again.body, first.body)
        other = dict(body, customer_id="somebody-else")
        expect(self.client.post("/orders", other, headers={"Idempotency-Key": "repeat-1"}), 422,
               "idempotency-key-reused")
        conflict = dict(body, idempotency_key="repeat-2")
        expect(self.client.post("/orders", conflict, headers={"Idempotency-Key": "repeat-1"}),
               400, "idempotency-key-conflict")
        stored = [o for o in self.client.pages("/orders?limit=500", "orders")
                  if o["customer_id"] in ("repeats", "somebody-else")]
        self.assertEqual(len(stored), 1)

    def test_keys_belong_to_a_tenant(self):
        ids = {self.client.place(order_body(tenant_id=tenant, idempotency_key="shared-key")
                                 ).json()["order_id"] for tenant in ("keys-a", "keys-b")}
        self.assertEqual(len(ids), 2)

    def test_answers_carry_the_documented_headers(self):
        expect(self.client.put("/tenants/headers", {"rate_per_second": 10, "burst": 100}), 200)
        body = order_body(tenant_id="headers")
        reply = self.client.place(body, headers={"X-Correlation-Id": "my.own-id_7"})
        self.assertEqual(reply.headers["x-correlation-id"], "my.own-id_7")
        self.assertEqual(reply.json()["correlation_id"], "my.own-id_7")
        self.assertEqual(reply.headers["ratelimit-policy"], '"tenant";q=100;w=10')
        self.assertRegex(reply.headers["ratelimit"], r'^"tenant";r=99;t=1$')
        self.assertTrue(reply.headers["content-type"].startswith("application/json"))
        minted = self.client.place(body, headers={"X-Correlation-Id": "not valid!"})
        self.assertRegex(minted.headers["x-correlation-id"], r"^[A-Za-z0-9._-]{1,128}$")
        self.assertNotEqual(minted.headers["x-correlation-id"],
                            self.client.place(body).headers["x-correlation-id"])
        problem = expect(self.client.get("/orders/no-such"), 404, "not-found").json()
        for member in ("type", "title", "status", "detail", "instance", "code", "correlation_id"):
            self.assertIn(member, problem)

    def test_a_peek_at_the_bucket_takes_nothing(self):
        expect(self.client.put("/tenants/peeked", {"rate_per_second": 0.001, "burst": 7}), 200)
        self.client.place(order_body(tenant_id="peeked"))
        for _ in range(20):
            peek = expect(self.client.post("/orders", {"action": "check_rate_limit",
                                                       "tenant_id": "peeked"}), 200).json()
            self.assertEqual((peek["tenant_id"], peek["limit"], peek["remaining"],
                              peek["allowed"]), ("peeked", 7, 6, True))
            self.assertGreater(peek["reset_seconds"], 0)

    def test_orders_are_listed_newest_first_page_by_page(self):
        self.client.set_stock("listed", 100, "list-tenant")
        methods = ["pm_ok", "pm_decline", "pm_ok", "pm_ok", "pm_decline", "pm_ok", "pm_ok"]
        ids = [self.place(order_body("listed", tenant_id="list-tenant", method=method))
               for method in methods]
        orders = [self.client.ended(order_id) for order_id in ids]
        newest_first = list(reversed(ids))

        def listed(query):
            path = f"/orders?tenant_id=list-tenant{query}"
            return [o["order_id"] for o in self.client.pages(path, "orders")]
        self.assertEqual(listed(""), newest_first)
        self.assertEqual(listed("&limit=2"), newest_first)
        self.assertEqual(listed("&status=cancelled"), [ids[4], ids[1]])
        self.assertEqual(listed("&status=cancelled&limit=1"), [ids[4], ids[1]])
        since, to = orders[2]["created_at"], orders[5]["created_at"]
        self.assertEqual(listed(f"&created_from={since}&created_to={to}"),
                         [ids[4], ids[3], ids[2]])
        self.assertEqual(listed("&status=placed"), [])
        page = expect(self.client.get("/orders?tenant_id=list-tenant&limit=3"), 200).json()
        self.assertEqual(len(page["orders"]), 3)
        self.assertEqual(page["orders"][0], orders[-1], "a list shows the whole order")

    def test_a_wait_answers_when_the_order_has_ended_or_the_time_is_over(self):
        order_id = self.place(order_body("PROD-009", method="pm_delay_600"))
        order = expect(self.client.get(f"/orders/{order_id}?wait=30"), 200).json()
        self.assertEqual(order["status"], "fulfilled")
        order_id = self.place(order_body("PROD-009", method="pm_delay_60000"))
        order = expect(self.client.get(f"/orders/{order_id}?wait=0.2"), 200).json()
        self.assertEqual(order["status"], "reserved")
        why = expect(self.client.get(f"/orders/{order_id}/why"), 200).json()
        self.assertEqual((why["waiting_for"], why["stage"]), ("gateway", "payment"))
        expect(self.client.post(f"/orders/{order_id}/cancel"), 202)
        self.assertEqual(self.client.ended(order_id)["status"], "cancelled")

    def test_the_queues_and_the_metrics_count_what_happened(self):
        before = self.client.queues()
        ids = [self.place(order_body("PROD-010", method=method))
               for method in ("pm_ok", "pm_ok", "pm_decline")]
        for order_id in ids:
            self.client.ended(order_id)
        after = self.client.queues()
        self.assertEqual([s["stage"] for s in after["stages"]], STAGES)
        for stage in after["stages"]:
            for member in ("depth", "in_flight", "oldest_age_seconds", "completed_per_second",
                           "failed_per_second", "dead_letters"):
                self.assertIn(member, stage)
        grown = {s: after["ended"][s] - before["ended"][s] for s in after["ended"]}
        self.assertEqual(grown, {"fulfilled": 2, "rejected": 0, "cancelled": 1})
        self.assertEqual(after["accepts"]["accepted"] - before["accepts"]["accepted"], 3)

        reply = expect(self.client.get("/metrics"), 200)
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        samples = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
        for line in samples:
            self.assertRegex(line, _SAMPLE)
        names = {re.split(r"[{ ]", line)[0] for line in samples}
        self.assertTrue(all(name.startswith(("penstock_", "process_")) for name in names), names)
        print(f"{len(samples)} metric samples of {len(names)} names")

    def test_health_and_readiness_answer(self):
        for path in ("/healthz", "/readyz", "/"):
            expect(self.client.get(path), 200)
            head = self.client.request("HEAD", path)
            self.assertEqual((head.status, head.body), (200, b""))

    def test_contracts_are_stored_and_listed(self):
        default = expect(self.client.get("/tenants/nobody-yet"), 200).json()
        self.assertEqual((default["rate_per_second"], default["burst"]), (1000, 2000))
        contract = {"rate_per_second": 12.5, "burst": 40, "guarantee_per_second": 3, "weight": 2,
                    "webhook": {"url": "https://example.com/hook", "secret": SECRET}}
        expect(self.client.put("/tenants/with-contract", contract), 200)
        reply = expect(self.client.get("/tenants/with-contract"), 200)
        told = reply.json()
        for member in ("rate_per_second", "burst", "guarantee_per_second", "weight"):
            self.assertEqual(told[member], contract[member])
        self.assertEqual(told["webhook"]["url"], contract["webhook"]["url"])
        self.assertNotIn(SECRET[-8:].encode(), reply.body, "a secret is never shown")
        tenants = self.client.pages("/tenants?limit=1", "tenants")
        self.assertIn("with-contract", [t["tenant_id"] for t in tenants])
        names = [t["tenant_id"] for t in tenants]
        self.assertEqual(len(names), len(set(names)))

    def test_a_contract_keeps_what_a_put_does_not_name(self):
        path = "/tenants/merged"
        hook = {"url": "https://example.com/hook", "secret": SECRET}
        before = expect(self.client.put(path, {"rate_per_second": 12, "burst": 40, "weight": 2,
                                               "webhook": hook}), 200).json()
        tag = {"If-Match": expect(self.client.get(path), 200).headers["etag"]}
        told = expect(self.client.put(path, {"rate_per_second": 20}, headers=tag), 200).json()
        self.assertEqual(told, {**before, "rate_per_second": 20})
        expect(self.client.put(path, {"burst": 1}, headers=tag), 412, "precondition-failed")
        told = expect(self.client.put(path, {"webhook": None, "weight": None}), 200).json()
        self.assertEqual(told, {**before, "rate_per_second": 20, "webhook": None, "weight": 1})

    def test_changes_of_a_contract_that_meet_are_all_made(self):
        changes = [{"rate_per_second": 30}, {"burst": 50}, {"weight": 5},
                   {"guarantee_per_second": 4}]

        def change(wanted):
            client = self.server.client()
            try:
                expect(client.put("/tenants/contended", wanted), 200)
            finally:
                client.close()
        with concurrent.futures.ThreadPoolExecutor(len(changes)) as pool:
            list(pool.map(change, changes))
        told = expect(self.client.get("/tenants/contended"), 200).json()
        for wanted in changes:
            self.assertEqual(told | wanted, told)

    def test_owed_and_unresolved_money_is_listed(self):
        for path, member in (("/owed-refunds", "owed_refunds"),
                             ("/unresolved-charges", "unresolved_charges")):
            self.assertIsInstance(expect(self.client.get(path), 200).json()[member], list)


class Audit(unittest.TestCase):
    """After a mixed run, the offline audit agrees with the gateway's own ledger."""

    def test_the_offline_audit_finds_nothing_after_a_mixed_run(self):
        ground = Ground()
        self.addCleanup(ground.close)
        gateway = ground.gateway()
        server = ground.server("--demo-catalog", "--gateway", gateway.url, "--retry-base", "20ms")
        client = server.client()
        self.addCleanup(client.close)
        ids = [client.place(order_body(method=method)).json()["order_id"]
               for method in ("pm_ok", "pm_decline", "pm_fail_1", "pm_drop_reply") * 5]
        orders = [client.ended(order_id) for order_id in ids]
        client.close()
        self.assertEqual(server.terminate(), 0)
        report = ground.check(gateway.ledger)
        ledger = read_ledger(gateway.ledger)
        for order in orders:
            assert_money(self, order, ledger[order["order_id"]])
        print(f"{len(orders)} orders audited\n{report.strip()}")


if __name__ == "__main__":
    harness.main()
