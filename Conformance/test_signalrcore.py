# SignalBox: signalrcore, a threaded client with all three transports, against the playground and the service.
# SPDX-License-Identifier: Apache-2.0

import json
import queue
import subprocess
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from signalrcore.hub import base_hub_connection
from signalrcore.hub.handlers import StreamHandler
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

from harness.proxy import Proxy
from harness.server import PATIENCE, Server
from harness.tokens import client_token, rest_token

TEXT, BINARY = HubProtocolEncoding.text, HubProtocolEncoding.binary
WEB_SOCKETS = HttpTransportType.web_sockets
SERVER_SENT_EVENTS = HttpTransportType.server_sent_events
LONG_POLLING = HttpTransportType.long_polling

# All it has: it reads long polls as text whatever the protocol, and Server-Sent Events are text.
KINDS = [
    pytest.param((WEB_SOCKETS, TEXT), id="WebSockets-json"),
    pytest.param((WEB_SOCKETS, BINARY), id="WebSockets-messagepack"),
    pytest.param((SERVER_SENT_EVENTS, TEXT), id="ServerSentEvents-json"),
    pytest.param((LONG_POLLING, TEXT), id="LongPolling-json"),
]


@pytest.fixture(scope="module")
def server():
    """Its sockets notice that they were closed when something arrives; pings each second keep stopping short."""
    server = Server("--playground", "--mode", "classic", "--keep-alive-interval", "1")
    yield server
    server.stop()


class Client:
    """A connected client, and queues of what it heard."""

    def __init__(self, url: str, kind, options=None, reconnects=False):
        transport, protocol = kind
        self.is_polling = transport is LONG_POLLING
        builder = HubConnectionBuilder().with_url(url, options={"transport": transport} | (options or {}))
        builder.with_hub_protocol(protocol)
        if reconnects:
            builder.with_automatic_reconnect({"type": "raw", "reconnect_interval": 1, "keep_alive_interval": 10})
        self.connection = builder.build()
        self.opened, self.reopened = threading.Event(), threading.Event()
        self.errors = queue.Queue()
        self.connection.on_open(self.opened.set)
        self.connection.on_reconnect(self.reopened.set)
        self.connection.on_error(self.errors.put)
        self.connection.start()
        assert self.opened.wait(PATIENCE), "it never connected"

    def listen(self, name: str) -> queue.Queue:
        heard = queue.Queue()
        self.connection.on(name, heard.put)
        return heard

    def call(self, method: str, *arguments):
        done = queue.Queue()
        self.connection.invoke(method, list(arguments), done.put)
        return self.next(done)

    def next(self, heard: queue.Queue):
        """What is heard next. Of what a long poll brings, the client hands on one message and keeps the others until polls
        bring more; so there a call that nobody waits for pushes them out."""
        if not self.is_polling:
            return heard.get(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return heard.get(timeout=0.1)
            except queue.Empty:
                self.connection.send("leave", ["nothing"])
        raise AssertionError("nothing was heard")


@pytest.fixture
def connect(server):
    clients = []

    def connect(kind, url=None, options=None, reconnects=False) -> Client:
        clients.append(Client(url or f"{server.url}/hubs/chat", kind, options, reconnects))
        return clients[-1]

    yield connect
    # Each waits for the next ping.
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda client: client.connection.stop(), clients))


@pytest.mark.parametrize("kind", KINDS)
def test_messages_go_to_everybody(connect, kind):
    first, second = connect(kind), connect(kind)
    heard = [client.listen("receive") for client in (first, second)]
    first.connection.send("send", ["Zoë", "grüße 🚦"])
    for client, messages in zip((first, second), heard):
        assert client.next(messages) == ["Zoë", "grüße 🚦"]


@pytest.mark.parametrize("kind", KINDS)
def test_calls_complete(connect, kind):
    client = connect(kind)
    completion = client.call("join", "r")
    assert completion.result is None and completion.error is None
    client.connection.invoke("nobody", [])
    assert client.next(client.errors).error == (
        "Failed to invoke 'nobody' due to an error on the server. HubException: Method does not exist.")


@pytest.mark.parametrize("kind", KINDS)
def test_groups(connect, kind):
    room, inside, outside = str(uuid.uuid4()), connect(kind), connect(kind)
    heard, unheard = inside.listen("receiveRoom"), outside.listen("receiveRoom")
    inside.call("join", room)
    outside.call("sendToRoom", room, "u", "one")
    assert inside.next(heard) == [room, "u", "one"]
    inside.call("leave", room)
    outside.call("sendToRoom", room, "u", "two")
    outside.call("join", room)
    inside.call("sendToRoom", room, "u", "three")
    assert outside.next(unheard) == [room, "u", "three"]
    assert heard.empty()


@pytest.mark.parametrize("kind", KINDS)
def test_streams_from_the_server(connect, monkeypatch, kind):
    client = connect(kind)
    events = queue.Queue()

    class Subscribed(StreamHandler):
        """The client asks the server before its caller can subscribe, and drops what comes in between."""

        def __init__(self, *details):
            super().__init__(*details)
            self.subscribe({
                "next": events.put, "complete": lambda _: events.put("complete"), "error": lambda _: events.put("error")})

    monkeypatch.setattr(base_hub_connection, "StreamHandler", Subscribed)
    client.connection.stream("countdown", [3])
    assert [client.next(events) for _ in range(4)] == [3, 2, 1, "complete"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0][1] is TEXT])
