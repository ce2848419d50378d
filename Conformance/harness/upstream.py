# SignalBox: an upstream of serverless mode: Python's own HTTP server, which notes every event and answers as a test says.
# SPDX-License-Identifier: Apache-2.0

import contextlib
import hashlib
import hmac
import queue
import socket
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.server import PATIENCE, Server


@dataclass
class Event:
    path: str
    headers: Message
    body: bytes

    @property
    def name(self) -> str:
        return self.headers["X-ASRS-Event"]

    @property
    def connection_id(self) -> str:
        return self.headers["X-ASRS-Connection-Id"]

    def is_signed_by(self, key: str) -> bool:
        """As receivers check it: one of the signatures is right, in any case, with no blanks between them."""
        wanted = "sha256=" + hmac.new(key.encode(), self.connection_id.encode(), hashlib.sha256).hexdigest()
        return wanted.lower() in self.headers["X-ASRS-Signature"].lower().split(",")


class Upstream:
    """`answers` has a function from an event to (status, body) for the events whose names it has; others get 204."""

    def __init__(self):
        self.events: queue.Queue[Event] = queue.Queue()
        self.answers = {}
        self.connections = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                upstream.connections.append(self.connection)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = Event(self.path, self.headers, body)
                upstream.events.put(event)
                status, answer = upstream.answers.get(event.name, lambda _: (204, b""))(event)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        class QuietServer(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                """The other side may give up first."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def next(self, name: str | None = None, connection_id: str | None = None) -> Event:
        """The next event of that name and client; what comes before it is dropped."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if name in (None, event.name) and connection_id in (None, event.connection_id):
                return event

    def cleared(self) -> "Upstream":
        """As good as new: without answers, and without the events of earlier tests."""
        self.answers = {}
        while not self.events.empty():
            self.events.get_nowait()
        return self

    def close(self):
        """With the connections that are kept for more requests."""
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def serverless(start_server, upstream: Upstream, *options: str, template="/api/{hub}/{category}/{event}") -> Server:
    return start_server("--mode", "serverless", "--upstream", upstream.url + template, *options)
