# SignalBox: clients of ASP.NET SignalR 2.x whom the service itself serves: webhooks answer them, REST callers reach them.
# SPDX-License-Identifier: Apache-2.0

import json
import threading
from itertools import islice
from urllib.parse import urlencode

import msgpack
import pytest

from harness.appserver.endpoint import Endpoint
from harness.appserver.process import AppProcess
from harness.classic import ClassicPolling, ClassicSocket, ClassicStream, Published
from harness.http import request
from harness.hub import Hub
from harness.rest import call_rest, rest_send
from harness.server import Server, lasting_port
from harness.tokens import bearer, client_token
from harness.transports import WebSocketTransport
from harness.codec import JSON
from harness.upstream import serverless
from test_aspnet_server import KINDS, NAMES, token_for

PATH = "/aspnetclient"


@pytest.fixture
def server(webhooks):
    return webhooks[0]


@pytest.fixture
def enter(server, hub):
    """Connected clients of the test's hub, over any transport."""
    mine = []

    def enter(kind=ClassicSocket, user=None, **details):
        token = client_token(server, hub, user)
        mine.append(kind(server, hub, path=PATH, token=token, **details).connect())
        return mine[-1]

    yield enter
    for client in mine:
        client.abort(client.transport)


def completion(event, **outcome) -> tuple[int, bytes]:
    asked = json.loads(event.body)
    return 200, json.dumps({"type": 3, "invocationId": asked["invocationId"]} | outcome).encode() + b"\x1e"


def said(*arguments, target="told") -> bytes:
    return json.dumps({"target": target, "arguments": list(arguments)}).encode()


# Upstream


def test_upstream_hears_of_a_client(server, upstream, enter, hub):
    client = enter(user="ann", color="red")
    event = upstream.next("connected", client.id)
    assert event.path == f"/api/{hub}/connections/connected?code=secret"
    assert event.headers["X-ASRS-User-Id"] == "ann" and event.is_signed_by(server.access_key)
    query = event.headers["X-ASRS-Client-Query"]
    assert "color=red" in query and "connectionToken" not in query and "access_token" not in query
    client.abort("webSockets")
    assert json.loads(upstream.next("disconnected", client.id).body) == {"type": 11}


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_upstream_answers_calls(server, upstream, enter, hub, kind):
    upstream.answers["Add"] = lambda event: completion(event, result=sum(json.loads(event.body)["arguments"]))
    upstream.answers["Fail"] = lambda event: completion(event, error="no such thing")
    upstream.answers["Break"] = lambda event: (500, b"")
    client = enter(kind)
    ask = lambda method, *arguments, call: (  # noqa: E731
        client.call(hub, method, *arguments, call=call) if isinstance(client, ClassicSocket)
        else client.send(client.transport, hub, method, *arguments, call=call))
    assert ask("Add", 1, 2, call=0) == {"R": 3, "I": "0"}
    event = upstream.next("Add", client.id)
    assert json.loads(event.body) == {"type": 1, "invocationId": "0", "target": "Add", "arguments": [1, 2]}
    assert event.headers["Content-Type"] == "application/json"
    assert ask("Fail", call=1) == {"I": "1", "E": "no such thing"}
    assert ask("Nothing", call=2) == {"I": "2"}
    assert ask("Break", call=3) == {"I": "3", "E": "Invocation failed, status code 500"}


def test_calls_of_one_client_keep_their_order(upstream, enter, hub):
    client = enter()
    for number in range(20):
        client.say(hub, "Count", number, call=number)
    assert [json.loads(upstream.next("Count", client.id).body)["arguments"][0] for _ in range(20)] == list(range(20))


def test_without_upstream_a_call_ends_the_client(start_server, hub):
    server = start_server("--mode", "serverless")
    client = ClassicSocket(server, hub, path=PATH, token=client_token(server, hub)).connect()
    client.say(hub, "Send", call=3)
    text = "No upstream is configured, so clients cannot call."
    assert client.frame() == {"I": "3", "E": text}
    assert client.frame() == {"E": text}


