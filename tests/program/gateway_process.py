"""`penstock gateway`: its ledger's form, its keys over a kill, and close as orders see it."""

import json
import re
import urllib.parse
import uuid

import harness
from harness import expect, order_body
from ledger import assert_money, read_ledger, read_lines

MEMBERS = ["type", "order_id", "idempotency_key", "minor_units", "currency", "at"]


class GatewayProcess(harness.ProgramTest):
    """Speaks the gateway's own protocol (docs/gateway-protocol.md)."""

    def client(self, gateway):
        client = harness.Client("127.0.0.1", gateway.port)
        self.addCleanup(client.close)
        return client

    def charge(self, client, key, order_id, amount=1000, method="pm_ok", currency="usd"):
        form = urllib.parse.urlencode({"amount": amount, "currency": currency,
                                       "payment_method": method, "confirm": "true",
                                       "metadata[order_id]": order_id})
        return client.post("/v1/payment_intents", form, headers={
            "Idempotency-Key": key, "Content-Type": "application/x-www-form-urlencoded"})

    def refund(self, client, key, order_id, intent, amount=1000):
        form = urllib.parse.urlencode({"payment_intent": intent, "amount": amount,
                                       "currency": "usd", "metadata[order_id]": order_id})
        return client.post("/v1/refunds", form, headers={
            "Idempotency-Key": key, "Content-Type": "application/x-www-form-urlencoded"})

    def by_key(self, key):
        return f"/v1/payment_intents/by-key/{urllib.parse.quote(key, safe='')}"

    def order_id(self):
        # A UUIDv7 by hand: the standard library of this Python has none.
        text = uuid.uuid4().hex
        return str(uuid.UUID(f"01893e2d0000{'7' + text[13:16]}{'8' + text[17:32]}"))

    def test_the_ledger_has_one_line_a_movement_in_the_documented_form(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        order_id = self.order_id()
        intent = expect(self.charge(client, f"{order_id}/charge", order_id), 200).json()
        self.assertEqual(intent["status"], "succeeded")
        expect(self.refund(client, f"{order_id}/refund", order_id, intent["id"]), 200)
        declined = self.order_id()
        expect(self.charge(client, f"{declined}/charge", declined, method="pm_decline"), 402)
        lines = gateway.ledger.read_text().splitlines()
        self.assertEqual(len(lines), 2, "money movements alone")
        for line, kind, key in zip(lines, ("capture", "refund"), ("charge", "refund")):
            record = json.loads(line)
            self.assertEqual(list(record)[:6], MEMBERS)
            self.assertEqual((record["type"], record["order_id"], record["idempotency_key"],
                              record["minor_units"], record["currency"]),
                             (kind, order_id, f"{order_id}/{key}", 1000, "USD"))
            self.assertRegex(record["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

    def test_a_line_is_in_the_file_before_the_reply(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        for number in range(50):
            order_id = self.order_id()
            expect(self.charge(client, f"{order_id}/charge", order_id), 200)
            self.assertEqual(len(read_lines(gateway.ledger)), number + 1)

    def test_a_key_means_the_same_over_a_kill(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        paid, declined, closed = (self.order_id() for _ in range(3))
        intent = expect(self.charge(client, f"{paid}/charge", paid), 200).body
        expect(self.charge(client, f"{declined}/charge", declined, method="pm_decline"), 402)
        expect(client.post(self.by_key(f"{closed}/charge") + "/cancel",
                           f"metadata[order_id]={closed}"), 200)
        for _ in range(3):
            gateway.kill()
            gateway = gateway.again()
            client.close()
            self.assertEqual(expect(self.charge(client, f"{paid}/charge", paid), 200).body, intent)
            expect(self.charge(client, f"{declined}/charge", declined, method="pm_decline"), 402)
            reply = self.charge(client, f"{closed}/charge", closed)
            self.assertTrue(400 <= reply.status < 500, reply)
            self.assertEqual(len(read_lines(gateway.ledger)), 1, "one capture, however often asked")
        other = self.charge(client, f"{paid}/charge", paid, amount=999)
        self.assertTrue(400 <= other.status < 500, "a key with other parameters is refused")
        self.assertEqual(len(read_lines(gateway.ledger)), 1)

    def test_close_answers_captured_or_makes_every_later_charge_fail(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        captured, closed = self.order_id(), self.order_id()
        intent = expect(self.charge(client, f"{captured}/charge", captured), 200).json()
        answer = expect(client.post(self.by_key(f"{captured}/charge") + "/cancel"), 200).json()
        self.assertEqual((answer["status"], answer["id"]), ("succeeded", intent["id"]))
        self.assertEqual(client.get(self.by_key(f"{closed}/charge")).status, 404, "no answer yet")
        answer = expect(client.post(self.by_key(f"{closed}/charge") + "/cancel"), 200).json()
        self.assertEqual(answer["status"], "canceled")
        self.assertGreaterEqual(self.charge(client, f"{closed}/charge", closed).status, 400)
        found = expect(client.get(self.by_key(f"{closed}/charge")), 200).json()
        self.assertEqual(found["status"], "canceled")
        self.assertNotIn(closed, read_ledger(gateway.ledger))

    def test_a_refund_is_never_more_than_the_capture_and_never_twice(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        order_id = self.order_id()
        intent = expect(self.charge(client, f"{order_id}/charge", order_id), 200).json()["id"]
        self.assertEqual(self.refund(client, "too-much", order_id, intent, 1001).status, 402)
        first = expect(self.refund(client, "first", order_id, intent), 200)
        self.assertEqual(expect(self.refund(client, "first", order_id, intent), 200).body,
                         first.body)
        self.assertEqual(self.refund(client, "second", order_id, intent).status, 402)
        self.assertGreaterEqual(self.refund(client, "third", order_id, "pi_" + "0" * 32).status,
                                400)
        self.assertEqual([line["type"] for line in read_lines(gateway.ledger)],
                         ["capture", "refund"])

    def test_a_torn_last_line_is_cut_off_at_the_next_start(self):
        gateway = self.ground.gateway()
        client = self.client(gateway)
        order_id = self.order_id()
        expect(self.charge(client, f"{order_id}/charge", order_id), 200)
        gateway.kill()
        whole = gateway.ledger.read_bytes()
        gateway.ledger.write_bytes(whole + whole[:-20])
        gateway = gateway.again()
        client.close()
        self.assertEqual(gateway.ledger.read_bytes(), whole)
        expect(self.charge(client, f"{order_id}/charge", order_id), 200)
        self.assertEqual(gateway.terminate(), 0)

    def test_the_shares_of_faults_are_what_was_asked_for(self):
        gateway = self.ground.gateway("--decline", "0.3", "--fail", "0.2", "--drop-reply", "0.1")
        client = self.client(gateway)
        count, seen = 1500, {"paid": 0, "declined": 0, "failed": 0, "lost": 0}
        for _ in range(count):
            order_id = self.order_id()
            try:
                status = self.charge(client, f"{order_id}/charge", order_id).status
            except harness.Client.LOST:
                seen["lost"] += 1
                # It acted all the same.
                found = expect(client.get(self.by_key(f"{order_id}/charge")), 200).json()
                self.assertEqual(found["status"], "succeeded")
                continue
            seen[{200: "paid", 402: "declined", 500: "failed"}[status]] += 1
        expected = {"failed": 0.2, "declined": 0.8 * 0.3, "lost": 0.8 * 0.7 * 0.1}
        for what, share in expected.items():
            # Seven standard deviations: never by chance.
            spread = 7 * (share * (1 - share) / count) ** 0.5
            self.assertAlmostEqual(seen[what] / count, share, delta=spread)
        self.assertEqual(len(read_lines(gateway.ledger)), seen["paid"] + seen["lost"])
        print(f"{count} charges: {seen}")

    def test_close_is_what_cancels_an_order_whose_charge_is_on_its_way(self):
        gateway = self.ground.gateway()
        server = self.ground.server("--demo-catalog", "--gateway", gateway.url)
        client = server.client()
        self.addCleanup(client.close)
        order_id = client.place(order_body(method="pm_delay_3000")).json()["order_id"]
        client.until(order_id, lambda _: client.get(f"/orders/{order_id}/why").json()["in_flight"],
                     "has its charge in flight")
        expect(client.post(f"/orders/{order_id}/cancel"), 202)
        order = client.ended(order_id)
        self.assertEqual(order["status"], "cancelled")
        movements = read_ledger(gateway.ledger)[order_id]
        assert_money(self, order, movements)
        if not movements.captures:
            keys = read_lines(gateway.ledger.with_name(gateway.ledger.name + ".keys"))
            self.assertIn(("closed", f"{order_id}/charge"),
                          [(k["type"], k["idempotency_key"]) for k in keys])

    def test_effects_carry_the_order_and_the_step_as_their_key(self):
        gateway = self.ground.gateway("--drop-reply", "0.3")
        server = self.ground.server("--demo-catalog", "--gateway", gateway.url, "--retry-base",
                                    "20ms", "--retry-cap", "100ms")
        client = server.client()
        self.addCleanup(client.close)
        for order_id in [client.place(order_body()).json()["order_id"] for _ in range(50)]:
            self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        for line in read_lines(gateway.ledger):
            self.assertRegex(line["idempotency_key"],
                             re.escape(line["order_id"]) + r"/(charge(\.\d+)?|refund)$")
        captures = [line["order_id"] for line in read_lines(gateway.ledger)]
        self.assertEqual(len(captures), len(set(captures)), "unknown was asked for, not re-charged")

    def test_two_gateways_on_one_ledger_are_refused(self):
        gateway = self.ground.gateway()
        done = self.ground.run("gateway", "--listen", "127.0.0.1:0", "--ledger",
                               str(gateway.ledger))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


if __name__ == "__main__":
    harness.main()
