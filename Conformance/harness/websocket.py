# SignalBox: a WebSocket client that says exactly what it is told, right or wrong (RFC 6455).
# SPDX-License-Identifier: Apache-2.0

import base64
import hashlib
import os
import socket
import struct
from dataclasses import dataclass

from harness.server import PATIENCE, Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass
class Frame:
    final: bool
    reserved: int
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int | None:
        assert self.opcode == CLOSE
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else None


@dataclass
class UpgradeAnswer:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def mask(payload: bytes, key: bytes) -> bytes:
    length = len(payload)
    repeated = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(length, "big")


def frame(
    opcode: int, payload: bytes = b"", final=True, reserved=0, masked=True, declared: int | None = None, wide=None
) -> bytes:
    """A frame's bytes. `declared` lies about the length; `wide` forces 2 or 8 bytes for it."""
    length = len(payload) if declared is None else declared
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    flag = 0x80 if masked else 0
    width = wide if wide is not None else (0 if length < 126 else 2 if length < 65536 else 8)
    head += {0: lambda: bytes([flag | length]),
             2: lambda: bytes([flag | 126]) + struct.pack("!H", length),
             8: lambda: bytes([flag | 127]) + struct.pack("!Q", length)}[width]()
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


class WebSocket:
    """One connection. `answer` is what the server said to the upgrade request; status 101 means it is open."""

    def __init__(self, server: Server, path: str, headers: dict[str, str | None] | None = None):
        self.socket = socket.create_connection((server.host, server.port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Host": f"{server.host}:{server.port}", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13",
        } | (headers or {})
        lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items() if value is not None]
        self.send_raw(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.answer = self._read_answer()
        if self.answer.status == 101:
            proof = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            assert self.answer.headers["sec-websocket-accept"] == base64.b64encode(proof).decode()

    def _read_answer(self) -> UpgradeAnswer:
        while b"\r\n\r\n" not in self.buffer:
            self._read_more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        code = int(status.split()[1])
        body = b"" if code == 101 else self._take(int(headers.get("content-length", "0")))
        return UpgradeAnswer(code, headers, body)

    def _read_more(self):
        received = self.socket.recv(65536)
        if not received:
            raise EOFError("the server ended the connection")
        self.buffer += received

    def _take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._read_more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send_raw(self, data: bytes):
        self.socket.sendall(data)

    def send(self, opcode: int, payload: bytes = b"", **details):
        self.send_raw(frame(opcode, payload, **details))

    def receive(self) -> Frame:
        first, second = self._take(2)
        assert not second & 0x80, "a server must not mask its frames (RFC 6455 §5.1)"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        return Frame(bool(first & 0x80), (first >> 4) & 7, first & 0x0F, self._take(length))

    def receive_message(self) -> Frame:
        """The next text or binary message; pings are answered, a Close frame is an error."""
        while True:
            received = self.receive()
            if received.opcode == PING:
                self.send(PONG, received.payload)
            elif received.opcode in (TEXT, BINARY):
                assert received.final, "the server sends whole messages"
                return received
            else:
                assert received.opcode == PONG, f"expected a message, not {received}"

    def receive_close(self) -> Frame:
        """The server's Close frame, whatever comes before it."""
        while (received := self.receive()).opcode != CLOSE:
            pass
        return received

    def at_end(self) -> bool:
        """Whether the server ends TCP without another byte. Waits for it."""
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
