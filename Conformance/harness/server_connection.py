# SignalBox: one server connection that says exactly what a test tells it, and shows every byte it hears.
# SPDX-License-Identifier: Apache-2.0

import json
import select
import time
import uuid

from harness.appserver.endpoint import Endpoint
from harness.appserver.messages import Kind, Reader, body, decode, encode
from harness.server import PATIENCE, Server
from harness.websocket import BINARY, CLOSE, PING, PONG, TEXT, WebSocket

KEEP_ALIVE = bytes.fromhex("029103")
WELCOME = bytes.fromhex("059402a080c0")

# Connection types of the handshake (service reference §6.1).
DEFAULT, ON_DEMAND, WEAK = 0, 1, 2


class ServerConnectionEnded(Exception):
    """The service ended the server connection; carries the code of its Close frame, None when there was none."""


class ServerConnection:
    """A WebSocket at /server/, before its service handshake. `name` is the app server's process."""

    def __init__(self, server: Server, hub: str, name: str | None = None, path="/server/", query="", headers=None, token=None):
        self.name = name or f"HOST_{uuid.uuid4().hex}"
        self.identifier = str(uuid.uuid4())
        endpoint = Endpoint(server.connection_string)
        fields = {
            "Authorization": f"Bearer {token or endpoint.server_token(hub, self.name)}",
            "X-ASRS-Server-Id": self.name,
            "Asrs-User-Agent": "Microsoft.Azure.SignalR/1.30.3 (.NET 9.0.0; Linux; X64)",
            "X-Requested-With": "XMLHttpRequest",
        } | (headers or {})
        target = f"{path}?hub={hub}&cid={self.identifier}{query}"
        self.socket = WebSocket(server, target, fields)
        self.reader = Reader()
        self.pings = 0

    @property
    def is_open(self) -> bool:
        return self.socket.answer.status == 101

    def shake_hands(self, kind=DEFAULT, target="", migration=0, **fields) -> "ServerConnection":
        """What a present SDK says first, and the answer it needs."""
        assert self.is_open, self.socket.answer
        self.say(Kind.HANDSHAKE_REQUEST, connectionType=kind, target=target, migrationLevel=migration, **fields)
        self.expect(WELCOME)
        return self

    # Sending

    def say(self, kind: int, /, **fields):
        self.send(encode(kind, **fields))

    def send(self, data: bytes | str):
        """Bytes, or the hexadecimal form of them, as one WebSocket message."""
        self.socket.send(BINARY, bytes.fromhex(data) if isinstance(data, str) else data)

    # Receiving

    def next_frame(self) -> bytes:
        """The next message with its prefix; keep-alives are counted and left out."""
        while True:
            while (taken := self.reader.next_frame()) is not None:
                if taken != KEEP_ALIVE:
                    return taken
                self.pings += 1
            self._read()

    def _read(self):
        received = self.socket.receive()
        if received.opcode == CLOSE:
            raise ServerConnectionEnded(received.close_code)
        if received.opcode == PING:
            self.socket.send(PONG, received.payload)
        elif received.opcode == BINARY:
            self.reader.feed(received.payload)
        else:
            assert received.opcode not in (TEXT,), "text is not used on server connections (§5.1)"

    def next(self) -> dict:
        return decode(body(self.next_frame()))

    def expect(self, framed: bytes | str):
        expected = framed if isinstance(framed, str) else framed.hex()
        assert self.next_frame().hex() == expected

    def expect_message(self, kind: int, /, **fields) -> dict:
        message = self.next()
        assert message["type"] == kind, message
        assert {name: message.get(name) for name in fields} == fields
        return message

    def expect_ack(self, identifier: int, status: int):
        """An acknowledgement with or without the item that newer services add (§6: 20)."""
        message = self.expect_message(Kind.ACK, ackId=identifier, status=status)
        assert message.get("ext", {}) == {}, "an SDK loses sync at members that it does not know (§5.4)"

    def expect_quiet(self):
        """Nothing is under way: the answer to a question comes next."""
        self.send(encode(Kind.PING, pairs=["servers", ""]))
        message = self.next()
        assert message["type"] == Kind.PING and message["pairs"][0] == "servers", message

    def expect_end(self) -> int | None:
        """Reads until the service ends the connection; gives its Close code, None for a mere end of TCP."""
        try:
            while True:
                self.next_frame()
        except ServerConnectionEnded as ended:
            return ended.args[0]
        except (EOFError, ConnectionError):
            return None

    def wait_for_ping(self) -> float:
        """Waits for the next keep-alive; gives when it came."""
        before = self.pings
        while self.pings == before:
            self._read()
            while (taken := self.reader.next_frame()) is not None:
                assert taken == KEEP_ALIVE, taken.hex()
                self.pings += 1
        return time.monotonic()

    # Clients

    def take_client(self, answer=b"{}\x1e", protocol="json") -> dict:
        """Receives OpenConnection and the client's handshake, and answers it, as a present SDK does."""
        opened = self.expect_message(Kind.OPEN_CONNECTION, ext={"protocol": protocol})
        identifier = opened["connectionId"]
        hello = self.expect_message(Kind.CONNECTION_DATA, connectionId=identifier)
        assert json.loads(hello["payload"].split(b"\x1e")[0])["protocol"] == protocol
        self.say(Kind.CONNECTION_DATA, connectionId=identifier, payload=answer, ext={"dataMessageType": 1})
        return opened

    def data(self, connection: str, payload: bytes, **fields):
        self.say(Kind.CONNECTION_DATA, connectionId=connection, payload=payload, **fields)

    def expect_data(self, connection: str, payload: bytes):
        """The client's bytes, in however many messages they come (§9.2: any slices)."""
        received = b""
        while len(received) < len(payload):
            received += self.expect_message(Kind.CONNECTION_DATA, connectionId=connection)["payload"]
        assert received == payload

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def first_to_hear(connections: list[ServerConnection]) -> ServerConnection:
    """The first of several server connections that has a message; keep-alives are read over."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for connection in connections:
            while bytes(connection.reader.buffer).startswith(KEEP_ALIVE):
                connection.reader.next_frame()
                connection.pings += 1
            if connection.reader.buffer or connection.socket.buffer:
                return connection
        ready, _, _ = select.select([connection.socket.socket for connection in connections], [], [], 1)
        for connection in connections:
            if connection.socket.socket in ready:
                connection._read()
    raise AssertionError("no server connection heard anything")
