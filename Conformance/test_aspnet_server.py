# SignalBox: app servers of ASP.NET SignalR 2.x and their clients, byte by byte (service reference §18).
# SPDX-License-Identifier: Apache-2.0

import contextlib
import itertools
import json
import threading
import time
import uuid
from types import SimpleNamespace

import pytest

from harness.appserver.aspnet import call, response, wrapped
from harness.appserver.endpoint import Endpoint
from harness.appserver.messages import Kind, decode, frame
from harness.classic import Classic, ClassicPolling, ClassicSocket, ClassicStream
from harness.codec import JSON
from harness.http import eventually, request
from harness.server import Server
from harness.server_connection import WEAK, ServerConnection
from harness.tokens import bearer, client_token, sign
from harness.vectors import VECTORS
from harness.websocket import CLOSE

NUMBERS = itertools.count(1)
CLASSIC = VECTORS["classic"]
HELLO = json.loads(decode(bytes.fromhex(CLASSIC["broadcast"]["innerHex"])[1:])["payload"])["M"]


def attach_to(service: Server, hub: str, stack, name="HOST_1") -> ServerConnection:
    token = Endpoint(service.connection_string).classic_server_token(hub, name)
    connection = ServerConnection(service, hub, name, "/aspnetserver/", token=token)
    return stack.enter_context(connection).shake_hands()


def token_for(service: Server, application: str, user: str | None = None, **claims) -> str:
    identity = [("nameid", user)] if user else []
    return Endpoint(service.connection_string).classic_client_token(application, identity + list(claims.items()))


@pytest.fixture
def app(service):
    """An application of the test's own: its connection for itself, and one for its hub `chat`."""
    name = f"App{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        yield SimpleNamespace(
            name=name, home=attach_to(service, f"{name}_{name}".lower(), stack),
            chat=attach_to(service, f"{name}_chat".lower(), stack),
            attach=lambda hub, server="HOST_1": attach_to(service, f"{name}_{hub}".lower(), stack, server))


@pytest.fixture
def enter(service, app):
    """Clients of the application, and how it sees them."""
    def enter(kind=ClassicSocket, *hubs, user=None, claims=None, **details):
        details.setdefault("path", "/aspnetclient")
        client = kind(service, *(hubs or ["Chat"]), token=token_for(service, app.name, user, **(claims or {})), **details)
        client.connect()
        opened = app.home.expect_message(Kind.OPEN_CONNECTION, connectionId=client.id, ext={"protocol": "json"})
        return client, opened

    return enter


KINDS = [ClassicSocket, ClassicStream, lambda *a, **b: ClassicStream(*a, transport="foreverFrame", **b), ClassicPolling]
NAMES = ["webSockets", "serverSentEvents", "foreverFrame", "longPolling"]


def ask(connection: ServerConnection, kind: int, /, **fields) -> int:
    number = next(NUMBERS)
    connection.say(kind, ackId=number, **fields)
    return connection.expect_message(Kind.ACK, ackId=number)["status"]


def messages_of(client) -> list:
    """The messages of the next frame that has some."""
    while not (messages := client.poll()["M"] if isinstance(client, ClassicPolling) else client.frame().get("M", [])):
        pass
    return messages


# Server connections


@pytest.mark.parametrize("path", ["/aspnetserver/", "/aspnetserver", "/AspNetServer/"])
def test_an_app_server_attaches(service, hub, path):
    token = Endpoint(service.connection_string).classic_server_token(hub, "HOST_1")
    with ServerConnection(service, hub, path=path, token=token) as server:
        server.shake_hands()


@pytest.mark.parametrize("audience", ["server/?hub={hub}", "aspnetserver/?hub=other", "aspnetserver/", "aspnetclient"])
def test_a_token_for_another_place_is_refused(service, hub, audience):
    token = sign(service, f"http://127.0.0.1/{audience.format(hub=hub)}", nameid="HOST_1")
    with ServerConnection(service, hub, path="/aspnetserver/", token=token) as server:
        assert server.socket.answer.status == 401


