"""A secret that is given in any setting is never printed: not in a refusal, not in the log, not by
--print-config, --help or /metrics."""

import contextlib
import os
import re
import resource
from pathlib import Path

import harness

CANARY = "C4nary" * 5
KEY = "PENSTOCK_ADMIN_KEY"

# Every way to hold a password in what should be a URL, well-formed or not. Port 1 refuses.
STORES = [
    "postgres://u:{c}@127.0.0.1:1/db",
    "postgres://{c}@127.0.0.1:1/db",
    "postgres://u:a@{c}@127.0.0.1:1/db",
    "postgres://u:{c}@a@127.0.0.1:1/db",
    "postgres://u:{c}%zz@127.0.0.1:1/db",
    "postgres://u:{c}%@127.0.0.1:1/db",
    "postgres://u:{c}%00@127.0.0.1:1/db",
    "postgres://u:a/{c}@127.0.0.1:1/db",
    "postgres://u:{c}/a@127.0.0.1:1/db",
    "postgres://u:{c}#a@127.0.0.1:1/db",
    "postgres://u:{c}?a@127.0.0.1:1/db",
    "postgres://u:{c}@[::1/db",
    "postgres://u:{c}@127.0.0.1:99999999/db",
    "postgres://u:{c}",
    "postgres://{c}:{c}@127.0.0.1:1/db",
    "postgres://127.0.0.1:1/db?password={c}",
    "postgres://127.0.0.1:1/db?pass%77ord={c}",
    "postgres://127.0.0.1:1/db?{c}",
    "postgres://127.0.0.1:1/db?{c}={c}",
    "postgres://127.0.0.1:1/db?password=a={c}",
    "postgresql:///db?host=/nowhere&password={c}",
    "host=127.0.0.1 port=1 password={c}",
    "host=127.0.0.1 password='a {c}'",
    "postgres:u:{c}@h",
    "sqlite://u:{c}@h",
    "memory:{c}",
    "aws:{c}",
    "{c}",
]
URLS = [
    "http://u:{c}@127.0.0.1:1",
    "http://{c}@127.0.0.1:1",
    "http://127.0.0.1:1/?token={c}",
    "http://u:{c}@[::1",
    "ftp://u:{c}@127.0.0.1",
    "http://127.0.0.1:1/#{c}",
    "http://u:p w{c}@h",
    "u:{c}@h",
    "{c}",
]
BAD_KEYS = [CANARY + "\n", CANARY + " ", CANARY[:10], CANARY + "\x01", CANARY * 20, "\xe9" + CANARY]


