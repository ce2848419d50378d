# SignalBox: signalr-client-aio in a chat: says hello, tells what it hears, leaves when it hears "bye".
# SPDX-License-Identifier: Apache-2.0
"""
usage: signalr_aio_chat.py URL NAME

ACCESS_TOKEN in the environment goes with every request. Prints one JSON line for each thing that happens. The package was written for asyncio as it was up to Python 3.9; what later
versions dropped, the `loop` argument, is dropped here for it. The package itself is as published.
"""

import asyncio
import functools
import json
import os
import sys

for function in ("wait", "gather", "sleep", "wait_for"):
    original = getattr(asyncio, function)
    setattr(asyncio, function, functools.wraps(original)(
        lambda *values, _original=original, loop=None, **named: _original(*values, **named)))


class Queue(asyncio.Queue):
    def __init__(self, maxsize=0, *, loop=None):
        super().__init__(maxsize)


asyncio.Queue = Queue

import requests  # noqa: E402
from signalr_aio import Connection  # noqa: E402, the shims come first

url, name = sys.argv[1:]


def tell(what, *values):
    print(json.dumps([what, *values]), flush=True)


session = requests.Session()
if token := os.environ.get("ACCESS_TOKEN"):
    session.headers["Authorization"] = f"Bearer {token}"
connection = Connection(url, session)
chat = connection.register_hub("chatHub")


async def receive(message):
    user, text = message
    tell("receive", user, text)
    if text == "bye":
        connection.close()


async def ignore(message):
    pass


async def receive_room(message):
    tell("receiveRoom", *message)


async def received(**message):
    if "R" in message or ("I" in message and "E" not in message):
        tell("result", message["I"])


async def error(message):
    tell("error", message)


connection.received += received
connection.error += error
chat.client.on("receive", receive)
chat.client.on("receiveRoom", receive_room)
chat.client.on("online", ignore)
chat.server.invoke("join", "den")
chat.server.invoke("send", name, f"hello from {name}")
chat.server.invoke("nonsense")
tell("ready")
try:
    connection.start()
except Exception as problem:  # the package ends by raising what websockets raises for an orderly close
    if type(problem).__name__ != "ConnectionClosedOK":
        raise
tell("closed")
