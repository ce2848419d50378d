# SignalBox: an app server asks a client and gets its answer, also from a client of another app server (reference §11).
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.appserver.messages import Kind, body, decode, encode
from harness.codec import JSON, MessagePack
from harness.http import eventually
from harness.server_connection import WEAK
from harness.vectors import scenario

ASK = {"type": 1, "target": "Ask", "arguments": []}


def sticky(name: str) -> dict[str, str]:
    return {"asrs.s.sn": name, "asrs.s.ssticky": "Required"}


def question(client, caller: str, number=1) -> tuple[str, dict]:
    """The id of an invocation, and what 34 says."""
    invocation = f"{client.connection_id}-0-{number}"
    message = ASK | {"invocationId": invocation}
    return invocation, {
        "invocationId": invocation, "connectionId": client.connection_id, "callerServerId": caller,
        "payloads": {"json": JSON().encode(message), "messagepack": MessagePack().encode(message)}}


def answer_of(client, invocation: str) -> bytes:
    return client.codec.encode({"type": 3, "invocationId": invocation, "result": 7})


def test_a_client_of_another_server_is_asked(attach, meet):
    """The scenario of the vectors, byte for byte but for ids."""
    asked, routed, mapping, _, completion = scenario("client result across two servers")
    caller, owner = attach("S1"), attach("S2")
    client = meet(owner)
    mine = client.connection_id
    invocation = f"{mine}-0-1"
    payload = decode(body(asked))["payloads"]["json"].replace(b"conn1-0-1", invocation.encode())
    changed = {"invocationId": invocation, "connectionId": mine, "callerServerId": "S1", "payloads": {"json": payload}}
    caller.say(Kind.CLIENT_INVOCATION, **changed)
    owner.expect(encode(Kind.CLIENT_INVOCATION, **changed))
    told = caller.expect_message(Kind.SERVICE_MAPPING, invocationId=invocation, connectionId=mine, ext={})
    assert told["instanceId"] and decode(body(mapping)).keys() == told.keys()
    client.expect_bytes(payload)
    answer = b'{"type":3,"invocationId":"%s","result":7}\x1e' % invocation.encode()
    client.send_bytes(answer)
    owner.expect_data(mine, answer)
    finished = decode(body(completion)) | {"invocationId": invocation, "connectionId": mine, "payload": answer}
    framed = encode(finished.pop("type"), **finished)
    owner.send(framed)
    caller.expect(framed)
    owner.expect_quiet()
    caller.expect_quiet()


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_the_instance_is_the_one_of_open_connection(attach, visit, codec):
    """§9.3, §11.2: an SDK maps pending questions to Asrs-Instance-Id."""
    caller, owner = attach("S1"), attach("S2")
    client = visit(codec=codec, **sticky("S2"))
    opened = owner.take_client(protocol=codec.name)
    client.expect_welcome()
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    told = caller.expect_message(Kind.SERVICE_MAPPING, invocationId=invocation)
    headers = {name.lower(): value for name, value in opened["headers"].items()}
    assert [told["instanceId"]] == headers["asrs-instance-id"]
    client.expect_bytes(fields["payloads"][codec.name])


@pytest.mark.parametrize("codec", [JSON, MessagePack])
def test_a_client_of_the_same_server_is_asked(attach, meet, codec):
    """§11.4: no mapping, nothing forwarded; the completion without payload is a notice."""
    caller, owner = attach("S1", kind=WEAK), attach("S1")
    client = meet(owner, codec=codec)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    client.expect_bytes(fields["payloads"][codec.name])
    caller.expect_quiet()
    client.send_bytes(answer_of(client, invocation))
    owner.expect_data(client.connection_id, answer_of(client, invocation))
    owner.say(Kind.CLIENT_COMPLETION, invocationId=invocation, connectionId=client.connection_id, callerServerId="S1",
              protocol=codec.name, payload=b"", ext={"protocol": codec.name})
    owner.expect_quiet()
    caller.expect_quiet()


def test_a_client_that_is_not_there_is_an_error(attach):
    """§11.6: 36 with a text."""
    caller = attach("S1")
    caller.say(Kind.CLIENT_INVOCATION, invocationId="i-1", connectionId="nobody", callerServerId="S1", payloads={"json": b"x"})
    message = caller.expect_message(
        Kind.ERROR_COMPLETION, invocationId="i-1", connectionId="nobody", callerServerId="S1", ext={})
    assert message["error"]


def test_a_client_that_leaves_is_an_error(attach, meet):
    """§11.6."""
    caller, owner = attach("S1"), attach("S2")
    client = meet(owner)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    caller.expect_message(Kind.SERVICE_MAPPING)
    client.expect_bytes(fields["payloads"]["json"])
    client.leave()
    message = caller.expect_message(
        Kind.ERROR_COMPLETION, invocationId=invocation, connectionId=client.connection_id, callerServerId="S1")
    assert message["error"]


