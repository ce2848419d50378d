# SignalBox: serverless mode: webhooks hear of clients and answer their calls, with real clients and a real web server.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
import queue
import threading
import uuid

import msgpack
import pytest
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol
from signalrcore.types import HttpTransportType, HubProtocolEncoding

from harness.codec import JSON, MessagePack
from harness.hub import Hub
from harness.rest import call_rest
from harness.server import PATIENCE
from harness.tokens import bearer, client_token
from harness.transports import LongPollingTransport, WebSocketTransport
from harness.upstream import Event, serverless
from test_pysignalr import connected, soon
from test_signalrcore import KINDS, Client

CODECS = [JSON, MessagePack]


@pytest.fixture
def server(webhooks):
    return webhooks[0]


@pytest.fixture
def other(start_upstream):
    """An upstream of the test's own."""
    return start_upstream()


@pytest.fixture
def connect(server):
    clients = []

    def connect(codec=JSON, user=None, transport=WebSocketTransport, on=None, query="", hub="chat", **claims) -> Hub:
        on = on or server
        headers = bearer(client_token(on, hub, user, **claims))
        clients.append(Hub(on, f"/client/?hub={hub}{query}", transport, codec, headers))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def answering(codec=JSON, **outcome):
    """An upstream that completes every call."""
    def answer(event: Event):
        call = json.loads(event.body) if codec is JSON else msgpack.unpackb(event.body)
        identifier = call.get("invocationId") if codec is JSON else call[2]
        return 200, codec().encode({"type": 3, "invocationId": identifier} | outcome)

    return answer


# Events


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("transport", [WebSocketTransport, LongPollingTransport])
def test_the_life_of_a_client(server, upstream, connect, codec, transport):
    client = connect(codec, user="Zoë", transport=transport, query="&a=b%20c", role=["x", "y"])
    event = upstream.next("connected", client.connection_id)
    assert event.path == "/api/chat/connections/connected?code=secret"
    assert json.loads(event.body) == {"type": 10} and event.headers["Content-Type"] == "application/json"
    assert event.headers["X-ASRS-Hub"] == "chat" and event.headers["X-ASRS-Category"] == "connections"
    assert event.headers["X-ASRS-User-Id"] == "Zo%C3%AB"
    assert "role: x, role: y" in event.headers["X-ASRS-User-Claims"]
    assert event.headers["X-ASRS-Client-Query"].startswith("?hub=chat&a=b%20c")
    assert "access_token" not in event.headers["X-ASRS-Client-Query"] and "&id=" not in event.headers["X-ASRS-Client-Query"]
    assert event.headers["Authorization"] is None
    assert event.is_signed_by(server.access_key) and not event.is_signed_by("another key")

    client.send({"type": 1, "target": "send", "arguments": ["x", 1.5, None]})
    event = upstream.next("send", client.connection_id)
    assert event.path == "/api/chat/messages/send?code=secret" and event.headers["X-ASRS-Category"] == "messages"
    if codec is JSON:
        assert event.headers["Content-Type"] == "application/json"
        assert json.loads(event.body) == {"type": 1, "target": "send", "arguments": ["x", 1.5, None]}
    else:
        assert event.headers["Content-Type"] == "application/x-msgpack"
        assert msgpack.unpackb(event.body) == [1, {}, None, "send", ["x", 1.5, None]]

    client.close()
    event = upstream.next("disconnected", client.connection_id)
    assert event.path == "/api/chat/connections/disconnected?code=secret"
    assert json.loads(event.body)["type"] == 11


def test_a_kicked_client_is_told_with_its_reason(server, upstream, connect):
    client = connect()
    path = f"/api/hubs/chat/connections/{client.connection_id}"
    assert call_rest(server, "DELETE", path, query="&reason=too%20loud").status == 200
    assert json.loads(upstream.next("disconnected", client.connection_id).body) == {"type": 11, "error": "too loud"}


def test_names_cannot_break_out_of_their_place(upstream, connect):
    client = connect(user="a\r\nX-Evil: 1")
    assert upstream.next("connected", client.connection_id).headers["X-ASRS-User-Id"] == "a%0D%0AX-Evil: 1"
    client.send({"type": 1, "target": "a/../b?c#d\r\nX-Evil: 1", "arguments": []})
    event = upstream.next(connection_id=client.connection_id)
    assert event.path == "/api/chat/messages/a%2F..%2Fb%3Fc%23d%0D%0AX-Evil%3A%201?code=secret"
    assert event.headers["X-Evil"] is None