def test_clients_of_aspnet_core_are_not_given_to_it(service, app, visit, hub):
    """Nor the other way round: hubs of one name are two hubs to app servers."""
    visitor = visit(to=service)
    assert "app servers are not connected" in visitor.expect_refusal()


# How a client comes


def test_an_app_server_gets_its_client(service, app):
    token = token_for(service, app.name, "ann", role="x", asrs_test="y")
    client = ClassicSocket(service, "Chat", path="/aspnetclient", token=token, color="red", access_token=token).connect()
    opened = app.home.expect_message(Kind.OPEN_CONNECTION, connectionId=client.id)
    assert opened["queryString"].startswith("?")
    for part in ("transport=webSockets", "connectionToken=", "connectionData=", "color=red"):
        assert part in opened["queryString"]
    assert "access_token" not in opened["queryString"] and "authorization" not in {
        name.lower() for name in opened["headers"]}
    assert ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "ann") in opened["claims"]
    assert ("asrs.s.apn", app.name) in opened["claims"]
    app.home.expect_quiet()
    app.chat.expect_quiet()
    client.abort("webSockets")
    app.home.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.id, errorMessage="")


def test_negotiate(service, app):
    negotiated = Classic(service, "Chat", path="/aspnetclient", token=token_for(service, app.name)).negotiated
    assert negotiated["Url"] == "/aspnetclient"
    assert negotiated["ProtocolVersion"] == "2.0"
    assert "." not in negotiated["ConnectionId"]


def test_a_token_is_needed(service):
    for action in ("negotiate", "ping", "connect", "start"):
        assert request(service, "GET", f"/aspnetclient/{action}?connectionData=%5B%5D").status == 401
    old = Endpoint(service.connection_string).classic_client_token("x", [], lifetime=-3600)
    assert request(service, "GET", "/aspnetclient/ping", headers=bearer(old)).status == 401
    good = token_for(service, "x")
    assert request(service, "GET", "/aspnetclient/ping", headers=bearer(good)).json() == {"Response": "pong"}
    assert request(service, "GET", f"/aspnetclient/ping?access_token={good}").status == 200


def test_other_origins_may_come_with_credentials(service):
    answer = request(service, "OPTIONS", "/aspnetclient/negotiate", headers={
        "Origin": "http://app.test", "Access-Control-Request-Headers": "authorization"})
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "http://app.test"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_the_token_may_narrow_transports(service, app):
    """`asrs.s.htt`: 4 is long polling alone."""
    token = token_for(service, app.name, **{"asrs.s.htt": 4})
    client = ClassicSocket(service, "Chat", path="/aspnetclient", token=token)
    assert client.negotiated["TryWebSockets"] is False
    assert client.get("connect", transport="serverSentEvents").status == 400


def test_without_an_app_server_clients_are_told_so(service):
    application = f"app{uuid.uuid4().hex}"
    client = ClassicSocket(service, "Chat", path="/aspnetclient", token=token_for(service, application)).open()
    assert "app servers are not connected" in client.frame()["E"]
    assert client.socket.receive().opcode == CLOSE


def test_clients_without_hubs_have_no_app_server(service, app):
    token = token_for(service, app.name)
    assert request(service, "GET", "/aspnetclient/negotiate?hub=chat", headers=bearer(token)).status == 400


def test_the_first_server_is_waited_for(service, app):
    """A server that was there a moment ago is expected back."""
    app.home.close()
    eventually(lambda: not is_served(service, app))
    client = ClassicSocket(service, "Chat", path="/aspnetclient", token=token_for(service, app.name)).open()
    # What it says in the meantime is kept, up to a bound.
    for number in range(101):
        client.say("chat", "Count", number, call=number)
    home = app.attach(app.name)
    home.expect_message(Kind.OPEN_CONNECTION, connectionId=client.id)
    assert client.frame()["S"] == 1
    for number in range(100):
        data = home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)["payload"]
        assert json.loads(data)["A"] == [number]
    assert client.frame() == {"I": "100", "E": "Too many calls at a time."}


