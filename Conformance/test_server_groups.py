# SignalBox: groups of connections and of users, and what is acknowledged (service reference §10).
# SPDX-License-Identifier: Apache-2.0

import msgpack

from harness.appserver.messages import Kind, body, decode, encode
from harness.http import eventually
from harness.sends import ask, end, ids, number_of, payloads
from harness.vectors import renamed, scenario


def test_a_group_with_acknowledgements(attach, meet):
    """The scenario of the vectors, byte for byte but for the connection's id."""
    join, joined, send, check, checked, look, looked = scenario("group with ack")
    server = attach()
    client = meet(server)
    server.send(renamed(join, client.connection_id))
    server.expect(joined)
    server.send(send)
    client.expect_bytes(decode(body(send))["payloads"]["json"])
    server.send(check)
    server.expect(checked)
    server.send(look)
    server.expect(looked)


def test_a_group_is_there_for_every_app_server(attach, meet):
    """§10: visible hub-wide before it is acknowledged; on the server connection that asked, and no other."""
    one, two = attach(), attach()
    client, other = meet(one), meet(two)
    for number in range(1, 20):
        group = f"g{number}"
        assert ask(one, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=group) == 1
        two.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads(number))
        assert number_of(client) == number
        assert ask(two, Kind.LEAVE_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=group) == 1
        one.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads(1000))
    one.expect_quiet()
    two.expect_quiet()
    end(one, client, other)


def test_groups_without_acknowledgements(attach, meet):
    server = attach()
    inside, outside = meet(server), meet(server)
    server.say(Kind.JOIN_GROUP, connectionId=inside.connection_id, groupName="g")
    server.say(Kind.JOIN_GROUP, connectionId=inside.connection_id, groupName="g")
    server.say(Kind.JOIN_GROUP, connectionId="nobody", groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    server.say(Kind.LEAVE_GROUP, connectionId=inside.connection_id, groupName="g")
    server.say(Kind.LEAVE_GROUP, connectionId="nobody", groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(2))
    assert number_of(inside) == 1
    end(server, inside, outside)


def test_a_group_send_leaves_some_out(attach, meet):
    """§6.1: connections and users."""
    server = attach()
    clients = [meet(server, user=user) for user in ("a", "b", "c", "c")]
    for client in clients:
        ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1), excludedConnectionIds=ids(clients[0], clients[3]))
    assert [number_of(client) for client in clients[1:3]] == [1, 1]
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(2), excludedUserIds=["c", "nobody"])
    assert [number_of(client) for client in clients[:2]] == [2, 2]
    end(server, *clients)


def test_several_groups(attach, meet):
    server = attach()
    first, second, third = meet(server), meet(server), meet(server)
    for client, group in ((first, "g1"), (second, "g2")):
        ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=group)
    server.say(Kind.MULTI_GROUP_BROADCAST, groupNames=["g1", "g2", "nobody"], payloads=payloads(1))
    assert (number_of(first), number_of(second)) == (1, 1)
    end(server, first, second, third)


def test_names_of_groups_have_case_and_any_letters(attach, meet):
    server = attach()
    client = meet(server)
    for group in ("G", "g g", "Zoë/🚦", "x" * 1024):
        assert ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=group) == 1
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(9))
    for number, group in enumerate(("G", "g g", "Zoë/🚦", "x" * 1024), 1):
        server.say(Kind.GROUP_BROADCAST, groupName=group, payloads=payloads(number))
        assert number_of(client) == number
    end(server, client)


def test_membership_ends_with_the_connection(attach, meet):
    server = attach()
    client = meet(server)
    ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    client.leave()
    server.expect_message(Kind.CLOSE_CONNECTION)
    assert ask(server, Kind.CHECK_GROUP, groupName="g") == 2
    assert ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g") == 2


def test_a_connection_can_leave_all_groups(attach, meet):
    """§6: 19 with nil."""
    server = attach()
    client = meet(server)
    for group in ("g1", "g2"):
        ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=group)
    assert ask(server, Kind.LEAVE_GROUP_WITH_ACK, connectionId=client.connection_id, groupName=None) == 1
    assert [ask(server, Kind.CHECK_GROUP, groupName=group) for group in ("g1", "g2")] == [2, 2]


