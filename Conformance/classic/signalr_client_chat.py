# SignalBox: signalr-client in a chat: says hello, tells what it hears, leaves when it hears "bye".
# SPDX-License-Identifier: Apache-2.0
"""
usage: signalr_client_chat.py URL NAME (webSockets|serverSentEvents)

ACCESS_TOKEN in the environment goes with every request. Prints one JSON line for each thing that happens. The package wants gevent's versions of locks and sockets everywhere, so those come
first; one connection per process is all that it takes.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

import gevent.event  # noqa: E402
from requests import Session  # noqa: E402
from signalr import Connection  # noqa: E402
from signalr.transports._ws_transport import WebSocketsTransport  # noqa: E402

url, name, transport = sys.argv[1:]


def tell(what, *values):
    print(json.dumps([what, *values]), flush=True)


if transport == "serverSentEvents":
    # What the client does where the server offers no sockets.
    WebSocketsTransport.accept = lambda self, answer: False

with Session() as session:
    if token := os.environ.get("ACCESS_TOKEN"):
        session.headers["Authorization"] = f"Bearer {token}"
    connection = Connection(url, session)
    chat = connection.register_hub("chatHub")
    over = gevent.event.Event()

    def receive(user, message):
        tell("receive", user, message)
        if message == "bye":
            over.set()

    chat.client.on("receive", receive)
    chat.client.on("receiveRoom", lambda room, user, message: tell("receiveRoom", room, user, message))
    chat.client.on("online", lambda count: None)
    connection.error += lambda error: tell("error", error)

    def received(**data):
        if "I" in data and "E" not in data and "P" not in data:
            tell("result", data["I"])

    connection.received += received
    connection.start()
    tell("ready")
    chat.server.invoke("join", "den")
    chat.server.invoke("send", name, f"hello from {name}")
    chat.server.invoke("nonsense")
    while not over.is_set():
        connection.wait(0.2)
    connection.close()
    tell("closed")
