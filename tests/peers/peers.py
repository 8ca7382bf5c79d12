"""A peer that goes wrong in every way, at every moment: each peer of the program stands behind a
relay that freezes, drips, answers late, answers something else, cuts off, resets or refuses.

usage: peers.py PENSTOCK PEER [WAY ...]      PEER: gateway, fulfiller, webhooks or database

Whatever the peer does, and while the program is idle, under load, draining or starting:
  every request of a client ends; /healthz is 200; /readyz tells whether orders can be taken;
  a warning in the log names the peer; where money waits, /why says for what;
  once the peer is well again everything acknowledged ends by itself; SIGTERM is obeyed;
  `penstock check` finds nothing.
Seconds here are hang guards. No verdict hangs on speed.
"""

import contextlib
import http.client
import json
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "program"), str(HERE.parent / "postgres"), str(HERE)]

import harness  # noqa: E402
from database import Database  # noqa: E402
from faulty_peer import NOISE, WAYS, FaultyPeer  # noqa: E402
from harness import Client, Server, expect, order_body, wait_until  # noqa: E402
from sinks import Fulfiller, Sink  # noqa: E402

# Short ones, so that what a peer swallows is asked for within a test.
FLAGS = ("--retry-base", "20ms", "--retry-cap", "200ms", "--drain-seconds", "2",
         "--gateway-timeout", "2s")
LOAD = 12  # orders sent while the peer is unwell, by THREADS clients
THREADS = 3
# Ways in which a peer is slow and still does its work.
SLOW = ("drip", "late")


class Peer:
    """One kind of peer: the real one, the relay in front of it, and what is expected of it."""

    takes_orders = True  # while it is unwell
    words = ()  # one of them stands in a warning

    def __init__(self, ground):
        self.ground = ground
        self.flags = ()
        self.ledger = None
        self.store = ()

    def prepare(self, client):
        """Once the program serves for the first time."""

    def close(self):
        self.relay.close()


class GatewayPeer(Peer):
    words = ("gateway",)

    def __init__(self, ground):
        super().__init__(ground)
        self.gateway = ground.gateway()
        self.ledger = self.gateway.ledger
        self.relay = FaultyPeer(("127.0.0.1", self.gateway.port))
        self.flags = ("--gateway", self.relay.url)


class FulfillerPeer(Peer):
    words = ("fulfil",)

    def __init__(self, ground):
        super().__init__(ground)
        self.sink = Fulfiller()
        self.sink.released.set()
        self.relay = FaultyPeer(("127.0.0.1", int(self.sink.url.rsplit(":", 1)[1])))
        self.flags = ("--fulfiller-hook", self.relay.url + "/fulfill")

    def close(self):
        super().close()
        self.sink.close()


class WebhooksPeer(Peer):
    words = ("webhook", "deliver")

    def __init__(self, ground):
        super().__init__(ground)
        self.sink = Sink()
        self.relay = FaultyPeer(("127.0.0.1", int(self.sink.url.rsplit(":", 1)[1])))
        self.flags = ("--webhook-allow-private",)

    def prepare(self, client):
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        expect(client.put("/tenants/default", {
            "rate_per_second": 1000, "burst": 1000,
            "webhook": {"url": self.relay.url + "/hook", "secret": secret}}), 200)

    def close(self):
        super().close()
        self.sink.close()


class DatabasePeer(Peer):
    takes_orders = False
    words = ("database", "store")

    def __init__(self, ground):
        super().__init__(ground)
        port = harness.free_port()
        self.database = Database(ground, port)
        self.relay = FaultyPeer(("127.0.0.1", port), garbage=NOISE)
        direct = self.database.url(host="127.0.0.1")
        done = ground.run("migrate", "--store", direct)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        self.store = ("--store", direct)
        self.flags = ("--store", self.database.url(host="127.0.0.1", port=self.relay.port),
                      "--store-timeout", "2s")

    def close(self):
        super().close()
        self.database.close()


PEERS = {"gateway": GatewayPeer, "fulfiller": FulfillerPeer, "webhooks": WebhooksPeer,
         "database": DatabasePeer}


