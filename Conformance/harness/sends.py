# SignalBox: what byte-level tests of app servers send and ask again and again.
# SPDX-License-Identifier: Apache-2.0

import itertools

from harness.appserver.messages import Kind
from harness.codec import JSON, MessagePack

NUMBERS = itertools.count(1)
SOON = {"type": 1, "target": "n", "arguments": []}


def payloads(number: int, **others) -> dict[str, bytes]:
    message = SOON | {"arguments": [number]}
    return {"json": JSON().encode(message), "messagepack": MessagePack().encode(message)} | others


def number_of(client) -> int:
    return client.receive()["arguments"][0]


def ask(server, kind: int, /, **fields) -> int:
    """The status of the acknowledgement."""
    number = next(NUMBERS)
    server.say(kind, ackId=number, **fields)
    message = server.expect_message(Kind.ACK, ackId=number)
    return message["status"]


def ids(*clients) -> list[str]:
    return [client.connection_id for client in clients]


def end(server, *clients):
    """Sends the last message to everybody, which shows that nothing else came before."""
    server.say(Kind.BROADCAST, payloads=payloads(0))
    for client in clients:
        assert number_of(client) == 0
