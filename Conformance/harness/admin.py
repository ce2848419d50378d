# SignalBox: the admin listener of a running service, and the commands that use it.
# SPDX-License-Identifier: Apache-2.0

import http.client
import json
import queue
import signal
import subprocess
import threading

from harness.http import Answer, request
from harness.server import PATIENCE, Server, binary, environment


class Admin:
    """Where a service says that its dashboard is, and the key that opens it. Usable where helpers want a server."""

    def __init__(self, server: Server):
        self.server = server
        found = server.wait_for_line(r"Dashboard: (http://([\d.]+):(\d+))/#key=(\S+)")
        self.url, self.host, self.key = found.group(1), found.group(2), found.group(4)
        self.port = int(found.group(3))
        self.headers = {"Authorization": f"Bearer {self.key}"}

    def answer(self, method: str, path: str, body=None, headers=None) -> Answer:
        text = None if body is None else json.dumps(body)
        return request(self, method, path, body=text, headers=self.headers | (headers or {}))

    def get(self, path: str):
        answer = self.answer("GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def post(self, path: str, body):
        answer = self.answer("POST", path, body)
        assert answer.status == 200, answer
        return answer.json()

    def trace(self, query: str = "") -> "Trace":
        return Trace(self, query)


class Trace:
    """The live trace over HTTP; follows from the moment it is made."""

    def __init__(self, admin: Admin, query: str):
        self.connection = http.client.HTTPConnection(admin.host, admin.port, timeout=PATIENCE)
        self.connection.request("GET", f"/api/trace?{query}", headers=admin.headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.readline() == b"\n", "the head and an empty line come at once"

    def next(self) -> dict | None:
        """The next event; None after the last."""
        while line := self.response.readline():
            if line.strip():
                return json.loads(line)
        return None

    def until(self, **fields) -> dict:
        """The next event that has these fields."""
        while event := self.next():
            if all(event.get(name) == value for name, value in fields.items()):
                return event
        raise AssertionError(f"the trace ended without {fields}")

    def close(self):
        self.response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def signalbox(*arguments: str, variables=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [binary(), *arguments], capture_output=True, text=True, timeout=PATIENCE,
        env=environment() | (variables or {}), stdin=subprocess.DEVNULL)


class Following:
    """A command that goes on until it is stopped, and its lines."""

    def __init__(self, *arguments: str):
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            [binary(), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
            # A shell that runs this in the background has it ignored, which would be inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def next(self) -> str | None:
        return self.lines.get(timeout=PATIENCE)

    def until(self, text: str) -> str:
        while (line := self.next()) is not None:
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r}: {self.process.stderr.read()}")

    def stop(self, number) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
