# SignalBox: messages between app servers and the service, as dictionaries (service reference §5.2, §5.3, §6).
# SPDX-License-Identifier: Apache-2.0

import struct
from enum import IntEnum

import msgpack

from harness.codec import length_prefix


class Kind(IntEnum):
    HANDSHAKE_REQUEST = 1
    HANDSHAKE_RESPONSE = 2
    PING = 3
    OPEN_CONNECTION = 4
    CLOSE_CONNECTION = 5
    CONNECTION_DATA = 6
    MULTI_CONNECTION_DATA = 7
    USER_DATA = 8
    MULTI_USER_DATA = 9
    BROADCAST = 10
    JOIN_GROUP = 11
    LEAVE_GROUP = 12
    GROUP_BROADCAST = 13
    MULTI_GROUP_BROADCAST = 14
    SERVICE_ERROR = 15
    USER_JOIN_GROUP = 16
    USER_LEAVE_GROUP = 17
    JOIN_GROUP_WITH_ACK = 18
    LEAVE_GROUP_WITH_ACK = 19
    ACK = 20
    CHECK_USER_IN_GROUP = 21
    SERVICE_EVENT = 22
    CHECK_GROUP = 23
    CHECK_CONNECTION = 24
    CHECK_USER = 25
    USER_JOIN_GROUP_WITH_ACK = 26
    USER_LEAVE_GROUP_WITH_ACK = 27
    ACCESS_KEY_REQUEST = 28
    ACCESS_KEY_RESPONSE = 29
    CLOSE_CONNECTION_WITH_ACK = 30
    CLOSE_CONNECTIONS = 31
    CLOSE_USER_CONNECTIONS = 32
    CLOSE_GROUP_CONNECTIONS = 33
    CLIENT_INVOCATION = 34
    CLIENT_COMPLETION = 35
    ERROR_COMPLETION = 36
    SERVICE_MAPPING = 37
    CONNECTION_RECONNECT = 38
    FLOW_CONTROL = 39
    GROUP_MEMBERS = 40


# What follows the kind in each array, in order.
LAYOUTS = {kind: fields.split() for kind, fields in {
    1: "version connectionType target migrationLevel ext allowStatefulReconnects",
    2: "errorMessage ext connectionId",
    4: "connectionId claims headers queryString ext",
    5: "connectionId errorMessage headers ext",
    6: "connectionId payload ext",
    7: "connectionIds payloads ext",
    8: "userId payloads ext",
    9: "userIds payloads ext",
    10: "excludedConnectionIds payloads ext",
    11: "connectionId groupName ext",
    12: "connectionId groupName ext",
    13: "groupName excludedConnectionIds payloads ext excludedUserIds callerUserId",
    14: "groupNames payloads ext",
    15: "errorMessage",
    16: "userId groupName ext",
    17: "userId groupName ext",
    18: "connectionId groupName ackId ext",
    19: "connectionId groupName ackId ext",
    20: "ackId status message ext payload",
    21: "userId groupName ackId ext",
    22: "objectType id kind message ext",
    23: "groupName ackId ext",
    24: "connectionId ackId ext",
    25: "userId ackId ext",
    26: "userId groupName ackId ext",
    27: "userId groupName ackId ext",
    28: "token kid ext",
    29: "kid accessKey errorType errorMessage ext",
    30: "connectionId reason ackId ext",
    31: "reason ackId excludedConnectionIds ext",
    32: "userId reason ackId excludedConnectionIds ext",
    33: "groupName reason ackId excludedConnectionIds ext",
    34: "invocationId connectionId callerServerId payloads ext",
    35: "invocationId connectionId callerServerId protocol payload ext",
    36: "invocationId connectionId callerServerId error ext",
    37: "invocationId connectionId instanceId ext",
    38: "connectionId ext",
    39: "connectionId connectionType operation ext",
    40: "ext groupName ackId max continuationToken",
}.items()}

# The members of `ext` (§5.4).
EXTENSIONS = {"tracingId": 1, "ttl": 2, "protocol": 3, "filter": 4, "dataMessageType": 5, "isPartial": 6}

