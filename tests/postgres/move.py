"""An embedded store that moves into a database while clients order: nothing is lost, nothing twice.

    move.py PENSTOCK [--restarts N] [--seed N] [--workers N]

A server on RocksDB is killed again and again, and its history is copied beside it; then it is
killed for the last time, and the cut-over too, at random moments, until it comes to its end. From
then on a server on the database takes the same clients, which go on with their keys. The judge is
crash.py's: the books of the gateway, the clients' history and the new store have to agree.
"""

import argparse
import asyncio
import sys

import database
import crash
import harness
from database import Database
from harness import expect, order_body, wait_until
from webhooks import SECRET

options = crash.options
HISTORIES = 3
KILLED_CUT_OVERS = 4


class MovingStorm(crash.Storm):
    """The server that is killed, first on one store, then on the other."""

    def __init__(self, ground, test):
        super().__init__(ground)
        self.test = test
        self.database = Database(ground)
        test.addCleanup(self.database.close)
        self.url = self.database.url()
        self.has_moved = False

    def start(self):
        store = ("--store", self.url, "--lease", "2s") if self.has_moved else ()
        return harness.Server(self.ground, "--gateway", self.gateway.url, "--retry-base", "50ms",
                              "--retry-cap", "400ms", "--gateway-timeout", "10s",
                              "--webhook-allow-private", *store)

    def copy(self, *flags):
        """`penstock copy`, begun."""
        return harness.Process(self.ground, "copy", [
            "copy", "--from", f"rocksdb:{self.ground.path / 'data'}", "--to", self.url, *flags])

    async def finish(self, copy, what):
        code = await asyncio.to_thread(copy.wait)
        self.test.assertEqual(code, 0, copy.log())
        self.kills[what] += 1

    async def run(self):
        await self._restarts(options.restarts // 2)
        for _ in range(HISTORIES):
            history = self.copy("--history")
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.uniform(0, 0.8))
                await asyncio.to_thread(history.kill)
                history = self.copy("--history")
            await self.finish(history, "history copied")
            await self._restarts(1)
        self.refuse_both_open()
        await self._move()
        await self._restarts(options.restarts // 2)

    async def _restarts(self, count):
        for _ in range(count):
            await asyncio.sleep(self.random.uniform(0.1, 0.9))
            server, self.server = self.server, None
            await asyncio.to_thread(server.kill)
            self.kills["server"] += 1
            server = self.start()
            await asyncio.to_thread(server.await_ready)
            self.server = server

    def refuse_both_open(self):
        """While the source is served nothing is cut over, and the target is not served."""
        done = self.ground.run("copy", "--from", f"rocksdb:{self.ground.path / 'data'}", "--to",
                               self.url)
        self.test.assertEqual(done.returncode, 1, done.stdout)
        self.test.assertIn("store-locked", done.stderr)
        done = self.ground.run("serve", "--store", self.url, "--listen", "127.0.0.1:0")
        self.test.assertEqual(done.returncode, 1, done.stderr)
        self.test.assertIn("penstock copy", done.stderr)

    async def _move(self):
        server, self.server = self.server, None
        await asyncio.to_thread(server.kill)
        for _ in range(KILLED_CUT_OVERS):
            copy = self.copy()
            await asyncio.sleep(self.random.uniform(0.1, 1.2))
            await asyncio.to_thread(copy.kill)
            self.kills["cut-over"] += 1
        await self.finish(self.copy(), "cut-over finished")
        again = self.copy()
        await self.finish(again, "cut-over said to be finished")
        self.test.assertIn("finished before", again.log())
        refused = self.ground.run("serve", "--data", str(self.ground.path / "data"), "--listen",
                                  "127.0.0.1:0")
        self.test.assertEqual(refused.returncode, 1, refused.stderr)
        self.test.assertIn("store-sealed", refused.stderr)
        self.has_moved = True
        server = self.start()
        await asyncio.to_thread(server.await_ready)
        self.server = server


class MovedOrders(crash.OrdersUnderKill):

    def new_storm(self):
        return MovingStorm(self.ground, self)

    def store_flags(self):
        return ("--store", self.storm.url)


class Abandoned(database.SharedTest):
    """A copy that is given up before its end."""

    def setUp(self):
        super().setUp()
        server = self.ground.server("--demo-catalog")
        client = server.client()
        self.order = client.ended(client.place(harness.order_body()).json()["order_id"])
        client.close()
        self.assertEqual(server.terminate(), 0)

    def copy(self, *flags):
        return self.ground.run("copy", "--from", f"rocksdb:{self.ground.path / 'data'}", "--to",
                               self.url, *flags)

    def test_the_source_is_served_again_and_the_target_never(self):
        self.assertEqual(self.copy("--history").returncode, 0)
        # The end cannot be reached: what the live tables are filled from finds a row in its way.
        self.database.query("ALTER TABLE penstock.stock ADD CHECK (received < 0)")
        stuck = self.copy()
        self.assertEqual(stuck.returncode, 1, stuck.stdout)
        sealed = self.ground.run("serve", "--data", str(self.ground.path / "data"), "--listen",
                                 "127.0.0.1:0")
        self.assertIn("store-sealed", sealed.stderr)
        for _ in range(2):
            given_up = self.copy("--abandon")
            self.assertEqual(given_up.returncode, 0, given_up.stderr)
        self.assertEqual(self.copy().returncode, 1)
        refused = self.ground.run("serve", "--store", self.url, "--listen", "127.0.0.1:0")
        self.assertEqual(refused.returncode, 1, refused.stderr)
        server = self.ground.server()
        client = server.client()
        self.assertEqual(client.order(self.order["order_id"]), self.order)
        client.close()
        self.assertEqual(server.terminate(), 0)
        # A new copy goes into an empty schema.
        self.database.query("DROP SCHEMA penstock CASCADE")
        done = self.copy()
        self.assertEqual(done.returncode, 0, done.stderr)
        refused = self.copy("--abandon")
        self.assertEqual(refused.returncode, 1, refused.stdout)

    def test_a_target_that_is_used_or_not_empty_is_refused(self):
        shared = self.serve("--node", "a").await_ready()
        refused = self.copy()
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("a process uses this store", refused.stderr)
        client = shared.client()
        client.set_stock("PROD-1", 5)
        client.close()
        self.assertEqual(shared.terminate(), 0)
        refused = self.copy()
        self.assertEqual(refused.returncode, 1, refused.stdout)
        self.assertIn("this store is not empty", refused.stderr)
        server = self.ground.server()  # the source was not sealed
        self.assertEqual(server.terminate(), 0)


class Shown(harness.ProgramTest):
    """What the API shows of a store, before and after."""

    def setUp(self):
        super().setUp()
        self.database = Database(self.ground)
        self.addCleanup(self.database.close)
        self.url = self.database.url()

    def server(self, *flags):
        return self.ground.server("--retry-base", "10ms", "--retry-cap", "20ms",
                                  "--webhook-allow-private", *flags)

    def fill(self, client):
        """Orders of every end, one that waits as a dead letter, and a webhook that nobody takes."""
        client.set_stock("PLENTY", 1000)
        client.set_stock("SCARCE", 1)
        closed = f"http://127.0.0.1:{harness.free_port()}/ends"
        expect(client.put("/tenants/told", {
            "rate_per_second": 0.5, "burst": 7, "weight": 3, "guarantee_per_second": 0.25,
            "webhook": {"url": closed, "secret": SECRET}}), 200)
        client.set_stock("PLENTY", 50, tenant="told")
        bodies = [order_body("PLENTY", quantity=2, metadata={"note": "\u00e4 \u2603 ''"}),
                  order_body("PLENTY", method="pm_decline"), order_body("SCARCE", quantity=2),
                  order_body("PLENTY", tenant_id="told"), order_body("PLENTY", method="pm_fail")]
        placed = [client.place(body, headers={"Idempotency-Key": f"key-{number}"})
                  for number, body in enumerate(bodies)]
        ids = [reply.json()["order_id"] for reply in placed]
        for order in ids[:-1]:
            client.ended(order)
        client.until(ids[-1], lambda order: order["dead_letter"], "is a dead letter")
        wait_until(lambda: any(event["reason"] == "delivery-failed"
                               for event in client.events(ids[3])), "a delivery failed")
        return list(zip(bodies, placed, ids))

    def shown(self, client, orders):
        paths = ["/orders?limit=500", "/orders?tenant_id=told", "/dead-letters", "/tenants",
                 "/tenants/told", "/inventory/PLENTY", "/inventory/SCARCE",
                 "/inventory/PLENTY?tenant_id=told", "/owed-refunds"]
        paths += [f"/orders/{order}{part}" for _, _, order in orders
                  for part in ("", "/events", "/receipt")]
        replies = {path: client.get(path) for path in paths}
        return {path: (reply.status, reply.body) for path, reply in replies.items()
                if reply.status != 404}

    def test_the_new_store_shows_what_the_old_one_showed(self):
        server = self.server()
        client = server.client()
        orders = self.fill(client)
        client.close()
        self.assertEqual(server.terminate(), 0)
        server = self.server()
        client = server.client()
        before = self.shown(client, orders)
        client.close()
        server.kill()
        done = self.ground.run("copy", "--from", f"rocksdb:{self.ground.path / 'data'}", "--to",
                               self.url)
        self.assertEqual(done.returncode, 0, done.stderr)
        server = self.server("--store", self.url)
        client = server.client()
        after = self.shown(client, orders)
        self.assertGreaterEqual(len(before), 20)
        self.assertEqual(set(before), set(after))
        for path, shown in before.items():
            self.assertEqual(after[path], shown, path)
        for number, (body, placed, _) in enumerate(orders):
            again = client.place(body, headers={"Idempotency-Key": f"key-{number}"})
            self.assertEqual(again.headers.get("idempotent-replayed"), "true", number)
            self.assertEqual(again.body, placed.body)
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check(store=("--store", self.url))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--seed", type=int, default=options.seed)
    parser.add_argument("--workers", type=int, default=6)
    rest = parser.parse_known_args(sys.argv[2:], namespace=options)[1]
    sys.argv[2:] = rest
    harness.main()
