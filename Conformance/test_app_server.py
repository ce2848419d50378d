# SignalBox: an app server as the SDK would run it, in a process of its own, and its clients (reference §22, endToEnd).
# SPDX-License-Identifier: Apache-2.0

import json

import msgpack
import pytest

from harness.appserver.messages import frame
from harness.appserver.redirect import enter, redirect
from harness.codec import JSON, MessagePack
from harness.http import eventually, request
from harness.rest import call_rest, rest_send
from harness.server_connection import ServerConnection
from harness.transports import WebSocketTransport
from test_server_clients import PAIRS

GENERATIONS = [pytest.param([], id="typed"), pytest.param(["--untyped"], id="slices")]


@pytest.fixture(params=GENERATIONS)
def app(request, start_app):
    """Five server connections, of a present and of an older SDK (§9.2)."""
    return start_app(*request.param)


@pytest.fixture
def connect(service):
    clients = []

    def connect(app, query="", **details):
        clients.append(enter(app, service, query, **details))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def news(client) -> list:
    """The arguments of the next message."""
    message = client.receive()
    assert (message["type"], message["target"]) == (1, "news"), message
    return message["arguments"]


def call(client, target: str, *arguments):
    completion = client.invoke(target, *arguments)
    assert "error" not in completion, completion
    return completion.get("result")


# Calls


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_calls_complete(app, connect, transport, codec):
    """Echo, over every transport and protocol."""
    client = connect(app, transport=transport, codec=codec)
    for value in ("Zoë 🚦", 1, -1.5, None, True, {"a": [{}]}, ["x" * 10_000]):
        assert call(client, "echo", value) == value


def test_errors_of_the_app_arrive(app, connect):
    client = connect(app)
    assert client.invoke("fail", "no luck")["error"] == "no luck"
    assert client.invoke("nothing")["error"] == (
        "Failed to invoke 'nothing' due to an error on the server. HubException: Method does not exist.")


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_streams_go_both_ways(app, connect, codec):
    client = connect(app, codec=codec)
    identifier = client.start(4, "countdown", 300)
    for number in range(300, 0, -1):
        assert client.receive() == {"type": 2, "invocationId": identifier, "item": number}
    assert client.receive() == {"type": 3, "invocationId": identifier}
    identifier = client.start(1, "sum", streamIds=["up"])
    for number in range(200):
        client.send({"type": 2, "invocationId": "up", "item": number})
    client.send({"type": 3, "invocationId": "up"})
    assert client.receive() == {"type": 3, "invocationId": identifier, "result": 19_900}


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_large_results_are_whole(app, connect, codec):
    """§9.2: an older SDK sends them in slices."""
    client = connect(app, codec=codec)
    for size in (4095, 4096, 100_000, 900_000):
        assert call(client, "large", size) == "x" * size


def test_sends_come_before_the_result(app, connect):
    """§8.4, §10: a hub's own sends and its completion use one server connection, and keep their order."""
    client = connect(app)
    identifier = client.start(1, "burst", 500)
    for number in range(500):
        assert client.receive()["arguments"] == [number]
    assert client.receive() == {"type": 3, "invocationId": identifier, "result": 500}


# Sends


def test_everybody_and_the_others(app, connect):
    first, second = connect(app), connect(app, codec=MessagePack)
    first.start(1, "broadcast", "news", "all")
    assert news(second) == ["all"]
    assert {first.receive()["type"] for _ in range(2)} == {1, 3}
    call(first, "others", "news", "you")
    assert news(second) == ["you"]


def test_clients_and_users(app, connect):
    one, two, three = (connect(app, f"user={user}") for user in ("ada", "ada", "b%20%C3%B6"))
    call(three, "sendToClient", one.connection_id, "news", 1)
    assert news(one) == [1]
    call(three, "sendToClients", [one.connection_id, two.connection_id], "news", 2)
    call(three, "sendToUser", "ada", "news", 3)
    for client in (one, two):
        assert [news(client), news(client)] == [[2], [3]]
    one.start(1, "sendToUsers", ["b ö", "ada"], "news", 4)
    assert (news(two), news(three)) == ([4], [4])