def test_refused_clients_are_sent_away(start_server, start_upstream, hub):
    upstream = start_upstream()
    upstream.answers["connected"] = lambda event: (403, b"")
    server = serverless(start_server, upstream, "--upstream-refusals")
    client = ClassicSocket(server, hub, path=PATH, token=client_token(server, hub)).open()
    assert client.frame()["S"] == 1
    assert client.get("start", transport="webSockets").status == 500
    assert "E" in client.frame()


# REST


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_rest_reaches_both_generations(server, upstream, enter, hub, kind):
    ann, bob = enter(kind, "ann"), enter(kind, "bob")
    new = Hub(server, f"/client/?hub={hub}", WebSocketTransport, JSON, bearer(client_token(server, hub, "bob")))
    base = f"/api/hubs/{hub}"
    assert call_rest(server, "HEAD", f"{base}/connections/{ann.id}").status == 200
    assert call_rest(server, "PUT", f"{base}/groups/room/connections/{ann.id}").status == 200
    rest_send(server, hub, f"/connections/{ann.id}", said("connection"))
    rest_send(server, hub, "/groups/room", said("group"))
    rest_send(server, hub, "/users/bob", said("user"))
    rest_send(server, hub, "", said("not bob"), query=f"&excluded={bob.id}")
    rest_send(server, hub, "", said("all", {"x": [1, None, "é"]}))
    assert [call["A"][0] for call in islice(ann.messages(), 4)] == ["connection", "group", "not bob", "all"]
    assert [call["A"] for call in islice(bob.messages(), 2)] == [["user"], ["all", {"x": [1, None, "é"]}]]
    assert [new.receive()["arguments"][0] for _ in range(3)] == ["user", "not bob", "all"]
    new.close()


def test_frames_for_new_clients_are_translated(server, upstream, enter, hub):
    """A Management SDK with a protocol of its own sends frames that are made already."""
    client = enter()
    frames = {"json": JSON().encode({"type": 1, "target": "told", "arguments": [1, "x"]})}
    kind = "application/octet-stream"
    assert call_rest(server, "POST", f"/api/hubs/{hub}/:send", body=msgpack.packb(frames), kind=kind).status == 202
    assert client.hear("told") == [1, "x"]
    values = {"classic": b'{\n"any": "value"}'}
    assert call_rest(server, "POST", f"/api/hubs/{hub}/:send", body=msgpack.packb(values), kind=kind).status == 202
    assert next(client.messages()) == {"any": "value"}
    broken = {"classic": b'{"any":'}
    assert call_rest(server, "POST", f"/api/hubs/{hub}/:send", body=msgpack.packb(broken), kind=kind).status == 400


def test_rest_ends_a_client(server, upstream, enter, hub):
    client = enter()
    call_rest(server, "DELETE", f"/api/hubs/{hub}/connections/{client.id}", query="&reason=enough")
    assert client.frame() == {"E": "enough"}


def test_user_groups_hold_for_clients_that_come_later(server, upstream, enter, hub):
    assert call_rest(server, "PUT", f"/api/hubs/{hub}/users/ann/groups/room").status == 200
    client = enter(user="ann")
    rest_send(server, hub, "/groups/room", said("room"))
    assert client.hear("told") == ["room"]


@pytest.mark.parametrize("kind", KINDS[:3], ids=NAMES[:3])
def test_a_client_that_comes_back_has_missed_nothing(server, upstream, enter, hub, kind):
    client = enter(kind)
    call_rest(server, "PUT", f"/api/hubs/{hub}/groups/room/connections/{client.id}")
    rest_send(server, hub, "/groups/room", said(1))
    assert client.hear("told") == [1]
    client.lose()
    rest_send(server, hub, "/groups/room", said(2))
    rest_send(server, hub, "", said(3))
    client.reconnect()
    assert [call["A"] for call in islice(client.messages(), 2)] == [[2], [3]]


