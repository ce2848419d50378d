# SignalBox: pings, and what happens to those who fall silent.
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.codec import JSON, MessagePack
from harness.hub import Hub
from harness.server import Server
from harness.transports import ServerSentEventsTransport, WebSocketTransport


@pytest.fixture(scope="module")
def lively():
    server = Server("--playground", "--keep-alive-interval", "1", "--client-timeout", "2", "--detailed-errors")
    yield server
    server.stop()


@pytest.mark.parametrize(("transport", "codec", "ping"), [
    pytest.param(WebSocketTransport, JSON, b'{"type":6}\x1e', id="WebSockets-json"),
    pytest.param(WebSocketTransport, MessagePack, b"\x02\x91\x06", id="WebSockets-messagepack"),
    pytest.param(ServerSentEventsTransport, JSON, b'{"type":6}\x1e', id="ServerSentEvents-json"),
])
def test_the_server_pings(lively, transport, codec, ping):
    with Hub(lively, "/hubs/chat", transport, codec) as hub:
        while hub.transport.receive(codec.is_binary) != ping:
            pass


def test_a_client_that_pinged_once_must_not_fall_silent(lively):
    with Hub(lively, "/hubs/chat") as hub:
        hub.send({"type": 6})
        assert hub.receive() == {"type": 7, "allowReconnect": True, "error": (
            "Connection closed with an error. OperationCanceledException:"
            " Client hasn't sent a message/ping within the configured ClientTimeoutInterval.")}
        hub.expect_end()


def test_a_client_that_never_pings_may_be_silent(lively):
    """Four pings of the server are two client timeouts."""
    with Hub(lively, "/hubs/chat") as hub:
        for _ in range(4):
            while hub.transport.receive(False) != b'{"type":6}\x1e':
                pass
        assert hub.invoke("join", "r")["result"] is None
