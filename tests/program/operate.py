"""Running the program: its command line, settings, keys, logs, locks and clock."""

import json
import os

import harness
from harness import Server, expect, order_body, wait_until

STAGES = ["ingest", "inventory", "payment", "fulfillment", "notification"]
KEY = "correct-horse-battery-staple"
LOG_FIELDS = {"time", "level", "message"}


class CommandLine(harness.ProgramTest):

    def test_wrong_use_exits_with_2_and_says_why(self):
        serve = ["serve", "--listen", "127.0.0.1:0", "--data", "data"]
        for arguments in ([], ["no-such-command"], ["serve", "--no-such-flag"],
                          [*serve, "surplus"], ["serve", "--listen", "nowhere"],
                          ["serve", "--listen", "127.0.0.1:99999"],
                          [*serve, "--drain-seconds", "x"], [*serve, "--drain-seconds", "-1"],
                          [*serve, "--max-active", "0"], [*serve, "--default-rate", "0"],
                          [*serve, "--default-burst", "many"], [*serve, "--log-level", "loud"],
                          [*serve, "--store", "floppy:a"], [*serve, "--gateway", "not a url"],
                          [*serve, "--config", "missing.toml"], [*serve, "--retry-base", "soon"],
                          ["gateway", "--decline", "2"], ["gateway", "--drop-reply", "-0.1"],
                          ["gateway", "--listen", "0.0.0.0:0"], ["check", "--no-such-flag"],
                          ["bench", "--no-such-flag"]):
            with self.subTest(arguments):
                done = self.ground.run(*arguments)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertTrue(done.stderr.strip(), "wrong use is explained on stderr")
        self.assertFalse((self.ground.path / "data").exists(), "nothing was made")

    def test_help_and_version_exit_with_0(self):
        for arguments in (["--help"], ["--version"], ["serve", "--help"], ["gateway", "--help"],
                          ["check", "--help"]):
            with self.subTest(arguments):
                done = self.ground.run(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.strip())

    def test_every_code_is_explained_by_the_binary_alone(self):
        for code in ("quota-exceeded", "temporarily-reduced-capacity", "disk-full", "store-locked",
                     "payment-declined", "insufficient-stock", "clock-moved"):
            with self.subTest(code):
                done = self.ground.run("explain", code)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(code, done.stdout)
        self.assertEqual(self.ground.run("explain", "no-such-code").returncode, 1)

    def test_print_config_tells_what_is_in_force_and_from_where(self):
        config = self.ground.path / "penstock.toml"
        config.write_text("max-active = 500\ndrain-seconds = 7\ndefault-burst = 44\n")
        done = self.ground.run("serve", "--config", str(config), "--drain-seconds", "9",
                               "--print-config",
                               environment={"PENSTOCK_DEFAULT_BURST": "55",
                                            "PENSTOCK_DRAIN_SECONDS": "8",
                                            "PENSTOCK_ADMIN_KEY": KEY})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(KEY, done.stdout + done.stderr, "a secret is masked")
        lines = {line.split("=")[0].strip(): line for line in done.stdout.splitlines()
                 if "=" in line}

        def tells(name, value, *source):
            self.assertIn(value, lines[name])
            self.assertTrue(any(word in lines[name].lower() for word in source), lines[name])
        tells("drain-seconds", "9", "flag")
        tells("default-burst", "55", "environment", "env")
        tells("max-active", "500", "penstock.toml", "file")
        tells("log-level", "info", "default")
        self.assertFalse((self.ground.path / "penstock-data").exists(), "nothing was started")

    def test_an_unknown_key_of_the_file_is_wrong_use(self):
        config = self.ground.path / "penstock.toml"
        for text in ("max-aktive = 5\n", "max-active = \"many\"\n", "max-active = \n"):
            config.write_text(text)
            done = self.ground.run("serve", "--config", str(config), "--print-config")
            self.assertEqual(done.returncode, 2, text + done.stdout + done.stderr)


