#!/usr/bin/env python3
"""Runs two hand-written SKIP LOCKED pipelines and Penstock on one PostgreSQL server, in turn.

    side_by_side.py BUILD_FOLDER [--rounds 3] [--seconds 20] [--connections 512] [--tenants 16]
                    [--products 100] [--plain-batch 256] [--plain-workers 8,1,1,1,1]
                    [--plain-gather 50] [--engineered-batch 512]
                    [--engineered-workers 1,1,1,1,1] [--timeline on|off]
                    [--stage-index on|off] [--only SIDE] [--search] [--json FILE]

A fresh cluster in a temporary directory, a unix socket in it, fsync and synchronous_commit on,
and the same postgresql.conf for all. Each round runs each side under the same load (`penstock
bench`, closed loop), from empty tables. Prints them, the ratios and the WAL of an order. --search
runs the plain pipeline over a grid of its settings instead, best last.
"""

import argparse
import itertools
import json
import os
import pathlib
import pwd
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "wal_compression", "shared_buffers",
         "max_wal_size", "checkpoint_timeout", "jit")
PATIENCE_S = 60


def server_programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if not initdb:
        sys.exit("no PostgreSQL server: run scripts/setup")
    return pathlib.Path(initdb).parent


class Server:
    """A PostgreSQL server of one's own; a context."""

    def __init__(self):
        self.programs = server_programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-peers-"))
        # PostgreSQL refuses root.
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            account = pwd.getpwnam(self.user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.url = f"postgresql://penstock@/postgres?host={self.folder}"

    def __enter__(self):
        data = self.folder / "data"
        subprocess.run([self.programs / "initdb", "-D", data, "-U", "penstock", "-A", "trust",
                        "-E", "UTF8", "--locale=C"], check=True, user=self.user, cwd=self.folder,
                       stdout=subprocess.DEVNULL)
        with open(HERE / "postgresql.conf", encoding="utf-8") as ours, \
                open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(ours.read())
        with open(self.folder / "server.log", "wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", data, "-k", self.folder], user=self.user,
                cwd=self.folder, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE_S
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder],
                             check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit((self.folder / "server.log").read_text(encoding="utf-8"))
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def query(self, sql):
        done = subprocess.run([shutil.which("psql") or self.programs / "psql", "-XAtq", self.url,
                               "-c", sql], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def wal_position(self):
        return int(self.query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"))

    def cpu_seconds(self):
        """Of the server's processes, those that ended included."""
        ticks = os.sysconf("SC_CLK_TCK")
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                                  check=False, capture_output=True, text=True).stdout.split()
        total = 0
        for process in [str(self.process.pid)] + children:
            try:
                with open(f"/proc/{process}/stat", encoding="utf-8") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except FileNotFoundError:
                continue
            total += int(fields[11]) + int(fields[12])
            if process == str(self.process.pid):
                total += int(fields[13]) + int(fields[14])
        return total / ticks

    def settle(self):
        """What one run left to write is not charged to the next."""
        self.query("CHECKPOINT")


def load_arguments(options):
    return ["--duration", str(options.seconds), "--connections", str(options.connections),
            "--tenants", str(options.tenants), "--products", str(options.products),
            "--samples", "0", "--silent"]


def bench(program, arguments, server):
    wal = server.wal_position()
    cpu = server.cpu_seconds()
    done = subprocess.run([program, "bench", *arguments], check=False, capture_output=True,
                          text=True)
    if done.returncode:
        sys.exit(f"penstock bench failed: {done.stderr}{done.stdout}")
    result = json.loads(done.stdout)
    orders = max(1, result["ended"])
    return {"orders_per_s": result["completed_per_second"], "orders": int(result["ended"]),
            "accept_p50_ms": result["accept_ms"]["p50"],
            "accept_p99_ms": result["accept_ms"]["p99"],
            "wal_bytes_per_order": (server.wal_position() - wal) / orders,
            "database_cpu_us_per_order": (server.cpu_seconds() - cpu) / orders * 1e6}


def run_plain(build, options, server):
    return run_peer(build, options, server, ["--ingest", "one", "--batch", options.plain_batch,
                                             "--workers", options.plain_workers,
                                             "--gather", options.plain_gather])


def run_engineered(build, options, server):
    return run_peer(build, options, server, ["--ingest", "grouped",
                                             "--batch", options.engineered_batch,
                                             "--workers", options.engineered_workers])


def run_peer(build, options, server, tuning):
    peer = subprocess.Popen(
        [build / "bench/peers/skip_locked_peer", "--url", server.url, "--listen", "0",
         "--timeline", options.timeline, "--stage-index", options.stage_index,
         *map(str, tuning)], stdout=subprocess.PIPE, text=True)
    try:
        line = peer.stdout.readline()
        url = re.search(r"http://\S+", line)
        if not url:
            sys.exit("the peer does not start")
        return bench(build / "penstock", [*load_arguments(options), "--server", url[0]], server)
    finally:
        peer.terminate()
        peer.wait(PATIENCE_S)
        server.query("DROP SCHEMA IF EXISTS peer CASCADE")


def run_penstock(build, options, server):
    server.query("DROP DATABASE IF EXISTS shop")
    server.query("CREATE DATABASE shop")
    url = server.url.replace("/postgres?", "/shop?")
    subprocess.run([build / "penstock", "migrate", "--store", url], check=True,
                   stdout=subprocess.DEVNULL)
    result = bench(build / "penstock", [*load_arguments(options), "--store", url], server)
    server.query("DROP DATABASE shop")
    return result


SIDES = {"plain": run_plain, "engineered": run_engineered, "penstock": run_penstock}
# The grid that the plain pipeline's settings were chosen on: connections that accept, workers of
# the stages, batch, and how long a stage lets work gather.
SEARCHED = {"accepting": (4, 8, 16, 32), "workers": ("1,1,1,1", "2,1,1,1"),
            "batch": (64, 256), "gather": (0, 20, 50)}


def search(build, options, server):
    found = []
    for accepting, workers, batch, gather in itertools.product(*SEARCHED.values()):
        options.plain_workers = f"{accepting},{workers}"
        options.plain_batch, options.plain_gather = batch, gather
        server.settle()
        result = run_plain(build, options, server)
        name = f"{options.plain_workers} x {batch}, gather {gather} ms"
        found.append((result["orders_per_s"], name, result))
        show(name, result)
    print("\nsorted:")
    for _, name, result in sorted(found, key=lambda each: each[0]):
        show(name, result)


def show(name, result):
    print(f"{name:10} {result['orders_per_s']:8.0f} orders/s  {result['orders']:8} orders  accept "
          f"p50/p99 {result['accept_p50_ms']:6.1f}/{result['accept_p99_ms']:6.1f} ms  WAL "
          f"{result['wal_bytes_per_order']:6.0f} B/order  database "
          f"{result['database_cpu_us_per_order']:5.0f} us CPU/order", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--connections", type=int, default=512)
    parser.add_argument("--tenants", type=int, default=16)
    parser.add_argument("--products", type=int, default=100)
    parser.add_argument("--plain-batch", type=int, default=256)
    parser.add_argument("--plain-workers", default="8,1,1,1,1")
    parser.add_argument("--plain-gather", type=int, default=50)
    parser.add_argument("--engineered-batch", type=int, default=512)
    parser.add_argument("--engineered-workers", default="1,1,1,1,1")
    parser.add_argument("--timeline", choices=("on", "off"), default="on")
    parser.add_argument("--stage-index", choices=("on", "off"), default="on")
    parser.add_argument("--only", choices=SIDES)
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    sides = [options.only] if options.only else list(SIDES)
    figures = {side: [] for side in sides}
    with Server() as server:
        settings = {name: server.query(f"SHOW {name}") for name in SHOWN}
        print("PostgreSQL", server.query("SHOW server_version"),
              ", ".join(f"{name} = {value}" for name, value in settings.items()))
        if options.search:
            return search(options.build.resolve(), options, server)
        for _ in range(options.rounds):
            for side in sides:
                server.settle()
                figures[side].append(SIDES[side](options.build.resolve(), options, server))
                show(side, figures[side][-1])
    median = {side: statistics.median(run["orders_per_s"] for run in runs)
              for side, runs in figures.items()}
    for side in sides:
        print(f"{side}: median {median[side]:.0f} orders/s")
    for side in sides if "penstock" in sides else []:
        if side != "penstock":
            print(f"penstock / {side}: {median['penstock'] / median[side]:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"settings": settings, "runs": figures}, indent=1),
                                encoding="utf-8")


if __name__ == "__main__":
    main()
