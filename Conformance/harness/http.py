# SignalBox: one HTTP request, and everything its answer says.
# SPDX-License-Identifier: Apache-2.0

import http.client
import json
import time
from dataclasses import dataclass
from email.message import Message

from harness.server import PATIENCE, Server


@dataclass
class Answer:
    status: int
    reason: str
    headers: Message  # names in any case; get_all() for repeated ones
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def open_connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)


def exchange(connection, method: str, target: str, body=None, headers=None, chunked=False) -> Answer:
    """A request on a connection that may have been used before."""
    connection.request(method, target, body=body, headers=headers or {}, encode_chunked=chunked)
    return read_answer(connection)


def read_answer(connection) -> Answer:
    response = connection.getresponse()
    return Answer(response.status, response.reason, response.headers, response.read())


def request(server: Server, method: str, target: str, body=None, headers=None, chunked=False) -> Answer:
    """A request on a connection of its own."""
    connection = open_connection(server)
    try:
        return exchange(connection, method, target, body, headers, chunked)
    finally:
        connection.close()


def negotiate(server: Server, path: str = "/hubs/chat", version: int | None = 1, headers=None) -> dict:
    """The success answer of a negotiate request; `path` may have a query."""
    base, _, query = path.partition("?")
    pairs = ([query] if query else []) + ([f"negotiateVersion={version}"] if version is not None else [])
    answer = request(server, "POST", f"{base.rstrip('/')}/negotiate?{'&'.join(pairs)}", headers=headers)
    assert answer.status == 200, answer
    return answer.json()


def with_query(path: str, query: str) -> str:
    """A path, which may have a query already, with more of it."""
    return f"{path}{'&' if '?' in path else '?'}{query}"


def eventually(condition):
    """Asks again and again until the answer is true: for what a server does a moment after it answered."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "this never became true"
        time.sleep(0.01)  # whom the condition waits for may need the processor
