# SignalBox: signalr-client and signalr-client-aio, as published, against the playground's chat.
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.classic import ClassicPolling, Published

CLIENTS = {
    "signalr-client-sockets": ("signalr-client", "signalr_client_chat.py", "webSockets"),
    "signalr-client-events": ("signalr-client", "signalr_client_chat.py", "serverSentEvents"),
    "signalr-client-aio": ("signalr-client-aio", "signalr_aio_chat.py"),
}


@pytest.fixture
def published(server):
    """Starts published clients, and ends them with the test."""
    mine = []

    def start(kind: str, name: str) -> Published:
        environment, script, *more = CLIENTS[kind]
        mine.append(Published(environment, script, f"{server.url}/signalr", name, *more))
        return mine[-1]

    yield start
    for client in mine:
        client.end()


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_client_alone(server, published, kind):
    client = published(kind, "ann")
    client.wait_for("receive", "ann", "hello from ann")
    client.wait_for("result", "0")
    client.wait_for("error", "'chatHub.nonsense' method could not be resolved.")
    other = ClassicPolling(server, "chathub").connect()
    other.say("chathub", "sendToRoom", "den", "bob", "in the den")
    client.wait_for("receiveRoom", "den", "bob", "in the den")
    other.say("chathub", "send", "bob", "bye")
    client.wait_for("closed")
    assert client.process.wait(20) == 0
    other.abort("longPolling")


def test_all_of_them_in_one_room(server, published):
    names = {kind: f"guest{number}" for number, kind in enumerate(CLIENTS)}
    clients = [published(kind, name) for kind, name in names.items()]
    for client, name in zip(clients, names.values()):
        client.wait_for("receive", name, f"hello from {name}")
    other = ClassicPolling(server, "chathub").connect()
    other.say("chathub", "send", "bob", "everybody")
    for client in clients:
        client.wait_for("receive", "bob", "everybody")
    other.say("chathub", "send", "bob", "bye")
    for client in clients:
        client.wait_for("closed")
    other.abort("longPolling")
