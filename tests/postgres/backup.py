"""A database that is returned to an earlier moment, as docs/postgres-operations.md says it: taken
under load, served again, and the money that it has forgotten is named and paid back.

    backup.py PENSTOCK

Once from a base backup and the archived log, to a moment that has a name; once from pg_dump. The
gateway is a process that forgets nothing: its ledger is what the returned store is held against.
"""

import contextlib
import json
import shutil
import sys
import threading
import urllib.parse

import database
import harness
from database import Database
from harness import Client, expect, order_body, wait_until
from ledger import read_ledger

ENOUGH = 25  # orders between two steps
FRONT = ("--stages", "ingest,inventory,payment")


class Archived(Database):
    """Its log goes to a folder, segment by segment."""

    def __init__(self, ground):
        self.archive = ground.path / "archive"
        self.archive.mkdir(mode=0o777)
        self.archive.chmod(0o777)
        super().__init__(ground, settings={
            "archive_mode": "on", "archive_command": f"cp %p {self.archive}/%f"})

    def archive_all(self):
        """What was written so far is in the folder."""
        segment = self.query("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until(lambda: self.query("SELECT coalesce(max(last_archived_wal), '')"
                                      " FROM pg_stat_archiver") >= segment,
                   "the log is archived")


class Returned(Database):
    """A new server on a base backup and the archive, as it was at a moment that has a name."""

    def __init__(self, ground, backup, archive, moment):
        self.backup = backup
        super().__init__(ground, settings={
            "restore_command": f"cp {archive}/%f %p", "recovery_target_name": moment,
            "recovery_target_action": "promote"})
        wait_until(lambda: self.query("SELECT pg_is_in_recovery()") == "f", "it was returned")

    def _fill(self):
        shutil.copytree(self.backup, self.path / "data", copy_function=shutil.copy2)
        (self.path / "data" / "recovery.signal").touch()
        self._own(self.path / "data")


class Ordering(threading.Thread):
    """A client that orders one after the other, each under a key."""

    def __init__(self, address):
        super().__init__()
        self.address = address
        self.placed = []  # (key, body, reply)
        self.stopping = False
        self.failure = None

    def run(self):
        try:
            with contextlib.closing(Client(*self.address)) as client:
                while not self.stopping:
                    self.place(client)
        except BaseException as failure:  # told on the main thread
            self.failure = failure

    def place(self, client, **more):
        key = f"key-{len(self.placed)}"
        body = order_body("PROD-001", customer_id=key, **more)
        reply = client.place(body, headers={"Idempotency-Key": key})
        self.placed.append((key, body, reply))
        return reply.json()["order_id"]

    def await_more(self):
        count = len(self.placed)
        wait_until(lambda: self.failure or len(self.placed) >= count + ENOUGH, "orders are placed")
        if self.failure:
            raise self.failure


