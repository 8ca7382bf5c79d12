"""HTTP by hand: bytes out, bytes back, for what no client library would send."""

import contextlib
import socket

from harness import HANG_SECONDS, Reply


class RawConnection:
    """A TCP connection that sends exactly what it is told."""

    def __init__(self, address):
        self._socket = socket.create_connection(address, timeout=HANG_SECONDS)
        self._pending = b""

    def send(self, data):
        """Sends; a peer that has closed already is no error, its answer is still to be read."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(data)

    def finish(self):
        """Nothing more will be sent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _more(self):
        try:
            data = self._socket.recv(65_536)
        except ConnectionError:
            data = b""
        self._pending += data
        return bool(data)

    def reply(self):
        """The next answer, or None if the connection ended before a whole one."""
        while b"\r\n\r\n" not in self._pending:
            if not self._more():
                return None
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        status = int(lines[0].split(" ")[1])
        if status == 100:
            return self.reply()
        size = int(headers.get("content-length", 0))
        while len(self._pending) < size:
            if not self._more():
                return None
        body, self._pending = self._pending[:size], self._pending[size:]
        return Reply(status, headers, body)

    def replies(self):
        """Every answer until the server closes."""
        found = []
        while (reply := self.reply()) is not None:
            found.append(reply)
        return found

    def close(self):
        self._socket.close()


def exchange(address, data, half_close=False):
    """All answers to the bytes, up to the server's close. `half_close` tells the server that no
    more will come, for bytes that it may take for the beginning of a request."""
    with contextlib.closing(RawConnection(address)) as connection:
        connection.send(data)
        if half_close:
            connection.finish()
        return connection.replies()


def post(path, body, *headers, length=None):
    """The bytes of a POST."""
    if isinstance(body, str):
        body = body.encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
             f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