class Keys(harness.ProgramTest):

    def test_an_open_server_listens_on_loopback_only(self):
        for address in ("0.0.0.0:0", "[::]:0"):
            done = self.ground.run("serve", "--data", str(self.ground.path / "data"), "--listen",
                                   address)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn("loopback", done.stderr.lower())
        server = Server(self.ground, listen="0.0.0.0:0", environment={"PENSTOCK_ADMIN_KEY": KEY})
        port = server.address()[1]
        client = harness.Client("127.0.0.1", port)
        harness.wait_until(lambda: client.get("/readyz").status == 200, "the server is ready")
        client.close()

    def test_with_an_admin_key_everything_but_health_needs_it(self):
        server = self.ground.server(environment={"PENSTOCK_ADMIN_KEY": KEY})
        client = server.client()
        self.addCleanup(client.close)
        requests = [("POST", "/orders", order_body()), ("GET", "/orders", None),
                    ("GET", "/orders/x", None), ("GET", "/queues", None), ("GET", "/metrics", None),
                    ("PUT", "/inventory/p", {"on_hand": 1}), ("GET", "/inventory/p", None),
                    ("PUT", "/tenants/t", {"rate_per_second": 1, "burst": 1}),
                    ("GET", "/tenants", None), ("GET", "/dead-letters", None),
                    ("POST", "/dead-letters/redrive", {}), ("GET", "/owed-refunds", None),
                    ("GET", "/nowhere", None)]
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "},
                      {"Authorization": f"Basic {KEY}"}, {"Authorization": KEY},
                      {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Bearer {KEY[:-1]}"}):
            for method, path, body in requests:
                with self.subTest(headers=wrong, path=path):
                    reply = client.request(method, path, body, headers=wrong)
                    if reply.status == 429:  # too many wrong keys from this address by now
                        expect(reply, 429, "too-many-failures")
                        self.assertGreaterEqual(int(reply.headers["retry-after"]), 1)
                        continue
                    expect(reply, 401, "unauthorized")
                    self.assertIn("Bearer", reply.headers["www-authenticate"])
        for path in ("/healthz", "/readyz"):
            expect(client.get(path), 200)
        good = {"Authorization": f"Bearer {KEY}"}
        expect(client.put("/inventory/p", {"on_hand": 5}, headers=good), 200)
        reply = expect(client.post("/orders", order_body("p"), headers=good), 202)
        path = f"/orders/{reply.json()['order_id']}?wait=30"
        self.assertEqual(expect(client.get(path, headers=good), 200).json()["status"], "fulfilled")
        expect(client.get("/metrics", headers=good), 200)
        self.assertEqual(server.terminate(), 0)
        self.assertNotIn(KEY, server.log())


class Logs(harness.ProgramTest):

    def records(self, server):
        """Every line of the log; each must be one JSON object."""
        found = []
        for line in server.log().splitlines():
            record = json.loads(line)
            self.assertLessEqual(LOG_FIELDS, set(record), line)
            self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
            self.assertIn(record["level"], ("debug", "info", "warning", "error"))
            found.append(record)
        return found

    def test_an_order_is_followed_through_all_five_stages_by_its_correlation_id(self):
        server = self.ground.server("--demo-catalog", "--log-level", "debug")
        client = server.client()
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        reply = client.place(order_body(customer_id="cust-visible",
                                        metadata={"secret-note": "the-canary"}),
                             headers={"X-Correlation-Id": "follow-me", "traceparent": trace})
        order_id = reply.json()["order_id"]
        client.place(order_body())
        client.ended(order_id)
        client.until(order_id, lambda _: any(e["stage"] == "notification"
                                             for e in client.events(order_id)), "is notified")
        client.close()
        self.assertEqual(server.terminate(), 0)
        records = self.records(server)
        mine = [r for r in records if r.get("correlation_id") == "follow-me"]
        stages = [r["stage"] for r in mine if "stage" in r]
        self.assertEqual(list(dict.fromkeys(stages)), STAGES, mine)
        for record in mine:
            self.assertEqual(record.get("order_id", order_id), order_id, record)
        for record in records:
            if record.get("order_id") == order_id:
                self.assertEqual(record.get("correlation_id"), "follow-me", record)
        self.assertNotIn("the-canary", server.log(), "no customer data beyond ids")
        print(f"{len(mine)} of {len(records)} lines follow the order")

    def test_at_info_the_log_tells_the_service_and_not_each_order(self):
        server = self.ground.server("--demo-catalog")
        client = server.client()
        for _ in range(50):
            client.place(order_body())
        dead = client.place(order_body(method="pm_reject"),
                            headers={"X-Correlation-Id": "dead-one"}).json()["order_id"]
        client.until(dead, lambda o: o["dead_letter"], "is dead-lettered")
        expect(client.post("/orders", b"{"), 400)
        client.close()
        self.assertEqual(server.terminate(), 0)
        records = self.records(server)
        self.assertLess(len(records), 40, "not a line an order")
        told = [r for r in records if r.get("order_id") == dead]
        self.assertTrue(told and all(r["correlation_id"] == "dead-one" for r in told), records)
        self.assertIn("code", told[0])
        self.assertTrue(any(r.get("code") == "malformed-json" for r in records), records)


class DataDirectory(harness.ProgramTest):

    def test_a_second_process_on_the_same_data_is_refused(self):
        server = self.ground.server("--demo-catalog")
        done = self.ground.run("serve", "--listen", "127.0.0.1:0", "--data",
                               str(self.ground.path / "data"))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("store-locked", done.stderr)
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        client.close()

    def test_a_damaged_store_is_never_served_as_if_it_were_whole(self):
        server = self.ground.server("--demo-catalog", "--memory-budget", "16")
        client = server.client()
        body = order_body(metadata={f"pad-{n}": "x" * 480 for n in range(20)})
        tables = []
        while not tables:  # until memory was written out as tables
            for _ in range(100):
                last = client.place(body).json()["order_id"]
            client.ended(last)
            tables = sorted((self.ground.path / "data").rglob("*.sst"),
                            key=lambda p: p.stat().st_size)
        client.close()
        self.assertEqual(server.terminate(), 0)
        tables = sorted((self.ground.path / "data").rglob("*.sst"), key=lambda p: p.stat().st_size)
        self.ground.check()
        with open(tables[-1], "r+b") as table:
            for offset in range(0, tables[-1].stat().st_size // 2, 512):
                table.seek(offset)
                table.write(b"\xde\xad\xbe\xef")
        done = self.ground.run("check", "--data", str(self.ground.path / "data"))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("store-corrupt", done.stdout + done.stderr)

    def clock(self, hours):
        """The environment of a process whose wall clock is off by so much."""
        library = os.environ.get("CLOCK_SHIFT_LIBRARY")
        if not library:
            self.skipTest("CLOCK_SHIFT_LIBRARY does not name the built clock_shift")
        if harness.is_sanitized():
            self.skipTest("a sanitizer wants to be the first library")
        return {"LD_PRELOAD": library, "CLOCK_SHIFT_SECONDS": str(int(hours * 3600))}

    def test_a_clock_far_from_the_last_stored_time_is_refused(self):
        server = self.ground.server("--demo-catalog")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        order = client.ended(order_id)
        client.close()
        self.assertEqual(server.terminate(), 0)
        data = str(self.ground.path / "data")
        for shift in (-2, 25):
            with self.subTest(shift):
                done = self.ground.run("serve", "--listen", "127.0.0.1:0", "--data", data,
                                       environment=self.clock(shift))
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("clock-moved", done.stderr)
        # Within the bounds it starts; told to, it starts beyond them too.
        for shift, flags in ((-0.5, ()), (20, ()), (-2, ("--accept-clock",))):
            with self.subTest(shift):
                server = self.ground.server(*flags, environment=self.clock(shift))
                client = server.client()
                self.assertEqual(client.order(order_id), order)
                another = client.place(order_body()).json()["order_id"]
                self.assertEqual(client.ended(another)["status"], "fulfilled")
                client.close()
                server.kill()

    def test_months_of_history_go_when_they_are_old_enough(self):
        server = self.ground.server("--demo-catalog", "--history-months", "1")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        client.until(order_id, lambda _: len(client.events(order_id)) == 5, "is notified")
        client.close()
        self.assertEqual(server.terminate(), 0)
        later = {"environment": self.clock(80 * 24)}
        server = self.ground.server("--accept-clock", **later)
        client = server.client()
        expect(client.get(f"/orders/{order_id}"), 200)
        client.close()
        self.assertEqual(server.terminate(), 0)
        server = self.ground.server("--history-months", "1", **later)
        client = server.client()
        wait_until(lambda: client.get(f"/orders/{order_id}").status == 404, "the month is gone")
        kept = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(kept)["status"], "fulfilled")
        client.close()
        self.assertEqual(server.terminate(), 0)
        done = self.ground.run("check", "--data", str(self.ground.path / "data"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_everything_is_kept_over_a_clean_restart(self):
        server = self.ground.server("--demo-catalog")
        client = server.client()
        expect(client.put("/tenants/kept", {"rate_per_second": 5, "burst": 6, "weight": 3}), 200)
        client.set_stock("kept", 20, "kept")
        ids = [client.place(order_body("kept", 2, tenant_id="kept")).json()["order_id"],
               client.place(order_body(method="pm_decline")).json()["order_id"]]
        dead = client.place(order_body(method="pm_reject")).json()["order_id"]
        for order_id in ids:
            client.ended(order_id)
        client.until(dead, lambda o: o["dead_letter"], "is dead-lettered")
        client.until(ids[0], lambda _: len(client.events(ids[0])) == 5, "is notified")
        client.until(ids[1], lambda _: len(client.events(ids[1])) == 5, "is notified")

        def everything():
            return ([client.order(i) for i in (*ids, dead)],
                    [client.events(i) for i in (*ids, dead)],
                    client.get(f"/orders/{ids[0]}/receipt").body, client.stock("kept", "kept"),
                    client.stock("PROD-001"), client.pages("/tenants", "tenants"),
                    client.pages("/dead-letters", "dead_letters"))
        before = everything()
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.ground.check()
        server = self.ground.server("--demo-catalog")
        client = server.client()
        self.assertEqual(everything(), before)
        client.close()

    def test_receipts_are_copied_to_files(self):
        receipts = self.ground.path / "receipts"
        server = self.ground.server("--demo-catalog", "--receipts", str(receipts))
        client = server.client()
        bodies = {}
        for number in range(20):
            order_id = client.place(order_body(quantity=number + 1)).json()["order_id"]
            client.ended(order_id)
            bodies[order_id] = client.get(f"/orders/{order_id}/receipt").body
        declined = client.place(order_body(method="pm_decline")).json()["order_id"]
        client.ended(declined)
        harness.wait_until(lambda: len(list(receipts.rglob("*.json"))) >= 20, "all are copied")
        client.close()
        self.assertEqual(server.terminate(), 0)
        copies = {p.stem: p.read_bytes() for p in receipts.rglob("*.json")}
        self.assertEqual(copies, bodies)

    def test_a_receipt_that_cannot_be_copied_hurts_no_order(self):
        receipts = self.ground.path / "receipts"
        receipts.mkdir()
        server = self.ground.server("--demo-catalog", "--receipts", str(receipts), "--retry-base",
                                    "20ms")
        receipts.rmdir()
        receipts.write_text("a file where the folder should be")
        client = server.client()
        order_id = client.place(order_body()).json()["order_id"]
        self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        expect(client.get(f"/orders/{order_id}/receipt"), 200)
        receipts.unlink()
        receipts.mkdir()
        harness.wait_until(lambda: list(receipts.rglob("*.json")), "the copy is made after all")
        client.close()


if __name__ == "__main__":
    harness.main()
