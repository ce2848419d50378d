# SignalBox: one server connection of an app server: it connects for ever, answers pings, and hands messages on.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import random
import time
import uuid
from urllib.parse import quote

import websockets

from harness.appserver.messages import Kind, Malformed, Reader, decode, body, encode, ping

DEFAULT, ON_DEMAND, WEAK = 0, 1, 2

# Seconds (service reference §7, §8.1).
PING_AFTER = 5.0
SILENCE = 30.0
HANDSHAKE = 15.0


class Refused(Exception):
    """The service answered the handshake with an error."""


class Link:
    """A server connection. `app` hears of every message by `received`, and of the loss by `lost`."""

    def __init__(self, app, kind=DEFAULT, target=""):
        self.app, self.kind, self.target = app, kind, target
        self.socket: websockets.ClientConnection | None = None
        self.is_connected = False
        self.is_acknowledged = asyncio.Event()  # of fin
        self.last_sent = 0.0
        self.identifier = ""

    async def run(self):
        """Connects again after every loss, later and later, until the app server stops. An on-demand one does not."""
        failures = 0
        while not self.app.is_stopping:
            began = time.monotonic()
            try:
                await self._connect()
            except (OSError, EOFError, TimeoutError, asyncio.TimeoutError, Refused, Malformed, websockets.WebSocketException) as error:
                self.app.report("link failed", server=self.identifier, error=f"{type(error).__name__}: {error}")
            if self.is_connected:
                self.is_connected, failures = False, 0
                self.app.lost(self)
            if self.app.is_stopping or self.kind == ON_DEMAND:
                return
            failures = failures + 1 if time.monotonic() - began < 60 else 1
            await asyncio.sleep(min(60, 2 ** (failures - 1)) + random.random())

    def address(self) -> tuple[str, str]:
        """Where it connects to, and the token for that."""
        return self.app.endpoint.server_url(self.app.hub), self.app.endpoint.server_token(self.app.hub, self.app.name)

    async def _connect(self):
        self.identifier = str(uuid.uuid4())
        place, token = self.address()
        url = f"{place}&cid={self.identifier}".replace("http", "ws", 1)
        if self.target:
            url += f"&target={quote(self.target, safe='')}"
        headers = {
            "Authorization": f"Bearer {token}",
            "X-ASRS-Server-Id": self.app.name,
            "Asrs-User-Agent": "Microsoft.Azure.SignalR/1.30.3 (.NET 9.0.0; Linux; X64)",
            "X-Requested-With": "XMLHttpRequest",
        }
        # The SDK lets WebSocket pings be, and has no limit of its own for what the service sends.
        async with websockets.connect(
            url, additional_headers=headers, user_agent_header=None, compression=None, ping_interval=None, max_size=None, proxy=None,
        ) as self.socket:
            reader = Reader()
            await self._shake_hands(reader)
            self.is_connected = True
            self.app.report("link", server=self.identifier, kind=self.kind)
            await self._read(reader)

    async def _shake_hands(self, reader: Reader):
        await self._send(encode(
            Kind.HANDSHAKE_REQUEST, connectionType=self.kind, target=self.target, migrationLevel=self.app.migration_level,
            allowStatefulReconnects=self.app.is_stateful))
        async with asyncio.timeout(HANDSHAKE):
            while (framed := reader.next_frame()) is None:
                reader.feed(await self.socket.recv())
        message = decode(body(framed))
        if message["type"] != Kind.HANDSHAKE_RESPONSE:
            raise Malformed(f"{message} came first")
        if message.get("errorMessage"):
            raise Refused(message["errorMessage"])

    async def _read(self, reader: Reader):
        while True:
            while (message := reader.next()) is not None:
                await self._received(message)
            try:
                async with asyncio.timeout(SILENCE / self.app.haste):
                    data = await self.socket.recv()
            except websockets.ConnectionClosed:
                return
            if isinstance(data, str):
                raise Malformed("text")
            reader.feed(data)
            await self._ping_back()

    async def _ping_back(self):
        """Its pings are answers: only when something came, and it said nothing for a while (§7)."""
        if time.monotonic() - self.last_sent > PING_AFTER:
            mine = sum(client.link is self for client in self.app.clients.values())
            await self.say(ping("#clientInHub", str(len(self.app.clients)), "#client", str(mine)))

    async def _received(self, message: dict):
        if message["type"] != Kind.PING:
            self.app.received(self, message)
            return
        pairs = dict(zip(message["pairs"][::2], message["pairs"][1::2]))
        if pairs.get("shutdown") == "finack":
            self.is_acknowledged.set()
        if "echo" in pairs:
            await self.say(ping("echo", pairs["echo"]))
        self.app.pinged(pairs)

    async def say(self, framed: bytes):
        """Sends a message. What cannot be sent is lost with the connection, as the SDK has it."""
        try:
            await self._send(framed)
        except websockets.ConnectionClosed:
            pass

    async def _send(self, framed: bytes):
        self.last_sent = time.monotonic()
        await self.socket.send(framed)

    async def finish(self, mode: int):
        """Says that it will stop, until that is acknowledged (§14.1)."""
        for _ in range(24):
            await self.say(ping("shutdown", f"fin:{mode}"))
            try:
                async with asyncio.timeout(5):
                    await self.is_acknowledged.wait()
                    return
            except TimeoutError:
                continue

    async def close(self):
        if self.socket is not None:
            await self.socket.close()
