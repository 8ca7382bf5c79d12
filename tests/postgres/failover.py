"""Orders while the node that takes writes is lost and its standby takes its place: whatever was
acknowledged ends exactly once, and money and stock add up.

    failover.py PENSTOCK [--failovers N] [--seed N] [--workers N]

The processes are storm.py's, with both nodes in their URL; none is started again. Under load the
primary is stopped without a farewell and never comes back. Until its synchronous standby is
promoted no node takes writes, and every process says so; then each finds the new node by itself.
A new standby follows in the place of the lost node, for the next time. The judge is crash.py's.
"""

import argparse
import asyncio
import contextlib
import re
import sys
import threading
from pathlib import Path

import database
import crash
import harness
import storm
from database import Database, Standby
from harness import Client, expect, free_port, order_body, wait_until

options = crash.options


def url_of(*ports):
    return f"postgresql://penstock@{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres"


def metric(client, name):
    """A metric without labels."""
    for line in expect(client.get("/metrics"), 200).body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


class FailingOver(storm.SharedStorm):
    """The processes, and two nodes that change places."""

    def new_store(self):
        ports = free_port(), free_port()
        self.node = Database(self.ground, ports[0])
        self.test.addCleanup(self.node.close)
        self._follow(ports[1])
        return url_of(*ports)

    def _follow(self, port):
        self.standby = Standby(self.ground, self.node, port)
        self.test.addCleanup(self.standby.close)
        self.standby.require_for_commits()

    async def run(self):
        for _ in range(options.failovers):
            # The load goes on over the node of now, in every stage.
            ended = self._ended()
            await self._until(lambda at=ended: self._ended() > at + 15 * options.workers)
            await asyncio.sleep(self.random.uniform(0, 0.5))
            await self._fail_over()
            placed = len(self.test.load.submissions)
            await self._until(lambda at=placed: len(self.test.load.submissions) >
                              at + 5 * options.workers)

    async def _until(self, condition):
        """Work is what is waited for."""
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)

    def _ended(self):
        return int(self.node.query("SELECT count(*) FROM penstock.orders"))

    async def _fail_over(self):
        await asyncio.to_thread(self.node.stop_immediately)
        self.kills["primary"] += 1
        if self.kills["primary"] % 2 == 1:
            # On the main thread: the load stands still, as it would anyway.
            self._verify_no_node()
        # The settings of the lost node came along; this one has no standby yet.
        self.standby.set("synchronous_standby_names", "")
        await asyncio.to_thread(self.standby.promote)
        lost, self.node = self.node, self.standby
        await self._until(self._all_ready)
        self._follow(lost.port)

    def _all_ready(self):
        return all(self._ask(process, "/readyz") == 200 for process in self._processes())

    def _processes(self):
        return [self.server, *self.running.values()]

    def _ask(self, process, path):
        with contextlib.closing(Client(*process.address())) as client:
            return client.get(path).status

    def _verify_no_node(self):
        for process in self._processes():
            wait_until(lambda at=process: self._ask(at, "/readyz") == 503, "it is not ready")
            self.test.assertEqual(self._ask(process, "/healthz"), 200)
        for process in (self.server, self.running["second"]):
            with contextlib.closing(process.client()) as client:
                for method, path, body in (
                        ("POST", "/orders", order_body("plenty-1")), ("GET", "/orders", None),
                        ("PUT", "/inventory/plenty-1", {"on_hand": 1})):
                    reply = expect(client.request(method, path, body), 503)
                    self.test.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
                self.test.assertEqual(metric(client, "penstock_store_reachable"), 0)


class OrdersOverFailovers(storm.SharedOrders):

    def new_storm(self):
        return FailingOver(self.ground, self)


class StandbyLost(harness.ProgramTest):
    """One synchronous standby, and it is gone."""

    def setUp(self):
        super().setUp()
        self.primary = Database(self.ground, free_port())
        self.addCleanup(self.primary.close)
        self.standby = Standby(self.ground, self.primary, free_port())
        self.addCleanup(self.standby.close)
        self.url = url_of(self.primary.port, self.standby.port)
        self.assertEqual(self.ground.run("migrate", "--store", self.url).returncode, 0)
        self.gateway = self.ground.gateway()
        self.server = harness.Server(self.ground, "--store", self.url, "--gateway",
                                     self.gateway.url, "--demo-catalog").await_ready()
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.standby.require_for_commits()

    def waits(self):
        return int(self.primary.query("SELECT count(*) FROM pg_stat_activity"
                                      " WHERE wait_event = 'SyncRep'"))

    def test_no_commit_is_told_before_a_standby_has_it(self):
        self.standby.stop_immediately()
        replies = []

        def place():
            with contextlib.closing(self.server.client()) as client:
                replies.append(client.post("/orders", order_body(),
                                           headers={"Idempotency-Key": "k"}))
        placing = threading.Thread(target=place)
        placing.start()
        wait_until(lambda: self.waits() == 1, "the commit waits")
        # Its connection breaks: it has committed here, and nowhere else.
        self.primary.query("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
                           " WHERE wait_event = 'SyncRep'")
        wait_until(lambda: replies or self.waits() == 1, "it is looked up")
        self.assertEqual(replies, [])
        self.standby.start()
        placing.join()
        order = expect(replies[0], 202).json()["order_id"]
        # What was told is on the standby, and nothing else has to be.
        self.primary.stop_immediately()
        self.standby.set("synchronous_standby_names", "")
        self.standby.promote()
        self.server.await_ready()
        again = self.client.place(order_body(), headers={"Idempotency-Key": "k"})
        self.assertEqual(again.body, replies[0].body)
        self.assertEqual(self.client.ended(order)["status"], "fulfilled")
        self.assertEqual(self.server.terminate(), 0)
        self.ground.check(self.gateway.ledger, store=("--store", self.url))


class Lives(harness.ProgramTest):
    """What tells a server that recovered: it gives ids of transactions a second time."""

    def test_the_life_changes_with_every_recovery_and_with_nothing_else(self):
        source = Path(__file__).resolve().parents[2] / "src/adapters/postgres/statements.h"
        life = re.search(r'kServerLife\{.*?\.sql = "(.*?)"', source.read_text(), re.DOTALL)[1]
        node = Database(self.ground, free_port())
        self.addCleanup(node.close)
        lives = [node.query(life)]
        node.query("CHECKPOINT")
        self.assertEqual(node.query(life), lives[0])
        node.stop_immediately()
        node.start()
        lives.append(node.query(life))
        # One session dies: the server goes on, after a recovery.
        with contextlib.suppress(AssertionError):
            node.query("COPY (SELECT pg_backend_pid()) TO PROGRAM 'xargs kill -9'")
        node.await_ready()
        lives.append(node.query(life))
        standby = Standby(self.ground, node, free_port())
        self.addCleanup(standby.close)
        node.stop_immediately()
        standby.promote()
        lives.append(standby.query(life))
        self.assertEqual(len(set(lives)), 4, lives)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--failovers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=options.seed)
    parser.add_argument("--workers", type=int, default=4)
    rest = parser.parse_known_args(sys.argv[2:], namespace=options)[1]
    sys.argv[2:] = rest
    harness.main()
