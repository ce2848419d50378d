# SignalBox: clients of ASP.NET SignalR 2 against the playground: by hand, and one room with clients of ASP.NET Core.
# SPDX-License-Identifier: Apache-2.0

import json

import pytest

from harness.classic import Classic, ClassicPolling, ClassicSocket, ClassicStream
from harness.codec import MessagePack
from harness.hub import Hub
from harness.http import open_connection, request
from harness.server import lasting_port
from harness.websocket import WebSocket

KINDS = [ClassicSocket, ClassicStream, lambda *hubs: ClassicStream(*hubs, transport="foreverFrame"), ClassicPolling]
NAMES = ["webSockets", "serverSentEvents", "foreverFrame", "longPolling"]


def test_negotiate(server):
    negotiated = Classic(server, "chathub").negotiated
    assert negotiated["Url"] == "/signalr"
    assert negotiated["ProtocolVersion"] == "2.0"
    assert negotiated["TryWebSockets"] is True
    assert negotiated["KeepAliveTimeout"] == 20.0
    assert "availableTransports" not in negotiated


@pytest.mark.parametrize("path", ["/signalr//negotiate", "/SignalR/NEGOTIATE", "/signalr/js/negotiate"])
def test_paths_are_compared_by_their_end(server, path):
    assert request(server, "GET", path).status == 200


def test_queries_that_no_parser_likes(server):
    answer = request(server, "GET", '/signalr/negotiate?redirect=invalid&/?=/&connectionData=[{"name":+"chathub"}]'.replace(
        '"', "%22"))
    assert answer.status == 200, answer


def test_a_socket(server):
    client = ClassicSocket(server, "chathub").connect()
    assert client.call("chathub", "Send", "ann", "hi", call=7)["I"] == "7"
    client.say("ChatHub", "send", "ann", "again")
    assert client.hear("receive") == ["ann", "again"]
    client.abort("webSockets")
    assert client.at_end()


def test_two_connection_headers_as_python_clients_send_them(server):
    client = ClassicSocket(server, "chathub")
    socket = WebSocket(
        server, client.target("connect", transport="webSockets"),
        {"Connection": "Upgrade\r\nConnection: keep-alive", "Cookie": ""})
    assert socket.answer.status == 101


def test_polling(server):
    client = ClassicPolling(server, "chathub").connect()
    client.say("chathub", "send", "bob", "polled")
    assert client.hear("receive") == ["bob", "polled"]
    client.abort("longPolling")


def test_streams_are_progress(server):
    client = ClassicSocket(server, "chathub").connect()
    client.say("chathub", "countdown", 3, call=5)
    heard = []
    while (message := client.frame()).get("I") != "5":
        heard += [report["P"]["D"] for report in message["M"] if "P" in report]
    assert heard == [3, 2, 1]


@pytest.mark.parametrize("hubs", [["chathub"], ["chathub", "boardhub"], ["boardhub"]], ids=["one", "two", "unlisted"])
@pytest.mark.parametrize("kind", KINDS[1:3], ids=NAMES[1:3])
def test_no_result_overtakes_its_progress(server, kind, hubs):
    client = kind(server, *hubs).connect()
    messages = client.messages()
    for call in range(5):
        assert client.send(client.transport, "chathub", "countdown", 3, call=call) == {"I": f"P|{call}"}
        heard = []
        while (message := next(messages)).get("I") != str(call):
            heard += [message["P"]["D"]] if "P" in message else []
        assert heard == [3, 2, 1] and message == {"I": str(call)}
    client.abort(client.transport)


def test_several_hubs_on_one_connection(server):
    client = ClassicSocket(server, "chathub", "boardhub").connect()
    client.say("boardhub", "clear")
    assert client.hear("clear") == []
    client.say("chathub", "send", "ann", "both")
    assert client.hear("receive") == ["ann", "both"]


def said_by(user, messages):
    """What a classic client hears from a user."""
    return (message["A"][1] for message in messages if message.get("M") == "receive" and message["A"][0] == user)


def rooms(messages):
    """What a classic client hears in rooms."""
    return (message["A"] for message in messages if message.get("M") == "receiveRoom")


def core_rooms(hub):
    """The same for a client of ASP.NET Core."""
    while True:
        message = hub.receive()
        if message["type"] == 1 and message["target"] == "receiveRoom":
            yield message["arguments"]


def test_one_room_two_generations(server):
    socket = ClassicSocket(server, "chathub").connect()
    polling = ClassicPolling(server, "chathub").connect()
    with Hub(server, "/hubs/chat") as core, Hub(server, "/hubs/chat", codec=MessagePack) as binary:
        socket.call("chathub", "join", "mixed")
        polling.say("chathub", "join", "mixed")
        core.invoke("join", "mixed")
        binary.invoke("join", "mixed")
        speakers = {
            "socket": lambda text: socket.say("chathub", "sendToRoom", "mixed", "socket", text),
            "polling": lambda text: polling.say("chathub", "sendToRoom", "mixed", "polling", text),
            "core": lambda text: core.start(1, "sendToRoom", "mixed", "core", text),
            "binary": lambda text: binary.start(1, "sendToRoom", "mixed", "binary", text),
        }
        for number in range(20):
            for say in speakers.values():
                say(str(number))
        for listener in (rooms(socket.messages()), rooms(polling.messages()), core_rooms(core), core_rooms(binary)):
            heard = {name: [] for name in speakers}
            for _, (_, user, text) in zip(range(20 * len(speakers)), listener):
                heard[user].append(text)
            assert heard == {name: [str(number) for number in range(20)] for name in speakers}