def is_served(service: Server, app) -> bool:
    """Whether a server of the application's own hub is there."""
    hub = f"{app.name}_{app.name}".lower()
    token = Endpoint(service.connection_string).classic_server_token(hub, "WEAK")
    with ServerConnection(service, hub, "WEAK", "/aspnetserver/", token=token) as weak:
        weak.shake_hands(kind=WEAK)
        weak.say(Kind.PING, pairs=["servers", ""])
        return "HOST_1" in weak.next()["pairs"][1]


# What travels


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_a_client_says_arrives_as_it_is(app, enter, kind):
    client, _ = enter(kind)
    text = decode(bytes.fromhex(CLASSIC["clientToServer"]["hex"]))["payload"]
    answer = {"I": "0", "R": {"ok": [1, "x"]}}
    if isinstance(client, ClassicSocket):
        client.say("chat", "Echo", "hi")
        got = app.home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)["payload"]
        assert json.loads(got) == json.loads(text)
        client.socket.send(1, text)
        assert app.home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)["payload"] == text
        app.home.data(client.id, wrapped(answer))
        assert client.frame() == answer
        return
    # The answer to a call that came by a request is the answer to that.
    answers = []
    sending = threading.Thread(
        target=lambda: answers.append(client.post("send", {"data": text.decode()}, transport=client.transport)))
    sending.start()
    assert app.home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)["payload"] == text
    app.home.data(client.id, wrapped(answer))
    sending.join()
    assert answers[0].status == 200 and answers[0].json() == answer


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_an_app_server_sends_arrives_unwrapped(app, enter, kind):
    client, _ = enter(kind)
    app.chat.send(frame(bytes.fromhex(CLASSIC["broadcast"]["hex"])))
    assert messages_of(client) == HELLO
    assert client.cursor.startswith("d-")
    inner = decode(bytes.fromhex(CLASSIC["connectionData"]["hex"]))["payload"]
    app.home.data(client.id, inner)
    assert messages_of(client) == HELLO


def test_frames_in_pages_cannot_end_a_script(app, enter):
    client, _ = enter(KINDS[2])
    app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "x", "</script><b>"))})
    text = client.next_text()
    assert "<" not in text and json.loads(text)["M"][0]["A"] == ["</script><b>"]


def test_several_messages_and_progress_keep_their_order(app, enter):
    client, _ = enter()
    progress = {"I": "P|1", "P": {"I": "1", "D": 50}}
    app.home.data(client.id, response(call("Chat", "a", 1), call("Chat", "b", 2, s={"x": 1})) + response(progress))
    app.home.data(client.id, wrapped({"I": "1", "R": 7}))
    received = []
    while {"I": "1", "R": 7} not in received:
        frame_ = client.frame()
        received += frame_.get("M", []) if "M" in frame_ else [frame_]
    assert received == [call("Chat", "a", 1), call("Chat", "b", 2, s={"x": 1}), progress, {"I": "1", "R": 7}]


@pytest.mark.parametrize("payload", [
    b"", b"\x00", b"{}", wrapped({}), frame(b"\x93\x06\xa0\xc0"), wrapped({"M": []}), wrapped({"M": 1}), wrapped({"I": 1}),
    frame(b"\x94\x06\xa0\xc4\x02{]\x80"), b"\xff\xff\xff\xff\x7f", wrapped({"C": "0"}),
], ids=repr)
def test_payloads_that_hold_nothing_do_no_harm(app, enter, payload):
    client, _ = enter()
    app.home.data(client.id, payload)
    app.chat.say(Kind.BROADCAST, payloads={"json": payload})
    app.home.data(client.id, response(call("Chat", "still", "here")))
    assert client.hear("still") == ["here"]


