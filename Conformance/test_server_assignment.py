# SignalBox: which server connection gets a client, and what a client is told when there is none (service reference §9.4).
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.appserver.messages import Kind
from harness.codec import MessagePack
from harness.http import request
from harness.server_connection import ON_DEMAND, WEAK, ServerConnection, first_to_hear
from harness.tokens import bearer, client_token
from harness.transports import TRANSPORTS


def owners(servers, visit, count, **details) -> list:
    """Who gets each of several clients."""
    chosen = []
    for _ in range(count):
        visit(**details)
        chosen.append(first_to_hear(servers))
        chosen[-1].take_client()
    return chosen


def test_clients_go_where_fewest_are(attach, visit):
    servers = [attach(), attach(), attach()]
    chosen = owners(servers, visit, 9)
    assert sorted(chosen.count(server) for server in servers) == [3, 3, 3]


@pytest.mark.parametrize("stickiness", ["Required", "Preferred"])
def test_a_sticky_client_goes_to_its_server(attach, visit, stickiness):
    servers = [attach("HOST_a"), attach("HOST_b"), attach("HOST_b")]
    chosen = owners(servers, visit, 6, **{"asrs.s.sn": "HOST_b", "asrs.s.ssticky": stickiness})
    assert [chosen.count(server) for server in servers] == [0, 3, 3]


def test_a_client_may_prefer_a_server_that_is_gone(attach, visit):
    servers = [attach("HOST_a")]
    assert owners(servers, visit, 1, **{"asrs.s.sn": "HOST_x", "asrs.s.ssticky": "Preferred"}) == servers


def test_a_client_cannot_do_without_the_server_that_it_requires(attach, visit):
    """§9.4: it is told so in the answer to its handshake."""
    server = attach("HOST_a")
    visitor = visit(**{"asrs.s.sn": "HOST_x", "asrs.s.ssticky": "Required"})
    assert visitor.expect_refusal()
    visitor.expect_end()
    server.expect_quiet()


def test_a_name_without_stickiness_means_nothing(attach, visit):
    servers = [attach("HOST_a"), attach("HOST_b")]
    chosen = owners(servers, visit, 4, **{"asrs.s.sn": "HOST_b"})
    assert [chosen.count(server) for server in servers] == [2, 2]


def test_an_on_demand_connection_owns_clients(attach, visit):
    """§8.2."""
    servers = [attach(kind=ON_DEMAND)]
    assert owners(servers, visit, 1) == servers


def test_a_weak_connection_owns_none(attach, visit):
    """§8.2, §23 trap 12."""
    weak, server = attach(kind=WEAK), attach()
    assert owners([weak, server], visit, 3) == [server] * 3


def test_a_weak_connection_is_no_app_server(attach, visit):
    attach(kind=WEAK)
    assert "app server" in visit().expect_refusal().lower()


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_who_said_fin_gets_no_more_clients(attach, visit, mode):
    """§9.4, §14.2."""
    leaving, staying = attach(migration=1), attach()
    leaving.say(Kind.PING, pairs=["shutdown", f"fin:{mode}"])
    leaving.expect("129303a873687574646f776ea666696e61636b")
    assert owners([leaving, staying], visit, 3) == [staying] * 3


def test_another_hub_is_another_pool(service, hub, attach, visit):
    attach()
    with ServerConnection(service, hub + "x") as other:
        other.shake_hands()
        visit()
        other.expect_quiet()


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.kind)
def test_without_an_app_server_a_client_is_told_so(visit, transport):
    """§13."""
    visitor = visit(transport=transport)
    assert "app servers are not connected" in visitor.expect_refusal().lower()
    visitor.expect_end()


def test_a_binary_client_is_told_in_json_too(visit):
    """§9.5: the answer to the handshake is JSON text."""
    visitor = visit(codec=MessagePack)
    assert "app servers are not connected" in visitor.expect_refusal().lower()


# Negotiate (§4)


@pytest.mark.parametrize(("mask", "kinds"), [
    (1, ["WebSockets"]), (2, ["ServerSentEvents"]), (4, ["LongPolling"]), (6, ["ServerSentEvents", "LongPolling"]),
    (7, ["WebSockets", "ServerSentEvents", "LongPolling"])])
def test_a_token_may_allow_some_transports(service, hub, mask, kinds):
    """§3.1: asrs.s.htt."""
    headers = bearer(client_token(service, hub, **{"asrs.s.htt": mask}))
    answer = request(service, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers).json()
    assert [entry["transport"] for entry in answer["availableTransports"]] == kinds
