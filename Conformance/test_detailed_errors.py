# SignalBox: whom the service tells the details of errors: clients whose app asked for that (service reference §3.1, `asrs.s.derror`).
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.appserver.messages import Kind
from harness.codec import MessagePack
from harness.hub import Hub
from harness.tokens import bearer, client_token
from harness.transports import TransportEnded

CLOSED = "Connection closed with an error."
NO_HANDSHAKE = "An unexpected error occurred during connection handshake."
DETAILS = {"asrs.s.derror": "True"}


@pytest.mark.parametrize("error", ["", "The database is gone."])
def test_the_app_says_goodbye_itself(attach, meet, error):
    """§9.2.6: its client gets one Close."""
    server = attach()
    client = meet(server, **DETAILS)
    server.data(client.connection_id, b'{"type":7}\x1e')
    server.say(Kind.CLOSE_CONNECTION, connectionId=client.connection_id, errorMessage=error)
    client.expect_bytes(b'{"type":7}\x1e')
    client.expect_end()


@pytest.mark.parametrize("claims", [{}, DETAILS], ids=["plain", "detailed"])
def test_an_app_that_cannot_begin_refuses(attach, visit, claims):
    """Without an answer to its handshake a client would wait, or guess."""
    server = attach()
    visitor = visit(**claims)
    identifier = server.expect_message(Kind.OPEN_CONNECTION)["connectionId"]
    server.expect_message(Kind.CONNECTION_DATA)
    server.say(Kind.CLOSE_CONNECTION, connectionId=identifier, errorMessage="No such protocol.")
    assert visitor.expect_refusal() == (f"{CLOSED} No such protocol." if claims else CLOSED)
    visitor.expect_end()
    server.expect_quiet()


@pytest.mark.parametrize("claims", [{}, DETAILS], ids=["plain", "detailed"])
def test_a_handshake_that_cannot_be_read(attach, visit, claims):
    attach()
    visitor = visit(hello=b'{"protocol":7}\x1e', **claims)
    error = visitor.expect_refusal()
    assert error.startswith(f"{NO_HANDSHAKE} InvalidDataException: ") if claims else error == NO_HANDSHAKE, error
    visitor.expect_end()


@pytest.mark.parametrize("claims", [{}, DETAILS], ids=["plain", "detailed"])
def test_what_is_no_hub_message(attach, meet, claims):
    """A length that no message has."""
    server = attach()
    client = meet(server, codec=MessagePack, **claims)
    server.data(client.connection_id, b"\xff" * 6)
    client.expect_close(f"{CLOSED} The app server sent what is no hub message." if claims else CLOSED)


@pytest.mark.parametrize("claims", [{}, DETAILS], ids=["plain", "detailed"])
def test_clients_that_the_service_serves(server, hub, claims):
    """Management tokens have the claim, too."""
    headers = bearer(client_token(server, hub, **claims))
    with Hub(server, f"/client/?hub={hub}", headers=headers) as client:
        client.transport.send(b"what is this\x1e", False)
        close = client.receive()
        assert close["type"] == 7
        assert close["error"].startswith(f"{CLOSED} InvalidDataException: ") if claims else close["error"] == CLOSED, close
        with pytest.raises(TransportEnded):
            client.receive()
