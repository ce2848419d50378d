# SignalBox: a hub connection that shows every message it gets, over any transport and hub protocol.
# SPDX-License-Identifier: Apache-2.0

import itertools
import json

from harness.codec import JSON, SEPARATOR
from harness.server import Server
from harness.transports import TransportEnded, WebSocketTransport


class HandshakeRefused(Exception):
    """Carries the error text of the server's handshake answer."""


class Hub:
    def __init__(
        self, server: Server, path: str = "/hubs/chat", transport=WebSocketTransport, codec=JSON, headers=None, version=1
    ):
        self.codec = codec()
        self.transport = transport(server, path, headers)
        self.connection_id = self.transport.negotiated["connectionId"]
        self.buffer = b""
        self.messages: list[dict] = []
        self.numbers = itertools.count(1)
        self.handshake(version)

    def handshake(self, version: int):
        hello = {"protocol": self.codec.name, "version": version}
        self.transport.send(json.dumps(hello).encode() + SEPARATOR, False)
        answer, self.buffer = self.transport.receive(self.codec.is_binary).split(SEPARATOR, 1)
        answer = json.loads(answer)
        if "error" in answer:
            raise HandshakeRefused(answer["error"])
        assert answer == {}

    def send(self, message: dict):
        self.send_bytes(self.codec.encode(message))

    def send_bytes(self, data: bytes):
        self.transport.send(data, self.codec.is_binary)

    def receive(self) -> dict:
        """The next message, but for pings and the playground's announcements of who is online."""
        while True:
            while self.messages:
                message = self.messages.pop(0)
                if message["type"] != 6 and message.get("target") != "online":
                    return message
            if not self.buffer:
                self.buffer = self.transport.receive(self.codec.is_binary)
            self.messages, rest = self.codec.decode(self.buffer)
            assert rest == b"", "a transport unit holds whole messages"
            self.buffer = b""

    def expect_end(self, or_loss=False):
        """Waits until the server ends the transport in order, with nothing before it. A server that goes away itself
        may take TCP with it (`or_loss`)."""
        try:
            message = self.receive()
        except TransportEnded:
            return
        except (ConnectionError, EOFError):
            assert or_loss, "the connection was lost"
            return
        raise AssertionError(f"expected the end of the connection, not {message}")

    def invoke(self, target: str, *arguments, **fields) -> dict:
        """The completion of a call; whatever else comes before it is a mistake."""
        identifier = self.start(1, target, *arguments, **fields)
        completion = self.receive()
        assert completion.get("invocationId") == identifier, completion
        assert completion["type"] == 3, completion
        return completion

    def start(self, kind: int, target: str, *arguments, **fields) -> str:
        """Sends an invocation (1) or a stream invocation (4); gives its id."""
        identifier = str(next(self.numbers))
        self.send(
            {"type": kind, "invocationId": identifier, "target": target, "arguments": list(arguments)} | fields
        )
        return identifier

    def close(self):
        self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
