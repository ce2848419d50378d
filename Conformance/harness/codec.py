# SignalBox: hub messages as dictionaries, in JSON and in MessagePack, written apart from the server's own code.
# SPDX-License-Identifier: Apache-2.0

import json

import msgpack

SEPARATOR = b"\x1e"
ABSENT = object()


class JSON:
    name, is_binary = "json", False

    def encode(self, message: dict) -> bytes:
        return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + SEPARATOR

    def decode(self, buffer: bytes) -> tuple[list[dict], bytes]:
        """The whole messages at the front, and what is left."""
        *records, rest = buffer.split(SEPARATOR)
        return [json.loads(record) for record in records], rest


class MessagePack:
    name, is_binary = "messagepack", True

    def encode(self, message: dict) -> bytes:
        body = msgpack.packb(self._items(message))
        return length_prefix(len(body)) + body

    @staticmethod
    def _items(message: dict) -> list:
        kind, headers = message["type"], message.get("headers", {})
        identifier = message.get("invocationId")
        match kind:
            case 1 | 4:
                streams = message.get("streamIds", [])
                return [kind, headers, identifier, message["target"], message["arguments"], streams]
            case 2:
                return [kind, headers, identifier, message["item"]]
            case 3 if "error" in message:
                return [kind, headers, identifier, 1, message["error"]]
            case 3 if "result" in message:
                return [kind, headers, identifier, 3, message["result"]]
            case 3:
                return [kind, headers, identifier, 2]
            case 5:
                return [kind, headers, identifier]
            case 7:
                return [kind, message.get("error"), message.get("allowReconnect", False)]
            case 8 | 9:
                return [kind, message["sequenceId"]]
            case _:
                return [kind]

    def decode(self, buffer: bytes) -> tuple[list[dict], bytes]:
        messages = []
        while (span := self._span(buffer)) is not None:
            messages.append(self._message(msgpack.unpackb(buffer[span[0]:span[1]], strict_map_key=False)))
            buffer = buffer[span[1]:]
        return messages, buffer

    @staticmethod
    def _span(buffer: bytes) -> tuple[int, int] | None:
        length = 0
        for index, byte in enumerate(buffer[:5]):
            length |= (byte & 0x7F) << 7 * index
            if not byte & 0x80:
                end = index + 1 + length
                return (index + 1, end) if end <= len(buffer) else None
        return None

    @staticmethod
    def _message(items: list) -> dict:
        """The JSON form of an array. The lengths are those that every known client needs."""
        kind = items[0]
        if kind == 6:
            assert len(items) == 1, items
            return {"type": 6}
        if kind == 7:
            assert len(items) == 3, items
            fields = {"error": items[1] if items[1] is not None else ABSENT, "allowReconnect": items[2] or ABSENT}
        elif kind in (8, 9):
            fields = {"sequenceId": items[1]}
        else:
            assert isinstance(items[1], dict), "headers are a map, empty when there are none"
            fields = {"headers": items[1] or ABSENT, "invocationId": items[2] if items[2] is not None else ABSENT}
        if kind in (1, 4):
            assert len(items) == 6, items
            fields |= {"target": items[3], "arguments": items[4], "streamIds": items[5] or ABSENT}
        elif kind == 2:
            fields["item"] = items[3]
        elif kind == 3:
            fields[{1: "error", 2: "void", 3: "result"}[items[3]]] = items[4] if items[3] != 2 else ABSENT
        return {"type": kind} | {name: value for name, value in fields.items() if value is not ABSENT}


def length_prefix(length: int) -> bytes:
    """The VarInt in front of a binary message: 7 bits per byte, least significant first."""
    out = b""
    while length > 0x7F:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length])
