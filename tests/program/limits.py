"""The two ceilings: a tenant's contract (429) and what the pipeline carries (503)."""

import time

import harness
from harness import TERMINAL, Client, expect, order_body
from ledger import assert_money, read_ledger

# So slow a refill that nothing comes back while a test runs.
STILL = 0.0001


class Limits(harness.ProgramTest):

    def contract(self, client, tenant, rate, burst):
        expect(client.put(f"/tenants/{tenant}", {"rate_per_second": rate, "burst": burst}), 200)

    def try_many(self, client, tenant, count):
        """Replies to `count` orders, one after the other."""
        return [client.post("/orders", order_body(tenant_id=tenant)) for _ in range(count)]

    def admitted(self, replies):
        """How many were accepted; every other one is a complete 429."""
        for reply in replies:
            if reply.status != 202:
                expect(reply, 429, "quota-exceeded")
                self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
                self.assertIn('"tenant";r=0', reply.headers["ratelimit"])
        return [r.status for r in replies].count(202)

    def test_the_burst_is_admitted_exactly_and_other_tenants_are_not_touched(self):
        client = self.ground.server().client()
        self.contract(client, "bound", STILL, 10)
        self.contract(client, "other", STILL, 50)
        replies, others = [], []
        for _ in range(25):
            replies += self.try_many(client, "bound", 1)
            others += self.try_many(client, "other", 2)
        self.assertEqual(self.admitted(replies), 10)
        self.assertEqual([r.status for r in replies[:10]], [202] * 10, "the first ones")
        self.assertEqual(self.admitted(others), 50)
        remaining = [int(r.headers["ratelimit"].split("r=")[1].split(";")[0])
                     for r in replies[:10]]
        self.assertEqual(remaining, list(range(9, -1, -1)))
        self.assertEqual(self.admitted(self.try_many(client, "nobody-yet", 30)), 30)
        print(f"{len(replies)} offered, 10 admitted; {len(others)} of the other tenant admitted")
        client.close()

    def test_a_client_that_comes_back_after_retry_after_is_let_in(self):
        client = self.ground.server().client()
        self.contract(client, "patient", 0.8, 2)
        self.admitted(self.try_many(client, "patient", 2))
        for _ in range(3):
            denied = client.post("/orders", order_body(tenant_id="patient"),
                                 headers={"Idempotency-Key": "k"})
            while denied.status == 202:  # so slow a machine that the bucket has filled again
                denied = client.post("/orders", order_body(tenant_id="patient"))
            expect(denied, 429, "quota-exceeded")
            wait = int(denied.headers["retry-after"])
            self.assertLessEqual(wait, 60)
            time.sleep(wait)
            client.place(order_body(tenant_id="patient"))
        client.close()

    def test_a_replay_and_a_reused_key_take_no_token_and_a_denied_key_is_not_consumed(self):
        client = self.ground.server().client()
        self.contract(client, "frugal", STILL, 3)

        def send(key, quantity=1):
            return client.post("/orders", order_body(quantity=quantity, tenant_id="frugal"),
                               headers={"Idempotency-Key": key})
        first, second = expect(send("a"), 202), expect(send("b"), 202)
        for _ in range(10):
            again = expect(send("a"), 202)
            self.assertEqual(again.body, first.body)
            self.assertEqual(again.headers["idempotent-replayed"], "true")
            expect(send("b", 2), 422, "idempotency-key-reused")
        expect(send("c"), 202)
        for _ in range(5):
            expect(send("d"), 429, "quota-exceeded")
        self.assertEqual(expect(send("b"), 202).body, second.body, "a replay passes all the same")
        # Tokens flow in: the denied key is still free, for another payload too.
        self.contract(client, "frugal", 50, 3)
        while (reply := send("d", 7)).status != 202:
            expect(reply, 429, "quota-exceeded")
        self.assertNotIn("idempotent-replayed", reply.headers)
        client.close()

    def test_a_change_of_contract_mints_nothing(self):
        client = self.ground.server().client()
        self.contract(client, "changed", STILL, 5)
        self.assertEqual(self.admitted(self.try_many(client, "changed", 8)), 5)
        for rate in (0.0002, 0.00005, STILL):
            self.contract(client, "changed", rate, 5)
            self.assertEqual(self.admitted(self.try_many(client, "changed", 3)), 0)
        self.contract(client, "changed", STILL, 50)
        self.assertEqual(self.admitted(self.try_many(client, "changed", 3)), 0)
        client.close()

    def test_a_kill_and_a_restart_mint_nothing(self):
        server = self.ground.server()
        client = server.client()
        self.contract(client, "restarted", STILL, 6)
        self.contract(client, "flowing", 3, 4)
        began = time.monotonic()
        still = flowing = 0
        for round_number in range(6):
            still += self.admitted(self.try_many(client, "restarted", 3))
            flowing += self.admitted(self.try_many(client, "flowing", 15))
            client.close()
            if round_number % 2:
                self.assertEqual(server.terminate(), 0)
            else:
                server.kill()
            server = self.ground.server()
            client = server.client()
        flowing += self.admitted(self.try_many(client, "flowing", 15))
        # Never more than the contract over the whole window, restarts and all.
        window = time.monotonic() - began
        self.assertLessEqual(flowing, 4 + 3 * window)
        self.assertEqual(still, 6)
        print(f"{flowing} admitted in {window:.1f} s of 4 + 3/s, over 6 restarts")
        client.close()

    def test_a_full_pipeline_answers_503_and_stores_nothing_under_the_key(self):
        gateway = self.ground.gateway("--latency", "600000")
        server = self.ground.server("--max-active", "10", "--gateway", gateway.url,
                                    "--retry-base", "20ms", "--retry-cap", "100ms")
        client = server.client()
        client.set_stock("p", 1000)
        accepted = [client.place(order_body("p"), headers={"Idempotency-Key": f"in-{n}"})
                    for n in range(10)]
        for number in range(20):
            refused = client.post("/orders", order_body("p"),
                                  headers={"Idempotency-Key": f"out-{number}"})
            expect(refused, 503, "temporarily-reduced-capacity")
            self.assertGreaterEqual(int(refused.headers["retry-after"]), 1)
        again = client.place(order_body("p"), headers={"Idempotency-Key": "in-0"})
        self.assertEqual(again.body, accepted[0].body, "a replay needs no room")
        self.assertEqual(client.queues()["active"], 10)
        self.assertEqual(client.stock("p")["reserved"], 10)

        gateway.kill()
        gateway = gateway.again("--latency", "0")
        orders = [client.ended(r.json()["order_id"]) for r in accepted]
        self.assertEqual({o["status"] for o in orders}, {"fulfilled"})
        # The refused keys were not consumed: another payload is welcome under them.
        orders += [client.ended(client.place(order_body("p", 2), headers={
            "Idempotency-Key": f"out-{number}"}).json()["order_id"]) for number in range(5)]
        ledger = read_ledger(gateway.ledger)
        for order in orders:
            self.assertIn(order["status"], TERMINAL)
            assert_money(self, order, ledger[order["order_id"]])
        self.assertEqual(client.stock("p")["sold"], 20)
        client.close()

    def test_a_flood_of_one_tenant_leaves_the_contract_of_another_whole(self):
        server = self.ground.server()
        client = server.client()
        client.set_stock("p", 10_000, "calm")
        client.set_stock("p", 10_000, "flood")
        self.contract(client, "flood", 5, 5)
        self.contract(client, "calm", STILL, 100)
        flood = Client(*server.address())
        replies, calm = [], []
        for _ in range(100):
            replies += self.try_many(flood, "flood", 10)
            calm.append(client.place(order_body("p", tenant_id="calm")).json()["order_id"])
        self.assertEqual({client.ended(order_id)["status"] for order_id in calm}, {"fulfilled"})
        print(f"flood: {self.admitted(replies)} of {len(replies)} admitted; calm: all 100")
        flood.close()
        client.close()


if __name__ == "__main__":
    harness.main()
