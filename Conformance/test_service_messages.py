# SignalBox: the app server's own codec against the vectors, so that what it says about the service can be believed.
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.appserver.messages import Kind, Malformed, Reader, body, decode, encode
from harness.codec import length_prefix
from harness.vectors import VECTORS


def fields(vector: dict) -> dict:
    """The vector's message as the codec names things."""
    message = {name: value for name, value in vector["message"].items() if name not in ("typeName", "$itemCount")}
    if "claimPairs" in message:
        message["claims"] = message.pop("claimPairs")
    if isinstance(claims := message.get("claims"), dict):
        message["claims"] = list(claims.items())
    if "claims" in message:
        message["claims"] = [tuple(pair) for pair in message["claims"]]
    if "payload" in message:
        message["payload"] = binary(message["payload"])
    if "payloads" in message:
        message["payloads"] = {name: binary(value) for name, value in message["payloads"].items()}
    return message


def binary(value):
    return bytes.fromhex(value["$hex"]) if isinstance(value, dict) else value


def named(vectors: list[dict]) -> list:
    return [pytest.param(vector, id=vector["name"]) for vector in vectors]


@pytest.mark.parametrize("vector", named(VECTORS["messages"]))
def test_every_vector_is_read(vector):
    """§6: all layouts, old and new."""
    decoded = decode(bytes.fromhex(vector["hex"]))
    assert {name: value for name, value in fields(vector).items() if decoded.get(name) != value} == {}


@pytest.mark.parametrize("vector", named([vector for vector in VECTORS["messages"] if vector["mode"] == "write+parse"]))
def test_every_current_vector_is_written(vector):
    message = fields(vector)
    written = encode(message.pop("type"), item_count=vector["message"].get("$itemCount"), **message)
    assert written.hex() == vector["framedHex"]


@pytest.mark.parametrize("stream", named(VECTORS["streams"]))
def test_streams_are_cut_into_messages(stream):
    reader, kinds = Reader(), []
    try:
        for chunk in stream.get("chunksHex", [stream.get("hex")]):
            for byte in bytes.fromhex(chunk):
                reader.feed(bytes([byte]))
                while (message := reader.next()) is not None:
                    kinds.append(message["type"])
    except Malformed:
        assert stream.get("expectError")
    else:
        assert kinds == stream["expectTypes"]


@pytest.mark.parametrize("row", VECTORS["framing"], ids=lambda row: str(row["length"]))
def test_lengths_are_written_as_the_table_says(row):
    assert length_prefix(row["length"]).hex() == row["prefixHex"]


@pytest.mark.parametrize("vector", named(VECTORS["trailingData"]))
def test_what_follows_an_array_is_ignored(vector):
    decoded = decode(bytes.fromhex(vector["hex"]))
    expected = vector["expect"]
    assert decoded["type"] == Kind.OPEN_CONNECTION and decoded["connectionId"] == expected["connectionId"]


def test_nil_for_a_map_is_refused_as_an_sdk_does():
    """§5.3: an SDK's header readers throw."""
    with pytest.raises(Malformed):
        decode(body(bytes.fromhex("0c9604a5636f6e6e3180c0a080")))
