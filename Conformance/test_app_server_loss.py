# SignalBox: app servers and services that are stopped, killed, frozen and started again, with clients that come back.
# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from harness.appserver.crowd import Crowd
from harness.appserver.endpoint import Endpoint
from harness.appserver.redirect import enter
from harness.codec import JSON, MessagePack
from harness.http import request
from harness.rest import rest_send
from harness.server import PATIENCE, lasting_port
from harness.tokens import bearer, client_token
from test_app_server import call, news

LOST = {"type": 7, "error": "Connection closed with an error.", "allowReconnect": True}


@pytest.fixture
def connect(service):
    clients = []

    def connect(app, query="", to=service, **details):
        clients.append(enter(app, to, query, **details))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


# kill -9 (§8.5)


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_clients_of_a_killed_app_server_may_come_back(start_app, connect, codec):
    killed, stays = start_app("--sticky", "Required"), start_app("--sticky", "Required")
    gone, other = [connect(killed, codec=codec) for _ in range(5)], connect(stays)
    killed.kill()
    for client in gone:
        assert client.receive() == LOST
        client.expect_end()
    assert call(other, "echo", 1) == 1
    again = [connect(stays, codec=codec) for _ in range(5)]
    other.start(1, "others", "news", "back")
    for client in again:
        assert news(client) == ["back"]


def test_nobody_is_there_after_the_last_server_was_killed(start_app, connect, service, hub):
    """§13, §8.5: groups and users are empty, a send reaches nobody, a new client is told."""
    app = start_app(links=1)
    client = connect(app, "user=ada&join=g")
    client.receive()
    app.kill()
    assert client.receive() == LOST
    assert rest_send(service, hub, "/groups/g", b'{"target":"news"}').status == 202
    headers = bearer(client_token(service, hub))
    answer = request(service, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers)
    assert answer.status in (200, 503)


# SIGTERM (§14)


def test_a_server_that_stops_waits_for_its_clients(start_app, connect):
    """GracefulShutdown WaitForClientsClose."""
    app, other = start_app("--shutdown", "wait"), start_app()
    client = connect(app)
    while call(client, "whoAmI")["server"] != app.name:
        client.close()
        client = connect(app)
    app.terminate()
    app.wait("fin acknowledged")
    assert call(client, "echo", "still here") == "still here"
    assert call(connect(other), "whoAmI")["server"] == other.name
    client.close()
    app.wait("stopped")
    assert app.process.wait(PATIENCE) == 0


def test_a_server_that_stops_at_once_sends_its_clients_away(start_app, connect):
    """§14.4: Off."""
    app = start_app("--shutdown", "off")
    client = connect(app)
    app.terminate()
    app.wait("stopped")
    close = client.receive()
    assert (close["type"], close.get("allowReconnect")) == (7, True)
    client.expect_end()


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_a_server_that_stops_hands_its_clients_on(start_app, connect, codec):
    """§12, §14.3: MigrateClients; the client notices nothing."""
    old = start_app("--shutdown", "migrate", "--sticky", "Preferred")
    new = start_app("--shutdown", "migrate")
    clients = [connect(old, f"user=u{number}", codec=codec) for number in range(10)]
    for client in clients:
        assert call(client, "whoAmI")["server"] == old.name
        call(client, "join", "g")
    old.terminate()
    old.wait("stopped")
    for number, client in enumerate(clients):
        me = call(client, "whoAmI")
        assert (me["server"], me["user"], me["id"]) == (new.name, f"u{number}", client.connection_id)
    new.do("group", "g", "news", [1])
    for client in clients:
        assert news(client) == [1]


# The service restarts


def test_servers_and_clients_come_back_after_the_service_was_killed(start_server, start_app, connect):
    service = start_server("--mode", "default", port=lasting_port())
    app = start_app(to=service, links=3)
    assert call(connect(app, to=service), "echo", 1) == 1
    service.kill()
    app.wait("link lost", 3)
    again = start_server("--mode", "default", port=service.port)
    app.wait("link", 3)
    assert call(connect(app, to=again), "echo", 2) == 2


def test_servers_and_clients_come_back_after_the_service_was_stopped(start_server, start_app, connect):
    """§14.5."""
    service = start_server("--mode", "default", port=lasting_port())
    app = start_app(to=service, links=3)
    client = connect(app, to=service)
    service.terminate()
    close = client.receive()
    assert (close["type"], close.get("allowReconnect")) == (7, True)
    app.wait("link lost", 3)
    assert service.process.wait(PATIENCE) == 0
    again = start_server("--mode", "default", port=service.port)
    app.wait("link", 3)
    assert call(connect(app, to=again), "echo", 2) == 2


# Back-pressure (§9.6)


def test_a_frozen_server_loses_nothing(start_app, connect):
    """Its clients' calls wait, those of other servers do not; when it thaws all are answered, in order."""
    frozen, other = start_app("--sticky", "Required", links=1), start_app("--sticky", "Required", links=1)
    client, listener, elsewhere = connect(frozen), connect(frozen), connect(other)
    frozen.freeze()
    for number in range(100):
        client.start(1, "echo", number)
    for number in range(50):
        assert call(elsewhere, "echo", number) == number
    elsewhere.start(1, "others", "news", "meanwhile")
    assert news(client) == ["meanwhile"] and news(listener) == ["meanwhile"]
    frozen.thaw()
    for number in range(100):
        assert client.receive()["result"] == number


# A storm


def test_a_thousand_clients_come_back_at_once(start_app, service, hub):
    """Nobody is lost: each is told that it may come back, and is let in, at once or when it was told to try."""
    killed, stays = start_app(), start_app()
    endpoint, count = Endpoint(service.connection_string), 1000

    async def storm():
        async with Crowd(endpoint, hub, count) as crowd:
            await crowd.until(lambda crowd: len(crowd.present) == count, 60)
            killed.kill()
            await crowd.until(lambda crowd: any(member.closes for member in crowd.members), PATIENCE)
            await crowd.until(lambda crowd: len(crowd.present) == count, 60)
            await asyncio.to_thread(stays.do, "everybody", "news", [])
            await crowd.until(lambda crowd: crowd.heard >= count, PATIENCE)
            assert crowd.losses == [] and crowd.turned_away == 0
            for member in crowd.members:
                assert member.closes in ([], [LOST])
            assert sum(len(member.closes) for member in crowd.members) >= count // 3

    asyncio.run(storm())


def test_a_thousand_clients_of_a_restarted_server(start_app, service, hub):
    """All of them knock while nobody is there, and are served as soon as somebody is."""
    app = start_app(links=2)
    endpoint, count = Endpoint(service.connection_string), 1000

    async def storm():
        async with Crowd(endpoint, hub, count) as crowd:
            await crowd.until(lambda crowd: len(crowd.present) == count, 60)
            app.kill()
            await crowd.until(lambda crowd: all(member.closes for member in crowd.members), PATIENCE)
            again = await asyncio.to_thread(start_app, links=2)
            await crowd.until(lambda crowd: len(crowd.present) == count, 60)
            await asyncio.to_thread(again.do, "everybody", "news", [])
            await crowd.until(lambda crowd: crowd.heard >= count, PATIENCE)

    asyncio.run(storm())
