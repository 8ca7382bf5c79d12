"""A TCP relay between the program and a peer (a database, a gateway, a fulfiller, a receiver of
webhooks) that goes wrong on demand.

Fault model. A way holds for every connection, open ones included, from `set` until the next `set`:

  well     bytes pass
  freeze   connections are accepted and kept; nothing passes in either direction
  drip     what the peer answers passes one byte each 0.2 s
  late     what the peer answers passes 3 s later
  garble   the peer's answers are replaced with other bytes (for HTTP: a proxy's HTML page)
  cut      the first 20 bytes of an answer pass, then the connection is reset
  reset    connections are reset as soon as they have sent a byte
  refuse   nobody listens: connections are refused, open ones are reset

It never alters what the program sends, and never invents an answer that the protocol would take for
a success. A relay is used by one test at a time; `set` may be called from any thread.
"""

import asyncio
import contextlib
import socket
import struct
import threading

WAYS = ("freeze", "drip", "late", "garble", "cut", "reset", "refuse")
DRIP_SECONDS = 0.2
LATE_SECONDS = 3.0
HTML = (b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 48\r\n\r\n"
        b"<html><body><h1>404 Not Found</h1></body></html>")
NOISE = b"\x00\xffthis is no answer of any protocol\r\n" * 4
# Closing with this option sends a reset.
_RESET = struct.pack("ii", 1, 0)


class FaultyPeer:
    """Listens on a loopback port and relays to `target`: (host, port) or a unix socket's path."""

    def __init__(self, target, garbage=HTML):
        self.target = target
        self.garbage = garbage
        self.way = "well"
        self.passed = 0  # bytes that the program sent on
        self.connections = 0  # that the program opened so far
        self._writers = set()
        self._changed = None
        self._server = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self._call(self._listen())

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def set(self, way):
        """In force for every byte from here on."""
        self._call(self._set(way))

    def close(self):
        self._call(self._set("refuse"))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=60)

    async def _listen(self):
        if self._changed is None:
            self._changed = asyncio.Condition()
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _set(self, way):
        if way not in ("well", *WAYS):
            raise ValueError(way)
        self.way = way
        if way in ("refuse", "reset"):
            for writer in list(self._writers):
                _reset(writer)
        if way == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif way != "refuse" and self._server is None:
            await self._listen()
        async with self._changed:
            self._changed.notify_all()

    async def _open_target(self):
        if isinstance(self.target, str):
            return await asyncio.open_unix_connection(self.target)
        return await asyncio.open_connection(*self.target)

    async def _relay(self, reader, writer):
        self.connections += 1
        self._writers.add(writer)
        try:
            if self.way == "freeze":
                await self._thaw()
            up_reader, up_writer = await self._open_target()
        except OSError:
            self._writers.discard(writer)
            _reset(writer)
            return
        pumps = [asyncio.ensure_future(self._forward(reader, up_writer, writer)),
                 asyncio.ensure_future(self._answer(up_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._writers.discard(writer)
            for each in (up_writer, writer):
                with contextlib.suppress(Exception):
                    each.close()

    async def _thaw(self):
        async with self._changed:
            await self._changed.wait_for(lambda: self.way != "freeze")

    async def _forward(self, reader, up_writer, writer):
        while data := await reader.read(65_536):
            if self.way == "freeze":
                await self._thaw()
            if self.way == "reset":
                return _reset(writer)
            self.passed += len(data)
            up_writer.write(data)
            await up_writer.drain()

    async def _answer(self, up_reader, writer):
        while data := await up_reader.read(65_536):
            if self.way == "freeze":
                await self._thaw()
            if self.way == "late":
                await asyncio.sleep(LATE_SECONDS)
            if self.way == "drip":
                data = await self._drip(data, writer)
            if self.way == "garble":
                data = self.garbage
            if self.way == "cut":
                writer.write(data[:20])
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                return _reset(writer)
            writer.write(data)
            await writer.drain()

    async def _drip(self, data, writer):
        """Sends byte by byte while that is the way; what is left."""
        for at in range(len(data)):
            if self.way != "drip":
                return data[at:]
            writer.write(data[at:at + 1])
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)
        return b""


def _reset(writer):
    with contextlib.suppress(Exception):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
