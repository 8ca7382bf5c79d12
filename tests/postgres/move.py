"""An embedded store that moves into a database while clients order: nothing is lost, nothing twice.

    move.py PENSTOCK [--restarts N] [--seed N] [--workers N]

A server on RocksDB is killed again and again, and its history is copied beside it; then it is
killed for the last time, and the cut-over too, at random moments, until it comes to its end. From
then on a server on the database takes the same clients, which go on with their keys. The judge is
crash.py's: the books of the gateway, the clients' history and the new store have to agree.

Then without a load, where what a store shows can be compared page by page: a copy that is killed,
or whose database is, until it comes to its end.
"""

import argparse
import asyncio
import collections
import concurrent.futures
import contextlib
import json
import random
import subprocess
import sys

import database
import crash
import harness
from database import Database
from harness import Client, expect, order_body, wait_until
from webhooks import SECRET

options = crash.options
HISTORIES = 3
KILLED_CUT_OVERS = 4
INTERRUPTIONS = 4  # of each kind, of a copy of a store at rest
MANY = 2_500  # orders: more than two pages


def refusal(ground, *store):
    """What a `penstock serve` writes that may not start."""
    server = harness.Process(ground, "server", ["serve", *store, "--listen", "127.0.0.1:0"])
    wait_until(lambda: not server.running() or '"address"' in server.log(), "it ends, or serves")
    if server.running() or server.wait() != 1:
        server.kill()
        raise AssertionError(f"it was opened:\n{server.log()}")
    return server.log()


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
        self.test.assertIn("penstock copy", refusal(self.ground, "--store", self.url))

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
        self.test.assertIn("store-sealed", refusal(self.ground, "--data",
                                                   str(self.ground.path / "data")))
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
        sealed = refusal(self.ground, "--data", str(self.ground.path / "data"))
        self.assertIn("store-sealed", sealed)
        for _ in range(2):
            given_up = self.copy("--abandon")
            self.assertEqual(given_up.returncode, 0, given_up.stderr)
        self.assertEqual(self.copy().returncode, 1)
        refusal(self.ground, "--store", self.url)
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

    def test_a_copy_that_differs_is_mended_or_does_not_open(self):
        self.assertEqual(self.copy("--history").returncode, 0)
        copied = self.database.query("DELETE FROM penstock.orders RETURNING order_id")
        self.assertEqual(copied, self.order["order_id"])
        self.database.query(
            "CREATE FUNCTION one_more() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN new.received := new.received + 1; RETURN new; END';"
            "CREATE TRIGGER one_more BEFORE INSERT ON penstock.stock FOR EACH ROW"
            " EXECUTE FUNCTION one_more()")
        stuck = self.copy()
        self.assertEqual(stuck.returncode, 1, stuck.stdout)
        self.assertIn("differs: pieces received", stuck.stdout)
        refusal(self.ground, "--store", self.url)
        self.database.query("DROP TRIGGER one_more ON penstock.stock")
        done = self.copy()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("orders of status", done.stdout)
        server = self.serve("--node", "a").await_ready()
        client = server.client()
        self.assertEqual(client.order(self.order["order_id"]), self.order)
        client.close()
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
        expect(client.put("/tenants/slow", {"rate_per_second": 0.001, "burst": 5}), 200)
        bodies = [order_body("PLENTY", quantity=2, metadata={"note": "\u00e4 \u2603 ''"}),
                  order_body("PLENTY", method="pm_decline"), order_body("SCARCE", quantity=2),
                  order_body("PLENTY", tenant_id="told"), order_body("PLENTY", tenant_id="slow"),
                  order_body("PLENTY", tenant_id="slow"), order_body("PLENTY", method="pm_reject")]
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

    def copy_arguments(self, *flags):
        return ["copy", "--from", f"rocksdb:{self.ground.path / 'data'}", "--to", self.url, *flags]

    def move(self):
        done = self.ground.run(*self.copy_arguments())
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def room(self, client):
        """The level of a bucket that refills by a token in a thousand seconds."""
        answer = expect(client.post("/orders", order_body(
            "PLENTY", tenant_id="slow", action="check_rate_limit")), 200).json()
        return answer["limit"], answer["remaining"]

    def test_the_new_store_shows_what_the_old_one_showed(self):
        server = self.server()
        client = server.client()
        orders = self.fill(client)
        client.close()
        self.assertEqual(server.terminate(), 0)
        server = self.server()
        client = server.client()
        before = self.shown(client, orders)
        room = self.room(client)
        failed = sum(event["reason"] == "delivery-failed" for event in client.events(orders[3][2]))
        client.close()
        server.kill()
        moved = self.move()
        self.assertIn("sums agree", moved)
        self.verify_tables(orders, failed)
        self.assertEqual(self.audited("--data", str(self.ground.path / "data")),
                         self.audited("--store", self.url))
        server = self.server("--store", self.url)
        client = server.client()
        after = self.shown(client, orders)
        self.assertGreaterEqual(len(before), 20)
        self.assertEqual(set(before), set(after))
        for path, shown in before.items():
            if path.endswith("/events"):  # a delivery may have been tried again
                was, now = (json.loads(page[1])["events"] for page in (shown, after[path]))
                self.assertEqual(now[:len(was)], was, path)
            else:
                self.assertEqual(after[path], shown, path)
        self.assertEqual(self.room(client), room)
        for number, (body, placed, _) in enumerate(orders):
            again = client.place(body, headers={"Idempotency-Key": f"key-{number}"})
            self.assertEqual(again.headers.get("idempotent-replayed"), "true", number)
            self.assertEqual(again.body, placed.body)
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check(store=("--store", self.url))

    def verify_tables(self, orders, failed):
        """What no page shows: keys live as long as before, a delivery goes on where it was."""
        number = self.database.query
        keys = len(orders)
        self.assertEqual(number(
            "SELECT count(*), count(*) FILTER (WHERE abs(extract(epoch FROM expires_at"
            " - penstock.created_of(order_id) - interval '7 days')) < 60)"
            " FROM penstock.idempotency_keys WHERE key LIKE 'key-%'"), f"{keys}|{keys}")
        told = orders[3][2]
        self.assertEqual(number("SELECT order_id, attempt > " + str(failed) +
                                " FROM penstock.deliveries"), f"{told}|t")
        self.assertEqual(number("SELECT is_called, last_value >"
                                " (SELECT coalesce(max(sequence), 0) FROM penstock.outbox)"
                                " FROM penstock.outbox_sequence_seq"), "f|t")

    def audited(self, *store):
        """What `penstock check` counted and summed."""
        done = self.ground.run("check", *store, "--ledger",
                               str(self.ground.path / "data" / "sandbox-ledger.jsonl"), "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)


class Interrupted(Shown):
    """The same, by a copy that never comes to its end undisturbed."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(options.seed)
        self.interrupted = collections.Counter()

    def fill(self, client):
        expect(client.put("/tenants/many", {"rate_per_second": 100_000, "burst": 100_000}), 200)
        client.set_stock("MANY", 10 * MANY, tenant="many")

        def order(numbers):
            with contextlib.closing(Client(client.host, client.port)) as mine:
                for number in numbers:
                    mine.place(order_body("MANY", tenant_id="many"),
                               headers={"Idempotency-Key": f"m-{number}"})
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(order, [range(MANY)[at::4] for at in range(4)]))
        wait_until(lambda: client.queues()["active"] == 0, "all of them end")
        return super().fill(client)

    def move(self):
        steps = [(step, killed) for step in ("history", "cut-over")
                 for killed in ("copy", "database")] * INTERRUPTIONS
        self.random.shuffle(steps)
        steps.sort(key=lambda step: step[0], reverse=True)  # no history behind a seal
        is_sealed, copy = False, None
        for step, killed in steps:
            copy = self.begin_copy(*(["--history"] if step == "history" else []))
            self.interrupt(copy, step, killed)
            is_sealed = is_sealed or "the source is sealed" in copy.log()
            if self.state() == "finished":
                break
            self.verify_fences(is_sealed)
        if self.state() != "finished":
            copy = self.begin_copy()
            self.assertEqual(copy.wait(), 0, copy.log())
        print(f"seed {options.seed}: interrupted while it ran: {dict(self.interrupted)}")
        again = self.ground.run(*self.copy_arguments())
        self.assertIn("finished before", again.stdout, again.stderr)
        self.refuse_source()
        return copy.log()

    def begin_copy(self, *flags):
        return harness.Process(self.ground, "copy", self.copy_arguments(*flags))

    def interrupt(self, copy, step, killed):
        """At some moment of what it does, by what it told so far; it may be over before."""
        lines = self.random.randrange(2 if step == "history" else 5)
        wait_until(lambda: not copy.running() or copy.log().count("\n") >= lines, "it goes on")
        with contextlib.suppress(subprocess.TimeoutExpired):
            copy.child.wait(timeout=self.random.choice((0, self.random.uniform(0, 0.05))))
        self.interrupted[f"{killed} in {step}"] += copy.running()
        if killed == "copy":
            copy.kill()
            return
        self.database.stop_immediately()
        self.assertIn(copy.wait(), (0, 1), copy.log())
        self.database.start()

    def state(self):
        """Of the copy, as the target knows it."""
        if self.database.query("SELECT to_regclass('penstock.store_copy')") == "":
            return ""
        return self.database.query("SELECT state FROM penstock.store_copy")

    def verify_fences(self, is_sealed):
        """Until the end no process opens the target, and from the seal on none the source."""
        if self.state() == "copying":
            self.assertIn("penstock copy", refusal(self.ground, "--store", self.url))
        if is_sealed:
            self.refuse_source()

    def refuse_source(self):
        self.assertIn("store-sealed", refusal(self.ground, "--data",
                                              str(self.ground.path / "data")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=4)
    parser.add_argument("--seed", type=int, default=options.seed)
    parser.add_argument("--workers", type=int, default=6)
    rest = parser.parse_known_args(sys.argv[2:], namespace=options)[1]
    sys.argv[2:] = rest
    harness.main()
