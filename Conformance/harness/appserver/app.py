# SignalBox: an app server: its server connections, its clients, and what it waits for.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import contextlib
import itertools
import platform
import random
import traceback
import uuid

from harness.appserver.caller import Caller
from harness.appserver.endpoint import Endpoint
from harness.appserver.link import DEFAULT, ON_DEMAND, Link
from harness.appserver.messages import Kind, encode, ping

# What GracefulShutdown.Mode is called on the wire (service reference §14).
SHUTDOWN = {"off": 0, "migrate": 1, "wait": 2}
# Seconds.
STATUS_INTERVAL = 10.0
ACK_TIMEOUT = 10.0
DRAIN_TIMEOUT = 30.0


class AppServer:
    """One process of an app with one hub. `report` hears what happens."""

    haste = 1.0  # how many times faster than an SDK's its clocks run

    def __init__(
        self, endpoint: Endpoint, hub: str, hub_type, report, links=5, shutdown="off", typed=True, keep_alive=15.0,
        is_stateful=False,
    ):
        self.endpoint, self.hub, self.hub_type, self.report = endpoint, hub, hub_type, report
        self.name = f"{platform.node()}_{uuid.uuid4().hex}"
        self.shutdown, self.is_typed, self.is_stateful, self.keep_alive = shutdown, typed, is_stateful, keep_alive
        self.migration_level = 1 if shutdown == "migrate" else 0
        self.links = [Link(self) for _ in range(links)]
        self.tasks: set[asyncio.Task] = set()
        self.clients: dict[str, Caller] = {}
        self.acknowledgements: dict[int, asyncio.Future] = {}
        self.numbers = itertools.count(1)
        self.guid = uuid.uuid4().hex
        self.asked: dict[str, asyncio.Future] = {}  # questions of this server to clients, by invocation
        self.routed: dict[str, str] = {}  # questions of other servers to clients of this one: who asked
        self.is_stopping = False
        self.empty = asyncio.Event()

    @property
    def is_connected(self) -> bool:
        return any(link.is_connected for link in self.links)

    def start(self):
        for link in self.links:
            self.spawn(link.run())
        self.spawn(self._ask_for_status())
        self.spawn(self._keep_clients_alive())

    def spawn(self, work) -> asyncio.Task:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.report("mistake", error="".join(traceback.format_exception(task.exception())))

    async def _ask_for_status(self):
        """§7, for each hub."""
        while not self.is_stopping:
            if self.is_connected:
                await self.any_link().say(ping("status", "1"))
            await asyncio.sleep(STATUS_INTERVAL / self.haste)

    async def _keep_clients_alive(self):
        """Pings to clients come from their hub (§9.1)."""
        while True:
            await asyncio.sleep(self.keep_alive / self.haste)
            for caller in list(self.clients.values()):
                await caller.ping()

    # Messages of the service

    def received(self, link: Link, message: dict):
        handler = {
            Kind.OPEN_CONNECTION: self._opened, Kind.CLOSE_CONNECTION: self._closed, Kind.CONNECTION_DATA: self._data,
            Kind.ACK: self._acknowledged, Kind.CLIENT_INVOCATION: self._routed, Kind.CLIENT_COMPLETION: self._answered,
            Kind.ERROR_COMPLETION: self._answer_failed, Kind.FLOW_CONTROL: self._paused,
        }.get(message["type"])
        if handler is not None:
            handler(link, message)

    def pinged(self, pairs: dict[str, str]):
        if "status" in pairs:
            self.report("status", **pairs)
        if "target" in pairs:
            link = Link(self, ON_DEMAND, pairs["target"])
            self.links.append(link)
            self.spawn(link.run())

    def _opened(self, link: Link, message: dict):
        caller = Caller(self, link, message)
        self.clients[caller.identifier] = caller
        self.spawn(caller.run())

    def _closed(self, _, message: dict):
        if (caller := self.clients.get(message["connectionId"])) is not None:
            caller.close(message.get("errorMessage") or None, is_moving="asrs-migrate-to" in {
                name.lower() for name in message.get("headers", {})})

    def _data(self, _, message: dict):
        if (caller := self.clients.get(message["connectionId"])) is not None:
            caller.incoming.put_nowait(message["payload"])

    def _acknowledged(self, _, message: dict):
        if (waiting := self.acknowledgements.pop(message["ackId"], None)) is not None and not waiting.done():
            waiting.set_result(message["status"])

    def _routed(self, _, message: dict):
        self.routed[message["invocationId"]] = message["callerServerId"]

    def _answered(self, _, message: dict):
        """The answer of a client of another server, in the client's protocol."""
        if (waiting := self.asked.pop(message["invocationId"], None)) is not None:
            waiting.set_result(Caller.codec_named(message["protocol"]).decode(message["payload"])[0][0])

    def _answer_failed(self, _, message: dict):
        if (waiting := self.asked.pop(message["invocationId"], None)) is not None:
            waiting.set_result({"error": message["error"]})

    def _paused(self, link: Link, message: dict):
        if message["operation"] == 1:
            self.spawn(link.say(encode(
                Kind.FLOW_CONTROL, connectionId=message["connectionId"], connectionType=message["connectionType"], operation=2)))

    def left(self, caller: Caller):
        self.clients.pop(caller.identifier, None)
        self.report("client gone", id=caller.identifier, error=caller.error, moved=caller.is_moving)
        if not self.clients:
            self.empty.set()

    def lost(self, link: Link):
        """Its clients end with it (§8.5)."""
        self.report("link lost", server=link.identifier)
        if link.kind != DEFAULT:
            self.links.remove(link)
        for caller in [caller for caller in self.clients.values() if caller.link is link]:
            caller.close("Connection closed with an error.")

    # Sending

    def any_link(self) -> Link:
        """§8.4: from outside of a hub, any connected one."""
        return random.choice([link for link in self.links if link.is_connected])

    async def say(self, kind: int, /, link: Link | None = None, **fields):
        await (link or self.any_link()).say(encode(kind, **fields))

    async def ask(self, kind: int, /, link: Link | None = None, **fields) -> bool:
        """§6.1: 20: true or false; anything else is a timeout."""
        number = next(self.numbers)
        waiting = self.acknowledgements[number] = asyncio.get_running_loop().create_future()
        await self.say(kind, link, ackId=number, **fields)
        async with asyncio.timeout(ACK_TIMEOUT):
            status = await waiting
        if status not in (1, 2):
            raise TimeoutError(f"status {status}")
        return status == 1

    async def invoke(self, connection: str, message: dict, link: Link | None = None):
        """Asks a client for a result (§11)."""
        invocation = f"{connection}-{self.guid}-{next(self.numbers)}"
        waiting = self.asked[invocation] = asyncio.get_running_loop().create_future()
        await self.say(
            Kind.CLIENT_INVOCATION, link, invocationId=invocation, connectionId=connection, callerServerId=self.name,
            payloads=Caller.payloads(message | {"invocationId": invocation}))
        return await waiting

    # The end

    async def stop(self):
        """§14: fin, then what the mode says, then the server connections."""
        self.is_stopping = True
        links = [link for link in self.links if link.is_connected]
        await asyncio.gather(*(link.finish(SHUTDOWN[self.shutdown]) for link in links))
        self.report("fin acknowledged")
        if self.shutdown != "off" and self.clients:
            self.empty.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_TIMEOUT):
                    await self.empty.wait()
        await asyncio.gather(*(link.close() for link in links))