def test_an_owner_that_is_lost_is_an_error(attach, meet):
    """§11.6, §8.5."""
    caller, owner = attach("S1"), attach("S2")
    client = meet(owner)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    caller.expect_message(Kind.SERVICE_MAPPING)
    owner.expect_message(Kind.CLIENT_INVOCATION)
    owner.close()
    caller.expect_message(Kind.ERROR_COMPLETION, invocationId=invocation)


def test_a_caller_that_is_lost_needs_no_answer(attach, meet):
    caller, owner = attach("S1"), attach("S2")
    client = meet(owner)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    owner.expect_message(Kind.CLIENT_INVOCATION)
    caller.close()
    owner.say(Kind.CLIENT_COMPLETION, invocationId=invocation, connectionId=client.connection_id, callerServerId="S1",
              protocol="json", payload=answer_of(client, invocation), ext={"protocol": "json"})
    owner.expect_quiet()


@pytest.mark.parametrize("kind", [Kind.CLIENT_COMPLETION, Kind.ERROR_COMPLETION])
def test_an_answer_that_nobody_awaits_is_ignored(attach, kind):
    server = attach("S1")
    fields = {"invocationId": "i-1", "connectionId": "nobody", "callerServerId": "S1"}
    server.say(kind, **fields, **({"protocol": "json", "payload": b"x"} if kind == 35 else {"error": "x"}))
    server.expect_quiet()


def test_many_questions_at_once(attach, meet):
    """Answers find their callers by the id of the invocation, whatever their order."""
    callers, owner = [attach("S1"), attach("S3")], attach("S2")
    client = meet(owner)
    asked = []
    for number in range(20):
        caller = callers[number % 2]
        invocation, fields = question(client, caller.name, number)
        caller.say(Kind.CLIENT_INVOCATION, **fields)
        caller.expect_message(Kind.SERVICE_MAPPING, invocationId=invocation)
        assert owner.expect_message(Kind.CLIENT_INVOCATION) == {"type": 34, "ext": {}} | fields
        asked.append((caller, invocation))
    for caller, invocation in reversed(asked):
        framed = encode(Kind.CLIENT_COMPLETION, invocationId=invocation, connectionId=client.connection_id,
                        callerServerId=caller.name, protocol="json", payload=answer_of(client, invocation),
                        ext={"protocol": "json"})
        owner.send(framed)
        caller.expect(framed)


def test_the_caller_hears_by_another_connection_of_its_process(attach, meet):
    """§11: questions belong to the process, and its connections come and go."""
    caller, spare, owner = attach("S1"), attach("S1"), attach("S2")
    client = meet(owner)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields)
    owner.expect_message(Kind.CLIENT_INVOCATION, invocationId=invocation)
    caller.expect_message(Kind.SERVICE_MAPPING, invocationId=invocation)
    assert client.receive()["invocationId"] == invocation
    caller.close()
    # The service has seen it go once it is no longer among the connections that questions about servers are answered by.
    eventually(lambda: status(spare)["servercount"] == "2")
    answer = answer_of(client, invocation)
    owner.say(Kind.CLIENT_COMPLETION, invocationId=invocation, connectionId=client.connection_id, callerServerId="S1",
              protocol="json", payload=answer, ext={"protocol": "json"})
    assert spare.expect_message(Kind.CLIENT_COMPLETION, invocationId=invocation)["payload"] == answer


def test_members_that_another_version_may_not_know_stay_behind(attach, meet):
    """§5.4: an SDK loses sync at a member that it does not know for a message."""
    caller, owner = attach("S1"), attach("S2")
    client = meet(owner)
    invocation, fields = question(client, "S1")
    caller.say(Kind.CLIENT_INVOCATION, **fields, ext={"tracingId": 7, 9: "new"})
    owner.expect_message(Kind.CLIENT_INVOCATION, ext={"tracingId": 7})
    caller.expect_message(Kind.SERVICE_MAPPING)
    owner.say(Kind.CLIENT_COMPLETION, invocationId=invocation, connectionId=client.connection_id, callerServerId="S1",
              protocol="json", payload=answer_of(client, invocation), ext={"tracingId": 8, "protocol": "json", 9: 1, 10: True})
    caller.expect_message(Kind.CLIENT_COMPLETION, ext={"tracingId": 8, "protocol": "json"})


def status(connection) -> dict[str, str]:
    connection.say(Kind.PING, pairs=["status", "1"])
    pairs = connection.expect_message(Kind.PING)["pairs"]
    return dict(zip(pairs[::2], pairs[1::2]))
