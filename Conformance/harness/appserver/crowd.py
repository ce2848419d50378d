# SignalBox: many clients that come back by themselves when they are told that they may.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
import random
from http import HTTPStatus

import websockets

from harness.appserver.endpoint import Endpoint

SEPARATOR = "\x1e"


class Member:
    """One client. It counts how often it was answered, how often it was told to go, and how often to wait."""

    def __init__(self, crowd: "Crowd"):
        self.crowd = crowd
        self.closes: list[dict] = []

    async def run(self):
        while not self.crowd.is_over:
            try:
                await self._connect()
            except websockets.InvalidStatus as refusal:
                await self._wait_as_told(refusal.response)
            except (websockets.ConnectionClosed, websockets.InvalidMessage, OSError) as error:
                self.crowd.losses.append(repr(error))
                self.crowd.left(self)
                await asyncio.sleep(random.random())  # before it knocks again

    async def _wait_as_told(self, response):
        """429 says how long (§4); anything else is a mistake."""
        assert response.status_code == HTTPStatus.TOO_MANY_REQUESTS, response
        self.crowd.refusals += 1
        await asyncio.sleep(float(response.headers["Retry-After"]))

    async def _connect(self):
        headers = {"Authorization": f"Bearer {self.crowd.token}"}
        async with websockets.connect(
            self.crowd.url, additional_headers=headers, compression=None, ping_interval=None, open_timeout=60, proxy=None,
        ) as socket:
            await socket.send('{"protocol":"json","version":1}' + SEPARATOR)
            answer, _, rest = (await socket.recv()).partition(SEPARATOR)
            if "error" in json.loads(answer):
                self.crowd.turned_away += 1
                await asyncio.sleep(random.random())  # as a client of the app would, that tries again later
                return
            self.crowd.arrived(self)
            await self._listen(socket, rest)

    async def _listen(self, socket, text: str):
        while True:
            for record in text.split(SEPARATOR)[:-1]:
                message = json.loads(record)
                if message["type"] == 7:
                    self.closes.append(message)
                    self.crowd.left(self)
                    return
                if message["type"] == 1:
                    self.crowd.heard += 1
                    self.crowd.changed.set()
            text = await socket.recv()


class Crowd:
    """So many members; what happens to them is counted here."""

    def __init__(self, endpoint: Endpoint, hub: str, count: int, user: str | None = None):
        self.url = endpoint.client_url(hub).replace("http", "ws", 1)
        self.token = endpoint.client_token(hub, [("asrs.s.uid", user)] if user else [])
        self.members = [Member(self) for _ in range(count)]
        self.present: set[Member] = set()
        self.losses: list[str] = []
        self.refusals = self.turned_away = self.heard = 0
        self.is_over = False
        self.changed = asyncio.Event()

    def arrived(self, member: Member):
        self.present.add(member)
        self.changed.set()

    def left(self, member: Member):
        self.present.discard(member)
        self.changed.set()

    async def until(self, condition, seconds: float):
        """Waits for what is told by a change of the counts."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()

    async def __aenter__(self):
        self.tasks = [asyncio.ensure_future(member.run()) for member in self.members]
        return self

    async def __aexit__(self, *_):
        self.is_over = True
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
