"""An asyncio client that keeps connections, loses them, and tries again with the same key."""

import asyncio
import json
import random
from dataclasses import dataclass, field

from harness import order_body

_MAX_HEAD = 65_536


class Lost(Exception):
    """The connection ended without an answer: the outcome is unknown."""


class Connection:
    """One kept connection to wherever the server is now."""

    def __init__(self, where):
        self._where = where  # () -> (host, port), or None while there is no server
        self._streams = None

    async def request(self, method, path, body=b"", headers=()):
        """(status, headers, body), or Lost."""
        try:
            if self._streams is None:
                address = self._where()
                if address is None:
                    raise ConnectionError("no server")
                self._streams = await asyncio.open_connection(*address, limit=_MAX_HEAD)
            reader, writer = self._streams
            lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}",
                     "Content-Type: application/json", *headers]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if line)
            fields = {name.lower(): value for name, value in fields.items()}
            content = await reader.readexactly(int(fields.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise Lost(str(error)) from error
        except BaseException:
            self.close()
            raise
        if fields.get("connection", "").lower() == "close":
            self.close()
        return int(head[0].split(" ")[1]), fields, content

    def close(self):
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


@dataclass
class Submission:
    """One order as its client knows it."""
    number: int
    body: dict
    key: str | None
    sent: int = 0
    acknowledged: bytes | None = None  # the body of the first 202
    order_id: str | None = None
    gave_up: bool = False
    cancel_sent: bool = False
    cancel_acknowledged: bool = False

    @property
    def tenant(self):
        return self.body["tenant_id"]


@dataclass
class Mix:
    """What is ordered."""
    tenants: tuple = ("default", "acme", "globex", "initech")
    plenty: tuple = ("plenty-1", "plenty-2", "plenty-3", "plenty-4")
    scarce: tuple = ("scarce-1", "scarce-2")
    methods: tuple = ("pm_ok",) * 14 + ("pm_decline", "pm_fail_1", "pm_fail_2", "pm_drop_reply",
                                        "pm_drop_reply", "pm_delay_200")
    currencies: tuple = (("USD", "12.34"), ("USD", "5"), ("JPY", "700"), ("KWD", "1.234"),
                         ("EUR", "0"))
    keyed: float = 0.85
    cancelled: float = 0.12
    repeated: float = 0.3
    read: float = 0.5


@dataclass
class Counts:
    """What the load met."""
    lost: int = 0
    refused: int = 0
    retried_same_key: int = 0
    replays: int = 0
    failures: list = field(default_factory=list)


class Load:
    """`workers` clients that place orders until `stopping` is set; `history` takes every operation
    of theirs."""

    def __init__(self, where, seed, history, workers=12, mix=None, pause_seconds=0.02):
        self.where, self.workers, self.mix = where, workers, mix or Mix()
        self.history = history
        self.random = random.Random(seed)
        self.pause_seconds = pause_seconds
        self.submissions = []
        self.counts = Counts()
        self.stopping = False

    async def run(self):
        """Returns when every worker has finished what it began after `stopping` was set."""
        await asyncio.gather(*(self._worker() for _ in range(self.workers)))

    def _next(self):
        chance, mix = self.random, self.mix
        number = len(self.submissions)
        currency, price = chance.choice(mix.currencies)
        items = [{"product_id": product, "quantity": chance.randint(1, 3), "price": price}
                 for product in chance.sample(mix.plenty, chance.randint(1, 2))]
        if chance.random() < 0.15:
            items.append({"product_id": chance.choice(mix.scarce), "quantity": 1, "price": price})
        body = order_body(method=chance.choice(mix.methods), currency=currency, items=items,
                          tenant_id=chance.choice(mix.tenants), customer_id=f"client-{number}",
                          metadata={"submission": str(number)})
        key = f"key-{number}" if chance.random() < mix.keyed else None
        submission = Submission(number, body, key)
        self.submissions.append(submission)
        return submission

    async def _worker(self):
        connection = Connection(self.where)
        while not self.stopping:
            submission = self._next()
            await self._place(connection, submission)
            if submission.order_id and self.random.random() < self.mix.cancelled:
                await asyncio.sleep(self.random.uniform(0, 0.15))
                await self._cancel(connection, submission)
            if submission.order_id and self.random.random() < self.mix.read:
                await self._read(connection, submission.order_id)
            if submission.order_id and submission.key and \
                    self.random.random() < self.mix.repeated:
                await self.repeat(connection, submission)
            await asyncio.sleep(self.random.uniform(0, 2 * self.pause_seconds))
        connection.close()

    def _check(self, condition, text):
        if not condition:
            self.counts.failures.append(text)

    async def _send(self, connection, submission):
        submission.sent += 1
        headers = [f"Idempotency-Key: {submission.key}"] if submission.key else []
        with self.history.place(submission.body, submission.key) as operation:
            answer = await connection.request("POST", "/orders",
                                              json.dumps(submission.body).encode(), headers)
            operation.complete(*answer)
        return answer

    async def _read(self, connection, order_id):
        """Once; what it shows is for the history's judge."""
        try:
            with self.history.operation("read", order_id=order_id) as operation:
                operation.complete(*await connection.request("GET", f"/orders/{order_id}"))
        except Lost:
            self.counts.lost += 1

    async def _place(self, connection, submission):
        """Until it is acknowledged. Without a key, an unknown outcome stays unknown."""
        while True:
            try:
                status, fields, body = await self._send(connection, submission)
            except Lost:
                self.counts.lost += 1
                if submission.key is None:
                    submission.gave_up = True
                    return
                self.counts.retried_same_key += 1
                await asyncio.sleep(0.05)
                continue
            if status == 202:
                self._acknowledge(submission, fields, body)
                return
            self.counts.refused += 1
            self._check(status in (429, 503) and int(fields.get("retry-after", 0)) >= 1,
                        f"submission {submission.number} got {status} {fields} {body!r}")
            if status not in (429, 503):
                submission.gave_up = True
                return
            await asyncio.sleep(0.1)

    def _acknowledge(self, submission, fields, body):
        answer = json.loads(body)
        submission.acknowledged, submission.order_id = body, answer["order_id"]
        self._check(fields.get("location") == f"/orders/{submission.order_id}",
                    f"Location {fields.get('location')} of {submission.order_id}")
        self._check((answer["status"], answer["version"]) == ("placed", 1), f"answer {answer}")

    async def repeat(self, connection, submission):
        """Sends an acknowledged order again: the same bytes must come back, marked as a replay."""
        while True:
            try:
                status, fields, body = await self._send(connection, submission)
            except Lost:
                self.counts.lost += 1
                await asyncio.sleep(0.05)
                continue
            if status == 503:  # draining or full: nothing was looked up
                await asyncio.sleep(0.1)
                continue
            self.counts.replays += 1
            self._check(status == 202 and body == submission.acknowledged and
                        fields.get("idempotent-replayed") == "true",
                        f"replay of {submission.key}: {status} {fields} {body!r} is not "
                        f"{submission.acknowledged!r}")
            return

    async def _cancel(self, connection, submission):
        """Until the server has said yes or no: a repeated cancel means the same."""
        submission.cancel_sent = True
        while True:
            try:
                with self.history.operation("cancel", order_id=submission.order_id) as operation:
                    answer = await connection.request(
                        "POST", f"/orders/{submission.order_id}/cancel")
                    operation.complete(*answer)
                    status, _, body = answer
            except Lost:
                self.counts.lost += 1
                await asyncio.sleep(0.05)
                continue
            if status == 503:
                await asyncio.sleep(0.1)
                continue
            self._check(status in (202, 409), f"cancel of {submission.order_id}: {status} {body!r}")
            submission.cancel_acknowledged = status == 202
            return