def test_streams_to_the_server(connect, kind):
    """It asks for no result, and cannot write an upload in MessagePack; what can be seen is that all goes on."""
    client = connect(kind)
    upload = Subject()
    client.connection.send("sum", upload)
    for number in range(20):
        upload.next(number)
    upload.complete()
    assert client.call("join", "r").error is None
    assert client.errors.empty()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0][0] is not LONG_POLLING])
def test_it_comes_back_after_the_server_was_restarted(connect, server, start_server, kind):
    """Through a cable that leads to a new server when it is pulled: the client tries once, at once."""
    with Proxy(server.port) as proxy:
        client = connect(kind, f"{proxy.url}/hubs/chat", reconnects=True)
        heard = client.listen("receive")
        proxy.target = start_server("--playground", "--keep-alive-interval", "1").port
        proxy.cut()
        assert client.reopened.wait(PATIENCE), "it never came back"
        client.connection.send("send", ["u", "back"])
        assert heard.get(timeout=PATIENCE) == ["u", "back"]
        client.connection.stop()


# The service


def service_url(server: Server, user: str | None = None, hub="chat") -> str:
    """With the token in the query, since this client's polls carry no header."""
    return f"{server.url}/client/?hub={hub}&access_token={client_token(server, hub, user)}"


def curl(server: Server, path: str, body: dict) -> str:
    """The status of a REST request that the curl program makes."""
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}",
         "--header", f"Authorization: Bearer {rest_token(server, path)}", "--header", "Content-Type: application/json",
         "--data", json.dumps(body), f"{server.url}{path}?api-version=2022-06-01"],
        capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_curl_reaches_everybody(connect, server, kind):
    hub = f"hub_{uuid.uuid4().hex}"
    clients = [connect(kind, service_url(server, hub=hub)) for _ in range(2)]
    heard = [client.listen("news") for client in clients]
    status = curl(server, f"/api/hubs/{hub}/:send", {"target": "news", "arguments": ["Zoë 🚦", 1, 2.5, None, {"a": [True]}]})
    assert status == "202"
    for client, messages in zip(clients, heard):
        assert client.next(messages) == ["Zoë 🚦", 1, 2.5, None, {"a": [True]}]


@pytest.mark.parametrize("kind", KINDS)
def test_curl_reaches_one_user(connect, server, kind):
    user = uuid.uuid4().hex
    alice, bob = connect(kind, service_url(server, user)), connect(kind, service_url(server, "somebody else"))
    heard, unheard = alice.listen("news"), bob.listen("news")
    assert curl(server, f"/api/hubs/chat/users/{user}/:send", {"target": "news", "arguments": ["for you"]}) == "202"
    assert alice.next(heard) == ["for you"]
    curl(server, "/api/hubs/chat/:send", {"target": "news", "arguments": ["for all"]})
    assert bob.next(unheard) == ["for all"]


@pytest.mark.parametrize("kind", KINDS)
def test_curl_reaches_a_group_of_users(connect, server, kind):
    user, group = uuid.uuid4().hex, uuid.uuid4().hex
    alice, bob = connect(kind, service_url(server, user)), connect(kind, service_url(server, "somebody else"))
    heard, unheard = alice.listen("news"), bob.listen("news")
    path = f"/api/hubs/chat/users/{user}/groups/{group}"
    subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--request", "PUT", "--header",
         f"Authorization: Bearer {rest_token(server, path)}", f"{server.url}{path}?api-version=2022-06-01"], check=True)
    assert curl(server, f"/api/hubs/chat/groups/{group}/:send", {"target": "news", "arguments": ["members"]}) == "202"
    assert alice.next(heard) == ["members"]
    curl(server, "/api/hubs/chat/:send", {"target": "news", "arguments": ["for all"]})
    assert bob.next(unheard) == ["for all"]


@pytest.mark.parametrize("kind", KINDS)
def test_curl_reaches_one_connection(connect, server, kind):
    first, second = connect(kind, service_url(server)), connect(kind, service_url(server))
    heard, unheard = first.listen("news"), second.listen("news")
    path = f"/api/hubs/chat/connections/{first.connection.transport.connection_id}/:send"
    assert curl(server, path, {"target": "news", "arguments": ["for one"]}) == "202"
    assert first.next(heard) == ["for one"]
    curl(server, "/api/hubs/chat/:send", {"target": "news", "arguments": ["for all"]})
    assert second.next(unheard) == ["for all"]


def test_a_token_may_be_made_for_each_start(connect, server):
    hub = f"hub_{uuid.uuid4().hex}"
    client = connect((WEB_SOCKETS, TEXT), f"{server.url}/client/?hub={hub}",
                     {"access_token_factory": lambda: client_token(server, hub)})
    heard = client.listen("news")
    assert curl(server, f"/api/hubs/{hub}/:send", {"target": "news"}) == "202"
    assert heard.get(timeout=PATIENCE) == []
