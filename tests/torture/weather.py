"""A machine that is unkind to running processes: pauses, no descriptors, no memory, a wall clock
that steps.

    weather.py PENSTOCK [--rounds N] [--seed N]
"""

import argparse
import collections
import contextlib
import os
import random
import resource
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import session
from session import FLAGS, Books, harness

CGROUPS = Path("/sys/fs/cgroup")

options = argparse.Namespace(rounds=1, seed=20261122)


class Placing:
    """Clients that go on ordering beside what happens to the server."""

    def __init__(self, books, server, clients=3):
        self.books, self.server = books, server
        self.stopping = False
        self._lock = threading.Lock()
        self._numbers = len(books.sent)
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        client = harness.Client(*self.server.address())
        count = 0
        while not self.stopping and self.server.running():
            count += 1
            if not self.books.place(client, f"c{number}-{self._numbers}-{count}"):
                time.sleep(0.02)
        client.close()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(harness.HANG_SECONDS)


class Weather(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        self.random = random.Random(options.seed)

    def begin(self, *flags, gateway=None, **more):
        """(books, server) with stock."""
        if gateway:
            flags += ("--gateway", gateway.url, "--gateway-timeout", "300ms")
        books = Books(self, self.ground, ledger=gateway.ledger if gateway else None)
        server = session.Server(self.ground, *FLAGS, *flags, **more).await_ready()
        books.put_stock(server)
        return books, server, flags

    def stop(self, server):
        if server.running():
            self.assertEqual(server.terminate(), 0, server.log()[-2000:])

    def test_pauses_of_server_and_gateway(self):
        gateway = self.ground.gateway("--drop-reply", "0.05")
        books, server, flags = self.begin(gateway=gateway)
        placing = Placing(books, server)
        for _ in range(2 * options.rounds):
            for process in (server, gateway):
                time.sleep(self.random.uniform(0.05, 0.3))
                process.signal(signal.SIGSTOP)
                time.sleep(self.random.uniform(0.1, 0.9))
                process.signal(signal.SIGCONT)
        placing.stop()
        self.stop(server)
        print(f"pauses: {len(books.acknowledged)} of {len(books.sent)} acknowledged under way, "
              f"{books.verify(*flags)} verified")

    def test_no_descriptors(self):
        books, server, flags = self.begin("--max-connections", "10000")
        for round_number in range(options.rounds):
            used = len(os.listdir(f"/proc/{server.pid}/fd"))
            room = self.random.randint(0, 12)
            _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
            placing = Placing(books, server, clients=2)
            time.sleep(0.1)
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + room, hard))
            with contextlib.ExitStack() as held:
                for _ in range(50):
                    with contextlib.suppress(OSError):
                        held.enter_context(socket.create_connection(server.address(), 1))
                time.sleep(0.5)
            if server.running():
                resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
            time.sleep(0.1)
            placing.stop()
            if not server.running():
                # It may end where the store could open no file, but not without saying so.
                self.assertEqual(server.child.returncode, 1, server.log()[-3000:])
                self.assertTrue([r for r in server.records() if r["level"] == "error"])
                server = session.Server(self.ground, *FLAGS, *flags).await_ready()
            print(f"descriptors: round {round_number}, {used} used, {room} more allowed")
        self.stop(server)
        print(f"descriptors: {len(books.acknowledged)} acknowledged under way, "
              f"{books.verify(*flags)} verified")

    def memory_group(self):
        """A control group's directory and the file of its limit, v1 or v2."""
        for base, limit in ((CGROUPS / "memory", "memory.limit_in_bytes"), (CGROUPS, "memory.max")):
            group = base / f"penstock-torture-{os.getpid()}"
            try:
                group.mkdir()
            except OSError:
                continue
            if (group / limit).exists():
                self.addCleanup(self.remove_group, group)
                return group, group / limit
            group.rmdir()
        return None, None

    def remove_group(self, group):
        for process in self.ground.processes:
            process.close()
        harness.wait_until(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
        group.rmdir()

    def test_little_memory(self):
        group, limit = self.memory_group()
        if group is None:
            print("skipped: no memory control group can be made here")
            self.skipTest("no memory control group")
        books, server, flags = self.begin()
        self.stop(server)
        server = self.serve_in(group, *flags).await_ready()
        ready = self.private_bytes(group)
        self.work(books, server)
        enough = self.private_bytes(group)
        self.stop(server)
        unlimited = len(books.acknowledged)
        ends, killed_at_work, rounds = collections.Counter(), 0, 0
        # Too little to start with, too little to work with, and just enough: each has to come.
        while rounds < 2 * options.rounds or (rounds < 20 * options.rounds and
                                              not (killed_at_work and ends[0])):
            rounds += 1
            limit.write_text(str(int(self.random.uniform(0.9 * ready, 1.1 * enough))))
            server = self.serve_in(group, *flags)
            before = len(books.acknowledged)
            with contextlib.suppress(AssertionError):
                server.await_ready()
                self.work(books, server)
            if server.running():
                server.terminate()
            code = server.child.returncode
            self.assertIn(code, (0, 1, -signal.SIGKILL, -signal.SIGABRT), server.log()[-3000:])
            ends[code] += 1
            killed_at_work += code == -signal.SIGKILL and len(books.acknowledged) > before
            books.check()
        self.assertGreater(killed_at_work, 0, f"none was killed at work: {ends}")
        self.assertGreater(ends[0], 0, f"none had enough: {ends}")
        print(f"memory: {ready >> 20} MiB to start, {enough >> 20} to work; ends by exit code "
              f"{dict(ends)}, {killed_at_work} of them at work; "
              f"{len(books.acknowledged) - unlimited} acknowledged under way, "
              f"{books.verify(*flags)} verified")

    def work(self, books, server):
        placing = Placing(books, server)
        time.sleep(1)
        placing.stop()

    def serve_in(self, group, *flags):
        server = session.Server(self.ground, *FLAGS, *flags)
        with contextlib.suppress(OSError):
            (group / "cgroup.procs").write_text(str(server.pid))
        return server

    def private_bytes(self, group):
        """What the group's processes hold beside the files that they read."""
        held = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return int(held.get("anon") or held["rss"])

    def test_a_wall_clock_that_steps(self):
        library = os.environ.get("CLOCK_SHIFT_LIBRARY")
        self.assertTrue(library, "CLOCK_SHIFT_LIBRARY names the preloaded library")
        if harness.is_sanitized():
            self.skipTest("a sanitizer's own library has to be the first")
        step = self.ground.path / "clock-step"
        step.write_bytes(struct.pack("<q", 0))
        environment = {"LD_PRELOAD": library, "CLOCK_STEP_FILE": str(step)}
        books, server, flags = self.begin(environment=environment)
        placing = Placing(books, server)
        with open(step, "r+b", buffering=0) as file:
            for seconds in (30, -30, 1800, -1800, 7200, 0, *(
                    self.random.randint(-3000, 80_000) for _ in range(2 * options.rounds)), 0):
                os.pwrite(file.fileno(), struct.pack("<q", seconds), 0)
                time.sleep(0.15)
        placing.stop()
        self.stop(server)
        # What was stored ahead of the true time is refused, then taken on request.
        refused = session.Server(self.ground, *FLAGS, *flags)
        refused_code = None
        with contextlib.suppress(AssertionError):
            refused.await_ready()
        refused_code = refused.child.poll()
        if refused_code is None:
            self.stop(refused)
        else:
            self.assertEqual(refused_code, 1)
            self.assertIn("clock-moved", refused.log())
        print(f"clock: {len(books.acknowledged)} acknowledged under way, then "
              f"{'refused' if refused_code else 'taken'} without --accept-clock; "
              f"{books.verify('--accept-clock', *flags)} verified")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=options.rounds)
    parser.add_argument("--seed", type=int, default=options.seed)
    options, rest = parser.parse_known_args(sys.argv[2:])
    sys.argv[2:] = rest
    harness.main()
