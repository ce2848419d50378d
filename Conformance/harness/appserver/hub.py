# SignalBox: the hub that the conformance tests call through the service, and sends from outside of it.
# SPDX-License-Identifier: Apache-2.0

import json

from harness.appserver.caller import Caller
from harness.appserver.messages import Kind


def invocation(target: str, arguments: list) -> dict:
    return {"type": 1, "target": target, "arguments": arguments}


class Sender:
    """What `Clients` and `Groups` are in an app. Inside a hub all goes over the client's own server connection, which
    keeps the order; outside any will do (service reference §8.4)."""

    def __init__(self, app, link=None):
        self.app, self.link = app, link

    async def _say(self, kind: int, target: str, arguments: list, **to):
        await self.app.say(kind, self.link, payloads=Caller.payloads(invocation(target, arguments)), **to)

    async def everybody(self, target, arguments, excluded=()):
        await self._say(Kind.BROADCAST, target, arguments, excludedConnectionIds=list(excluded))

    async def client(self, identifier, target, arguments):
        """Type 7 with one id, even for a client of this server (§9.2.4)."""
        await self.connections([identifier], target, arguments)

    async def connections(self, identifiers, target, arguments):
        await self._say(Kind.MULTI_CONNECTION_DATA, target, arguments, connectionIds=identifiers)

    async def user(self, user, target, arguments):
        await self._say(Kind.USER_DATA, target, arguments, userId=user)

    async def users(self, users, target, arguments):
        await self._say(Kind.MULTI_USER_DATA, target, arguments, userIds=users)

    async def group(self, group, target, arguments, excluded=()):
        await self._say(Kind.GROUP_BROADCAST, target, arguments, groupName=group, excludedConnectionIds=list(excluded))

    async def groups(self, groups, target, arguments):
        await self._say(Kind.MULTI_GROUP_BROADCAST, target, arguments, groupNames=groups)

    async def add(self, identifier, group) -> bool:
        return await self.app.ask(Kind.JOIN_GROUP_WITH_ACK, self.link, connectionId=identifier, groupName=group)

    async def remove(self, identifier, group) -> bool:
        return await self.app.ask(Kind.LEAVE_GROUP_WITH_ACK, self.link, connectionId=identifier, groupName=group)

    async def ask(self, identifier, target, arguments):
        answer = await self.app.invoke(identifier, invocation(target, arguments), self.link)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("result")

    async def exists(self, identifier) -> bool:
        return await self.app.ask(Kind.CHECK_CONNECTION, self.link, connectionId=identifier)

    async def raw(self, framed: str):
        await self.app.any_link().say(bytes.fromhex(framed))


class TestHub:
    """Each client has one. What a client may call is in `methods`; names have no case."""

    __test__ = False
    methods = {
        "echo", "send", "broadcast", "others", "sendtoclient", "sendtoclients", "sendtouser", "sendtousers", "sendtogroup",
        "sendtogroups", "sendtoothersingroup", "join", "leave", "whoami", "fail", "leaveme", "large", "countdown", "sum",
        "askclient", "burst",
    }

    def __init__(self, app, caller):
        self.caller, self.app = caller, app
        self.sender = Sender(app, caller.link)

    async def connected(self):
        """With ?join=g the client is a member of g from the start. Written at once, it may overtake the answer to the
        handshake (§9.2.5)."""
        if group := self.caller.query.get("join"):
            await self.sender.add(self.caller.identifier, group)
            await self.sender.group(group, "joined", [group])

    async def disconnected(self, error):
        pass

    async def echo(self, value):
        return value

    async def send(self, target, *arguments):
        """To the caller."""
        await self.sender.client(self.caller.identifier, target, list(arguments))

    async def broadcast(self, target, *arguments):
        await self.sender.everybody(target, list(arguments))

    async def others(self, target, *arguments):
        await self.sender.everybody(target, list(arguments), [self.caller.identifier])

    async def sendtoclient(self, identifier, target, *arguments):
        await self.sender.client(identifier, target, list(arguments))

    async def sendtoclients(self, identifiers, target, *arguments):
        await self.sender.connections(identifiers, target, list(arguments))

    async def sendtouser(self, user, target, *arguments):
        await self.sender.user(user, target, list(arguments))

    async def sendtousers(self, users, target, *arguments):
        await self.sender.users(users, target, list(arguments))

    async def sendtogroup(self, group, target, *arguments):
        await self.sender.group(group, target, list(arguments))

    async def sendtogroups(self, groups, target, *arguments):
        await self.sender.groups(groups, target, list(arguments))

    async def sendtoothersingroup(self, group, target, *arguments):
        await self.sender.group(group, target, list(arguments), [self.caller.identifier])

    async def join(self, group):
        return await self.sender.add(self.caller.identifier, group)

    async def leave(self, group):
        return await self.sender.remove(self.caller.identifier, group)

    async def whoami(self):
        caller = self.caller
        return {
            "id": caller.identifier, "user": caller.user, "address": caller.address, "path": caller.path, "server": self.app.name,
            "query": json.dumps(caller.query), "claims": json.dumps(caller.claims), "header": caller.headers.get("x-test")}

    async def fail(self, text):
        raise RuntimeError(text)

    async def leaveme(self):
        await self.caller.end("You asked for it.")

    async def large(self, size):
        return "x" * size

    async def burst(self, count):
        """Many messages to the caller, then the result: in this order."""
        for number in range(count):
            await self.send("burst", number)
        return count

    async def countdown(self, start):
        async def numbers():
            for number in range(start, 0, -1):
                yield number
        return numbers()

    async def sum(self, upload):
        return sum([number async for number in upload])

    async def askclient(self, identifier, target, *arguments):
        return await self.sender.ask(identifier, target, list(arguments))
