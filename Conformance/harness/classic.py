# SignalBox: a client of ASP.NET SignalR 2 by hand, and the published ones in processes of their own.
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import queue
import subprocess
import threading
from urllib.parse import urlencode

from harness.http import Answer, exchange, open_connection, request
from harness.server import PATIENCE, Server
from harness.transports import EventStream
from harness.websocket import CLOSE, TEXT, WebSocket

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "classic"


def environment(name: str) -> str:
    """The Python of an environment that dev/conformance made for one package."""
    folder = os.environ.get("SIGNALBOX_CLASSIC_ENVIRONMENTS")
    assert folder, "SIGNALBOX_CLASSIC_ENVIRONMENTS must name the folder of the clients' environments; dev/conformance sets it"
    return os.path.join(folder, name, "bin", "python")


class Classic:
    """A negotiated client, which may use one transport after the other."""

    def __init__(
        self, server: Server, *hubs: str, version: str = "2.1", path: str = "/signalr", token: str | None = None,
        persistent=False, **query
    ):
        self.server, self.path, self.version = server, path, version
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.data = None if persistent else json.dumps([{"name": hub} for hub in hubs])
        self.query = query
        answer = self.get("negotiate")
        assert answer.status == 200, answer
        self.negotiated = answer.json()
        self.token, self.id = self.negotiated["ConnectionToken"], self.negotiated["ConnectionId"]
        self.cursor, self.groups = None, None

    def target(self, action: str, **query) -> str:
        query = self.query | {"clientProtocol": self.version} | query
        if self.data is not None:
            query = {"connectionData": self.data} | query
        if hasattr(self, "token"):
            query["connectionToken"] = self.token
        return f"{self.path}/{action}?{urlencode(query)}"

    def get(self, action: str, **query) -> Answer:
        return request(self.server, "GET", self.target(action, **query), headers=self.headers)

    def post(self, action: str, form: dict, **query) -> Answer:
        return request(self.server, "POST", self.target(action, **query), body=urlencode(form), headers=self.headers)

    def start(self, transport: str):
        assert self.get("start", transport=transport).json() == {"Response": "started"}

    def abort(self, transport: str):
        assert self.post("abort", {}, transport=transport).status == 200

    def send(self, transport: str, hub: str, method: str, *arguments, call: int = 0) -> dict:
        data = json.dumps({"H": hub, "M": method, "A": arguments, "I": call})
        return self.post("send", {"data": data}, transport=transport).json()

    def keep(self, frame: dict) -> dict:
        self.cursor = frame.get("C", self.cursor)
        self.groups = frame.get("G", self.groups)
        return frame

    def resume(self) -> dict:
        """What a client that comes back says of itself."""
        return {name: value for name, value in (("messageId", self.cursor), ("groupsToken", self.groups)) if value}

    def connect(self):
        self.open()
        assert self.frame()["S"] == 1
        self.start(self.transport)
        return self

    def reconnect(self):
        return self.open("reconnect", **self.resume())

    def messages(self):
        """Everything that hubs send, for ever."""
        while True:
            yield from self.frame().get("M", [])

    def hear(self, method: str) -> list:
        """The arguments of the next call of a method."""
        return next(message["A"] for message in self.messages() if message.get("M") == method)


class ClassicSocket(Classic):
    """The same on a WebSocket."""

    transport = "webSockets"

    def open(self, action: str = "connect", **query):
        self.socket = WebSocket(self.server, self.target(action, transport=self.transport, **query), self.headers)
        assert self.socket.answer.status == 101, self.socket.answer
        return self

    def frame(self) -> dict:
        while True:
            message = json.loads(self.socket.receive_message().payload)
            if message:
                return self.keep(message)

    def say(self, hub: str, method: str, *arguments, call: int = 0):
        data = {"H": hub, "M": method, "A": arguments, "I": call}
        self.socket.send(TEXT, json.dumps(data).encode())

    def call(self, hub: str, method: str, *arguments, call: int = 0) -> dict:
        """The result; frames that come before it are kept as far as cursor and groups go."""
        self.say(hub, method, *arguments, call=call)
        while (message := self.frame()).get("I") != str(call):
            pass
        return message

    def lose(self):
        self.socket.close()

    def at_end(self) -> bool:
        while self.socket.receive().opcode != CLOSE:
            pass
        return True


class ClassicStream(Classic):
    """The same by an endless response: `serverSentEvents`, or `foreverFrame`, where each frame is a script."""

    def __init__(self, *arguments, transport: str = "serverSentEvents", **details):
        self.transport = transport
        self.marks = (b"data: ", b"\r\n\r\n") if transport == "serverSentEvents" else (b"<script>f(", b");</script>")
        super().__init__(*arguments, **details)

    def open(self, action: str = "connect", **query):
        more = {"frameId": "7"} if self.transport == "foreverFrame" else {}
        self.stream = EventStream(self.server, self.target(action, transport=self.transport, **more, **query), self.headers)
        assert self.stream.status == 200, self.stream.status
        if self.transport == "serverSentEvents":
            assert self.stream.read_until(b"\n\n") == b"data: initialized\n\n"
        return self

    def next_text(self) -> str:
        start, end = self.marks
        self.stream.read_until(start)
        return self.stream.read_until(end)[:-len(end)].rstrip(b"\r").decode()

    def frame(self) -> dict:
        while True:
            if message := json.loads(self.next_text()):
                return self.keep(message)

    def call(self, hub: str, method: str, *arguments, call: int = 0) -> dict:
        return self.send(self.transport, hub, method, *arguments, call=call)

    def lose(self):
        self.stream.close()


class ClassicPolling(Classic):
    """The same by long polls."""

    transport = "longPolling"
    next_action = "poll"

    def connect(self):
        self.connection = open_connection(self.server)
        assert self.poll("connect")["S"] == 1
        self.start(self.transport)
        return self

    def reconnect(self):
        """The next poll asks for what was missed."""
        self.connection = open_connection(self.server)
        self.next_action = "reconnect"
        return self

    def frame(self) -> dict:
        return self.poll()

    def poll(self, action: str | None = None) -> dict:
        action, self.next_action = action or self.next_action, "poll"
        target = self.target(action, transport=self.transport)
        answer = exchange(self.connection, "POST", target, urlencode(self.resume()), self.headers)
        assert answer.status == 200, answer
        return self.keep(answer.json())

    def say(self, hub: str, method: str, *arguments):
        assert self.send(self.transport, hub, method, *arguments) == {"I": "0"}


class Published:
    """A chat client in a process of its own, and what it tells."""

    def __init__(self, environment_name: str, script: str, *arguments: str, token: str | None = None):
        self.process = subprocess.Popen(
            [environment(environment_name), str(FOLDER / script), *arguments],
            env=os.environ | ({"ACCESS_TOKEN": token} if token else {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines: queue.SimpleQueue[list | None] = queue.SimpleQueue()
        self.told: list[list] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def wait_for(self, *what):
        """Waits until the client tells this; it may have done so before."""
        while list(what) not in self.told:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            if line is None:
                self.end()
                raise AssertionError(f"never told: {what}\ntold: {self.told}\n{self.process.stderr.read()}")
            self.told.append(line)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
