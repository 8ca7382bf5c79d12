"""Writes and syncs that fail, once and for ever, with EIO and ENOSPC, and writes that the process
does not live to finish: a preloaded library fails the server's own files and nothing else.

    disk_errors.py PENSTOCK [--runs N] [--seconds N] [--seed N]

After a failed sync or write of the log or the ledger nothing is acknowledged, the file is not
synced again, and the process ends with a message; the next start has all that was acknowledged.
"""

import argparse
import collections
import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import session
from session import FLAGS, Books, end_by, harness

ROW = 8
ORDERS = 5
KINDS = [(call, number, forever)
         for call in ("sync", "write") for number in (errno.EIO, errno.ENOSPC)
         for forever in (False, True)] + [("write", 0, False), ("name", errno.EIO, False)]
# Files that an acknowledgement stands on. What fails on others may be no more than a log line.
VITAL = (".log", "sandbox-ledger.jsonl", "sandbox-ledger.jsonl.keys")
# Calls on them that make or free room: what a log may need, what it did not, and a flushed one's.
# RocksDB takes their failure for no more than it is.
OF_ROOM = ("fallocate", "ftruncate", "unlink")

options = argparse.Namespace(runs=6, seconds=0.0, seed=20261122)


class DiskErrors(harness.ProgramTest):

    def setUp(self):
        super().setUp()
        self.library = os.environ.get("DISK_FAULT_LIBRARY")
        self.assertTrue(self.library, "DISK_FAULT_LIBRARY names the preloaded library")
        if harness.is_sanitized():
            self.skipTest("a sanitizer's own library has to be the first")
        self.random = random.Random(options.seed)
        self.deadline = time.monotonic() + (options.seconds or 1e9)
        self.seen = collections.Counter()

    def serve(self, books, **fault):
        """(server, report) with a fault; `call` empty: none. Armed: counted from then on."""
        report = self.ground.path / f"report-{self.ground.number()}"
        fault.setdefault("armed", "")
        under = os.path.realpath(self.ground.path / books.data)
        environment = {"LD_PRELOAD": self.library, "DISK_FAULT_UNDER": under,
                       "DISK_FAULT_REPORT": str(report),
                       **{f"DISK_FAULT_{name.upper()}": str(value)
                          for name, value in fault.items()}}
        return session.Server(self.ground, *FLAGS, data=books.data,
                              environment=environment), report

    def calls(self, report):
        """(call, result, path) in their order."""
        lines = [line.split(" ", 3) for line in report.read_text().splitlines()]
        return [(line[1], line[2], line[3]) for line in sorted(lines, key=lambda l: int(l[0]))]

    def survey(self, books):
        """How many calls of each kind a start makes, and how many the orders after it."""
        server, report = self.serve(books, call="", at=0)
        server.await_ready()
        start = self.count(report)
        books.place_some(server, ORDERS)
        self.assertEqual(server.terminate(), 0)
        return start, self.count(report) - start

    def count(self, report):
        kinds = {"write": "write", "pwrite": "write", "fsync": "sync", "fdatasync": "sync"}
        return collections.Counter(kinds.get(call, "name") for call, _, _ in self.calls(report))

    def run_once(self, books, start, serving):
        call, number, forever = self.random.choice(KINDS)
        # Half of the faults meet the start, half the orders after it.
        armed, calls = self.random.choice([("", start), (self.ground.path / "armed", serving)])
        at = self.random.randint(1, max(1, calls[call]))
        server, report = self.serve(books, call=call, at=at, errno=number, armed=armed,
                                    forever="1" if forever else "")
        try:
            server.await_ready()
        except AssertionError:
            if server.running():
                raise
        else:
            if armed:
                armed.touch()
            books.place_some(server, ORDERS)
            if self.failed(report):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.child.wait(timeout=5)  # by itself, unless the file mattered little
            server.signal(signal.SIGTERM)
        code = end_by(server)
        if armed:
            armed.unlink(missing_ok=True)
        self.judge(server, code, self.calls(report), number)

    def failed(self, report):
        return any(result == "failed" for _, result, _ in self.calls(report))

    def judge(self, server, code, calls, number):
        failed = [i for i, (_, result, _) in enumerate(calls) if result == "failed"]
        if not failed:
            self.seen["not met"] += 1
            self.assertEqual(code, 0, server.log()[-3000:])
            return
        call, _, path = calls[failed[0]]
        vital = path.endswith(VITAL)
        kind = os.path.splitext(path)[1] or os.path.basename(path).split("-")[0]
        self.seen[f"{call} {kind}"] += 1
        if number == 0:
            self.assertEqual(code, -signal.SIGKILL, server.log()[-3000:])
            return
        told = [r for r in server.records() if r.get("level") == "error" and r.get("code")]
        if code == 0:
            self.assertFalse(vital and call not in OF_ROOM, f"{call} of {path} failed unnoticed")
            self.seen["went on"] += 1
            return
        self.assertEqual(code, 1, f"{call} of {path}: {calls[failed[0]:]}\n{server.log()[-3000:]}")
        self.assertTrue(told, f"{call} of {path}: no message\n{server.log()[-3000:]}")
        self.assertIn(told[-1]["code"], ("store-failed", "disk-full", "store-corrupt"), told)
        # A directory is synced for each file made in it, by threads that do not know of each other.
        if call in ("fsync", "fdatasync") and not os.path.isdir(path):
            again = [c for c in calls[failed[0] + 1:]
                     if c[2] == path and c[0] in ("fsync", "fdatasync")]
            self.assertEqual(again, [], f"the sync of {path} was tried again: "
                             f"{calls[failed[0]:]}\n{server.log()[-3000:]}")

    def goes_on(self, done):
        return done < options.runs and time.monotonic() < self.deadline

    def test_nothing_acknowledged_is_lost_and_no_sync_is_tried_again(self):
        surveyed, done, row, orders = None, 0, 0, 0
        while self.goes_on(done):
            row += 1
            books = Books(self, self.ground, data=f"data-{row}")
            server = session.Server(self.ground, *FLAGS, data=books.data).await_ready()
            books.put_stock(server)
            server.terminate()
            surveyed = surveyed or self.survey(books)
            for _ in range(ROW):
                if not self.goes_on(done):
                    break
                self.run_once(books, *surveyed)
                books.check()
                done += 1
            orders += books.verify()
            shutil.rmtree(self.ground.path / books.data)
        print(f"seed {options.seed}: {done} faults {dict(self.seen)}; {orders} orders verified")
        self.assertLess(self.seen["not met"], max(2, done))

    def test_after_a_failed_sync_of_the_log_no_order_is_acknowledged(self):
        books = Books(self, self.ground)
        server = session.Server(self.ground, *FLAGS).await_ready()
        books.put_stock(server)
        server.terminate()
        armed = self.ground.path / "armed"
        server, report = self.serve(books, call="sync", at=1, errno=errno.EIO, armed=armed)
        server.await_ready()
        self.assertEqual(books.place_some(server, 3), 3)
        known = dict(books.acknowledged)
        armed.touch()
        client = server.client()
        # A repeated key needs no write and may be answered; a new order must not be.
        for _ in range(5):
            self.assertFalse(books.place(client))
        client.close()
        self.assertEqual(end_by(server), 1)
        self.assertEqual(books.acknowledged, known)
        self.assertEqual([r for _, r, _ in self.calls(report)].count("failed"), 1)
        books.verify()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=options.runs)
    parser.add_argument("--seconds", type=float, default=options.seconds)
    parser.add_argument("--seed", type=int, default=options.seed)
    options, rest = parser.parse_known_args(sys.argv[2:])
    sys.argv[2:] = rest
    harness.main()
