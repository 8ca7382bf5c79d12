"""Writes what clients asked for and were told, for `penstock check --history` (docs/history.md)."""

import contextlib
import hashlib
import json
import re
import time

_REMAINING = re.compile(r"r=(\d+)")


class Operation:
    """One request; `complete` says how it ended, and leaving it without is an unknown outcome."""

    def __init__(self, history, number):
        self._history, self.number, self._answer = history, number, {}

    def complete(self, status, headers=None, body=b""):
        """The answer: status, lower-case headers, bytes."""
        headers = headers or {}
        told = {"http": status}
        with contextlib.suppress(ValueError, AttributeError):
            content = json.loads(body)
            told.update(self._told(content, status))
        if headers.get("idempotent-replayed") == "true":
            told["replayed"] = True
        remaining = _REMAINING.search(headers.get("ratelimit", ""))
        if remaining:
            told["remaining"] = int(remaining[1])
        if status == 202:
            told["body_digest"] = hashlib.sha256(body).hexdigest()
        self._answer = told

    @staticmethod
    def _told(content, status):
        if status >= 300:
            return {"code": content.get("code", "")}
        names = {"order_id": "order_id", "tenant_id": "order_tenant", "status": "status",
                 "version": "version", "on_hand": "on_hand", "reserved": "reserved",
                 "sold": "sold"}
        return {name: content[member] for member, name in names.items() if member in content}

    def end(self):
        self._history.write("complete", operation=self.number, **self._answer)


class History:
    """A history file. Events are in the order of one process's monotonic clock: written on one
    thread, an invocation before its first byte leaves, an answer after its last one came."""

    def __init__(self, path, rate_per_second="1000", burst=2000):
        self.path = path
        self._file = open(path, "w", encoding="utf-8")
        self._operations = 0
        self._line({"event": "history", "format": 1, "default_contract":
                    {"rate_per_second": rate_per_second, "burst": burst}})

    def write(self, event, **members):
        self._line({"at": time.monotonic_ns() // 1000, "wall": time.time_ns() // 1000,
                    "event": event, **members})

    @contextlib.contextmanager
    def operation(self, request, tenant=None, **members):
        self._operations += 1
        operation = Operation(self, self._operations)
        if tenant:
            members["tenant"] = tenant
        self.write("invoke", operation=operation.number, request=request, **members)
        try:
            yield operation
        finally:
            operation.end()

    def place(self, body, key):
        more = {"key": key} if key else {}
        return self.operation("place", tenant=body["tenant_id"], body=body, **more)

    def quiescent(self):
        """The world was kind for long enough: whatever was accepted has ended."""
        self.write("quiescent")

    def close(self):
        self._file.close()

    def _line(self, members):
        self._file.write(json.dumps(members, separators=(",", ":")) + "\n")