class Return(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        self.primary = Archived(self.ground)
        self.addCleanup(self.primary.close)
        self.url = self.primary.url()
        self.assertEqual(self.ground.run("migrate", "--store", self.url).returncode, 0)
        self.gateway = self.ground.gateway()
        self.server = self.serve(self.url, *FRONT)
        self.worker = database.Worker(self.ground, "--store", self.url, "--stage",
                                      "fulfillment,notification").await_ready()
        self.client = self.server.client()
        self.addCleanup(self.client.close)
        self.client.set_stock("PROD-001", 1_000_000)
        self.orders = Ordering(self.server.address())
        self.addCleanup(self._stop_ordering)
        self.orders.start()
        self.orders.await_more()

    def serve(self, url, *flags):
        return harness.Server(self.ground, "--store", url, "--gateway", self.gateway.url,
                              "--node", "a", *flags).await_ready()

    def _stop_ordering(self):
        self.orders.stopping = True
        self.orders.join()

    def test_to_a_moment_of_the_archived_log(self):
        backup = self.primary.path / "backup"
        self.primary.back_up(backup)
        self.orders.await_more()
        taken_back = self._charged_order()
        self.primary.query("SELECT pg_create_restore_point('kept')")
        self._go_on_and_stop(taken_back)
        self.primary.archive_all()
        self.primary.close()
        returned = Returned(self.ground, backup, self.primary.archive, "kept")
        self._verify(returned, taken_back)

    def test_from_a_dump(self):
        taken_back = self._charged_order()
        dump = self.primary.path / "dump"
        self.primary.run("pg_dump", "-d", "postgres", "-Fc", "-n", "penstock", "-f", str(dump))
        self._go_on_and_stop(taken_back)
        self.primary.close()
        returned = Database(self.ground)
        returned.run("pg_restore", "--exit-on-error", "-d", "postgres", str(dump))
        self._verify(returned, taken_back)

    def _charged_order(self):
        """An order that waits, charged, for a process that is not there."""
        self.assertEqual(self.worker.terminate(), 0)
        order = self.client.place(order_body("PROD-001")).json()["order_id"]
        self.client.until(order, lambda o: o["status"] == "charged", "is charged")
        return order

    def _go_on_and_stop(self, taken_back):
        """What the returned store will have forgotten."""
        self.forgotten_from = len(self.orders.placed) + 1  # one was on its way
        self.orders.await_more()
        expect(self.client.post(f"/orders/{taken_back}/cancel"), 202)
        self.assertEqual(self.client.ended(taken_back)["status"], "cancelled")
        self._stop_ordering()
        self.client.close()
        for key, _, reply in self.orders.placed[self.forgotten_from:]:
            order = reply.json()["order_id"]
            self.client.until(order, lambda o: o["status"] == "charged", f"{key} is charged")
        self.client.close()
        self.assertEqual(self.server.terminate(), 0)

    def _findings(self, url):
        """What `penstock check` names of the store and the ledger: (invariant, subject)."""
        done = self.ground.run("check", "--store", url, "--ledger", str(self.gateway.ledger),
                               "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        report = json.loads(done.stdout)
        return {(f["invariant"], f["subject"]) for f in report["findings"]}

    def _verify(self, returned, taken_back):
        self.addCleanup(returned.close)
        url = returned.url()
        self.ground.check(store=("--store", url))
        stored = set(returned.query("SELECT order_id FROM penstock.active_orders UNION ALL"
                                    " SELECT order_id FROM penstock.orders").split())
        ledger = read_ledger(self.gateway.ledger)
        lost = {("stored-once", order) for order in set(ledger) - stored}
        for _, _, reply in self.orders.placed[self.forgotten_from:]:
            self.assertIn(("stored-once", reply.json()["order_id"]), lost)
        went_back = ("record-matches-ledger", taken_back)
        named = self._findings(url)
        # An order that was stored and charged later is named too: its charge is sent again.
        later = {(i, s) for i, s in named if i == "record-matches-ledger"} - {went_back}
        self.assertEqual(named, lost | later | {went_back, ("money-balances", "USD")})
        self._pay_back({order for _, order in lost}, ledger)
        self.assertEqual(self._findings(url), lost | later | {went_back})

        server = self.serve(url, *FRONT)
        client = server.client()
        self.addCleanup(client.close)
        expect(client.post(f"/orders/{taken_back}/cancel"), 202)
        self.assertEqual(client.ended(taken_back)["status"], "cancelled")
        worker = database.Worker(self.ground, "--store", url, "--stage",
                                 "fulfillment,notification").await_ready()
        self._enter_again(client, stored)
        for order in returned.query("SELECT order_id FROM penstock.active_orders").split():
            self.assertEqual(client.ended(order)["status"], "fulfilled")
        client.close()
        for process in (server, worker):
            self.assertEqual(process.terminate(), 0, process.log()[-2000:])
        self.assertEqual(self._findings(url), lost)
        print(f"{len(stored)} orders returned, {len(lost)} forgotten, {len(later)} charged later")

    def _pay_back(self, orders, ledger):
        with contextlib.closing(Client("127.0.0.1", self.gateway.port)) as gateway:
            for order in orders:
                capture, = ledger[order].captures
                form = urllib.parse.urlencode({
                    "amount": capture["minor_units"], "currency": capture["currency"],
                    "metadata[order_id]": order, "charge_key": capture["idempotency_key"]})
                expect(gateway.post("/v1/refunds", form, headers={
                    "Idempotency-Key": f"{order}/refund",
                    "Content-Type": "application/x-www-form-urlencoded"}), 200)

    def _enter_again(self, client, stored):
        """Every order under its old key: what is known is what it was, the rest is a new order."""
        for key, body, reply in self.orders.placed:
            again = client.place(body, headers={"Idempotency-Key": key})
            if reply.json()["order_id"] in stored:
                self.assertEqual(again.body, reply.body)
                self.assertEqual(again.headers.get("idempotent-replayed"), "true")
            else:
                self.assertNotEqual(again.json()["order_id"], reply.json()["order_id"])
                client.ended(again.json()["order_id"])


if __name__ == "__main__":
    harness.main()