# Groups of users


def test_a_user_brings_all_connections_now_and_later(attach, meet):
    """§10: also future ones; 27 takes them all out."""
    server = attach()
    now = meet(server, user="u")
    assert ask(server, Kind.USER_JOIN_GROUP_WITH_ACK, userId="u", groupName="g") == 1
    later = meet(server, user="u")
    assert ask(server, Kind.CHECK_USER_IN_GROUP, userId="u", groupName="g") == 1
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    assert (number_of(now), number_of(later)) == (1, 1)
    assert ask(server, Kind.USER_LEAVE_GROUP_WITH_ACK, userId="u", groupName="g") == 1
    assert ask(server, Kind.CHECK_USER_IN_GROUP, userId="u", groupName="g") == 2
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(2))
    end(server, now, later)


def test_a_user_in_a_group_by_both_ways_gets_one(attach, meet):
    """§10: the union, each connection once."""
    server = attach()
    client = meet(server, user="u")
    ask(server, Kind.USER_JOIN_GROUP_WITH_ACK, userId="u", groupName="g")
    ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    assert number_of(client) == 1
    end(server, client)


def test_a_membership_of_no_time_is_for_who_is_here(attach, meet):
    """§10: ttl 0."""
    server = attach()
    now = meet(server, user="u")
    ask(server, Kind.USER_JOIN_GROUP_WITH_ACK, userId="u", groupName="g", ext={"ttl": 0})
    later = meet(server, user="u")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    assert number_of(now) == 1
    end(server, now, later)


def test_a_membership_ends_in_time(attach, meet):
    """§10: ttl in seconds, for present connections as for those to come; but for the one that joined by itself."""
    server = attach()
    client, other = meet(server, user="u"), meet(server, user="u")
    ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=other.connection_id, groupName="g")
    ask(server, Kind.USER_JOIN_GROUP_WITH_ACK, userId="u", groupName="g", ext={"ttl": 2})
    later = meet(server, user="u")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(0))
    for member in (client, other, later):
        assert number_of(member) == 0
    eventually(lambda: ask(server, Kind.CHECK_USER_IN_GROUP, userId="u", groupName="g") == 2)
    eventually(lambda: members_of(server, "g") == {other.connection_id})
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    assert number_of(other) == 1
    end(server, client, later)


def test_users_join_and_leave_without_acknowledgements(attach, meet):
    server = attach()
    client = meet(server, user="u")
    server.say(Kind.USER_JOIN_GROUP, userId="u", groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(1))
    server.say(Kind.USER_LEAVE_GROUP, userId="u", groupName="g")
    server.say(Kind.GROUP_BROADCAST, groupName="g", payloads=payloads(2))
    assert number_of(client) == 1
    end(server, client)


def test_a_user_can_leave_all_groups(attach, meet):
    """§6: 27 with nil; a user without a connection has groups too."""
    server = attach()
    for group in ("g1", "g2"):
        ask(server, Kind.USER_JOIN_GROUP_WITH_ACK, userId="u", groupName=group)
    assert ask(server, Kind.CHECK_GROUP, groupName="g1") == 1
    assert ask(server, Kind.USER_LEAVE_GROUP_WITH_ACK, userId="u", groupName=None) == 1
    assert [ask(server, Kind.CHECK_USER_IN_GROUP, userId="u", groupName=group) for group in ("g1", "g2")] == [2, 2]
    assert ask(server, Kind.CHECK_GROUP, groupName="g1") == 2


# Acknowledgements


