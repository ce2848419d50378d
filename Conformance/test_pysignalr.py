# SignalBox: pysignalr, an asyncio client for WebSockets, against the playground's chat and the service.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import contextlib
import uuid

import pytest
from pysignalr.client import SignalRClient
from pysignalr.messages import InvocationClientStreamMessage, StreamItemMessage, CompletionClientStreamMessage
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

from harness.proxy import Proxy
from harness.rest import call_rest
from harness.server import PATIENCE, lasting_port
from harness.tokens import bearer, client_token

pytestmark = pytest.mark.parametrize("protocol", [JSONProtocol, MessagepackProtocol])


class Client:
    """A connected client, and queues of what it heard."""

    def __init__(self, url: str, protocol, **options):
        self.client = SignalRClient(url, protocol=protocol(), **options)
        self.opened, self.closed, self.errors = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        self.client.on_open(lambda: self.opened.put(True))
        self.client.on_close(lambda: self.closed.put(True))
        self.client.on_error(self.errors.put)

    def listen(self, name: str) -> asyncio.Queue:
        heard = asyncio.Queue()
        self.client.on(name, heard.put)
        return heard

    async def call(self, method: str, *arguments):
        done = asyncio.Queue()
        await self.client.send(method, list(arguments), done.put)
        return await soon(done.get())


async def soon(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


@contextlib.asynccontextmanager
async def connected(url: str, protocol, **options):
    client = Client(url, protocol, **options)
    running = asyncio.ensure_future(client.client.run())
    opened = asyncio.ensure_future(client.opened.get())
    done, _ = await asyncio.wait({running, opened}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    assert opened in done, running.exception() if running.done() else "it never connected"
    try:
        yield client
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def test_messages_go_to_everybody(server, protocol):
    async def scenario():
        url = f"{server.url}/hubs/chat"
        async with connected(url, protocol) as first, connected(url, protocol) as second:
            heard = [client.listen("receive") for client in (first, second)]
            await first.client.send("send", ["Zoë", "grüße 🚦"])
            for queue in heard:
                assert await soon(queue.get()) == ["Zoë", "grüße 🚦"]

    asyncio.run(scenario())


def test_both_protocols_meet(server, protocol):
    async def scenario():
        url = f"{server.url}/hubs/chat"
        async with connected(url, JSONProtocol) as text, connected(url, MessagepackProtocol) as binary:
            sender = text if protocol is JSONProtocol else binary
            heard = [client.listen("receive") for client in (text, binary)]
            await sender.client.send("send", ["u", "m"])
            for queue in heard:
                assert await soon(queue.get()) == ["u", "m"]

    asyncio.run(scenario())


def test_calls_complete(server, protocol):
    async def scenario():
        async with connected(f"{server.url}/hubs/chat", protocol) as client:
            completion = await client.call("join", "r")
            assert completion.result is None and completion.error is None
            completion = await client.call("nobody")
            assert completion.error == (
                "Failed to invoke 'nobody' due to an error on the server. HubException: Method does not exist.")
            assert (await soon(client.errors.get())).error == completion.error

    asyncio.run(scenario())


def test_groups(server, protocol):
    async def scenario():
        room, url = str(uuid.uuid4()), f"{server.url}/hubs/chat"
        async with connected(url, protocol) as inside, connected(url, protocol) as outside:
            heard, unheard = inside.listen("receiveRoom"), outside.listen("receiveRoom")
            await inside.call("join", room)
            await outside.call("sendToRoom", room, "u", "one")
            assert await soon(heard.get()) == [room, "u", "one"]
            await inside.call("leave", room)
            await outside.call("sendToRoom", room, "u", "two")
            await outside.call("join", room)
            await inside.call("sendToRoom", room, "u", "three")
            assert await soon(unheard.get()) == [room, "u", "three"]
            assert heard.empty()

    asyncio.run(scenario())


def test_streams_from_the_server(server, protocol):
    async def scenario():
        async with connected(f"{server.url}/hubs/chat", protocol) as client:
            items, done = asyncio.Queue(), asyncio.Queue()
            await client.client.stream("countdown", [3], items.put, done.put)
            assert [await soon(items.get()) for _ in range(3)] == [3, 2, 1]
            completion = await soon(done.get())
            assert completion.error is None and completion.result is None

    asyncio.run(scenario())


def test_streams_to_the_server(server, protocol):
    """The client's own upload asks for no result; its messages with an invocation id do."""
    async def scenario():
        async with connected(f"{server.url}/hubs/chat", protocol) as client:
            async with client.client.client_stream("sum") as stream:
                await stream.send(1)
            done = asyncio.Queue()
            client.client._invocation_handlers["sum"] = done.put
            send = client.client._transport.send
            await send(InvocationClientStreamMessage(["numbers"], "sum", [], invocation_id="sum"))
            for number in range(1, 11):
                await send(StreamItemMessage("numbers", number))
            await send(CompletionClientStreamMessage("numbers"))
            completion = await soon(done.get())
            assert (completion.result, completion.error) == (55, None)
            assert client.errors.empty()

    asyncio.run(scenario())


def test_the_client_is_asked(server, protocol):
    async def scenario():
        async with connected(f"{server.url}/hubs/chat", protocol) as client:
            async def answer(_):
                return 42

            client.client.on("answer", answer)
            assert (await client.call("ask")).result == 42

    asyncio.run(scenario())


def test_a_client_without_an_answer_says_so(server, protocol):
    async def scenario():
        async with connected(f"{server.url}/hubs/chat", protocol) as client:
            assert (await client.call("ask")).error == (
                "An unexpected error occurred invoking 'ask' on the server."
                " HubException: Client didn't provide a result.")

    asyncio.run(scenario())


def test_it_comes_back_after_the_server_was_restarted(start_server, protocol):
    """It tries its old id first, and negotiates again since nobody knows that any more."""
    old = start_server("--playground", port=lasting_port())

    async def scenario():
        async with connected(f"{old.url}/hubs/chat", protocol) as client:
            heard = client.listen("receive")
            assert old.stop() == 0
            await soon(client.closed.get())
            start_server("--playground", port=old.port)
            await soon(client.opened.get())
            await client.client.send("send", ["u", "back"])
            assert await soon(heard.get()) == ["u", "back"]

    asyncio.run(scenario())


def test_it_comes_back_after_the_network_was_gone(server, protocol):
    async def scenario(proxy):
        async with connected(f"{proxy.url}/hubs/chat", protocol) as client:
            heard = client.listen("receive")
            proxy.cut()
            await soon(client.closed.get())
            await soon(client.opened.get())
            await client.client.send("send", ["u", "back"])
            assert await soon(heard.get()) == ["u", "back"]

    with Proxy(server.port) as proxy:
        asyncio.run(scenario(proxy))


def test_the_service_knows_its_users(server, protocol):
    async def scenario():
        user = f"user {uuid.uuid4()}"
        headers = bearer(client_token(server, "chat", user))
        async with connected(f"{server.url}/client/?hub=chat", protocol, headers=headers) as client:
            heard = client.listen("news")
            path = f"/api/hubs/chat/users/{user.replace(' ', '%20')}/:send"
            assert call_rest(server, "POST", path, {"target": "news", "arguments": ["for you", [1, {}]]}).status == 202
            assert await soon(heard.get()) == ["for you", [1, {}]]

    asyncio.run(scenario())
