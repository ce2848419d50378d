# SignalBox: a Swift app that is attached to the service (Examples/ServiceLink), and clients that it sends there.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

from harness.codec import JSON, MessagePack
from harness.http import request
from harness.hub import Hub
from harness.linked_app import LinkedApp
from harness.server import Server, lasting_port
from harness.tokens import bearer
from harness.transports import LongPollingTransport, ServerSentEventsTransport, WebSocketTransport
from test_pysignalr import connected, soon

WIRES = [
    (WebSocketTransport, JSON), (WebSocketTransport, MessagePack), (ServerSentEventsTransport, JSON),
    (LongPollingTransport, JSON), (LongPollingTransport, MessagePack),
]


@pytest.fixture
def start_app(service):
    mine = []

    def start(to: Server = service) -> LinkedApp:
        mine.append(LinkedApp(to.connection_string))
        return mine[-1].wait_until_connected()

    yield start
    for app in mine:
        app.kill()


def enter(app: LinkedApp, service: Server, transport=WebSocketTransport, codec=JSON) -> Hub:
    given = json.loads(request(app, "POST", "/chat/negotiate?room=blue").body)
    assert given.keys() == {"url", "accessToken", "availableTransports"}
    parts = urlsplit(given["url"])
    assert parts.port == service.port and parts.path == "/client/"
    assert parts.query.startswith("hub=chat&asrs.op=%2Fchat&room=blue&asrs_request_id=")
    return Hub(service, f"{parts.path}?{parts.query}", transport, codec, bearer(given["accessToken"]))


@pytest.mark.parametrize("protocol", [JSONProtocol, MessagepackProtocol])
def test_pysignalr(start_app, protocol):
    app = start_app()
    url = f"http://127.0.0.1:{app.port}/chat"

    async def scenario():
        async with connected(url, protocol) as ada, connected(url, protocol) as bob:
            heard = [client.listen("receive") for client in (ada, bob)]
            await ada.client.send("send", ["ada", "Zoë 🚦"])
            for messages in heard:
                assert await soon(messages.get()) == ["ada", "Zoë 🚦"]
            room = bob.listen("receiveRoom")
            assert (await bob.call("join", "blue")).error is None
            await ada.client.send("sendToRoom", ["blue", "ada", "hi"])
            assert await soon(room.get()) == ["blue", "ada", "hi"]
            items, done = asyncio.Queue(), asyncio.Queue()
            await ada.client.stream("countdown", [3], items.put, done.put)
            assert [await soon(items.get()) for _ in range(3)] == [3, 2, 1]
            assert (await soon(done.get())).error is None

            async def answer(_):
                return "here"

            bob.client.on("answer", answer)
            assert (await bob.call("askMe")).result == "here"

    asyncio.run(scenario())


@pytest.mark.parametrize(("transport", "codec"), WIRES)
def test_every_transport(start_app, service, transport, codec):
    client = enter(start_app(), service, transport, codec)
    upload = client.start(1, "sum", streamIds=["s"])
    for number in (1, 2, 3):
        client.send({"type": 2, "invocationId": "s", "item": number})
    client.send({"type": 3, "invocationId": "s"})
    completion = client.receive()
    assert completion["invocationId"] == upload and completion["result"] == 6
    assert "Method does not exist" in client.invoke("nothing")["error"]


def test_sigterm_sends_clients_back(start_app, service):
    app = start_app()
    client = enter(app, service)
    assert app.stop() == 0
    assert client.receive() == {"type": 7, "allowReconnect": True}
    client.expect_end()


def test_kill_9_sends_clients_back(start_app, service):
    app = start_app()
    client = enter(app, service)
    app.kill()
    assert client.receive() == {"type": 7, "error": "Connection closed with an error.", "allowReconnect": True}
    client.expect_end()


def test_the_app_finds_a_service_that_was_restarted(start_app, start_server):
    service = start_server("--mode", "default", port=lasting_port())
    app = start_app(service)
    client = enter(app, service)
    assert service.stop() == 0
    assert client.receive()["allowReconnect"] is True
    again = start_server("--mode", "default", port=service.port)
    app.wait_until_connected()
    assert "error" not in enter(app, again).invoke("join", "blue")