class Secrets(harness.ProgramTest):

    def assert_hidden(self, text, what):
        for seen in (CANARY, CANARY[:10]):
            self.assertNotIn(seen, text, what)

    def tries(self, *arguments, environment=None, codes=(1, 2)):
        done = self.ground.run(*arguments, environment=environment)
        what = f"{arguments} {environment}: {done.returncode} {done.stdout} {done.stderr}"
        self.assert_hidden(done.stdout + done.stderr, what)
        self.assertIn(done.returncode, codes, what)
        self.assertTrue(done.stderr.strip() or done.returncode == 0, what)

    def file(self, name, value):
        path = self.ground.path / "settings.toml"
        escaped = "".join(c if 31 < ord(c) < 127 and c not in '"\\' else f"\\u{ord(c):04x}"
                          for c in value)
        path.write_text(f'{name} = "{escaped}"\n')
        return str(path)

    def everywhere(self, name, value):
        """The setting from a flag, the environment and a file: started, and printed."""
        variable = "PENSTOCK_" + name.upper().replace("-", "_")
        data = ("--data", str(self.ground.path / "data"), "--listen", "127.0.0.1:0")
        for more, codes in (((), (1, 2)), (("--print-config",), (0, 2))):
            self.tries("serve", *data, *more, f"--{name}={value}", codes=codes)
            self.tries("serve", *data, *more, environment={variable: value}, codes=codes)
            self.tries("serve", *data, *more, "--config", self.file(name, value), codes=codes)

    def test_of_a_store(self):
        for form in STORES:
            store = form.format(c=CANARY)
            self.everywhere("store", store)
            environment = {"PENSTOCK_STORE": store}
            self.tries("worker", "--stage", "inventory", environment=environment)
            for command in ("check", "migrate"):
                self.tries(command, environment=environment)
                self.tries(command, "--store", store)
            self.tries("copy", "--from", "rocksdb:nowhere", "--to", store)
            self.tries("copy", "--from", store, "--to", store)

    def test_of_a_gateway_and_a_fulfiller(self):
        for form in URLS:
            url = form.format(c=CANARY)
            # A well-formed one is no error: the server would start.
            if form == "http://127.0.0.1:1/?token={c}":
                continue
            self.everywhere("gateway", url)
            self.everywhere("fulfiller-hook", url)

    def test_of_a_running_server(self):
        url = f"http://127.0.0.1:1/?token={CANARY}"
        server = self.ground.server(
            "--log-level", "debug", "--retry-base", "1ms", "--retry-cap", "5ms", environment={
                KEY: CANARY, "PENSTOCK_GATEWAY": "http://127.0.0.1:1",
                "PENSTOCK_FULFILLER_HOOK": url})
        client = server.client({"Authorization": f"Bearer {CANARY}"})
        client.set_stock("p", 10)
        order = client.place(harness.order_body("p")).json()["order_id"]
        client.until(order, lambda seen: seen["status"] != "placed", "is reserved")
        for path in ("/metrics", "/", f"/orders/{order}", f"/orders/{order}/why", "/queues"):
            self.assert_hidden(client.get(path).body.decode(), path)
        with contextlib.closing(server.client({"Authorization": f"Bearer {CANARY}x"})) as wrong:
            self.assert_hidden(wrong.get("/queues").body.decode(), "a refused key")
        client.close()
        self.assertEqual(server.terminate(), 0)
        self.assert_hidden(server.log(), server.log())

    def test_of_an_admin_key(self):
        for key in BAD_KEYS:
            if "\n" not in key and "\x01" not in key:
                self.tries("serve", "--config", self.file("admin-key", key), codes=(2,))
            self.tries("serve", environment={KEY: key}, codes=(2,))
        self.tries("serve", "--print-config", environment={KEY: CANARY}, codes=(0,))
        self.tries("serve", "--admin-key", CANARY, codes=(2,))
        self.tries("serve", f"--admin-key={CANARY}", codes=(2,))
        self.tries("serve", f"--adminkey={CANARY}", codes=(2,))
        self.tries("serve", CANARY, codes=(2,))
        broken = self.ground.path / "broken.toml"
        for text in (f'admin-key = "{CANARY}\n', f'admin-key = "{CANARY}" x\n',
                     f'admin-key = "{CANARY}"\nadmin-key = "{CANARY}"\n',
                     f'admin-key = ["{CANARY}"]\n', f'[admin-key]\nx = "{CANARY}"\n',
                     f'admin_key = "{CANARY}"\n'):
            broken.write_text(text)
            self.tries("serve", "--config", str(broken), codes=(2,))

    def test_of_the_commands_that_ask_a_server(self):
        for command in (("orders", "list"), ("queues",), ("dead-letters", "list")):
            self.tries(*command, "--server", "http://127.0.0.1:1", "--key", CANARY)
            self.tries(*command, "--server", "http://127.0.0.1:1", environment={KEY: CANARY})
            for form in URLS:
                self.tries(*command, "--server", form.format(c=CANARY))
            self.tries(*command, "--help", environment={KEY: CANARY}, codes=(0,))
        self.tries("bench", "--help", environment={KEY: CANARY}, codes=(0,))
        self.tries("serve", "--help", environment={KEY: CANARY,
                                                   "PENSTOCK_STORE": f"postgres://u:{CANARY}@h"},
                   codes=(0,))

    def test_a_masked_value_that_is_read_back_is_refused(self):
        store = "postgres://u:secret@127.0.0.1:1/db"
        for environment in ({KEY: CANARY}, {"PENSTOCK_STORE": store}):
            shown = self.ground.run("serve", "--print-config", environment=environment)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            path = self.ground.path / "printed.toml"
            path.write_text(shown.stdout)
            done = self.ground.run("serve", "--config", str(path))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertTrue(re.search(r"in place of the value", done.stderr), done.stderr)

    def test_a_crash_leaves_no_dump_and_root_is_warned(self):
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, before)
        server = self.ground.server()
        server.await_ready()
        gateway = self.ground.gateway()
        gateway.await_ready()
        for process in (server, gateway):
            limits = Path(f"/proc/{process.pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 ")
            warned = [r for r in process.records() if "runs as root" in r["message"]]
            self.assertEqual(len(warned), 1 if os.geteuid() == 0 else 0)


if __name__ == "__main__":
    harness.main()
