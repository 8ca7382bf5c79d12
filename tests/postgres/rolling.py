"""Servers on one database behind a balancer are restarted in turn, and no client sees it.

haproxy asks each server's /readyz every 500 ms and takes it out after two refusals; the servers run
with --shutdown-delay, so that they serve until it has.
"""

import argparse
import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import database
import harness
from harness import free_port, wait_until

# haproxy takes a server out after one second; the rest is room for a busy machine.
DELAY_SECONDS = 8
OPTIONS = argparse.Namespace(servers=2, rounds=1, requests=2_000, rate=0, workers=4)

CONFIG = """
global
  stats socket {socket} level admin
defaults
  mode http
  timeout connect 10s
  timeout client 120s
  timeout server 120s
  retries 3
  option redispatch
frontend in
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server inter 500ms fall 2 rise 1
{servers}
"""


class Balancer:
    """haproxy in front of the ports."""

    def __init__(self, ground, ports):
        self.port = free_port()
        self.socket = ground.path / "haproxy.sock"
        path = ground.path / "haproxy.cfg"
        lines = [f"  server s{n} 127.0.0.1:{port} check" for n, port in enumerate(ports)]
        path.write_text(CONFIG.format(socket=self.socket, port=self.port,
                                      servers="\n".join(lines)))
        self.log = open(ground.path / "haproxy.log", "wb")
        self.child = subprocess.Popen(["haproxy", "-db", "-f", str(path)], stdout=self.log,
                                      stderr=self.log, preexec_fn=harness._die_with_the_test)
        wait_until(lambda: self.up() == len(ports), "the balancer knows its servers")

    def up(self):
        """How many servers it sends clients to."""
        with contextlib.suppress(OSError), contextlib.closing(
                socket.socket(socket.AF_UNIX)) as control:
            control.connect(str(self.socket))
            control.sendall(b"show stat\n")
            text = b""
            while chunk := control.recv(65536):
                text += chunk
            rows = [line.split(",") for line in text.decode().splitlines()]
            return sum(1 for row in rows
                       if len(row) > 17 and row[1].startswith("s") and row[1] != "svname"
                       and row[17].startswith("UP") and row[0] == "servers")
        return 0

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.log.close()


class Load:
    """Clients with kept connections that place orders until they are told to stop."""

    def __init__(self, port, workers, rate):
        self.port, self.interval = port, workers / rate if rate else 0
        self.sent, self.failed, self.order_ids = 0, [], []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(workers)]
        for thread in self.threads:
            thread.start()

    def _run(self, worker):
        connection, number = None, 0
        due = time.monotonic()
        while not self._over.is_set():
            number += 1
            body = json.dumps(harness.order_body(idempotency_key=f"w{worker}-{number}"))
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                            timeout=harness.HANG_SECONDS)
                connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                fault = None if answer.status == 202 else (answer.status, content[:200])
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                fault, connection = repr(error), None
            with self._lock:
                self.sent += 1
                if fault:
                    self.failed.append(fault)
                else:
                    self.order_ids.append(json.loads(content)["order_id"])
            if self.interval:
                due += self.interval
                time.sleep(max(0.0, due - time.monotonic()))

    def end(self):
        self._over.set()
        for thread in self.threads:
            thread.join()


class Rolling(database.SharedTest):

    def start(self, gateway, number, port):
        return self.serve("--node", f"n{number}", "--gateway", gateway.url, "--demo-catalog",
                          "--shutdown-delay", str(DELAY_SECONDS), "--default-rate", "100000",
                          "--default-burst", "100000", listen=f"127.0.0.1:{port}")

    def test_restarts_in_turn_are_seen_by_no_client(self):
        gateway = self.ground.gateway()
        ports = [free_port() for _ in range(OPTIONS.servers)]
        servers = [self.start(gateway, n, port).await_ready() for n, port in enumerate(ports)]
        balancer = Balancer(self.ground, ports)
        self.addCleanup(balancer.close)
        load = Load(balancer.port, OPTIONS.workers, OPTIONS.rate)
        self.addCleanup(load.end)
        began = time.monotonic()
        restarts = 0
        while restarts < OPTIONS.rounds * len(servers) or load.sent < OPTIONS.requests:
            number = restarts % len(servers)
            servers[number].signal(signal.SIGTERM)
            self.assertEqual(servers[number].wait(), 0)
            servers[number] = self.start(gateway, number, ports[number]).await_ready()
            wait_until(lambda: balancer.up() == len(servers), "the balancer has it again")
            restarts += 1
        load.end()
        seconds = time.monotonic() - began
        print(f"{load.sent} requests in {seconds:.0f} s over {restarts} restarts, "
              f"{len(load.failed)} failed")
        self.assertEqual(load.failed, [], f"{len(load.failed)} of {load.sent}")
        with contextlib.closing(servers[0].client()) as client:
            for order_id in load.order_ids[:: max(1, len(load.order_ids) // 200)]:
                self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        for server in servers:
            server.signal(signal.SIGTERM)
        for server in servers:
            self.assertEqual(server.wait(), 0)


def options():
    parser = argparse.ArgumentParser()
    for name, value in vars(OPTIONS).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    known, rest = parser.parse_known_args(sys.argv[2:])
    OPTIONS.__dict__.update(vars(known))
    sys.argv[2:] = rest


if __name__ == "__main__":
    options()
    harness.main()
