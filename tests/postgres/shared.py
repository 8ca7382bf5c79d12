"""Processes that share a database: the commands that make and refuse one, stages in processes of
their own, what others do in place of one that is gone, and a database that is away.
"""

import contextlib
import json
import subprocess
import time

import database
import harness
from database import Pooler
from harness import Client, expect, order_body, wait_until
from ledger import assert_money, read_ledger

STAGES = ("inventory", "payment", "fulfillment", "notification")
LEASE = ("--lease", "1s")


class Commands(database.SharedTest):
    """`penstock migrate`, and what does not start."""

    def test_a_schema_is_made_once_and_a_server_without_one_says_how(self):
        self.database.query("DROP SCHEMA penstock CASCADE")
        done = self.ground.run("serve", "--store", self.url, "--listen", "127.0.0.1:0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("penstock migrate", done.stderr)
        first = self.ground.run("migrate", "--store", self.url)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("version 0 -> ", first.stdout)
        again = self.ground.run("migrate", "--store", self.url)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("nothing to migrate", again.stdout)
        self.database.query("UPDATE penstock.schema_versions SET version = version + 100")
        for command in (("migrate",), ("serve", "--listen", "127.0.0.1:0"), ("check",)):
            done = self.ground.run(*command, "--store", self.url)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("newer program", done.stdout + done.stderr)

    def test_one_name_is_one_process_and_a_sandbox_of_ones_own_charges_alone(self):
        gateway = self.ground.gateway()
        server = self.serve("--node", "a").await_ready()
        self.assertIn("keeps its ledger on this machine alone", server.log())
        for flags, why in ((("--node", "a"), 'runs as node \\"a\\"'),
                           (("--node", "b"), "would not know its charges"),
                           (("--node", "c", "--gateway", gateway.url), "a sandbox gateway of its")):
            done = self.ground.run("serve", "--store", self.url, "--listen", "127.0.0.1:0", *flags)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(why, done.stderr)
        self.assertEqual(server.terminate(), 0)
        first = self.serve("--node", "a", "--gateway", gateway.url).await_ready()
        second = self.serve("--node", "b", "--gateway", gateway.url).await_ready()
        for each in (first, second):
            self.assertEqual(each.terminate(), 0)

    def test_a_pooler_that_shares_sessions_is_refused_and_one_that_does_not_works(self):
        for mode, size in (("transaction", 5), ("transaction", 1), ("statement", 5)):
            pooler = Pooler(self.ground, self.database, mode, size)
            self.addCleanup(pooler.close)
            done = self.ground.run("serve", "--store", pooler.url(self.database), "--listen",
                                   "127.0.0.1:0")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("a pooler that shares sessions lies between", done.stderr)
        pooler = Pooler(self.ground, self.database, "session", 40)
        self.addCleanup(pooler.close)
        server = self.serve("--demo-catalog", url=pooler.url(self.database)).await_ready()
        with contextlib.closing(server.client()) as client:
            order = client.place(order_body()).json()
            self.assertEqual(client.ended(order["order_id"])["status"], "fulfilled")
        self.assertEqual(server.terminate(), 0)
        self.ground.check(store=("--store", self.url))


class Encryption(harness.ProgramTest):
    """A server that shows a certificate, and what `sslmode=verify-full` makes of it."""

    def certificate(self, name, host):
        """Of its own root; its file and its key's."""
        certificate, key = self.ground.path / f"{name}.crt", self.ground.path / f"{name}.key"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
             f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", str(key), "-out",
             str(certificate)], check=True, capture_output=True)
        return certificate, key

    def test_who_answers_is_known_or_nothing_is_sent(self):
        certificate, key = self.certificate("server", "localhost")
        stranger, _ = self.certificate("stranger", "localhost")
        database.give_to_server(key)
        node = database.Database(self.ground, harness.free_port(), settings={
            "ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)})
        self.addCleanup(node.close)

        def url(root, host="localhost"):
            return (f"postgresql://penstock@{host}:{node.port}/postgres?hostaddr=127.0.0.1"
                    f"&sslmode=verify-full&sslrootcert={root}")
        for wrong in (url(stranger), url(certificate, "elsewhere.example")):
            done = self.ground.run("migrate", "--store", wrong)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("certificate", done.stderr)
        self.assertEqual(self.ground.run("migrate", "--store", url(certificate)).returncode, 0)
        server = harness.Server(self.ground, "--store", url(certificate),
                                "--demo-catalog").await_ready()
        with contextlib.closing(server.client()) as client:
            order = client.place(order_body()).json()["order_id"]
            self.assertEqual(client.ended(order)["status"], "fulfilled")
        sessions = node.query("SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_activity"
                              " JOIN pg_stat_ssl USING (pid) WHERE application_name LIKE"
                              " 'penstock%'").split("|")
        self.assertGreater(int(sessions[0]), 0)
        self.assertEqual(sessions[0], sessions[1], "sessions, and encrypted ones")
        self.assertEqual(server.terminate(), 0)


class Stages(database.SharedTest):
    """One process a stage."""

    def setUp(self):
        super().setUp()
        self.gateway = self.ground.gateway()
        self.server = self.serve("--stages", "ingest", "--demo-catalog").await_ready()
        self.client = self.server.client()
        self.addCleanup(self.client.close)

    def stage(self, name, *more):
        gateway = ("--gateway", self.gateway.url) if name == "payment" else ()
        return self.worker("--stage", name, *LEASE, *gateway, *more)

    def verify(self, orders):
        """All of them ended, with money and stock in balance."""
        all_ended = [(order, self.client.ended(order)) for order in orders]
        movements = read_ledger(self.gateway.ledger)
        for order, ended in all_ended:
            self.assertEqual(ended["status"], "fulfilled")
            assert_money(self, ended, movements[order])
            self.assert_timeline(ended, self.client.events(order))
        report = self.ground.check(self.gateway.ledger, store=("--store", self.url))
        print(report.splitlines()[0])

    def test_an_order_passes_through_five_processes_and_its_waiter_hears_of_it(self):
        order = self.client.place(order_body()).json()["order_id"]
        self.assertEqual(self.client.order(order)["status"], "placed")
        workers = [self.stage(name) for name in STAGES]
        for worker in workers:
            worker.await_ready()
        began = time.monotonic()
        ended = expect(self.client.get(f"/orders/{order}?wait=30"), 200).json()
        self.assertEqual(ended["status"], "fulfilled")
        print(f"five processes, waited {time.monotonic() - began:.3f} s")
        with contextlib.closing(workers[0].client()) as probe:
            expect(probe.get("/healthz"), 200)
            metrics = expect(probe.get("/metrics"), 200).body
            self.assertIn(b"\npenstock_store_reachable 1\n", metrics)
            expect(probe.get(f"/orders/{order}"), 404)
        self.verify([order])
        for process in (*workers, self.server):
            self.assertEqual(process.terminate(), 0, process.log()[-2000:])

    def test_a_stage_that_is_gone_leaves_the_others_running_and_its_work_is_taken(self):
        workers = {name: self.stage(name).await_ready() for name in STAGES}
        slow = [self.client.place(order_body(method="pm_delay_60000")).json()["order_id"]
                for _ in range(3)]
        wait_until(lambda: self.client.queues()["stages"] and
                   int(self.database.query("SELECT count(*) FROM penstock.active_orders WHERE"
                                           " lease_until > now() AND stage = 3")) == 3,
                   "the charges are under way")
        workers["payment"].kill()
        placed = [self.client.place(order_body()).json()["order_id"] for _ in range(5)]
        for order in placed:
            self.client.until(order, lambda o: o["status"] == "reserved",
                              "is reserved while nobody charges")
        # Another process under another name: only the leases' end gives it the work.
        self.gateway.kill()
        self.gateway = self.gateway.again()
        successor = self.stage("payment", "--node", "successor").await_ready()
        self.verify(placed)
        for order in slow:
            expect(self.client.post(f"/orders/{order}/cancel"), 202)
        wait_until(lambda: self.database.query("SELECT count(*) FROM penstock.active_orders"
                                               " WHERE lease_owner = 'successor'") == "3" or
                   int(self.database.query("SELECT count(*) FROM penstock.active_orders")) < 3,
                   "the successor works on what the first one held")
        self.assertTrue(successor.running())
        for name in ("inventory", "fulfillment", "notification"):
            self.assertTrue(workers[name].running())


class Away(database.SharedTest):
    """A database that is stopped and comes back."""

    def test_what_needs_it_is_refused_and_everything_goes_on_by_itself(self):
        gateway = self.ground.gateway("--latency", "100")
        server = self.serve("--gateway", gateway.url, "--demo-catalog", *LEASE).await_ready()
        client = server.client()
        self.addCleanup(client.close)
        placed = [client.place(order_body(), headers={"Idempotency-Key": f"k{n}"})
                  for n in range(20)]
        self.database.stop_immediately()
        wait_until(lambda: client.get("/readyz").status == 503, "the server says it is not ready")
        expect(client.get("/healthz"), 200)
        self.assertIn(b"\npenstock_store_reachable 0\n", expect(client.get("/metrics"), 200).body)
        order = json.loads(placed[0].body)["order_id"]
        for method, path, body in (("POST", "/orders", order_body()),
                                   ("GET", f"/orders/{order}", None),
                                   ("POST", f"/orders/{order}/cancel", None),
                                   ("PUT", "/inventory/PROD-001", {"on_hand": 1})):
            reply = client.request(method, path, body)
            expect(reply, 503)
            self.assertGreaterEqual(int(reply.headers["retry-after"]), 1, path)
        self.database.start()
        server.await_ready()
        wait_until(lambda: "the database is back" in server.log(), "the log says so")
        for number, reply in enumerate(placed):
            again = client.place(order_body(), headers={"Idempotency-Key": f"k{number}"})
            self.assertEqual(again.body, reply.body)
            # A read may meet a connection that has to be opened again, and says when to retry.
            path = f"/orders/{reply.json()['order_id']}"
            wait_until(lambda at=path: client.get(at).status == 200, "the order is read")
            self.assertEqual(client.ended(reply.json()["order_id"])["status"], "fulfilled")
        self.assertEqual(len(read_ledger(gateway.ledger)), 20)
        self.ground.check(gateway.ledger, store=("--store", self.url))
        self.assertEqual(server.terminate(), 0)

    def test_a_housekeeper_that_is_gone_is_followed_by_another(self):
        gateway = self.ground.gateway()
        servers = [self.serve("--node", name, "--gateway", gateway.url).await_ready()
                   for name in ("a", "b")]

        def keepers():
            found = []
            for server in servers:
                if not server.running():
                    continue
                with contextlib.closing(Client(*server.address())) as client:
                    if b"\npenstock_housekeeper 1\n" in client.get("/metrics").body:
                        found.append(server)
            return found
        first = wait_until(keepers, "one keeps house")
        self.assertEqual(len(first), 1)
        first[0].kill()
        second = wait_until(keepers, "another keeps house")
        self.assertIsNot(second[0], first[0])


if __name__ == "__main__":
    harness.main()
