"""What every torture shares: orders that are sent one after another to a server that may die at any
moment, the client's books of them, servers under strace or a preloaded library, and the verdict.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "program"))

import harness  # noqa: E402  (the whole-program tests' own)
from harness import TERMINAL, Client, Server, expect, order_body, wait_until  # noqa: E402
from ledger import assert_money, read_ledger  # noqa: E402

PUT = 1_000_000  # pieces of the one product
# Every system call that changes a file or a name.
WRITE_CLASS = ("write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,rename,renameat,"
               "renameat2,unlink,unlinkat,ftruncate,truncate,fallocate,mkdir,mkdirat,link,linkat")
# As little as a server can do with, so that a run is short.
FLAGS = ("--http-threads", "1", "--memory-budget", "16", "--retry-base", "20ms",
         "--retry-cap", "100ms", "--default-rate", "100000", "--default-burst", "1000000")


class TracedServer(Server):
    """`penstock serve` under strace. `pid` is strace's, which ends as the server does."""

    def __init__(self, ground, *flags, strace=(), data="data"):
        self.trace = ground.path / f"trace-{ground.number()}"
        plain = harness.binary
        try:
            # Process starts `harness.binary` with its arguments.
            command = ["strace", "-f", "-qq", "-o", str(self.trace), *strace,
                       plain]
            script = ground.path / f"strace-{ground.number()}"
            script.write_text("#!/bin/sh\nexec " + " ".join(command) + ' "$@"\n')
            script.chmod(0o755)
            harness.binary = str(script)
            super().__init__(ground, *flags, data=data)
        finally:
            harness.binary = plain

    def server_pid(self):
        """The traced process's own."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0])

    def signal_server(self, number):
        """To the traced process; nothing where it has ended."""
        with contextlib.suppress(OSError, IndexError):
            os.kill(self.server_pid(), number)

    def close(self):
        # strace leaves what it traces running when it is killed itself.
        if self.child.poll() is None:
            self.signal_server(signal.SIGKILL)
        super().close()


class Strace:
    """strace on a server that serves already; its counts begin now."""

    def __init__(self, ground, server, *flags):
        self.trace = ground.path / f"trace-{ground.number()}"
        self.child = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(self.trace), "-p", str(server.pid), *flags],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: not server.running() or self._holds(server.pid), "strace is attached")

    @staticmethod
    def _holds(pid):
        with contextlib.suppress(OSError):
            return all(f"TracerPid:\t{0}\n" not in (task / "status").read_text()
                       for task in Path(f"/proc/{pid}/task").iterdir())
        return False

    def close(self):
        """Waits for its end, which is the server's."""
        self.child.wait(timeout=harness.HANG_SECONDS)


class Books:
    """Orders by their key, as their client knows them, over all runs of one data directory."""

    def __init__(self, case, ground, data="data", ledger=None):
        self.case, self.ground, self.data = case, ground, data
        self.ledger = ledger or ground.path / data / "sandbox-ledger.jsonl"
        self.sent = {}  # key -> body
        self.acknowledged = {}  # key -> bytes of the first 202

    def put_stock(self, server):
        with contextlib.closing(server.client()) as client:
            client.set_stock("p", PUT)

    def place(self, client, key=None):
        """One order, or one again. False where its outcome is unknown or it was refused."""
        key = key or f"key-{len(self.sent)}"
        body = self.sent.setdefault(key, order_body("p", metadata={"submission": key}))
        try:
            reply = client.post("/orders", body, headers={"Idempotency-Key": key})
        except Client.LOST:
            return False
        if reply.status == 503:
            return False
        expect(reply, 202)
        told = self.acknowledged.setdefault(key, reply.body)
        self.case.assertEqual(reply.body, told, f"{key} is answered in another way")
        return True

    def place_some(self, server, count, wait=True):
        """Up to `count` orders, until one gets no answer; how many were acknowledged. Waiting for
        their ends is part of it: the server is to be met in the middle of its work."""
        done = 0
        with contextlib.suppress(*Client.LOST), contextlib.closing(server.client()) as client:
            while done < count and self.place(client):
                done += 1
                if wait:
                    order = json.loads(self.acknowledged[f"key-{len(self.sent) - 1}"])
                    client.get(f"/orders/{order['order_id']}?wait=2")
        return done

    def verify(self, *flags):
        """A server without faults takes up what is there: every order that was acknowledged is the
        same and ends once, those with an unknown outcome are sent again, money and stock add up,
        and the checker is clean."""
        server = Server(self.ground, *FLAGS, *flags, data=self.data).await_ready()
        client = server.client()
        for key in self.sent:
            self.case.assertTrue(self.place(client, key), key)
        for key, told in self.acknowledged.items():
            order = client.ended(json.loads(told)["order_id"])
            self.case.assertEqual((order["status"], order["metadata"]["submission"]),
                                  ("fulfilled", key))
        wait_until(lambda: client.queues()["active"] == 0, "no order is active")
        stored = client.pages("/orders?limit=500", "orders")
        self.case.assertEqual(sorted(o["metadata"]["submission"] for o in stored),
                              sorted(self.sent), "one order a key, and no other")
        movements = read_ledger(self.ledger)
        self.case.assertLessEqual(set(movements), {o["order_id"] for o in stored})
        for order in stored:
            assert_money(self.case, order, movements[order["order_id"]])
        for order in stored[-10:]:
            self.case.assert_timeline(order, client.events(order["order_id"]))
        stock = client.stock("p")
        self.case.assertEqual((stock["reserved"], stock["sold"], stock["on_hand"]),
                              (0, len(stored), PUT - len(stored)), stock)
        client.close()
        self.case.assertEqual(server.terminate(), 0, server.log()[-2000:])
        self.check()
        return len(stored)

    def check(self):
        """The offline audit of a server that is not running."""
        ledger = self.ledger if self.ledger.exists() else None
        return self.ground.check(ledger, data=self.data)


def count_calls(trace):
    """How often one thread made each call at most, from strace's output: injections are counted by
    thread and call."""
    calls = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match:
            pid, call = match.groups()
            calls[call, pid] = calls.get((call, pid), 0) + 1
    most = {}
    for (call, _), count in calls.items():
        most[call] = max(most.get(call, 0), count)
    return most


def end_by(server, seconds=60):
    """The exit code of a server that has to end by itself."""
    try:
        return server.child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"it does not end:\n{server.log()[-3000:]}") from None


__all__ = ["FLAGS", "PUT", "TERMINAL", "WRITE_CLASS", "Books", "Strace", "TracedServer",
           "count_calls", "end_by", "harness"]
