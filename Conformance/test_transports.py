# SignalBox: which transports a server offers, and how it tells what became of the choice.
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.classic import Classic, ClassicPolling, ClassicSocket
from harness.http import eventually, negotiate
from harness.hub import Hub
from harness.server import Server
from harness.transports import LongPollingTransport
from harness.websocket import WebSocket
from test_command_line import USAGE, signalbox


@pytest.fixture(scope="module")
def limited():
    """A server without WebSockets that tells what it does."""
    server = Server("--playground", "--transports", "serverSentEvents,LONGPOLLING", "--log-level", "info")
    yield server
    assert server.stop() == 0, server.output()


def told(server, connection_id: str, *words: str):
    """Waits until the log tells this of a connection."""
    eventually(lambda: any(
        connection_id in line and all(word in line for word in words) for line in server.output().splitlines()))


def test_what_is_off_is_not_offered(limited):
    offered = [one["transport"] for one in negotiate(limited)["availableTransports"]]
    assert offered == ["ServerSentEvents", "LongPolling"]
    assert Classic(limited, "chathub").negotiated["TryWebSockets"] is False


def test_a_client_that_asks_nevertheless_is_told(limited):
    token = negotiate(limited)["connectionToken"]
    with WebSocket(limited, f"/hubs/chat?id={token}") as refused:
        assert refused.answer.status == 404
    client = ClassicSocket(limited, "chathub")
    answer = client.get("connect", transport="webSockets")
    assert answer.status == 400
    assert answer.text == "The transport webSockets is switched off; this server has serverSentEvents, longPolling."
    answer = client.get("connect", transport="foreverFrame", frameId=1)
    assert answer.status == 400


def test_a_refused_client_goes_on_and_the_log_tells_why(limited):
    client = ClassicPolling(limited, "chathub")
    assert client.get("connect", transport="webSockets").status == 400
    client.connect()
    told(limited, client.id, "Transport chosen", "signalr.transport=longPolling", "webSockets (refused with status 400)",
         "serverSentEvents (offered, and not asked for)")
    client.abort("longPolling")


def test_the_log_tells_what_clients_of_asp_net_core_passed_over(limited):
    with Hub(limited, "/hubs/chat", transport=LongPollingTransport) as hub:
        told(limited, hub.transport.negotiated["connectionId"], "Transport chosen", "signalr.transport=longPolling",
             "webSockets (not offered), serverSentEvents (offered, and not asked for)")


def test_the_log_tells_of_a_change(start_server):
    server = start_server("--playground", "--log-level", "info")
    client = ClassicSocket(server, "chathub").connect()
    told(server, client.id, "Transport chosen", "signalr.transport=webSockets")
    client.lose()
    client.reconnect()
    told(server, client.id, "Transport changed", "signalr.transport=webSockets", "webSockets (")


def test_a_list_of_the_client_needs_no_setting(start_server):
    """start({ transport: ['webSockets', 'longPolling'] }): the second is asked for with nothing between."""
    server = start_server("--playground", "--log-level", "info")
    client = ClassicPolling(server, "chathub").connect()
    client.say("chathub", "send", "ann", "hi")
    assert client.hear("receive") == ["ann", "hi"]
    told(server, client.id, "serverSentEvents (offered, and not asked for)")


@pytest.mark.parametrize("names", ["foreverFrame", "pigeon", "webSockets,", ""])
def test_lists_that_make_no_sense(names):
    done = signalbox("serve", "--port", "0", "--transports", names)
    assert done.returncode == USAGE and "--transports" in done.stderr
