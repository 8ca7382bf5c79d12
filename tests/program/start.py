"""Every command in every kind of environment: it runs, or it says in a line what is wrong and ends
with the right code. No signal, no abort, and nothing is written where nobody asked for it."""

import contextlib
import itertools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

import harness

UP = re.compile(r'"message":"(?:serving|gateway listening|working)"')
ABORTED = re.compile(r"terminate called|check failed|Aborted|core dumped|Assertion|what\(\):")
NOWHERE = "postgres://127.0.0.1:1/none"  # port 1 refuses
OTHER_USER = 61_000 + random.SystemRandom().randrange(3_000)
SHIFT = os.environ.get("CLOCK_SHIFT_LIBRARY")
# A full run costs seconds, so it is tried where it differs from what serve shows.
SHORT_BENCH = ("bench", "--orders", "20", "--duration", "0", "--connections", "2", "--tenants", "1",
               "--products", "2", "--silent")


def can_unshare():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"],
                                                capture_output=True).returncode == 0


def listing(*folders):
    """All paths below the folders, a few levels deep."""
    found = set()
    for folder in folders:
        for path, names, files in os.walk(folder):
            found.update(os.path.join(path, name) for name in names + files)
    return found


class Cell:
    """One run: what it may use, and what it may leave behind."""

    def __init__(self, ground):
        self.path = Path(ground.path) / f"cell-{ground.number()}"
        self.data = self.path / "data"
        self.home, self.tmp, self.cwd = (self.path / name for name in ("home", "tmp", "cwd"))
        for folder in (self.path, self.data, self.home, self.tmp, self.cwd):
            folder.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home),
                            "TMPDIR": str(self.tmp)}
        self.closed = ()
        self.limits = {}
        self.user = None
        self.before = ""  # of a shell in a mount namespace of its own

    def open_to_everybody(self):
        """Another user may write everything of the cell."""
        for folder in (self.path, self.data, self.home, self.tmp, self.cwd, self.path.parent):
            folder.chmod(0o777)
        return self

    def _prepare(self):
        harness._die_with_the_test()
        for limit, value in self.limits.items():
            resource.setrlimit(limit, (value, value))
        if self.user is not None:
            os.setgroups([])
            os.setgid(self.user)
            os.setuid(self.user)
        for descriptor in self.closed:
            os.close(descriptor)

    def start(self, arguments, stdout, stderr):
        line = [harness.binary, *arguments]
        if self.before:
            line = ["unshare", "-m", "sh", "-c", f'{self.before} && exec "$@"', "sh", *line]
        return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
                                cwd=self.cwd, env=self.environment, preexec_fn=self._prepare)


