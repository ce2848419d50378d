# SignalBox: a client of the service that does one step of its life at a time, so that a test can be the app server.
# SPDX-License-Identifier: Apache-2.0

import json

from harness.codec import JSON, SEPARATOR
from harness.server import Server
from harness.tokens import bearer, client_token
from harness.transports import TransportEnded, WebSocketTransport
from harness.websocket import CLOSE


class Visitor:
    """Has connected and sent its hub handshake; nobody has answered that yet."""

    def __init__(
        self, server: Server, hub: str, user: str | None = None, codec=JSON, transport=WebSocketTransport, query="",
        headers=None, hello: bytes | None = None, **claims
    ):
        self.codec = codec()
        authorization = bearer(client_token(server, hub, user, **claims))
        self.transport = transport(server, f"/client/?hub={hub}{query}", authorization | (headers or {}))
        self.connection_id = self.transport.negotiated["connectionId"]
        self.hello = hello or json.dumps({"protocol": self.codec.name, "version": 1}).encode() + SEPARATOR
        self.buffer = b""
        self.transport.send(self.hello, False)

    def receive_bytes(self) -> bytes:
        """One unit of the transport: a WebSocket message, an event, the body of a poll."""
        if self.buffer:
            taken, self.buffer = self.buffer, b""
            return taken
        return self.transport.receive(self.codec.is_binary)

    def expect_welcome(self):
        """The app server's answer to the hub handshake. What came with it is kept."""
        received = self.receive_bytes()
        assert received.startswith(b"{}\x1e"), received
        self.buffer = received[3:]

    def expect_refusal(self) -> str:
        """The error text of the answer to the hub handshake, after which the transport ends."""
        answer, rest = self.receive_bytes().split(SEPARATOR, 1)
        error = json.loads(answer)["error"]
        self.buffer = rest
        return error

    def expect_bytes(self, *expected: bytes):
        """Exactly these bytes, in however many units, each of which ends where a message ends (§9.2)."""
        wanted, received = b"".join(expected), b""
        while len(received) < len(wanted):
            unit = self.receive_bytes()
            assert self.codec.decode(unit)[1] == b"", "a transport unit holds whole messages"
            received += unit
        self.buffer, received = received[len(wanted):], received[:len(wanted)]
        assert received == wanted

    def receive(self) -> dict:
        messages, rest = self.codec.decode(self.receive_bytes())
        assert rest == b"" and messages
        self.buffer = b"".join(self.codec.encode(message) for message in messages[1:])
        return messages[0]

    def send(self, message: dict):
        self.send_bytes(self.codec.encode(message))

    def send_bytes(self, data: bytes):
        self.transport.send(data, self.codec.is_binary)

    def expect_close(self, error: str | None = None, reconnects=True):
        close = self.receive()
        assert close["type"] == 7 and close.get("error") == error, close
        assert close.get("allowReconnect", False) == reconnects, close
        self.expect_end()

    def expect_end(self):
        try:
            message = self.receive_bytes()
        except TransportEnded:
            return
        raise AssertionError(f"expected the end of the connection, not {message!r}")

    def leave(self):
        """Ends the connection as its transport does that in order."""
        if isinstance(self.transport, WebSocketTransport):
            self.transport.socket.send(CLOSE, b"\x03\xe8")
            self.transport.socket.receive_close()
        self.close()

    def close(self):
        self.transport.close()
