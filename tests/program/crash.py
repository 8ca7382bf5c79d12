"""Orders under kill -9: whatever was acknowledged ends exactly once, and money and stock add up.

    crash.py PENSTOCK [--restarts N] [--seed N] [--seconds N] [--workers N]

A gateway process of its own loses replies, fails and declines; clients keep ordering, repeating,
reading and cancelling; one tenant is told of every end by webhook; the server is killed again and
again, sometimes while it recovers, and the gateway a few times too. Then the books are read: the
server's answers, and `penstock check` over all that clients were told, the gateway's own ledger,
what the webhooks' receiver saw, and the store. `--seconds` goes on until that time is over, however
many restarts.
"""

import argparse
import asyncio
import collections
import json
import random
import sys
import time

import harness
from harness import TERMINAL, Server, expect, wait_until
from history import History
from ledger import read_lines
from load import Connection, Load, Mix
from sinks import Sink
from webhooks import SECRET, signatures

PLENTY, SCARCE = 10_000_000, 25
REPORTED_FAILURES = 3  # and then an order is dead-lettered, not before
FAIL_SHARE = 0.02

options = argparse.Namespace(restarts=25, seed=20261122, seconds=0.0, workers=12)


class Storm:
    """The server that is killed, and who kills it."""

    def __init__(self, ground):
        self.ground = ground
        self.random = random.Random(options.seed)
        self.gateway = ground.gateway("--drop-reply", "0.05", "--fail", str(FAIL_SHARE),
                                      "--decline", "0.02", "--latency", "20")
        self.server = None
        self.kills = collections.Counter()
        self.deadline = time.monotonic() + options.seconds

    def start(self):
        """A server process; not ready yet."""
        return Server(self.ground, "--gateway", self.gateway.url, "--retry-base", "50ms",
                      "--retry-cap", "400ms", "--gateway-timeout", "10s",
                      "--webhook-allow-private")

    def where(self):
        return self.server.address() if self.server else None

    async def run(self):
        """Kills and starts again, as often or as long as asked."""
        while self._goes_on():
            await asyncio.sleep(self.random.uniform(0.1, 0.9))
            if self.random.random() < 0.2:
                await self._restart_gateway()
            server, self.server = self.server, None
            await asyncio.to_thread(server.kill)
            self.kills["server"] += 1
            if self.random.random() < 0.35:
                early = self.start()
                await asyncio.sleep(self.random.uniform(0, 0.15))
                await asyncio.to_thread(early.kill)
                self.kills["server while it recovered"] += 1
            server = self.start()
            await asyncio.to_thread(server.await_ready)
            self.server = server

    def _goes_on(self):
        if options.seconds:
            return time.monotonic() < self.deadline
        restarts = self.kills["server"] + self.kills["server while it recovered"]
        return restarts < options.restarts

    async def _restart_gateway(self):
        await asyncio.to_thread(self.gateway.kill)
        self.kills["gateway"] += 1
        await asyncio.sleep(self.random.uniform(0, 0.2))
        self.gateway = self.gateway.restart()
        await asyncio.to_thread(self.gateway.await_ready)