class PeerGoesWrong(harness.ProgramTest):
    peer = ""

    def server(self):
        return Server(self.ground, *FLAGS, *self.kind.flags)

    def every_way(self, way):
        self.kind = PEERS[self.peer](self.ground)
        self.addCleanup(self.kind.close)
        server = self.server().await_ready()
        client = server.client()
        self.kind.prepare(client)
        client.set_stock("p", 1_000_000)
        self.acknowledged = [client.place(order_body("p")).json()["order_id"] for _ in range(3)]
        for order_id in self.acknowledged:
            self.assertEqual(client.ended(order_id)["status"], "fulfilled")
        client.close()
        self.while_idle_and_under_load(server, way)
        self.while_draining(server, way)
        self.while_starting(way)
        if self.kind.store:
            self.ground.check(store=self.kind.store)
        else:
            self.ground.check(self.kind.ledger)

    def while_idle_and_under_load(self, server, way):
        self.kind.relay.set(way)
        self.assertEqual(self.probe(server, "/healthz"), 200)
        self.load(server, way)
        self.assertEqual(self.probe(server, "/healthz"), 200)
        if way not in SLOW:
            wait_until(lambda: self.named(server), f"a warning names the {self.peer}")
            ready = 200 if self.kind.takes_orders else 503
            wait_until(lambda: self.probe(server, "/readyz") == ready, f"/readyz is {ready}")
        if self.peer in ("gateway", "fulfiller") and way not in SLOW:
            self.assert_told_why(server)
        self.kind.relay.set("well")
        self.recovered(server)

    def while_draining(self, server, way):
        client = server.client()
        for _ in range(3):
            self.acknowledged.append(client.place(order_body("p")).json()["order_id"])
        client.close()
        self.kind.relay.set(way)
        self.load(server, way)
        # Its time is up after the drain; what is in flight is resumed. A hang fails in `wait`.
        self.assertIn(server.terminate(), (0, 1) if self.peer == "database" else (0,))

    def while_starting(self, way):
        server = self.server()
        if self.kind.takes_orders:
            server.await_ready()
            self.assertEqual(self.probe(server, "/healthz"), 200)
            self.load(server, way)
        elif way not in SLOW:
            # It says what is wrong, and ends or goes on trying.
            wait_until(lambda: self.named(server) or not server.running(), "it tells of the peer")
            self.assertTrue(self.named(server), server.log())
        self.kind.relay.set("well")

        def up_or_ended():
            if not server.running():
                return True
            with contextlib.suppress(AssertionError):  # it ends before it tells its address
                return self.probe(server, "/readyz") == 200
            return False
        wait_until(up_or_ended, "it is ready, or has ended")
        if not server.running():
            self.assertEqual(server.wait(), 1)
            server = self.server()
        server.await_ready()
        self.recovered(server)
        self.assertEqual(server.terminate(), 0)

    def recovered(self, server):
        """Everything that was acknowledged ends, and new orders do."""
        wait_until(lambda: self.probe(server, "/readyz") == 200, "the server is ready again")
        client = server.client()

        def placed():
            with contextlib.suppress(*Client.LOST):
                reply = client.post("/orders", order_body("p"))
                if reply.status == 202:
                    return reply.json()["order_id"]
            return None
        self.acknowledged.append(wait_until(placed, "an order is taken again"))
        for order_id in self.acknowledged:
            order = client.ended(order_id)
            self.assertEqual(order["status"], "fulfilled", order)
        client.close()

    def load(self, server, way):
        """Each request ends: with an answer, or with its connection."""
        answers = []

        def send(count):
            for _ in range(count):
                client = server.client()
                try:
                    answers.append(client.post("/orders", order_body("p")))
                    answers.append(client.get("/orders?limit=1"))
                except TimeoutError:
                    answers.append(None)
                except (OSError, http.client.HTTPException):
                    pass  # the outcome is unknown to the client
                finally:
                    client.close()
        senders = [threading.Thread(target=send, args=(LOAD // THREADS,)) for _ in range(THREADS)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        self.assertNotIn(None, answers, "a request was not answered")
        self.assertLessEqual({a.status for a in answers}, {200, 202, 503}, way)
        taken = [a.json()["order_id"] for a in answers if a.status == 202]
        self.acknowledged += taken
        if self.kind.takes_orders:
            self.assertEqual(len(taken), LOAD, "orders are taken without the peer")

    def probe(self, server, path):
        with contextlib.suppress(*Client.LOST):
            with contextlib.closing(server.client()) as client:
                return client.get(path).status
        return None

    def named(self, server):
        """Whether a warning or an error names the peer."""
        for record in server.records():
            text = json.dumps(record).lower()
            if record.get("level") in ("warning", "error") and any(
                    word in text for word in self.kind.words):
                return True
        return any(word in line.lower() for line in server.log().splitlines()
                   if not line.startswith("{") for word in self.kind.words)

    def assert_told_why(self, server):
        """An order that waits for the peer says so."""
        def told():
            with contextlib.closing(server.client()) as client:
                for order_id in self.acknowledged:
                    if client.order(order_id)["status"] in harness.TERMINAL:
                        continue
                    why = expect(client.get(f"/orders/{order_id}/why"), 200).json()
                    if any(word in json.dumps(why.get("waiting_for")) for word in self.kind.words):
                        return True
            return False
        wait_until(told, f"/why names the {self.peer}")


def _add(way):
    def test(self):
        self.every_way(way)
    test.__doc__ = f"{way}: idle, under load, while draining, at start"
    setattr(PeerGoesWrong, f"test_{way}", test)


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in PEERS:
        sys.exit(__doc__.split("\n\n")[1])
    PeerGoesWrong.peer = sys.argv[2]
    for way in sys.argv[3:] or WAYS:
        _add(way)
    sys.argv = sys.argv[:2]
    harness.main()


if __name__ == "__main__":
    main()