# What an SDK writes where the caller says nothing. A claims map is a list of pairs, since its keys may repeat.
DEFAULTS = {
    "version": 1, "connectionType": 0, "target": "", "migrationLevel": 0, "allowStatefulReconnects": False, "claims": [],
    "headers": {}, "queryString": "", "errorMessage": "", "message": "", "excludedConnectionIds": [], "excludedUserIds": [],
    "ext": {}, "callerUserId": None, "groupName": None, "connectionId": None, "kid": None, "accessKey": None,
    "errorType": None, "reason": None, "max": None, "continuationToken": None,
}
# These came to their arrays later than the item before them, and are left out of answers that bring none (§22).
OPTIONAL_TAILS = {Kind.ACK: "payload"}


class Malformed(Exception):
    """The bytes are no service message; an SDK drops the connection."""


def encode(kind: int, /, item_count: int | None = None, **fields) -> bytes:
    """A framed message. `item_count` cuts the array, as SDKs did before its last items existed."""
    if kind == Kind.PING:
        return frame(msgpack.packb([3, *fields["pairs"]]))
    assert not fields.keys() - set(LAYOUTS[kind]), fields
    names = [name for name in LAYOUTS[kind] if name in fields or name != OPTIONAL_TAILS.get(kind)]
    values = [_packed(name, fields[name] if name in fields else DEFAULTS[name], kind) for name in names]
    items = [msgpack.packb(int(kind)), *values][:item_count]
    return frame(msgpack.Packer().pack_array_header(len(items)) + b"".join(items))


def ping(*pairs: str) -> bytes:
    return encode(Kind.PING, pairs=pairs)


def frame(body: bytes) -> bytes:
    return length_prefix(len(body)) + body


def _packed(name: str, value, kind: int) -> bytes:
    if name == "ext":
        return msgpack.packb({EXTENSIONS.get(key, key): item for key, item in value.items()})
    if name == "claims":
        return msgpack.Packer().pack_map_pairs(value)
    if kind == Kind.FLOW_CONTROL and name in ("connectionType", "operation"):
        return b"\xd2" + struct.pack("!i", value)
    return msgpack.packb(value)


def decode(body: bytes) -> dict:
    """A message without its length prefix. Unknown kinds have only a `type`; missing items are not in the dictionary, and
    surplus ones are ignored."""
    unpacker = msgpack.Unpacker(strict_map_key=False, object_pairs_hook=list, max_buffer_size=0)
    unpacker.feed(body)
    try:
        items = unpacker.unpack()
    except (msgpack.UnpackException, ValueError) as error:
        raise Malformed(str(error)) from error
    if not isinstance(items, list) or not items or not isinstance(items[0], int):
        raise Malformed(repr(items))
    kind = items[0]
    if kind == Kind.PING:
        return {"type": kind, "pairs": items[1:]}
    return {"type": kind} | {name: _unpacked(name, item) for name, item in zip(LAYOUTS.get(kind, []), items[1:])}


def _unpacked(name: str, value):
    # An SDK's readers throw at nil for a map or an array (§5.3).
    if name in ("ext", "headers", "payloads", "claims") and not isinstance(value, list):
        raise Malformed(f"{name}: {value!r}")
    if name == "ext":
        names = {number: name for name, number in EXTENSIONS.items()}
        return {names.get(key, key): item for key, item in value}
    if name in ("headers", "payloads"):
        return dict(value)
    if name == "claims":
        return [tuple(pair) for pair in value]
    return value


class Reader:
    """Cuts a byte stream into messages; WebSocket messages mean nothing to it (§5.1)."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data: bytes):
        self.buffer += data

    def next_frame(self) -> bytes | None:
        """The next whole frame with its prefix."""
        length = 0
        for index in range(min(5, len(self.buffer))):
            byte = self.buffer[index]
            length |= (byte & 0x7F) << 7 * index
            if not byte & 0x80:
                end = index + 1 + length
                if end > len(self.buffer):
                    return None
                taken = bytes(self.buffer[:end])
                del self.buffer[:end]
                return taken
        if len(self.buffer) >= 5:
            raise Malformed("a length prefix of more than five bytes")
        return None

    def next(self) -> dict | None:
        taken = self.next_frame()
        return None if taken is None else decode(body(taken))


def body(framed: bytes) -> bytes:
    """A frame without its prefix."""
    start = next(index for index, byte in enumerate(framed) if not byte & 0x80) + 1
    return framed[start:]