def test_groups(app, connect):
    """Join, send, leave; what is sent then is not received."""
    inside, outside = connect(app), connect(app, codec=MessagePack)
    assert call(inside, "join", "g") is True
    call(outside, "sendToGroup", "g", "news", 1)
    assert news(inside) == [1]
    assert call(inside, "leave", "g") is True
    call(outside, "sendToGroup", "g", "news", 2)
    call(inside, "join", "h")
    call(outside, "join", "h")
    call(outside, "sendToOthersInGroup", "h", "news", 3)
    outside.start(1, "sendToGroups", ["g", "h"], "news", 4)
    assert [news(inside), news(inside)] == [[3], [4]]


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_a_client_that_joins_as_it_connects_hears_at_once(app, connect, transport, codec):
    """§9.2.5: join and send overtake the answer to the handshake, and still come behind it."""
    client = connect(app, "join=lobby", transport=transport, codec=codec)
    assert client.receive() == {"type": 1, "target": "joined", "arguments": ["lobby"]}


def test_sends_from_outside_of_the_hub(app, connect):
    """§8.4: any server connection, also for what is acknowledged."""
    clients = [connect(app, f"user=u{number}") for number in range(8)]
    for number, client in enumerate(clients):
        assert app.do("add", client.connection_id, "g") is True
        app.do("group", "g", "news", [number])
        for member in clients[:number + 1]:
            assert news(member) == [number]
    assert app.do("exists", clients[0].connection_id) is True
    assert app.do("exists", "nobody") is False
    app.do("user", "u3", "news", ["you"])
    assert news(clients[3]) == ["you"]


def test_rest_reaches_clients_of_an_app_server(app, connect, service, hub):
    """§15; in both protocols."""
    clients = [connect(app, "user=ada"), connect(app, "user=ada", codec=MessagePack)]
    for path in ("", "/users/ada"):
        body = json.dumps({"target": "news", "arguments": [path, {"a": [1.5]}]}).encode()
        assert rest_send(service, hub, path, body).status == 202
        for client in clients:
            assert news(client) == [path, {"a": [1.5]}]


# Two app servers


def test_clients_of_two_servers_meet(start_app, connect):
    """§8.4: any server connection of the hub speaks for all clients."""
    here, there = start_app("--sticky", "Required"), start_app("--sticky", "Required")
    one, two = connect(here), connect(there, codec=MessagePack)
    assert call(one, "whoAmI")["server"] == here.name and call(two, "whoAmI")["server"] == there.name
    one.start(1, "broadcast", "news", "all")
    assert news(two) == ["all"]
    assert here.do("add", two.connection_id, "g") is True
    there.do("group", "g", "news", ["g"])
    assert news(two) == ["g"]


@pytest.mark.parametrize("codec", [JSON, MessagePack])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same server", "other server"])
def test_a_client_is_asked(start_app, connect, codec, elsewhere):
    """§11."""
    here = start_app("--sticky", "Required")
    there = start_app("--sticky", "Required") if elsewhere else here
    asker, asked = connect(here), connect(there, codec=codec)
    for number in range(5):
        identifier = asker.start(1, "askClient", asked.connection_id, "add", number, 1)
        question = asked.receive()
        assert (question["target"], question["arguments"]) == ("add", [number, 1])
        asked.send({"type": 3, "invocationId": question["invocationId"], "result": number + 1})
        assert asker.receive() == {"type": 3, "invocationId": identifier, "result": number + 1}


def test_a_client_that_cannot_answer_is_an_error(start_app, connect):
    """§11.6."""
    here, there = start_app("--sticky", "Required"), start_app("--sticky", "Required")
    asker, asked = connect(here), connect(there)
    assert asker.invoke("askClient", "nobody", "add")["error"]
    identifier = asker.start(1, "askClient", asked.connection_id, "add")
    asked.receive()
    asked.close()
    completion = asker.receive()
    assert completion["invocationId"] == identifier and completion["error"]


# Who a client is


def test_a_client_is_known_by_its_claims(app, connect):
    """TestClientUser, TestClientIPEcho, TestClientQueryString (§3.1, §9.3)."""
    client = connect(app, "user=ada&roles=admin,author&x=a%20b", headers={"X-Test": "yes"})
    me = call(client, "whoAmI")
    assert (me["id"], me["user"], me["address"], me["path"]) == (client.connection_id, "ada", "127.0.0.1", "/chat")
    assert me["header"] == ["yes"]
    query = json.loads(me["query"])
    assert (query["user"], query["x"]) == ("ada", "a b") and query["asrs_request_id"] and "access_token" not in query
    claims = [tuple(pair) for pair in json.loads(me["claims"])]
    role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    assert [value for name, value in claims if name == role] == ["admin", "author"]


