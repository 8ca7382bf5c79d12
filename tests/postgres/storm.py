"""Orders on a shared database while its processes are killed and it is itself restarted: whatever
was acknowledged ends exactly once, and money and stock add up.

    storm.py PENSTOCK [--restarts N] [--seed N] [--seconds N] [--workers N]
             [--kind processes|database]

Two servers take orders in, and one of them works on what it takes; workers run the stages, two of
them payment; a gateway process loses replies, fails and declines. `processes`: they are killed at
random moments and come back, under their own names or, for payment, while another has taken over at
the lease's end. `database`: the server is stopped without a farewell and started again under load.
The judge is crash.py's.
"""

import argparse
import asyncio
import sys
import time

import database
import crash
import harness
from database import Database, Worker

options = crash.options
options.kind = "processes"
QUICK = ("--retry-base", "50ms", "--retry-cap", "400ms", "--lease", "2s")


class SharedStorm(crash.Storm):
    """The processes on one database; `server` is the one that the verdict asks."""

    def __init__(self, ground, test):
        super().__init__(ground)
        self.test = test
        self.url = self.new_store()
        done = ground.run("migrate", "--store", self.url)
        test.assertEqual(done.returncode, 0, done.stderr)
        gateway = ("--gateway", self.gateway.url, "--gateway-timeout", "10s")
        self.plans = {
            "second": lambda: harness.Server(
                ground, "--store", self.url, "--node", "second", "--stages",
                "ingest,inventory,payment,fulfillment", *gateway, *QUICK, data="second"),
            "inventory": lambda: self._worker("inventory", "inventory"),
            "payment-1": lambda: self._worker("payment-1", "payment", *gateway),
            "payment-2": lambda: self._worker("payment-2", "payment,fulfillment", *gateway),
            "fulfillment": lambda: self._worker("fulfillment", "fulfillment"),
            "notification": lambda: self._worker("notification", "notification",
                                                 "--webhook-allow-private"),
        }
        self.running = {name: plan().await_ready() for name, plan in self.plans.items()}

    def new_store(self):
        """Starts the database; its URL."""
        self.database = Database(self.ground)
        self.test.addCleanup(self.database.close)
        return self.database.url()

    def _worker(self, node, stages, *more):
        return Worker(self.ground, "--store", self.url, "--node", node, "--stage", stages, *QUICK,
                      *more)

    def start(self):
        return harness.Server(self.ground, "--store", self.url, "--node", "first", "--stages",
                              "ingest", *QUICK)

    def where(self):
        """One of the servers that take orders in."""
        servers = [s for s in (self.server, self.running.get("second")) if s and s.running()]
        return self.random.choice(servers).address() if servers else None

    def _goes_on(self):
        if options.seconds:
            return time.monotonic() < self.deadline
        return sum(self.kills.values()) < options.restarts

    async def run(self):
        while self._goes_on():
            await asyncio.sleep(self.random.uniform(0.2, 0.9))
            if options.kind == "database":
                await self._restart_database()
            elif self.random.random() < 0.15:
                await self._restart_gateway()
            elif self.random.random() < 0.2:
                await self._restart_first()
            else:
                await self._restart_one()

    async def _restart_database(self):
        await asyncio.to_thread(self.database.stop_immediately)
        self.kills["database"] += 1
        await asyncio.sleep(self.random.choice((0, self.random.uniform(0, 1.5))))
        self.database.launch()
        await asyncio.to_thread(self.database.await_ready)
        await asyncio.sleep(self.random.uniform(0.5, 2))

    async def _restart_first(self):
        server, self.server = self.server, None
        await asyncio.to_thread(server.kill)
        self.kills["first"] += 1
        server = self.start()
        await asyncio.to_thread(server.await_ready)
        self.server = server

    async def _restart_one(self):
        name = self.random.choice(list(self.plans))
        process = self.running.pop(name)
        await asyncio.to_thread(process.kill)
        self.kills[name] += 1
        # Long enough, now and then, for others to take its work over at the lease's end.
        await asyncio.sleep(self.random.choice((0, 0.3, 2.5)))
        process = self.plans[name]()
        await asyncio.to_thread(process.await_ready)
        self.running[name] = process


class SharedOrders(crash.OrdersUnderKill):
    store_may_be_away = True

    def new_storm(self):
        return SharedStorm(self.ground, self)

    def store_flags(self):
        return ("--store", self.storm.url)

    def test_what_was_acknowledged_ends_exactly_once_and_the_books_balance(self):
        super().test_what_was_acknowledged_ends_exactly_once_and_the_books_balance()
        for name, process in self.storm.running.items():
            self.assertTrue(process.running(), f"{name}:\n{process.log()[-3000:]}")
            self.assertEqual(process.terminate(), 0, process.log()[-3000:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=options.seed)
    parser.add_argument("--seconds", type=float, default=options.seconds)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--kind", choices=("processes", "database"), default=options.kind)
    rest = parser.parse_known_args(sys.argv[2:], namespace=options)[1]
    sys.argv[2:] = rest
    harness.main()