def test_nothing_is_lost_between_two_sockets(server):
    client = ClassicSocket(server, "chathub").connect()
    client.call("chathub", "send", "ann", "before")
    client.lose()
    speaker = ClassicPolling(server, "chathub").connect()
    for number in range(100):
        speaker.say("chathub", "send", "bob", str(number))
    client.reconnect()
    heard = [text for _, text in zip(range(100), said_by("bob", client.messages()))]
    assert heard == [str(number) for number in range(100)]


def test_what_is_lost_is_admitted(server):
    client = ClassicSocket(server, "chathub").connect()
    client.call("chathub", "send", "ann", "before")
    client.lose()
    speaker = ClassicSocket(server, "boardhub", "chathub").connect()
    for number in range(1_100):
        speaker.say("chathub", "send", "bob", str(number))
        if number % 50 == 49:
            speaker.call("chathub", "join", "nowhere", call=1)
    client.reconnect()
    messages = client.messages()
    assert next(messages) == {"H": "ChatHub", "M": "messagesMissed", "A": []}
    # The first things that it hears are from before the gap, or from behind it: they end with the last.
    for text in said_by("bob", messages):
        if text == "1099":
            break


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_clients_resume_with_their_groups_after_a_restart(start_server, kind):
    """The program ends without a goodbye, and another begins on its port, which knows the same key and nothing else."""
    old = start_server("--playground", port=lasting_port())
    client = kind(old, "chathub").connect()
    client.send(client.transport, "chathub", "join", "den")
    while client.groups is None:
        client.frame()
    port, process = old.port, old.process.pid
    old.kill()
    new = start_server("--playground", port=port)
    assert new.process.pid != process
    client.server = new
    client.reconnect()
    messages = client.messages()
    # What was said in between is gone with the old program, and it is admitted.
    assert next(messages) == {"H": "ChatHub", "M": "messagesMissed", "A": []}
    speaker = ClassicPolling(new, "chathub").connect()
    speaker.say("chathub", "sendToRoom", "attic", "bob", "not for them")
    speaker.say("chathub", "sendToRoom", "den", "bob", "welcome back")
    assert next(rooms(messages)) == ["den", "bob", "welcome back"]
    assert client.send(client.transport, "chathub", "send", "ann", "still me", call=3) == {"I": "3"}


def test_shutdown_asks_polls_to_reconnect(start_server):
    server = start_server("--playground")
    client = ClassicPolling(server, "chathub").connect()
    assert client.poll()["M"][0]["M"] == "online"
    target = client.target("poll", transport="longPolling", **client.resume())
    client.connection.request("POST", target)
    answer = client.connection.getresponse()  # its head: the server has the poll
    server.terminate()
    frame = json.loads(answer.read())
    assert frame["T"] == 1 and frame["M"] == []
    assert server.stop() == 0


def test_jsonp(start_server):
    assert request(start_server("--playground"), "GET", "/signalr/ping?callback=f").status == 403
    server = start_server("--playground", "--classic-jsonp")
    answer = request(server, "GET", "/signalr/ping?callback=a.b")
    assert answer.text == 'a.b({ "Response": "pong" });'
    assert answer.headers["Content-Type"] == "application/javascript; charset=UTF-8"
    assert request(server, "GET", "/signalr/ping?callback=alert(1)").status == 500


@pytest.mark.parametrize("answer", [
    lambda server: request(server, "GET", "/signalr/connect?transport=webSockets&connectionToken=x"),
    lambda server: request(server, "GET", "/signalr/hubs"),
])
def test_cross_origin_headers_everywhere(server, answer):
    own = request(server, "GET", "/signalr/negotiate", headers={"Origin": "https://app.example"})
    assert own.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert own.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer(server).status in (200, 400)


def test_bad_input_leaves_the_server_standing(server):
    client = Classic(server, "chathub")
    for body in ("", "data", "data=", "data=%", "data=%7B", "data=[]", "data=" + "[" * 5_000, "=&&=", "\x00"):
        answer = request(server, "POST", client.target("send", transport="longPolling"), body=body)
        assert answer.status in (200, 500), (body, answer)
    for messages in ("d-", "x" * 2_000, "d-1-A,1|B", "%00"):
        connection = open_connection(server)
        connection.request("GET", client.target("reconnect", transport="serverSentEvents", messageId=messages))
        assert connection.getresponse().status in (200, 500)
        connection.close()
    assert client.send("longPolling", "chathub", "send", "a", "b") == {"I": "0"}
    assert json.loads(request(server, "GET", "/signalr/ping").text) == {"Response": "pong"}