def test_a_client_without_claims_is_nobody(app, connect):
    me = call(connect(app), "whoAmI")
    assert me["user"] is None and json.loads(me["claims"]) == []


def test_too_many_claims_are_the_clients_fault(app):
    """§3: a token of more than 4096 characters is a 413."""
    assert request(app, "POST", f"/chat/negotiate?roles={'x' * 5000}").status == 413


@pytest.mark.parametrize("stickiness", ["Required", "Preferred"])
def test_a_sticky_client_stays_with_its_server(start_app, connect, stickiness):
    """§9.4."""
    apps = [start_app("--sticky", stickiness, links=2) for _ in range(2)]
    for app in apps * 3:
        assert call(connect(app), "whoAmI")["server"] == app.name


def test_clients_are_spread_over_server_connections(start_app, connect):
    """§9.4: the least loaded."""
    app = start_app(links=4)
    for _ in range(12):
        connect(app)
    chosen = [app.wait("client")["server"] for _ in range(12)]
    assert sorted(chosen.count(server) for server in set(chosen)) == [3, 3, 3, 3]


# The end of a client


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_the_app_ends_a_client(app, connect, transport, codec):
    client = connect(app, transport=transport, codec=codec)
    client.send({"type": 1, "target": "leaveMe", "arguments": []})
    assert client.receive() == {"type": 7, "error": "You asked for it."}
    client.expect_end()
    app.wait("client gone", id=client.connection_id)
    eventually(lambda: app.do("exists", client.connection_id) is False)


@pytest.mark.parametrize(("transport", "codec"), PAIRS)
def test_the_app_hears_of_the_end_of_a_client(app, connect, transport, codec):
    client = connect(app, transport=transport, codec=codec)
    client.close()
    app.wait("client gone", id=client.connection_id)


def test_rest_ends_a_client(app, connect, service, hub):
    client = connect(app)
    path = f"/api/hubs/{hub}/connections/{client.connection_id}"
    assert call_rest(service, "DELETE", path, query="&reason=over").status == 200
    assert client.receive()["error"] == "over"
    client.expect_end()
    app.wait("client gone", id=client.connection_id)


# What an SDK may meet


def test_the_app_says_when_it_is_not_connected(start_server, start_app):
    """§3.2: 500 until a server connection has shaken hands."""
    service = start_server("--mode", "default")
    app = start_app(to=service, links=1)
    assert redirect(app)[0].startswith(service.url)
    service.kill()
    app.wait("link lost")
    answer = request(app, "POST", "/chat/negotiate")
    assert answer.status == 500 and "not connected yet" in answer.text


def test_messages_that_nobody_knows_are_tolerated(app, connect):
    """§5.3: from an SDK of the future."""
    client = connect(app)
    for items in ([41, "c", {}], [42], [1000, None, {"a": [1, b"x"]}, 2.5], [10, [], {}, {}, [], "more"]):
        app.do("raw", frame(msgpack.packb(items)).hex())
        assert call(client, "echo", items[0]) == items[0]
    assert app.do("exists", client.connection_id) is True


def test_the_status_is_told(start_app, connect):
    """§7: asked again and again, every 10 seconds by an SDK."""
    app = start_app("--haste", "4", links=2)
    connect(app)
    status = app.wait("status", clientcount="1")
    assert status["status"] == "1" and int(status["servercount"]) >= 1


def test_an_idle_app_server_is_kept(start_app, connect):
    """§7, §23 trap 3: silence is a loss, after 30 seconds for an SDK and after 10 here; the service's pings prevent that. The
    status is told three times as often, on any one of the server connections. Hub and client keep each other as well."""
    app = start_app("--haste", "3", links=4)
    client = connect(app)
    for _ in range(4):
        app.wait("status")
        client.send({"type": 6})
    assert call(client, "echo", 1) == 1
    assert not any(event["event"] == "link lost" for event in app.heard)


def test_a_weak_connection_and_an_app_server_share_a_hub(app, connect, service, hub):
    """§8.2: what the Management SDK does in persistent mode."""
    client = connect(app, transport=WebSocketTransport)
    with ServerConnection(service, hub) as weak:
        weak.shake_hands(2)
        weak.say(10, payloads={"json": b'{"type":1,"target":"news","arguments":["weak"]}\x1e'})
        assert news(client) == ["weak"]
        weak.say(5, connectionId=client.connection_id, errorMessage="over")
        assert client.receive()["error"] == "over"
    app.wait("client gone", id=client.connection_id)
