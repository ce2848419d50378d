# SignalBox: a client of the service as its app server sees it: a byte stream, then hub messages, then calls of a hub.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
from urllib.parse import parse_qsl

from harness.appserver.endpoint import restored_claims
from harness.appserver.messages import Kind
from harness.codec import JSON, SEPARATOR, MessagePack

NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


class TolerantMessagePack(MessagePack):
    """As servers read it: clients leave out last items that were added later. What a service writes must have them."""

    @staticmethod
    def _message(items: list) -> dict:
        if items[0] in (1, 4):
            items += [[]] * (6 - len(items))
        elif items[0] == 7:
            items += [None, False][len(items) - 1:]
        return MessagePack._message(items)


CODECS: dict[str, JSON | MessagePack] = {codec.name: codec() for codec in (JSON, TolerantMessagePack)}
# What an SDK that names no message types makes of the hub's output: segments of the pipe (service reference §9.2).
SEGMENT = 4096
# Kinds of data for `ext` (§5.4).
HANDSHAKE, INVOCATION, OTHER, CLOSE = 1, 2, 3, 4
CLIENT_TIMEOUT = 30.0


class Caller:
    def __init__(self, app, link, opened: dict):
        self.app, self.link = app, link
        self.identifier = opened["connectionId"]
        self.claims = restored_claims(opened.get("claims", []))
        self.headers = {name.lower(): values for name, values in opened.get("headers", {}).items()}
        self.query = dict(parse_qsl(opened.get("queryString", "").removeprefix("?"), keep_blank_values=True))
        self.protocol = opened.get("ext", {}).get("protocol")
        self.has_moved_here = "asrs-migrate-from" in self.headers
        self.codec = None
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.calls: asyncio.Queue[dict | None] = asyncio.Queue()
        self.uploads: dict[str, asyncio.Queue] = {}
        self.streams: dict[str, asyncio.Task] = {}
        self.hub = app.hub_type(app, self)
        self.error: str | None = None
        self.is_moving = False
        self.is_open = self.is_ended_here = False

    @staticmethod
    def codec_named(name: str):
        return CODECS[name.lower()]

    @staticmethod
    def payloads(message: dict) -> dict[str, bytes]:
        """A message in every protocol of the app (§10)."""
        return {name: codec.encode(message) for name, codec in CODECS.items()}

    # What the app knows of its client

    @property
    def user(self) -> str | None:
        return next((value for name, value in self.claims if name == NAME_ID), None)

    @property
    def address(self) -> str:
        return self.headers.get("x-forwarded-for", [""])[0].split(",")[0].strip()

    @property
    def path(self) -> str:
        return self.query.get("asrs.op", "")

    # Its life

    async def run(self):
        try:
            rest = await self._shake_hands()
            if rest is None:
                return
            self.app.report("client", id=self.identifier, user=self.user, moved=self.has_moved_here, server=self.link.identifier)
            self.is_open = True
            working = self.app.spawn(self._work())
            if not self.has_moved_here:
                await self.hub.connected()
            await self._read(rest)
            await self._finish(working)
            for stream in self.streams.values():
                stream.cancel()
            if not self.is_moving:
                await self.hub.disconnected(self.error)
        finally:
            self.is_open = False
            if self.is_ended_here:
                await self.app.say(Kind.CLOSE_CONNECTION, self.link, connectionId=self.identifier, errorMessage=self.error or "")
            self.app.left(self)

    async def _finish(self, working: asyncio.Task):
        """Calls that came are carried out, also for a client that left; not for one whose server connection is lost."""
        if self.link.is_connected:
            self.calls.put_nowait(None)
            await working
        else:
            working.cancel()

    async def _shake_hands(self) -> bytes | None:
        """The answer to the hub handshake comes from here (§9.1); what follows it is given back."""
        buffer = b""
        while SEPARATOR not in buffer:
            if (data := await self.incoming.get()) is None:
                return None
            buffer += data
        hello, rest = buffer.split(SEPARATOR, 1)
        name = json.loads(hello)["protocol"]
        if name not in CODECS or name != self.protocol:
            await self.write(json.dumps({"error": f"The protocol '{name}' is not supported."}).encode() + SEPARATOR, HANDSHAKE)
            self.is_ended_here = True
            return None
        self.codec = CODECS[name]
        if not self.has_moved_here:
            await self.write(b"{}" + SEPARATOR, HANDSHAKE)
        return rest

    async def _read(self, buffer: bytes):
        while True:
            messages, buffer = self.codec.decode(buffer)
            for message in messages:
                await self._received(message)
            if self.is_ended_here:
                return
            try:
                async with asyncio.timeout(CLIENT_TIMEOUT / self.app.haste):
                    data = await self.incoming.get()
            except TimeoutError:
                await self.end("Connection timeout")
                return
            if data is None:
                return
            buffer += data

    async def _received(self, message: dict):
        match message["type"]:
            case 1 | 4:
                for stream in message.get("streamIds", []):
                    self.uploads[stream] = asyncio.Queue()
                self.calls.put_nowait(message)
            case 2:
                self.uploads[message["invocationId"]].put_nowait(message["item"])
            case 3 if message["invocationId"] in self.uploads:
                self.uploads[message["invocationId"]].put_nowait(StopAsyncIteration)
            case 3:
                await self._answered(message)
            case 5 if (stream := self.streams.pop(message["invocationId"], None)) is not None:
                stream.cancel()
            case 7:
                self.is_ended_here = True

    async def _answered(self, completion: dict):
        """§11.4 and §11.5: a question of this server, or of another one."""
        invocation = completion["invocationId"]
        fields = {"invocationId": invocation, "connectionId": self.identifier, "protocol": self.codec.name,
                  "ext": {"protocol": self.codec.name}}
        if (waiting := self.app.asked.pop(invocation, None)) is not None:
            waiting.set_result(completion)
            await self.app.say(Kind.CLIENT_COMPLETION, self.link, callerServerId=self.app.name, payload=b"", **fields)
        elif (asker := self.app.routed.pop(invocation, None)) is not None:
            payload = self.codec.encode(completion)
            await self.app.say(Kind.CLIENT_COMPLETION, self.link, callerServerId=asker, payload=payload, **fields)

    # Calls, one at a time

    async def _work(self):
        while (call := await self.calls.get()) is not None:
            if call["type"] == 4:
                self.streams[call["invocationId"]] = self.app.spawn(self._stream(call))
                continue
            completion = {"type": 3, "invocationId": call.get("invocationId")}
            try:
                completion["result"] = await self._call(call)
            except Exception as error:
                completion["error"] = str(error)
            if call.get("invocationId") is not None:
                await self.write(self.codec.encode(completion), OTHER)

    async def _call(self, call: dict):
        method = getattr(self.hub, call["target"].lower(), None)
        if method is None or call["target"].lower() not in self.hub.methods:
            raise LookupError(
                f"Failed to invoke '{call['target']}' due to an error on the server. HubException: Method does not exist.")
        uploads = [self._upload(stream) for stream in call.get("streamIds", [])]
        return await method(*call["arguments"], *uploads)

    async def _upload(self, stream: str):
        while (item := await self.uploads[stream].get()) is not StopAsyncIteration:
            yield item
        del self.uploads[stream]

    async def _stream(self, call: dict):
        completion = {"type": 3, "invocationId": call["invocationId"]}
        try:
            async for item in await self._call(call):
                await self.write(self.codec.encode({"type": 2, "invocationId": call["invocationId"], "item": item}), OTHER)
        except Exception as error:
            completion["error"] = str(error)
        await self.write(self.codec.encode(completion), OTHER)
        self.streams.pop(call["invocationId"], None)

    # Towards the client

    async def write(self, data: bytes, kind: int):
        """The hub's own output: typed, a message at a time; or, of an older SDK, whatever the pipe holds (§9.2)."""
        if self.app.is_typed:
            await self._say(data, ext={"dataMessageType": kind})
            return
        for start in range(0, len(data), SEGMENT):
            await self._say(data[start:start + SEGMENT])

    async def _say(self, data: bytes, **fields):
        await self.app.say(Kind.CONNECTION_DATA, self.link, connectionId=self.identifier, payload=data, **fields)

    async def ping(self):
        if self.is_open:
            await self.write(self.codec.encode({"type": 6}), OTHER)

    async def end(self, error: str | None = None):
        """The app ends the client: a Close in its protocol, then 5 (§9.2.6)."""
        close = {"type": 7} | ({"error": error} if error else {})
        await self.write(self.codec.encode(close), CLOSE)
        self.is_ended_here, self.is_open, self.error = True, False, error
        self.incoming.put_nowait(None)

    def close(self, error: str | None = None, is_moving=False):
        """The service ended it, or moved it to another server (§12)."""
        self.error, self.is_moving = error, is_moving
        self.incoming.put_nowait(None)
