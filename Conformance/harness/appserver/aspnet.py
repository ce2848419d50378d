# SignalBox: an app server as Microsoft.Azure.SignalR.AspNet would run it, with a chat (service reference §18).
# SPDX-License-Identifier: Apache-2.0

import asyncio
import itertools
import json
import random
from urllib.parse import parse_qs

from harness.appserver.app import AppServer
from harness.appserver.caller import NAME_ID
from harness.appserver.endpoint import hub_name, restored_claims
from harness.appserver.link import Link
from harness.appserver.messages import Kind, encode

RECONNECTED = b"asrs:reconnect"


def wrapped(value: dict) -> bytes:
    """A JSON text as a message of the service protocol, which is what goes into payloads (§18.3)."""
    return encode(Kind.CONNECTION_DATA, connectionId="", payload=json.dumps(value, separators=(",", ":")).encode())


def response(*messages: dict) -> bytes:
    """Its cursor is a dummy, which the service replaces."""
    return wrapped({"C": "0", "M": list(messages)})


def call(hub: str, method: str, *arguments, **state) -> dict:
    return {"H": hub, "M": method, "A": list(arguments)} | ({"S": state} if state else {})


class ClassicLink(Link):
    """A server connection of one hub, or of the application itself."""

    def __init__(self, app, hub: str):
        super().__init__(app)
        self.hub = hub

    def address(self) -> tuple[str, str]:
        endpoint = self.app.endpoint
        return endpoint.classic_server_url(self.hub), endpoint.classic_server_token(self.hub, self.app.name)


class Client:
    """A client as the app knows it. Its hubs are those of its connectionData."""

    def __init__(self, link: ClassicLink, opened: dict):
        self.link, self.identifier = link, opened["connectionId"]
        query = opened["queryString"]
        assert query.startswith("?"), query
        self.query = {name: values[0] for name, values in parse_qs(query[1:], keep_blank_values=True).items()}
        assert all(self.query.get(name) for name in ("transport", "connectionToken", "connectionData")), query
        assert "access_token" not in self.query
        self.hubs = [hub["name"] for hub in json.loads(self.query["connectionData"])]
        self.claims = restored_claims(opened["claims"])

    @property
    def user(self) -> str | None:
        return next((value for name, value in self.claims if name == NAME_ID), None)


class ChatApp(AppServer):
    """One set of server connections for the hub, and one for the application, which owns the clients."""

    def __init__(self, endpoint, application: str, hub: str, report, links=5):
        super().__init__(endpoint, hub, None, report, links=0)
        self.application = application
        self.hub_link, self.home_link = hub_name(hub, application), hub_name(application, application)
        self.links = [ClassicLink(self, name) for name in (self.hub_link, self.home_link) for _ in range(links)]
        self.calls = itertools.count(1)

    async def _keep_clients_alive(self):
        """The service does (§18.3)."""

    def link_of(self, name: str) -> ClassicLink:
        return random.choice([link for link in self.links if link.hub == name and link.is_connected])

    # Clients

    def _opened(self, link: ClassicLink, message: dict):
        assert link.hub == self.home_link, "clients belong to the application's own connections (§18.2)"
        if message["connectionId"] in self.clients:
            self.spawn(self.say(
                Kind.CLOSE_CONNECTION, link, connectionId=message["connectionId"], errorMessage="Duplicate connection ID"))
            return
        client = self.clients[message["connectionId"]] = Client(link, message)
        self.report("client", id=client.identifier, user=client.user, transport=client.query["transport"], hubs=client.hubs)
        self.spawn(self.to_client(client, call("chatHub", "online", len(self.clients))))

    def _closed(self, _, message: dict):
        if self.clients.pop(message["connectionId"], None) is not None:
            self.report("client gone", id=message["connectionId"], error=message.get("errorMessage") or "")

    def lost(self, link: ClassicLink):
        self.report("link lost", server=link.identifier)
        self.clients = {name: client for name, client in self.clients.items() if client.link is not link}

    def _data(self, _, message: dict):
        client = self.clients.get(message["connectionId"])
        if client is None:
            return
        if message["payload"] == RECONNECTED:
            self.report("reconnected", id=client.identifier)
            return
        self.spawn(self._call(client, json.loads(message["payload"])))

    async def _call(self, client: Client, called: dict):
        answer = {"I": str(called["I"])}
        method = getattr(self, f"do_{called['M'].lower()}", None)
        try:
            if method is None:
                raise LookupError(f"'{called['H']}.{called['M']}' method could not be resolved.")
            if (result := await method(client, *called.get("A", []))) is not None:
                answer["R"] = result
        except Exception as error:
            answer["E"] = str(error)
        await self.say(
            Kind.CONNECTION_DATA, client.link, connectionId=client.identifier, payload=wrapped(answer))

    async def to_client(self, client: Client, *messages: dict):
        """For a client of another server, any connection of the application does (§18.3)."""
        await self.say(
            Kind.CONNECTION_DATA, client.link, connectionId=client.identifier, payload=response(*messages))

    # What the chat's clients may call

    async def do_send(self, client, user, text):
        await self.everybody("receive", [user, text])

    async def do_join(self, client, room):
        await self.add(client.identifier, room)

    async def do_leave(self, client, room):
        await self.ask(
            Kind.LEAVE_GROUP_WITH_ACK, self.link_of(self.home_link), connectionId=client.identifier,
            groupName=f"hg-chatHub.{room}")

    async def do_sendtoroom(self, client, room, user, text):
        await self.room(room, "receiveRoom", [room, user, text])

    async def do_whoami(self, client):
        return {"id": client.identifier, "user": client.user, "hubs": client.hubs, "query": client.query}

    async def do_work(self, client, steps):
        """Reports progress to the caller, then ends."""
        for step in range(steps):
            await self.to_client(client, {"I": "P|0", "P": {"I": "0", "D": step}})
        return steps

    async def do_never(self, client):
        await asyncio.Event().wait()

    async def do_leaveme(self, client):
        self.clients.pop(client.identifier)
        await self.say(Kind.CLOSE_CONNECTION, client.link, connectionId=client.identifier, errorMessage="You asked for it.")

    # From outside of the hub

    async def everybody(self, method, arguments, excluded=()):
        await self.say(
            Kind.BROADCAST, self.link_of(self.hub_link), excludedConnectionIds=list(excluded),
            payloads={"json": response(call("chatHub", method, *arguments))})

    async def room(self, room, method, arguments, excluded=()):
        await self.say(
            Kind.GROUP_BROADCAST, self.link_of(self.home_link), groupName=f"hg-chatHub.{room}",
            excludedConnectionIds=list(excluded), payloads={"json": response(call("chatHub", method, *arguments))})

    async def user(self, user, method, arguments):
        await self.say(
            Kind.USER_DATA, self.link_of(self.hub_link), userId=user,
            payloads={"json": response(call("chatHub", method, *arguments))})

    async def client(self, identifier, method, arguments):
        await self.to_client(self.clients[identifier], call("chatHub", method, *arguments))

    async def add(self, identifier, room) -> bool:
        return await self.ask(
            Kind.JOIN_GROUP_WITH_ACK, self.link_of(self.home_link), connectionId=identifier, groupName=f"hg-chatHub.{room}")
