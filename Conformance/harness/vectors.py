# SignalBox: the vectors of the service protocol, which the Swift tests use too.
# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

from harness.appserver.messages import body, decode, encode

VECTORS = json.loads((Path(__file__).parent.parent.parent / "Tests/Vectors/service-vectors.json").read_text())


def scenario(name: str) -> list[bytes]:
    steps = next(entry["steps"] for entry in VECTORS["scenarios"] if entry["name"] == name)
    return [bytes.fromhex(step["framedHex"]) for step in steps if "framedHex" in step]


def renamed(framed: bytes, identifier: str) -> bytes:
    """A frame of the vectors with this connection's id instead of conn1."""
    message = decode(body(framed))
    count = body(framed)[0] & 0x0F
    return encode(message.pop("type"), item_count=count, **(message | {"connectionId": identifier}))