def test_the_table_of_acknowledgements(attach, meet):
    """§10."""
    server = attach()
    client = meet(server, user="u")
    mine = client.connection_id
    rows = [
        (Kind.JOIN_GROUP_WITH_ACK, {"connectionId": mine, "groupName": "g"}, {1}),
        (Kind.JOIN_GROUP_WITH_ACK, {"connectionId": "nobody", "groupName": "g"}, {2}),
        (Kind.LEAVE_GROUP_WITH_ACK, {"connectionId": "nobody", "groupName": "g"}, {2}),
        (Kind.LEAVE_GROUP_WITH_ACK, {"connectionId": "nobody", "groupName": None}, {2}),
        (Kind.LEAVE_GROUP_WITH_ACK, {"connectionId": mine, "groupName": "another"}, {1, 2}),
        (Kind.CHECK_GROUP, {"groupName": "g"}, {1}), (Kind.CHECK_GROUP, {"groupName": "another"}, {2}),
        (Kind.CHECK_CONNECTION, {"connectionId": mine}, {1}), (Kind.CHECK_CONNECTION, {"connectionId": "nobody"}, {2}),
        (Kind.CHECK_USER, {"userId": "u"}, {1}), (Kind.CHECK_USER, {"userId": "nobody"}, {2}),
        (Kind.CHECK_USER_IN_GROUP, {"userId": "u", "groupName": "another"}, {2}),
        (Kind.CHECK_USER_IN_GROUP, {"userId": "nobody", "groupName": "g"}, {2}),
        (Kind.USER_JOIN_GROUP_WITH_ACK, {"userId": "nobody", "groupName": "h"}, {1}),
        (Kind.USER_LEAVE_GROUP_WITH_ACK, {"userId": "nobody", "groupName": "h"}, {1}),
        (Kind.USER_LEAVE_GROUP_WITH_ACK, {"userId": "somebody", "groupName": None}, {1}),
        (Kind.CLOSE_CONNECTION_WITH_ACK, {"connectionId": "nobody", "reason": None}, {2}),
        (Kind.CLOSE_USER_CONNECTIONS, {"userId": "nobody", "reason": "x"}, {1}),
        (Kind.CLOSE_GROUP_CONNECTIONS, {"groupName": "another", "reason": None}, {1}),
        (Kind.CLOSE_CONNECTIONS, {"reason": None, "excludedConnectionIds": [mine]}, {1}),
    ]
    for kind, fields, allowed in rows:
        assert ask(server, kind, **fields) in allowed, (kind, fields)


def test_acknowledgements_have_no_surprises(attach):
    """§5.4, §6: empty ext; the message a string; 5 items, or 6 with nil."""
    server = attach()
    server.say(Kind.CHECK_USER, userId="nobody", ackId=70_000)
    framed = server.next_frame().hex()
    assert framed in ("0a9514ce0001117002a080", "0b9614ce0001117002a080c0")


def test_questions_are_answered_where_they_are_asked(attach):
    """§6.1: 20; any number of them at once, in order."""
    servers = [attach() for _ in range(4)]
    for server in servers:
        server.send(b"".join(encode(Kind.CHECK_GROUP, groupName=str(number), ackId=number) for number in range(200)))
    for server in servers:
        for number in range(200):
            server.expect_ack(number, 2)


def test_members_of_a_group_are_listed_in_pages(attach, meet):
    """§6.1: 40, whose E comes second; the payload is [[[connection, user|nil]...], token|nil]."""
    server = attach()
    clients = [meet(server, user="u"), meet(server), meet(server, user="v")]
    for client in clients:
        ask(server, Kind.JOIN_GROUP_WITH_ACK, connectionId=client.connection_id, groupName="g")
    found, token = [], None
    for _ in range(10):
        server.say(Kind.GROUP_MEMBERS, groupName="g", ackId=5, max=2, continuationToken=token)
        message = server.expect_message(Kind.ACK, ackId=5, status=1)
        members, token = msgpack.unpackb(message["payload"])
        assert len(members) <= 2
        found += [tuple(member) for member in members]
        if token is None:
            break
    assert sorted(found, key=str) == sorted(zip(ids(*clients), ["u", None, "v"]), key=str)


def test_members_of_no_group(attach):
    server = attach()
    server.say(Kind.GROUP_MEMBERS, groupName="nobody", ackId=5)
    message = server.expect_message(Kind.ACK, ackId=5)
    assert message["status"] == 2 or msgpack.unpackb(message["payload"]) == [[], None]


def members_of(server, group: str) -> set[str]:
    server.say(Kind.GROUP_MEMBERS, groupName=group, ackId=99)
    message = server.expect_message(Kind.ACK, ackId=99)
    return {member[0] for member in msgpack.unpackb(message["payload"])[0]}