def test_data_may_come_from_any_server_of_the_application(app, enter):
    """§18.3: type 6 from a server connection that does not own the client."""
    client, _ = enter()
    other = app.attach(app.name, "HOST_2")
    other.data(client.id, response(call("Chat", "x", 1)))
    assert client.hear("x") == [1]
    app.chat.data(client.id, response(call("Chat", "y", 2)))
    assert client.hear("y") == [2]


def test_users_and_excluded_connections(app, enter):
    ann, _ = enter(user="ann")
    bob, _ = enter(user="bob")
    app.chat.say(Kind.USER_DATA, userId="bob", payloads={"json": response(call("Chat", "forBob"))})
    app.chat.say(
        Kind.BROADCAST, excludedConnectionIds=[ann.id], payloads={"json": response(call("Chat", "notAnn"))})
    app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "all"))})
    assert [message["M"] for message in itertools.islice(bob.messages(), 3)] == ["forBob", "notAnn", "all"]
    assert next(ann.messages())["M"] == "all"


def test_groups(app, enter):
    """§18.3: the whole `hg-` text is the group's name, and membership counts for every connection of the application."""
    group = "hg-Chat.room"
    client, _ = enter()
    other, _ = enter()
    assert ask(app.home, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.id, groupName=group) == 1
    assert ask(app.home, Kind.JOIN_GROUP_WITH_ACK, connectionId="nobody", groupName=group) == 2
    payloads = {"json": response(call("Chat", "room"))}
    app.home.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads)
    assert client.hear("room") == []
    app.chat.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads)
    assert client.hear("room") == []
    assert ask(app.chat, Kind.CHECK_GROUP, groupName=group) == 1
    assert ask(app.home, Kind.LEAVE_GROUP_WITH_ACK, connectionId=client.id, groupName=group) == 1
    assert ask(app.chat, Kind.CHECK_GROUP, groupName=group) == 2
    app.home.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads)
    app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "end"))})
    for each in (client, other):
        assert [message["M"] for message in itertools.islice(each.messages(), 1)] == ["end"]
    assert client.groups is None, "the app server keeps groups"


def test_several_hubs_of_one_client(app, enter):
    news = app.attach("news")
    client, opened = enter(ClassicSocket, "chat", "news")
    assert '%22news%22' in opened["queryString"]
    news.say(Kind.BROADCAST, payloads={"json": response(call("News", "n"))})
    assert client.hear("n") == []
    app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "c"))})
    assert client.hear("c") == []


def test_a_server_of_aspnet_core_reaches_them_too(service, app, enter):
    """Its frames are translated; the name that frames for classic clients have here is not for it."""
    client, _ = enter()
    with ServerConnection(service, f"{app.name}_chat".lower()) as core:
        core.shake_hands()
        frame_ = JSON().encode({"type": 1, "target": "told", "arguments": [1]})
        core.say(Kind.BROADCAST, payloads={"json": frame_, "classic": b'"},{', "classicMessages": b"]}"})
        assert next(client.messages()) == call("chat", "told", 1)


# Coming back


@pytest.mark.parametrize("kind", KINDS[:3], ids=NAMES[:3])
def test_a_client_that_comes_back_has_missed_nothing(app, enter, kind):
    client, _ = enter(kind)
    app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "x", 1))})
    assert client.hear("x") == [1]
    client.lose()
    for number in (2, 3):
        app.chat.say(Kind.BROADCAST, payloads={"json": response(call("Chat", "x", number))})
    app.home.data(client.id, response(call("Chat", "x", 4)))
    client.reconnect()
    told = app.home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)
    assert told["payload"] == decode(bytes.fromhex(CLASSIC["reconnect"]["hex"]))["payload"] == b"asrs:reconnect"
    numbers = [message["A"][0] for message in itertools.islice(client.messages(), 3)]
    assert sorted(numbers) == [2, 3, 4] and numbers.index(2) < numbers.index(3)


