"""kill -9 at the system calls that write: strace ends the server at the Nth write, sync, rename,
truncate, allocate or unlink of one of its threads, in its start as well as under orders.

    kills.py PENSTOCK [--runs N] [--seconds N] [--seed N]

Runs come in rows over one data directory, so that a run begins with what the last kill left; after
each the checker reads the store, and at the end of a row every order is accounted for.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import sys
import time

import session
from session import FLAGS, WRITE_CLASS, Books, Strace, TracedServer, count_calls, end_by, harness

ROW = 10  # runs over one data directory
ORDERS = 4

options = argparse.Namespace(runs=4, seconds=0.0, seed=20261122)


class Kills(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        if shutil.which("strace") is None:
            self.fail("strace is missing: scripts/setup torture")
        # A sanitizer cannot look for leaks in what strace holds.
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        self.random = random.Random(options.seed)
        self.deadline = time.monotonic() + (options.seconds or 1e9)
        self.hit = collections.Counter()
        self.missed = self.in_start = self.acknowledged = 0

    def run_once(self, books, calls, orders):
        """One run that is killed at a random call; True if it was."""
        call = self.random.choices(list(calls), weights=[n ** 0.7 for n in calls.values()])[0]
        number = self.random.randint(1, calls[call])
        server = TracedServer(books.ground, *FLAGS, data=books.data, strace=(
            "-e", f"trace={WRITE_CLASS}", "-e", f"inject={call}:signal=KILL:when={number}"))
        try:
            server.await_ready()
        except AssertionError:
            self.assertEqual(end_by(server), -signal.SIGKILL, server.log()[-3000:])
            self.in_start += 1
        else:
            self.acknowledged += books.place_some(server, orders)
            server.signal_server(signal.SIGTERM)  # the end of a run writes as well
            code = end_by(server)
            self.assertIn(code, (0, -signal.SIGKILL), server.log()[-3000:])
        killed = server.child.returncode == -signal.SIGKILL
        if killed:
            self.hit[call] += 1
        else:
            self.missed += 1
        server.trace.unlink(missing_ok=True)
        return killed

    def run_under_orders(self, books, calls):
        """As run_once, with the calls counted from when the server serves."""
        call = self.random.choices(list(calls), weights=[n ** 0.7 for n in calls.values()])[0]
        number = self.random.randint(1, calls[call])
        server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
        strace = Strace(self.ground, server, "-e", f"trace={WRITE_CLASS}",
                        "-e", f"inject={call}:signal=KILL:when={number}")
        self.acknowledged += books.place_some(server, ORDERS)
        server.signal(signal.SIGTERM)
        self.assertIn(end_by(server), (0, -signal.SIGKILL), server.log()[-3000:])
        strace.close()
        strace.trace.unlink(missing_ok=True)
        if server.child.returncode == 0:
            self.missed += 1
            return
        self.hit[call] += 1

    def survey(self, books):
        """What calls a whole run makes, and what it makes once it serves; neither is harmed."""
        server = TracedServer(books.ground, *FLAGS, data=books.data,
                              strace=("-e", f"trace={WRITE_CLASS}"))
        server.await_ready()
        books.place_some(server, ORDERS)
        server.signal_server(signal.SIGTERM)
        self.assertEqual(end_by(server), 0)
        whole = count_calls(server.trace)
        self.assertLessEqual({"write", "fdatasync", "rename"}, set(whole), whole)
        server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
        strace = Strace(self.ground, server, "-e", f"trace={WRITE_CLASS}")
        books.place_some(server, ORDERS)
        server.signal(signal.SIGTERM)
        self.assertEqual(end_by(server), 0)
        strace.close()
        serving = count_calls(strace.trace)
        self.assertLessEqual({"write", "fdatasync"}, set(serving), serving)
        return whole, serving

    def new_books(self, row):
        books = Books(self, self.ground, data=f"data-{row}")
        server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
        books.put_stock(server)
        server.terminate()
        return books

    def goes_on(self):
        return sum(self.hit.values()) < options.runs and time.monotonic() < self.deadline

    def test_orders_survive_a_kill_at_any_write(self):
        whole, row, orders = None, 0, 0
        while self.goes_on():
            row += 1
            books = self.new_books(row)
            if whole is None:
                whole, serving = self.survey(books)
            for number in range(ROW):
                if not self.goes_on():
                    break
                if number % 2:
                    self.run_under_orders(books, serving)
                else:
                    self.run_once(books, whole, ORDERS)
                books.check()
            orders += books.verify()
            shutil.rmtree(self.ground.path / books.data)
        print(f"seed {options.seed}: {sum(self.hit.values())} kills {dict(self.hit)}, "
              f"{self.in_start} of them in the start, {self.missed} runs past their call; "
              f"{self.acknowledged} acknowledged under fire, {orders} orders verified; "
              f"calls of a run: {whole}, of them once it serves: {serving}")
        if not options.seconds:
            self.assertGreaterEqual(sum(self.hit.values()), options.runs)

    def test_a_recovery_that_is_killed_twice_is_the_same_recovery(self):
        books = self.new_books("twice")
        calls, _ = self.survey(books)
        rounds = max(1, min(40, options.runs // 10))
        for _ in range(rounds):
            server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
            self.assertEqual(books.place_some(server, 2, wait=False), 2)
            server.kill()
            for _ in range(2):
                while not self.run_once(books, calls, 0):
                    if not self.goes_on():
                        break
                books.check()
        books.verify()
        print(f"{rounds} times two kills in a row: {self.in_start} before it served")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=options.runs)
    parser.add_argument("--seconds", type=float, default=options.seconds)
    parser.add_argument("--seed", type=int, default=options.seed)
    options, rest = parser.parse_known_args(sys.argv[2:])
    sys.argv[2:] = rest
    harness.main()
