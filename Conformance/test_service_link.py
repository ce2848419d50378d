# SignalBox: what the app server itself says on a server connection, byte for byte, with the test as the service.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import contextlib
import re
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import websockets

from harness.appserver.app import AppServer
from harness.appserver.endpoint import Endpoint
from harness.appserver.hub import TestHub
from harness.appserver.messages import Kind, Reader, body, decode, encode, ping
from harness.server import ACCESS_KEY, PATIENCE
from harness.server_connection import WELCOME


class Peer:
    """The service's end of one server connection."""

    def __init__(self, socket):
        self.socket, self.reader = socket, Reader()

    async def next_frame(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            while (framed := self.reader.next_frame()) is None:
                self.reader.feed(await self.socket.recv())
        return framed

    async def next(self, kind: int) -> dict:
        """The next message of this kind; the status is asked for in between."""
        while (message := decode(body(await self.next_frame())))["type"] != kind:
            assert message["type"] == Kind.PING, message
        return message

    async def expect(self, framed: str):
        while (received := (await self.next_frame()).hex()) != framed:
            assert received == "0b9303a6737461747573a131", received


@contextlib.asynccontextmanager
async def service(**options):
    """A service of one hub, and an app server that connects to it."""
    arrivals, ended, events = asyncio.Queue(), asyncio.Event(), asyncio.Queue()

    async def arrive(socket):
        arrivals.put_nowait(Peer(socket))
        await ended.wait()

    async with websockets.serve(arrive, "127.0.0.1", 0, compression=None) as listener:
        port = listener.sockets[0].getsockname()[1]
        endpoint = Endpoint(f"Endpoint=http://127.0.0.1;Port={port};AccessKey={ACCESS_KEY};Version=1.0;")
        app = AppServer(endpoint, "app_chat", TestHub, lambda event, **_: events.put_nowait(event), **({"links": 1} | options))
        app.start()

        async def arrival() -> Peer:
            async with asyncio.timeout(PATIENCE):
                return await arrivals.get()

        try:
            yield app, arrival
        finally:
            app.is_stopping = True
            for task in app.tasks:
                task.cancel()
            ended.set()


def run(scenario):
    asyncio.run(scenario())


def test_the_upgrade_request():
    """§2, §3, §5.1."""
    async def scenario():
        async with service() as (app, arrival):
            request = (await arrival()).socket.request
            parts = urlsplit(request.path)
            assert parts.path == "/server/"
            query = parse_qs(parts.query)
            assert query.keys() == {"hub", "cid"} and query["hub"] == ["app_chat"]
            assert re.fullmatch(r"\w{8}-\w{4}-\w{4}-\w{4}-\w{12}", query["cid"][0])
            assert re.fullmatch(r".+_[0-9a-f]{32}", request.headers["X-ASRS-Server-Id"])
            token = request.headers["Authorization"].removeprefix("Bearer ")
            claims = jwt.decode(token, ACCESS_KEY, ["HS256"], audience="http://127.0.0.1/server/?hub=app_chat")
            assert claims["nameid"] == app.name and list(claims) == ["nameid", "nbf", "exp", "iat", "aud"]

    run(scenario)


@pytest.mark.parametrize(("options", "hello"), [
    ({}, "0897010100a00080c2"), ({"shutdown": "migrate"}, "0897010100a00180c2"), ({"is_stateful": True}, "0897010100a00080c3")])
def test_the_handshake(options, hello):
    """§6.1: 1, as the vectors write it."""
    async def scenario():
        async with service(**options) as (_, arrival):
            assert (await (await arrival()).next_frame()).hex() == hello

    run(scenario)


@pytest.mark.parametrize("answer", [ping(), encode(Kind.HANDSHAKE_RESPONSE, errorMessage="no"), encode(5, connectionId="x"), b"\x00"])
def test_what_is_no_welcome_ends_the_connection(answer):
    """§6.1, §8.1: and another one is tried."""
    async def scenario():
        async with service() as (_, arrival):
            first = await arrival()
            await first.next_frame()
            await first.socket.send(answer)
            assert await (await arrival()).next_frame()
            await first.socket.wait_closed()

    run(scenario)


def test_pings_are_answered():
    """§7: echo; and target by an on-demand connection."""
    async def scenario():
        async with service() as (_, arrival):
            peer = await arrival()
            await peer.next_frame()
            await peer.socket.send(WELCOME + ping("echo", "abc") + ping("target", "abc"))
            await peer.expect("0b9303a46563686fa3616263")
            on_demand = await arrival()
            assert parse_qs(urlsplit(on_demand.socket.request.path).query)["target"] == ["abc"]
            assert (await on_demand.next_frame()).hex() == "0b97010101a36162630080c2"

    run(scenario)


def test_a_client_is_welcomed():
    """§9.2: the vectors' scenario from the other side; older SDKs write no kind of data."""
    async def scenario(typed: bool, answer: str):
        async with service(typed=typed) as (_, arrival):
            peer = await arrival()
            await peer.next_frame()
            await peer.socket.send(WELCOME + encode(Kind.OPEN_CONNECTION, connectionId="conn1", queryString="?hub=chat",
                                                    ext={"protocol": "json"}))
            # In pieces, as any message may come.
            for byte in bytes.fromhex("2b9406a5636f6e6e31c4207b2270726f746f636f6c223a226a736f6e222c2276657273696f6e223a317d1e80"):
                await peer.socket.send(bytes([byte]))
            await peer.expect(answer)

    run(lambda: scenario(True, "109406a5636f6e6e31c4037b7d1e810501"))
    run(lambda: scenario(False, "0e9406a5636f6e6e31c4037b7d1e80"))


@pytest.mark.parametrize(("shutdown", "fin"), [
    ("off", "119303a873687574646f776ea566696e3a30"), ("migrate", "119303a873687574646f776ea566696e3a31"),
    ("wait", "119303a873687574646f776ea566696e3a32")])
def test_fin_is_said_before_the_end(shutdown, fin):
    """§14."""
    async def scenario():
        async with service(shutdown=shutdown) as (app, arrival):
            peer = await arrival()
            await peer.next_frame()
            await peer.socket.send(WELCOME + ping("echo", "x"))
            await peer.expect(ping("echo", "x").hex())
            stopping = asyncio.ensure_future(app.stop())
            await peer.expect(fin)
            await peer.socket.send(bytes.fromhex("129303a873687574646f776ea666696e61636b"))
            with pytest.raises(websockets.ConnectionClosedOK):
                await peer.next_frame()
            await stopping

    run(scenario)