class OrdersUnderKill(harness.ProgramTest):
    """One long test: the parts of the verdict share the same storm."""

    def test_what_was_acknowledged_ends_exactly_once_and_the_books_balance(self):
        began = time.monotonic()
        self.storm = self.new_storm()
        self.mix = Mix()
        self.history = History(self.ground.path / "history.jsonl")
        self.addCleanup(self.history.close)
        self.storm.server = self.storm.start().await_ready()
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        client = self.storm.server.client()
        self._put_stock(client)
        self._subscribe(client)
        client.close()
        self.load = Load(self.storm.where, options.seed, self.history, workers=options.workers,
                         mix=self.mix)
        asyncio.run(self._weather())
        stormed = time.monotonic()

        client = self.storm.server.client()
        redriven = self._drain(client)
        told = self._await_deliveries(client)
        self.history.quiescent()
        drained = time.monotonic()
        self.stored = {order["order_id"]: order for tenant in self.mix.tenants
                       for order in client.pages(f"/orders?tenant_id={tenant}&limit=500", "orders")}
        self.assertEqual(self.load.counts.failures, [])
        self._count(redriven)
        print(f"{len(self.sink.arrivals)} deliveries of {told} ends")
        self._verify_orders(client)
        self._verify_restart(client)
        print(f"seconds: storm {stormed - began:.1f}, drain {drained - stormed:.1f}, "
              f"verify {time.monotonic() - drained:.1f}")

    # Whether the server may have to find its store again, which a client is told by 503.
    store_may_be_away = False

    def new_storm(self):
        return Storm(self.ground)

    def store_flags(self):
        """What names the store to `penstock check`."""
        return ("--data", str(self.ground.path / "data"))

    async def _weather(self):
        load = asyncio.create_task(self.load.run())
        try:
            await self.storm.run()
        finally:
            self.load.stopping = True
        await asyncio.wait_for(load, harness.HANG_SECONDS)

    def _put_stock(self, client):
        for tenant in self.mix.tenants:
            for products, amount in ((self.mix.plenty, PLENTY), (self.mix.scarce, SCARCE)):
                for product in products:
                    with self.history.operation("set_stock", tenant, product_id=product,
                                                on_hand=amount) as operation:
                        reply = client.put(f"/inventory/{product}",
                                           {"on_hand": amount, "tenant_id": tenant})
                        operation.complete(reply.status, reply.headers, reply.body)
                    expect(reply, 200)

    def _subscribe(self, client):
        """The first tenant's contract, with the default's rate, and where its ends are told."""
        tenant, rate, burst = self.mix.tenants[0], 1000, 2000
        with self.history.operation("put_contract", tenant, rate_per_second=str(rate),
                                    burst=burst) as operation:
            reply = client.put(f"/tenants/{tenant}", {
                "rate_per_second": rate, "burst": burst,
                "webhook": {"url": self.sink.url + "/ends", "secret": SECRET}})
            operation.complete(reply.status, reply.headers, reply.body)
        expect(reply, 200)
        self.history.write("subscribed", tenant=tenant)

    def _await_deliveries(self, client):
        """Until the subscribed tenant was told of every end; the receiver's file for the judge."""
        tenant = self.mix.tenants[0]
        ended = {order["order_id"]
                 for order in client.pages(f"/orders?tenant_id={tenant}&limit=500", "orders")}

        def told():
            return {json.loads(a.body)["data"]["order"]["order_id"]
                    for a in list(self.sink.arrivals)}
        wait_until(lambda: ended <= told(), "every end is delivered")
        return len(ended)

    def _write_deliveries(self):
        path = self.ground.path / "webhooks.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for arrival in list(self.sink.arrivals):
                sent, right = signatures(arrival)
                order = json.loads(arrival.body)["data"]["order"]
                file.write(json.dumps({
                    "webhook_id": arrival.headers["webhook-id"], "order_id": order["order_id"],
                    "status": order["status"], "answer": 204,
                    "signature": "valid" if right in sent else "invalid"}) + "\n")
        return path

    def _drain(self, client):
        """Until nothing is active; dead letters are sent through again. How many were."""
        redriven = 0

        def is_empty():
            nonlocal redriven
            queues = client.queues()
            if queues["active"] == 0:
                return True
            answer = client.post("/dead-letters/redrive", {"stage": "payment"})
            if answer.status == 503 and self.store_may_be_away:
                return False
            redriven += expect(answer, 202).json()["redriven"]
            time.sleep(0.2)
            return False
        wait_until(is_empty, "no order is active")
        return redriven

    def _count(self, redriven):
        load, counts = self.load, self.load.counts
        print(f"seed {options.seed}: killed {dict(self.storm.kills)}; "
              f"{len(load.submissions)} submissions, "
              f"{sum(s.order_id is not None for s in load.submissions)} acknowledged, "
              f"{counts.lost} lost connections, {counts.retried_same_key} retries of a key, "
              f"{counts.replays} replays, {counts.refused} refusals, "
              f"{sum(s.cancel_acknowledged for s in load.submissions)} acknowledged cancels, "
              f"{redriven} redriven; stored {len(self.stored)}: "
              f"{dict(collections.Counter(o['status'] for o in self.stored.values()))}")

    def _verify_orders(self, client):
        cancels = {s.order_id for s in self.load.submissions if s.cancel_sent}
        keys_file = self.storm.gateway.ledger.with_name(self.storm.gateway.ledger.name + ".keys")
        declined = {line["order_id"] for line in read_lines(keys_file)
                    if line["type"] == "declined"}
        dead_letters = 0
        self.failed = []  # those with a failed attempt that their method does not explain
        for order_id, order in self.stored.items():
            self.assertIn(order["status"], TERMINAL, order)
            events = client.events(order_id)
            self.assert_timeline(order, events)
            dead_letters += self._verify_failures(order, events)
            if order["status"] == "rejected":
                products = {item["product_id"] for item in order["items"]}
                self.assertTrue(products & set(self.mix.scarce), order)
                self.assertEqual(order["reason"], "insufficient-stock", order)
            if order["status"] == "cancelled" and order_id not in cancels:
                self.assertEqual(order["reason"], "payment-declined", order)
                self.assertIn(order_id, declined, order)
            if order["payment"]["method"] == "pm_decline" and order["total"]["minor_units"]:
                self.assertNotEqual(order["status"], "fulfilled", order)
            receipt = client.get(f"/orders/{order_id}/receipt")
            if order["status"] == "fulfilled":
                self.assertEqual(expect(receipt, 200).json()["order_id"], order_id)
            else:
                expect(receipt, 404)
        self._verify_share_of_failures()
        print(f"{len(self.stored)} timelines read, {dead_letters} dead letters in them, "
              f"{len(declined)} declined at the gateway")

    def _verify_failures(self, order, events):
        """A dead letter is there for three failures that the gateway reported, and for nothing
        else: no kill and no lost reply counts. How many were dead-lettered."""
        attempts, dead_letters = [], 0
        for event in events:
            self.assertNotEqual(event["reason"], "interrupted", events)
            if event["reason"] == "gateway-unavailable":
                attempts.append(event["attempt"])
            elif event["reason"] == "redriven":
                attempts = []
            elif event["reason"] == "dead-lettered":
                dead_letters += 1
                self.assertEqual(attempts, list(range(1, REPORTED_FAILURES + 1)), (order, events))
        self.assertLessEqual(len(attempts), REPORTED_FAILURES, events)
        fails = order["payment"]["method"].startswith("pm_fail")
        if not fails and any(e["reason"] == "gateway-unavailable" for e in events):
            self.failed.append(order["order_id"])
        return dead_letters

    def _verify_share_of_failures(self):
        """Lost replies and kills are many times more frequent than reported failures: were they
        taken for failures, the share would show it. A charge sent again after a kill draws its lot
        again, hence twice the share; seven standard deviations are never passed by chance."""
        share = 2 * FAIL_SHARE
        count = len(self.stored)
        bound = share * count + 7 * (share * (1 - share) * count) ** 0.5
        self.assertLessEqual(len(self.failed), bound)
        print(f"{len(self.failed)} of {count} orders met a failure by chance (bound {bound:.0f})")

    def _verify_restart(self, client):
        """A clean end, the same answers after one more start, and the judge over all of it: what
        was acknowledged is stored once, with its content, money and stock add up, and no read went
        back."""
        client.close()
        self.assertEqual(self.storm.server.terminate(), 0)
        self.storm.server = self.storm.start().await_ready()
        with_key = [s for s in self.load.submissions if s.key and s.order_id]
        before = self.load.counts.replays
        asyncio.run(self._repeat_all(with_key))
        self.assertEqual(self.load.counts.failures, [])
        self.assertEqual(self.load.counts.replays - before, len(with_key))
        client = self.storm.server.client()
        again = {order["order_id"]: order for tenant in self.mix.tenants
                 for order in client.pages(f"/orders?tenant_id={tenant}&limit=500", "orders")}
        self.assertEqual(again, self.stored)
        client.close()
        self.assertEqual(self.storm.server.terminate(), 0)
        print(f"{len(with_key)} keys gave the same bytes after the restart")
        self.history.close()
        print(self.ground.check(self.storm.gateway.ledger, store=self.store_flags(),
                                history=self.history.path,
                                webhooks=self._write_deliveries()).strip())
        self._verify_judge()

    def _verify_judge(self):
        """The judge was not blind: the same history with an order that no store gave, and without
        what the receiver of webhooks saw, is found."""
        acknowledged = next(s for s in self.load.submissions if s.order_id)
        forged = self.ground.path / "forged.jsonl"
        stranger = acknowledged.order_id[:-12] + "0" * 12
        forged.write_text(self.history.path.read_text().replace(acknowledged.order_id, stranger))
        done = self.ground.run("check", *self.store_flags(), "--json",
                               "--ledger", str(self.storm.gateway.ledger),
                               "--history", str(forged))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        broken = json.loads(done.stdout)["invariants"]
        self.assertEqual(broken["acknowledged-is-stored"], 1, broken)
        self.assertGreater(broken["ended-is-delivered"], 0, broken)

    async def _repeat_all(self, submissions):
        connection = Connection(self.storm.where)
        for submission in submissions:
            await self.load.repeat(connection, submission)
        connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=options.restarts)
    parser.add_argument("--seed", type=int, default=options.seed)
    parser.add_argument("--seconds", type=float, default=options.seconds)
    parser.add_argument("--workers", type=int, default=options.workers)
    options, rest = parser.parse_known_args(sys.argv[2:])
    sys.argv[2:] = rest
    harness.main()