def test_clients_outlive_a_restart_with_their_groups(start_server, hub):
    first = start_server("--mode", "serverless", port=lasting_port())
    client = ClassicSocket(first, hub, path=PATH, token=client_token(first, hub)).connect()
    call_rest(first, "PUT", f"/api/hubs/{hub}/groups/room/connections/{client.id}")
    while client.groups is None:
        client.frame()
    first.kill()
    second = start_server("--mode", "serverless", port=first.port)
    client.server = second
    client.reconnect()
    # The gap is owned up to, since nobody knows what the first one had.
    assert next(client.messages())["M"] == "messagesMissed"
    rest_send(second, hub, "/groups/room", said("still here"))
    assert client.hear("told") == ["still here"]


def test_a_token_that_apps_make_names_their_hubs(server, upstream, hub):
    """`asrs.s.apn`: the hub that clients call `chat` is the application's."""
    client = ClassicSocket(server, "Chat", path=PATH, token=token_for(server, hub)).connect()
    rest_send(server, f"{hub}_chat", "", said("x"))
    message = next(client.messages())
    assert message == {"H": "chat", "M": "told", "A": ["x"]}
    client.abort("webSockets")


# Clients without hubs


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_persistent_connections(server, upstream, hub, kind):
    client = kind(server, path=PATH, token=client_token(server, hub, "ann"), persistent=True, hub=hub).connect()
    assert upstream.next("connected", client.id).headers["X-ASRS-Hub"] == hub
    if isinstance(client, ClassicSocket):
        client.socket.send(1, b"a text, not JSON")
    else:
        assert client.post("send", {"data": "a text, not JSON"}, transport=client.transport).body == b""
    event = upstream.next("onReceived", client.id)
    assert event.path == f"/api/{hub}/messages/onReceived?code=secret"
    assert json.loads(event.body) == {"type": 1, "target": "onReceived", "arguments": ["a text, not JSON"]}
    rest_send(server, hub, "/users/ann", said(1))
    assert next(client.messages()) == {"H": hub, "M": "told", "A": [1]}
    values = {"classic": b'"just a text"'}
    call_rest(server, "POST", f"/api/hubs/{hub}/:send", body=msgpack.packb(values), kind="application/octet-stream")
    assert next(client.messages()) == "just a text"
    client.abort(client.transport)


def test_upstream_may_fail_a_message(server, upstream, hub):
    upstream.answers["onReceived"] = lambda event: (500, b"")
    client = ClassicStream(server, path=PATH, token=client_token(server, hub), persistent=True).connect()
    assert client.post("send", {"data": "x"}, transport=client.transport).status == 500
    client.abort(client.transport)


def test_a_hub_has_to_be_named(server):
    token = token_for(server, "app")
    assert request(server, "GET", f"{PATH}/negotiate", headers=bearer(token)).status == 400


# Classic mode


def test_without_an_app_server_rest_reaches_clients(start_server, hub):
    server = start_server("--mode", "classic")
    client = ClassicSocket(server, hub, path=PATH, token=client_token(server, hub)).connect()
    rest_send(server, hub, "", said("x"))
    assert client.hear("told") == ["x"]
    assert client.call(hub, "Send", call=5) == {
        "I": "5", "E": "Failed to invoke 'Send' because no app server is connected to this hub."}


def test_play_mode_needs_no_token(start_server, hub):
    server = start_server("--mode", "classic", "--no-auth")
    client = ClassicSocket(server, hub, path=PATH, userId="ann").connect()
    rest_send(server, hub, "/users/ann", said("x"))
    assert client.hear("told") == ["x"]


# Published clients

PUBLISHED = {
    "signalr-client-sockets": ("signalr-client", "signalr_client_chat.py", "webSockets"),
    "signalr-client-events": ("signalr-client", "signalr_client_chat.py", "serverSentEvents"),
    "signalr-client-aio": ("signalr-client-aio", "signalr_aio_chat.py"),
}


@pytest.fixture
def published():
    mine = []

    def start(kind: str, server: Server, name: str, token: str) -> Published:
        environment, script, *more = PUBLISHED[kind]
        mine.append(Published(environment, script, f"{server.url}{PATH}", name, *more, token=token))
        return mine[-1]

    yield start
    for client in mine:
        client.end()


