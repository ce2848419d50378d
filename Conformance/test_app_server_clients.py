# SignalBox: pysignalr and signalrcore, sent by an app server to the service, and back by it (service reference §3.2).
# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest
from pysignalr.exceptions import ServerError
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol
from signalrcore.types import HttpTransportType, HubProtocolEncoding

from harness.server import PATIENCE
from test_pysignalr import Client, connected, soon
from test_signalrcore import Client as CoreClient

PROTOCOLS = [JSONProtocol, MessagepackProtocol]
# Once it is redirected it opens a WebSocket at once, without another negotiate.
KINDS = [
    pytest.param((HttpTransportType.web_sockets, HubProtocolEncoding.text), id="json"),
    pytest.param((HttpTransportType.web_sockets, HubProtocolEncoding.binary), id="messagepack"),
]


def url(app, user: str) -> str:
    return f"{app.url}/chat?user={user}"


@pytest.fixture(params=[pytest.param([], id="typed"), pytest.param(["--untyped"], id="slices")])
def app(request, start_app):
    """Pings each second: the sockets of signalrcore notice that they were closed when something arrives."""
    return start_app("--keep-alive", "1", *request.param)


# pysignalr


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pysignalr_calls_and_hears(app, protocol):
    async def scenario():
        async with connected(url(app, "ada"), protocol) as ada, connected(url(app, "bob"), protocol) as bob:
            heard = [client.listen("news") for client in (ada, bob)]
            assert (await ada.call("echo", "Zoë 🚦")).result == "Zoë 🚦"
            assert (await ada.call("whoAmI")).result["user"] == "ada"
            await bob.client.send("broadcast", ["news", "all"])
            for messages in heard:
                assert await soon(messages.get()) == ["all"]
            assert (await ada.call("join", "g")).result is True
            await bob.client.send("sendToGroup", ["g", "news", "members"])
            await bob.client.send("sendToUser", ["ada", "news", "you"])
            assert [await soon(heard[0].get()) for _ in range(2)] == [["members"], ["you"]]
            assert heard[1].empty()
            assert (await bob.call("fail", "no luck")).error == "no luck"

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pysignalr_streams(app, protocol):
    async def scenario():
        async with connected(url(app, "ada"), protocol) as client:
            items, done = asyncio.Queue(), asyncio.Queue()
            await client.client.stream("countdown", [3], items.put, done.put)
            assert [await soon(items.get()) for _ in range(3)] == [3, 2, 1]
            assert (await soon(done.get())).error is None

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pysignalr_is_asked(app, protocol):
    """§11."""
    async def scenario():
        async with connected(url(app, "ada"), protocol) as asker, connected(url(app, "bob"), protocol) as asked:
            async def answer(arguments):
                return arguments[0] + 1

            asked.client.on("add", answer)
            me = (await asked.call("whoAmI")).result
            assert (await asker.call("askClient", me["id"], "add", 41)).result == 42

    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pysignalr_comes_back_after_kill_9(start_app, protocol):
    """§8.5: it takes a Close with an error for its end, whatever that allows, and says which; a new start gets in."""
    first, second = start_app("--sticky", "Required"), start_app("--sticky", "Required")

    async def scenario():
        client = Client(url(first, "ada"), protocol)
        running = asyncio.ensure_future(client.client.run())
        await soon(client.opened.get())
        await asyncio.to_thread(first.kill)
        with pytest.raises(ServerError, match="Connection closed with an error."):
            await soon(running)
        async with connected(url(second, "ada"), protocol) as client:
            assert (await client.call("whoAmI")).result["server"] == second.name

    asyncio.run(scenario())


# signalrcore


@pytest.fixture
def connect():
    clients = []

    def connect(app, kind, user="ada", **options) -> CoreClient:
        clients.append(CoreClient(url(app, user), kind, **options))
        return clients[-1]

    yield connect
    for client in clients:
        client.connection.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_signalrcore_calls_and_hears(app, connect, kind):
    ada, bob = connect(app, kind), connect(app, kind, "bob")
    heard = [client.listen("news") for client in (ada, bob)]
    assert ada.call("echo", "Zoë 🚦").result == "Zoë 🚦"
    assert ada.call("whoAmI").result["user"] == "ada"
    bob.connection.send("broadcast", ["news", "all"])
    for messages in heard:
        assert messages.get(timeout=PATIENCE) == ["all"]
    assert ada.call("join", "g").result is True
    bob.connection.send("sendToGroup", ["g", "news", "members"])
    bob.connection.send("sendToUser", ["ada", "news", "you"])
    assert [heard[0].get(timeout=PATIENCE) for _ in range(2)] == [["members"], ["you"]]
    assert heard[1].empty()


@pytest.mark.parametrize("kind", KINDS)
def test_both_libraries_meet(app, connect, kind):
    core = connect(app, kind, "core")
    heard_by_core = core.listen("news")

    async def scenario():
        async with connected(url(app, "py"), MessagepackProtocol) as py:
            heard = py.listen("news")
            await py.client.send("sendToUser", ["core", "news", 1])
            assert await asyncio.to_thread(heard_by_core.get, timeout=PATIENCE) == [1]
            await asyncio.to_thread(core.connection.send, "sendToUser", ["py", "news", 2])
            assert await soon(heard.get()) == [2]

    asyncio.run(scenario())