class Start(harness.ProgramTest):

    @classmethod
    def setUpClass(cls):
        cls.cells = 0

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.cells} cells")

    def cell(self):
        return Cell(self.ground)

    def command(self, name, cell):
        data = str(cell.data / "store-of")
        return {
            "serve": ("serve", "--data", data, "--listen", "127.0.0.1:0"),
            "memory": ("serve", "--store", "memory:", "--listen", "127.0.0.1:0"),
            "worker": ("worker", "--store", NOWHERE, "--stage", "inventory"),
            "gateway": ("gateway", "--listen", "127.0.0.1:0", "--ledger",
                        str(cell.data / "ledger.jsonl")),
            "check": ("check", "--data", data),
            "copy": ("copy", "--from", f"rocksdb:{data}", "--to", NOWHERE),
            "migrate": ("migrate", "--store", NOWHERE),
            "bench": (*SHORT_BENCH, "--data", data),
            "demo": ("demo", "--fast"),
        }[name]

    def run_cell(self, name, cell, codes, more=(), says=None, arguments=None):
        """Runs the command; one that serves is ended as soon as it does. Its standard error."""
        type(self).cells += 1
        arguments = arguments or self.command(name, cell)
        what = f"{' '.join(arguments)} {more}"
        out, err = cell.path / "out", cell.path / "err"
        before = listing(cell.cwd, cell.home, cell.tmp)
        root = set(os.listdir("/"))
        with open(out, "wb") as stdout, open(err, "wb") as stderr:
            child = cell.start([*arguments, *more], stdout, stderr)
        end = time.monotonic() + harness.HANG_SECONDS
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(lambda: child.poll() is None and (child.kill(), child.wait()))
            told = False
            while child.poll() is None:
                self.assertLess(time.monotonic(), end, f"{what} hangs: {err.read_text()}")
                if not told and UP.search(err.read_text(errors="replace")):
                    told = True
                    child.send_signal(signal.SIGTERM)
                # Nothing tells where nothing can be read: it has surely started by then.
                if 2 in cell.closed and not told and self.listens(child):
                    told = True
                    child.send_signal(signal.SIGTERM)
                time.sleep(0.01)
        text = err.read_text(errors="replace")
        shown = f"{what} ended with {child.returncode}:\n{text[-3000:]}"
        self.assertIn(child.returncode, codes, shown)
        self.assertIsNone(ABORTED.search(text), shown)
        if child.returncode != 0 and 2 not in cell.closed:
            self.assert_one_line(text, shown)
        if says is not None and child.returncode != 0 and 2 not in cell.closed:
            self.assertRegex(text, says, shown)
        self.assertEqual(listing(cell.cwd, cell.home, cell.tmp) - before, set(), what)
        # Other tests may put something there and take it away; a file of ours would stay.
        grown = [entry for entry in set(os.listdir("/")) - root if "penstock" in entry.lower()
                 or entry in ("store", "sandbox-ledger.jsonl")]
        self.assertEqual(grown, [], what)
        shutil.rmtree(cell.path, ignore_errors=True)
        return text

    @staticmethod
    def listens(child):
        """Whether a process without a log has a listening socket."""
        with contextlib.suppress(OSError):
            ours = {os.readlink(f"/proc/{child.pid}/fd/{name}")
                    for name in os.listdir(f"/proc/{child.pid}/fd")}
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in ours:
                    return True
        return False

    def assert_one_line(self, text, shown):
        """One line of a command, with a pointer to its help where it was used wrongly; or one of
        level error in a log."""
        lines = [line for line in text.splitlines() if line.strip()]
        records = []
        for line in lines:
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        if records:
            plain = len(lines) - len(records)
            errors = [r for r in records if r.get("level") == "error"]
            self.assertTrue(1 <= len(errors) + plain <= 2, shown)
        else:
            self.assertTrue(1 <= len(lines) <= 2, shown)
            self.assertIn("penstock", lines[0], shown)

    def fill(self, cell):
        """A store with an order in it, and its ledger."""
        if not hasattr(self, "kept"):
            server = self.ground.server("--demo-catalog", data="kept")
            client = server.client()
            client.ended(client.place(harness.order_body()).json()["order_id"])
            client.close()
            self.assertEqual(server.terminate(), 0)
            self.kept = self.ground.path / "kept"
        shutil.copytree(self.kept, cell.data / "store-of")
        return cell

    def test_as_it_should_be(self):
        self.run_cell("serve", self.cell(), (0,))
        self.run_cell("memory", self.cell(), (0,))
        self.run_cell("worker", self.cell(), (1,), says="does not open")
        self.run_cell("gateway", self.cell(), (0,))
        self.run_cell("check", self.fill(self.cell()), (0,))
        self.run_cell("check", self.cell(), (1,))
        self.run_cell("copy", self.fill(self.cell()), (1,))
        self.run_cell("copy", self.cell(), (2,), says="needs rocksdb:DIR with a store")
        self.run_cell("migrate", self.cell(), (1,))
        self.run_cell("bench", self.cell(), (0,))

    def test_data_below_a_file(self):
        for name in ("serve", "gateway", "check", "copy", "bench"):
            cell = self.cell()
            cell.data.rmdir()
            cell.data.write_text("no directory")
            self.run_cell(name, cell, (2,) if name == "copy" else (1,))

    def test_a_disk_that_is_full_or_read_only(self):
        if not can_unshare():
            self.skipTest("needs a mount namespace of its own")
        for name in ("serve", "gateway", "bench"):
            for options in ("size=64k", "size=64k,ro", "size=4m,nr_inodes=3"):
                if name == "bench" and options == "size=64k":
                    continue
                cell = self.cell()
                cell.before = f"mount -t tmpfs -o {options} none '{cell.data}'"
                # A store may just fit, and a gateway needs next to nothing before its first charge.
                fits = options == "size=64k" or name == "gateway"
                self.run_cell(name, cell, (0, 1) if fits else (1,))
        for name in ("check", "copy"):
            cell = self.fill(self.cell())
            cell.before = (f"mount --bind '{cell.data}' '{cell.data}' && "
                           f"mount -o remount,ro,bind '{cell.data}'")
            self.run_cell(name, cell, (0, 1))

    def test_no_temporary_directory(self):
        for make in (lambda cell: "/nonexistent", lambda cell: str(cell.path / "file"),
                     lambda cell: "/proc"):
            for name in ("serve", "memory", "gateway", "check", "bench", "demo"):
                cell = self.cell()
                (cell.path / "file").write_text("")
                cell.environment["TMPDIR"] = make(cell)
                if name == "check":
                    self.fill(cell)
                wants_one = name in ("memory", "bench", "demo")
                self.run_cell(name, cell, (1,) if wants_one else (0,), says="TMPDIR")

    def test_few_descriptors(self):
        for name, limit in itertools.product(("serve", "memory", "gateway", "check", "copy"),
                                             (12, 20, 40, 90)):
            cell = self.cell()
            cell.limits = {resource.RLIMIT_NOFILE: limit}
            if name in ("check", "copy"):
                self.fill(cell)
            self.run_cell(name, cell, (0, 1))
        cell = self.cell()
        cell.limits = {resource.RLIMIT_NOFILE: 40}
        self.run_cell("serve", cell, (1,), says="ulimit -n")

    @unittest.skipIf(os.geteuid() != 0, "becomes another user")
    def test_few_threads(self):
        for name, limit in itertools.product(
                ("serve", "memory", "worker", "gateway", "check", "copy"), (1, 3, 10)):
            cell = self.cell()
            if name in ("check", "copy"):
                self.fill(cell)
                subprocess.run(["chown", "-R", str(OTHER_USER), str(cell.data)], check=True)
            cell.open_to_everybody()
            cell.user = OTHER_USER
            cell.limits = {resource.RLIMIT_NPROC: limit}
            small = name == "gateway" and limit == 10
            self.run_cell(name, cell, (0, 1) if small else (1,), says="ulimit -u|ulimit -v")
        for name in ("bench", "demo"):
            cell = self.cell().open_to_everybody()
            cell.user = OTHER_USER
            cell.limits = {resource.RLIMIT_NPROC: 1}
            self.run_cell(name, cell, (1,), says="ulimit -u")

    def test_little_memory(self):
        if harness.is_sanitized():
            self.skipTest("a sanitizer reserves address space by the terabyte")
        for name, megabytes in itertools.product(("serve", "gateway", "check"),
                                                 (60, 100, 200, 400)):
            cell = self.cell()
            if name == "check":
                self.fill(cell)
            cell.limits = {resource.RLIMIT_AS: megabytes << 20}
            self.run_cell(name, cell, (0, 1, 127))  # 127: the loader found no room

    def test_closed_descriptors(self):
        for name in ("serve", "gateway", "check"):
            for closed in itertools.chain.from_iterable(
                    itertools.combinations((0, 1, 2), count) for count in (1, 2, 3)):
                cell = self.cell()
                cell.closed = closed
                if name == "check":
                    self.fill(cell)
                # What check prints is not written where there is no output.
                lost = name == "check" and 1 in closed
                self.run_cell(name, cell, (1,) if lost else (0,))
        # The next start finds no line of a log in what belongs to the gateway.
        cell = self.cell()
        cell.closed = (0, 1, 2)
        ledger = self.ground.path / "kept-ledger.jsonl"
        arguments = ("gateway", "--listen", "127.0.0.1:0", "--ledger", str(ledger))
        self.run_cell("gateway", cell, (0,), arguments=arguments)
        self.assertNotIn("level", ledger.read_text())
        self.run_cell("gateway", self.cell(), (0,), arguments=arguments)

    def test_no_home_and_no_environment(self):
        for name in ("serve", "gateway", "check"):
            for keep in ((), ("PATH", "TMPDIR")):
                cell = self.cell()
                cell.environment = {k: v for k, v in cell.environment.items() if k in keep}
                if name == "check":
                    self.fill(cell)
                self.run_cell(name, cell, (0,))

    def test_empty_and_misspelt_settings(self):
        names = ("DATA", "STORE", "ADMIN_KEY", "LISTEN", "DRAIN_SECONDS", "GATEWAY",
                 "DEMO_CATALOG", "LOG_LEVEL", "MAX_ACTIVE", "RECEIPTS", "NODE")
        for name in names:
            cell = self.cell()
            cell.environment[f"PENSTOCK_{name}"] = ""
            self.run_cell("serve", cell, (2,), says=f"PENSTOCK_{name}: is set and empty",
                          arguments=("serve",))
        for wrong, right in (("PENSTOCK_ADMINKEY", "PENSTOCK_ADMIN_KEY"),
                             ("PENSTOCK_DATE", "PENSTOCK_DATA"),
                             ("PENSTOCK_DRAIN_SECOND", "PENSTOCK_DRAIN_SECONDS")):
            for name in ("serve", "worker", "gateway", "check", "copy", "bench", "demo"):
                cell = self.cell()
                cell.environment[wrong] = "1"
                self.run_cell(name, cell, (2,), says=f"{wrong}: .*did you mean {right}\\?")
        for name, value in (("DRAIN_SECONDS", "5 "), ("DRAIN_SECONDS", "5x"), ("LEASE", "1.5m"),
                            ("DEMO_CATALOG", "yes"), ("DEMO_CATALOG", "1"), ("DATA", "a\nb"),
                            ("ADMIN_KEY", "short"), ("ADMIN_KEY", "x" * 24 + "\n")):
            cell = self.cell()
            cell.environment[f"PENSTOCK_{name}"] = value
            self.run_cell("serve", cell, (2,), says=f"PENSTOCK_{name}", arguments=("serve",))
        # What Kubernetes puts there for a service of this name is no setting.
        cell = self.cell()
        cell.environment.update({"PENSTOCK_SERVICE_HOST": "10.0.0.1",
                                 "PENSTOCK_SERVICE_PORT_HTTP": "9000",
                                 "PENSTOCK_PORT": "tcp://10.0.0.1:9000",
                                 "PENSTOCK_PORT_9000_TCP_ADDR": "10.0.0.1"})
        self.run_cell("serve", cell, (0,))

    @unittest.skipIf(os.geteuid() != 0, "becomes another user")
    def test_a_directory_of_another_user(self):
        for name in ("serve", "gateway", "check", "copy", "bench"):
            cell = self.fill(self.cell())
            cell.open_to_everybody()
            cell.data.chmod(0o700)
            cell.user = OTHER_USER
            self.run_cell(name, cell, (2,) if name == "copy" else (1,))

    def test_two_at_once(self):
        server = self.ground.server(data="data")
        for arguments in (("serve", "--listen", "127.0.0.1:0", "--data",
                           str(self.ground.path / "data")),
                          (*SHORT_BENCH, "--data", str(self.ground.path / "data"))):
            self.run_cell("serve", self.cell(), (1,), says="store-locked", arguments=arguments)
        host, port = server.address()
        cell = self.cell()
        self.run_cell("serve", cell, (1,), says="cannot listen", arguments=(
            "serve", "--data", str(cell.data / "store-of"), "--listen", f"{host}:{port}"))
        gateway = self.ground.gateway()
        self.run_cell("gateway", self.cell(), (1,), arguments=(
            "gateway", "--listen", "127.0.0.1:0", "--ledger", str(gateway.ledger)))
        self.assertEqual(server.terminate(), 0)

    def test_clocks_long_ago_and_far_ahead(self):
        if not SHIFT or harness.is_sanitized():
            self.skipTest("needs CLOCK_SHIFT_LIBRARY, and no sanitizer")
        now = time.time()
        for year in (-60, -30, 12, 30, 80, 200):
            for name in ("serve", "gateway", "check"):
                cell = self.cell()
                if name == "check":
                    self.fill(cell)
                shift = max(int(year * 365.25 * 86_400), 10 - int(now))
                cell.environment.update(LD_PRELOAD=SHIFT, CLOCK_SHIFT_SECONDS=str(shift))
                self.run_cell(name, cell, (0, 1))

    def test_locales_and_zones(self):
        for more in ({"LC_ALL": "tr_TR.UTF-8"}, {"LC_ALL": "no_such"}, {"LANG": "C", "LC_ALL": ""},
                     {"TZ": "Pacific/Apia"}, {"TZ": ":/nowhere"}, {"TZ": "x" * 5000}):
            for name in ("serve", "gateway", "check"):
                cell = self.cell()
                cell.environment.update(more)
                if name == "check":
                    self.fill(cell)
                self.run_cell(name, cell, (0,))

    def test_output_that_is_not_written_is_a_failure(self):
        cell = self.fill(self.cell())
        for arguments in (("--help",), ("--version",), ("serve", "--help"), ("explain",),
                          ("serve", "--print-config"), self.command("check", cell),
                          (*self.command("check", cell), "--json")):
            with open("/dev/full", "w") as full:
                self.assert_unwritten(arguments, full)
            reader, writer = os.pipe()
            os.close(reader)
            with open(writer, "w") as broken:
                self.assert_unwritten(arguments, broken)

    def assert_unwritten(self, arguments, output):
        done = subprocess.run([harness.binary, *arguments], stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.PIPE, text=True,
                              env=harness.clean_environment(None))
        self.assertEqual(done.returncode, 1, f"{arguments} {done.stderr}")
        self.assertIn("could not be written", done.stderr)

    def test_what_is_interrupted_leaves_nothing_behind(self):
        for name, number in (("demo", signal.SIGINT), ("bench", signal.SIGTERM),
                             ("bench", signal.SIGHUP)):
            cell = self.cell()
            arguments = (self.command(name, cell) if name == "demo" else
                         ("bench", "--duration", "600", "--silent"))
            with open(cell.path / "err", "wb") as err:
                child = cell.start(arguments, subprocess.DEVNULL, err)
            harness.wait_until(lambda: list(cell.tmp.glob("*/*/server.log")), "the server is begun")
            child.send_signal(number)
            self.assertEqual(child.wait(timeout=harness.HANG_SECONDS), 128 + number)
            self.assertEqual(listing(cell.tmp, cell.cwd, cell.home), set())


if __name__ == "__main__":
    harness.main()