# Answers


@pytest.mark.parametrize("codec", CODECS)
def test_a_completion_is_relayed(upstream, connect, codec):
    upstream.answers["work"] = answering(codec, result={"x": ["Zoë", 1]})
    assert connect(codec).invoke("work", 1)["result"] == {"x": ["Zoë", 1]}
    upstream.answers["work"] = answering(codec, error="it broke")
    assert connect(codec).invoke("work", 1)["error"] == "it broke"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("status", "body", "error"), [
    (200, b"", None), (204, b"", None), (400, b"no", "Invocation failed, status code 400"),
    (500, b"", "Invocation failed, status code 500"), (302, b"", "Invocation failed, status code 302"),
    (200, b"hello", "Invocation failed, response is no completion of this invocation."),
    (200, b"x" * (2 << 20), "Invocation failed, response too large."),
])
def test_other_answers(upstream, connect, codec, status, body, error):
    client = connect(codec)
    upstream.answers["work"] = lambda _: (status, body)
    completion = client.invoke("work")
    assert completion.get("error") == error and completion.get("result") is None
    upstream.answers = {}
    assert client.invoke("work").get("error") is None


def test_an_upstream_that_is_gone(start_server, other, connect):
    server = serverless(start_server, other)
    client = connect(on=server)
    other.next("connected")
    other.close()
    assert client.invoke("work")["error"] == "Invocation failed, status code 500"


def test_an_upstream_that_never_answers(start_server, other, connect):
    server = serverless(start_server, other, "--upstream-timeout", "500ms")
    go = threading.Event()
    other.answers["work"] = lambda _: go.wait(PATIENCE) and (204, b"")
    client = connect(on=server)
    assert client.invoke("work")["error"] == "Invocation failed, status code 500"
    go.set()


def test_calls_are_told_one_at_a_time_and_in_order(upstream, connect):
    client = connect()
    upstream.next("connected", client.connection_id)
    names = [f"m{number}" for number in range(100)]
    client.send_bytes(b"".join(JSON().encode({"type": 1, "target": name, "arguments": []}) for name in names))
    assert [upstream.next(connection_id=client.connection_id).name for _ in names] == names


def test_a_slow_call_holds_up_nothing_else(server, upstream, connect):
    go = threading.Event()
    upstream.answers["slow"] = lambda event: (go.wait(PATIENCE), answering(result="done")(event))[1]
    slow, quick = connect(), connect()
    identifier = slow.start(1, "slow")
    upstream.next("slow")
    assert quick.invoke("work").get("error") is None
    call_rest(server, "POST", "/api/hubs/chat/:send", {"target": "news", "arguments": ["meanwhile"]})
    assert slow.receive()["arguments"] == ["meanwhile"]
    go.set()
    assert slow.receive() == {"type": 3, "invocationId": identifier, "result": "done"}


def test_a_webhook_may_use_the_api_before_it_answers(server, upstream, connect):
    """As serverless chats do: the function that handles a message broadcasts it."""
    first, second = connect(), connect()

    def broadcast(event: Event):
        call = json.loads(event.body)
        call_rest(server, "POST", "/api/hubs/chat/:send", {"target": "news", "arguments": call["arguments"]})
        return answering()(event)

    upstream.answers["send"] = broadcast
    identifier = first.start(1, "send", "hello")
    assert first.receive()["arguments"] == ["hello"]
    assert first.receive() == {"type": 3, "invocationId": identifier}
    assert second.receive()["arguments"] == ["hello"]


def test_a_webhook_may_greet_a_client(server, upstream, connect):
    upstream.answers["connected"] = lambda event: (call_rest(
        server, "POST", f"/api/hubs/chat/connections/{event.connection_id}/:send",
        {"target": "hello", "arguments": [event.connection_id]}), (204, b""))[1]
    client = connect()
    assert client.receive()["arguments"] == [client.connection_id]


def test_pings_go_on_while_upstream_thinks_about_a_client(upstream, connect):
    go = threading.Event()
    upstream.answers["connected"] = lambda _: (go.wait(PATIENCE), (204, b""))[1]
    client = connect()
    frame, _ = client.codec.decode(client.transport.receive(False))
    assert frame == [{"type": 6}]
    go.set()
    assert client.invoke("work").get("error") is None