def test_another_transport_is_the_same_client(service, app):
    """A transport that does not work for the client: it tries the next one with the same token."""
    client = ClassicSocket(service, "Chat", path="/aspnetclient", token=token_for(service, app.name)).open()
    opened = app.home.expect_message(Kind.OPEN_CONNECTION, connectionId=client.id)
    assert client.frame()["S"] == 1
    polling = ClassicPolling.__new__(ClassicPolling)
    polling.__dict__.update(client.__dict__)
    polling.cursor = polling.groups = None
    polling.connect()
    app.home.data(opened["connectionId"], response(call("Chat", "x")))
    assert polling.hear("x") == []
    app.home.expect_quiet()


@pytest.mark.parametrize("action, method", [("reconnect", "GET"), ("poll", "POST"), ("start", "GET"), ("send", "POST")])
def test_a_lost_client_is_not_found(service, app, action, method):
    client = Classic(service, "Chat", path="/aspnetclient", token=token_for(service, app.name))
    transport = "longPolling" if action == "poll" else "serverSentEvents"
    answer = request(
        service, method, client.target(action, transport=transport), body="data=x" if method == "POST" else None,
        headers=client.headers)
    assert answer.status == 404


# The end


def test_a_client_ends_with_its_session(app, enter):
    """`asrs.s.coae`: when the app's authentication ends, so does the connection."""
    client, _ = enter(claims={"asrs.s.coae": "true", "asrs.s.aeo": int(time.time()) + 1})
    assert "E" in client.frame()
    app.home.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.id)


def test_a_client_that_polls_no_more_is_gone(app, enter):
    """`asrs.s.ttl`: the app may allow less time than the endpoint does."""
    client, _ = enter(ClassicPolling, claims={"asrs.s.ttl": 1})
    app.home.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.id)
    assert request(
        client.server, "POST", client.target("poll", transport="longPolling"), headers=client.headers).status == 404


def test_a_lost_server_takes_its_clients_along(app, enter):
    client, _ = enter()
    app.home.close()
    assert client.frame() == {"E": "Connection closed with an error."}
    assert client.at_end()
    assert client.get("reconnect", transport="serverSentEvents").status == 404


def test_an_app_server_ends_a_client(app, enter):
    client, _ = enter()
    app.home.say(Kind.CLOSE_CONNECTION, connectionId=client.id, errorMessage="Duplicate connection ID")
    assert "E" in client.frame()
    assert client.at_end()
    app.home.expect_quiet()


def test_another_server_ends_a_client(app, enter):
    """The owner hears of it."""
    client, _ = enter()
    app.chat.say(Kind.CLOSE_CONNECTION, connectionId=client.id, errorMessage="enough")
    assert client.frame() == {"E": "enough"}
    app.home.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.id)


def test_requests_do_not_outlive_the_client(app, enter):
    client, _ = enter(ClassicStream)
    answers = []
    data = json.dumps({"H": "chat", "M": "Never", "A": [], "I": 9})
    sending = threading.Thread(
        target=lambda: answers.append(client.post("send", {"data": data}, transport=client.transport)))
    sending.start()
    app.home.expect_message(Kind.CONNECTION_DATA, connectionId=client.id)
    client.abort(client.transport)
    sending.join()
    assert answers[0].json() == {"I": "9", "E": "The connection ended before the call did."}
    app.home.expect_message(Kind.CLOSE_CONNECTION, connectionId=client.id)


def test_a_call_that_is_none_is_refused(app, enter):
    client, _ = enter(ClassicStream)
    assert client.post("send", {"data": "{]"}, transport=client.transport).status == 500
    app.home.expect_quiet()


def test_a_token_for_one_hub_is_good_for_that(service, app):
    """`signalbox token` and REST make such tokens."""
    hub = f"{app.name}_chat".lower()
    token = client_token(service, hub)
    client = ClassicSocket(service, "chat", path="/aspnetclient", token=token).open()
    app.chat.expect_message(Kind.OPEN_CONNECTION, connectionId=client.id)
    other = request(
        service, "GET", "/aspnetclient/negotiate?connectionData=%5B%7B%22name%22%3A%22other%22%7D%5D", headers=bearer(token))
    assert other.status == 403