@pytest.fixture
def chat_app(service, hub):
    """An app server of ASP.NET SignalR, with two connections for its hub and as many for itself."""
    app = AppProcess(service.connection_string, "chatHub", "--application", hub, links=2)
    app.wait("link", 4)
    yield app
    if app in AppProcess.running:
        app.kill()


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_clients_of_an_app_server(service, chat_app, published, hub, kind):
    client = published(kind, service, "ann", Endpoint(service.connection_string).classic_client_token(hub, [("nameid", "ann")]))
    client.wait_for("receive", "ann", "hello from ann")
    client.wait_for("result", "0")
    client.wait_for("error", "'chatHub.nonsense' method could not be resolved.")
    assert chat_app.wait("client")["user"] == "ann"
    chat_app.do("room", "den", "receiveRoom", ["den", "bob", "in the den"])
    client.wait_for("receiveRoom", "den", "bob", "in the den")
    chat_app.do("everybody", "receive", ["bob", "bye"])
    client.wait_for("closed")
    assert client.process.wait(20) == 0


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_clients_of_webhooks(server, upstream, published, kind):
    def send(event):
        rest_send(server, "chathub", "", json.dumps(
            {"target": "receive", "arguments": json.loads(event.body)["arguments"]}).encode())
        return completion(event)

    upstream.answers |= {
        "send": send, "join": completion, "nonsense": lambda event: completion(event, error="there is no nonsense")}
    client = published(kind, server, "ann", client_token(server, "chathub"))
    client.wait_for("receive", "ann", "hello from ann")
    client.wait_for("result", "0")
    client.wait_for("error", "there is no nonsense")
    rest_send(server, "chathub", "", said("bob", "bye", target="receive"))
    client.wait_for("closed")
    assert client.process.wait(20) == 0


def test_a_redirected_client(service, chat_app, hub):
    """What a client of protocol 2.1 does: it negotiates with the app, and goes where that sends it (§18.1)."""
    answer = request(chat_app, "GET", "/signalr/negotiate?" + urlencode(
        {"clientProtocol": "2.1", "connectionData": '[{"name":"chathub"}]', "user": "ann", "color": "red"})).json()
    base, _, query = answer["RedirectUrl"].partition("?")
    assert base == f"{service.url}{PATH}" and "asrs.op=%2Fsignalr" in query
    client = ClassicSocket(service, "chathub", path=PATH, token=answer["AccessToken"], color="red", **{
        "asrs.op": "/signalr", "asrs_request_id": "1"}).connect()
    assert chat_app.wait("client", id=client.id)["user"] == "ann"
    who = client.call("chathub", "whoAmI", call=1)["R"]
    assert who["user"] == "ann" and who["query"]["color"] == "red" and who["query"]["asrs.op"] == "/signalr"
    polling = ClassicPolling(service, "chathub", path=PATH, token=answer["AccessToken"]).connect()
    assert polling.send("longPolling", "chathub", "join", "den", call=1) == {"I": "1"}
    assert client.call("chathub", "sendToRoom", "den", "ann", "hi", call=2) == {"I": "2"}
    assert polling.hear("receiveRoom") == ["den", "ann", "hi"]
    assert polling.send("longPolling", "chathub", "work", 3, call=0) == {"I": "0", "R": 3}
    progress = (message["P"]["D"] for message in polling.messages() if "P" in message)
    assert list(islice(progress, 3)) == [0, 1, 2]
    client.lose()
    client.reconnect()
    chat_app.wait("reconnected", id=client.id)
    chat_app.kill()
    while "E" not in client.frame():
        pass


def test_calls_under_way_do_not_block_others(service, chat_app, hub):
    token = Endpoint(service.connection_string).classic_client_token(hub, [])
    client = ClassicStream(service, "chathub", path=PATH, token=token).connect()
    answers = []
    data = json.dumps({"H": "chathub", "M": "never", "A": [], "I": 1})
    sending = threading.Thread(target=lambda: answers.append(client.post("send", {"data": data}, transport=client.transport)))
    sending.start()
    assert client.send(client.transport, "chathub", "send", "ann", "hi", call=2) == {"I": "2"}
    assert client.hear("receive") == ["ann", "hi"]
    client.abort(client.transport)
    sending.join()
    assert "E" in answers[0].json()