# Refusals


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_status_for_a_new_client_is_only_logged(upstream, connect, status):
    upstream.answers["connected"] = lambda _: (status, b"")
    assert connect().invoke("work").get("error") is None


@pytest.mark.parametrize("status", [401, 403])
def test_upstream_may_be_given_the_right_to_refuse(start_server, other, connect, status):
    server = serverless(start_server, other, "--upstream-refusals")
    other.answers["connected"] = lambda _: (status, b"")
    client = connect(on=server)
    close = client.receive()
    assert close["type"] == 7 and str(status) in close["error"] and not close.get("allowReconnect")
    client.expect_end()


def test_rules_pick_events(start_server, other, connect):
    server = start_server(
        "--mode", "serverless", "--upstream", f"chat/messages/a,b={other.url}/first", "--upstream",
        f"*/messages/b,c={other.url}/second")
    client = connect(on=server)
    for name in ("other", "a", "b", "c"):
        client.send({"type": 1, "target": name, "arguments": []})
    events = [other.next() for _ in range(3)]
    assert [(event.name, event.path) for event in events] == [("a", "/first"), ("b", "/first"), ("c", "/second")]


def test_without_upstream_a_client_that_calls_is_disconnected(start_server, connect):
    client = connect(on=start_server("--mode", "serverless"))
    client.send({"type": 1, "target": "work", "arguments": []})
    close = client.receive()
    assert close["type"] == 7 and not close.get("allowReconnect")
    client.expect_end()


def test_streams_are_refused(connect):
    client = connect()
    identifier = client.start(4, "count", 3)
    completion = client.receive()
    assert completion["invocationId"] == identifier and "Streaming" in completion["error"]


def test_the_end_of_the_service_is_told(start_server, other, connect):
    server = serverless(start_server, other)
    clients = [connect(on=server) for _ in range(3)]
    assert server.stop() == 0
    told = {other.next("disconnected").connection_id for _ in clients}
    assert told == {client.connection_id for client in clients}


def test_secrets_are_not_in_the_log(start_server, other, connect):
    server = serverless(start_server, other, "--log-level", "trace", template="/api?code=very-secret")
    other.answers["work"] = lambda _: (500, b"")
    client = connect(on=server, query=f"&access_token={client_token(server, 'chat', 'u')}")
    client.invoke("work")
    client.close()
    other.next("disconnected")
    assert server.stop() == 0
    log = "\n".join(line for line in server.output().split("\n") if not line.startswith("stdout:"))
    for secret in ("very-secret", server.access_key, "sha256=", "eyJ"):
        assert secret not in log


# Clients that are not ours


@pytest.mark.parametrize("protocol", [JSONProtocol, MessagepackProtocol])
def test_pysignalr(server, upstream, protocol):
    codec = JSON if protocol is JSONProtocol else MessagePack
    upstream.answers["work"] = answering(codec, result=["Zoë", 1])

    async def scenario():
        user = uuid.uuid4().hex
        headers = bearer(client_token(server, "chat", user))
        async with connected(f"{server.url}/client/?hub=chat", protocol, headers=headers) as client:
            heard = client.listen("news")
            completion = await client.call("work", 1, "a")
            assert (completion.result, completion.error) == (["Zoë", 1], None)
            assert (await client.call("other")).error is None
            await asyncio.to_thread(
                call_rest, server, "POST", f"/api/hubs/chat/users/{user}/:send", {"target": "news", "arguments": [1]})
            assert await soon(heard.get()) == [1]

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0][0] is HttpTransportType.web_sockets])
def test_signalrcore(server, upstream, kind):
    codec = JSON if kind[1] is HubProtocolEncoding.text else MessagePack
    upstream.answers["work"] = answering(codec, result=[2])
    token = client_token(server, "chat", "core")
    client = Client(f"{server.url}/client/?hub=chat&access_token={token}", kind)
    heard = queue.Queue()
    client.connection.on("news", heard.put)
    assert client.call("work", 1).result == [2]
    call_rest(server, "POST", "/api/hubs/chat/:send", {"target": "news", "arguments": ["x"]})
    assert heard.get(timeout=PATIENCE) == ["x"]
    client.connection.stop()
