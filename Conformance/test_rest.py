# SignalBox: the REST API of the later versions: asking clients, commands, streams, members, documents, and what survives.
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import subprocess
import sys
import threading
from urllib.parse import quote, urlsplit

import msgpack
import pytest

from harness.codec import JSON, MessagePack
from harness.http import Answer, eventually, request
from harness.hub import Hub
from harness.rest import call_rest
from harness.server import Server
from harness.tokens import bearer, client_token, rest_token
from harness.transports import LongPollingTransport, WebSocketTransport

VERSION = "2024-12-01"
CODECS = [JSON, MessagePack]


def below(hub: str, server: Server, method: str, path: str, *arguments, **options) -> Answer:
    """A REST request below a hub."""
    return call_rest(server, method, f"/api/hubs/{hub}{path}", *arguments, version=VERSION, **options)



@pytest.fixture
def rest(server, hub):
    return lambda *arguments, **options: below(hub, server, *arguments, **options)


@pytest.fixture
def connect(server, hub):
    clients = []

    def connect(codec=JSON, user=None, transport=WebSocketTransport, on=server) -> Hub:
        headers = bearer(client_token(on, hub, user))
        clients.append(Hub(on, f"/client/?hub={hub}", transport, codec, headers))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


class Later:
    """A request in the background."""

    def __init__(self, work):
        self.answer = None

        def run():
            self.answer = work()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def result(self) -> Answer:
        self.thread.join(40)
        assert self.answer is not None, "no answer came"
        return self.answer


# Asking a client


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("transport", [WebSocketTransport, LongPollingTransport])
def test_a_client_is_asked(connect, rest, codec, transport):
    client = connect(codec, transport=transport)
    asked = Later(lambda: rest("POST", f"/connections/{client.connection_id}/:invoke", {"target": "ask", "arguments": [1, "ä"]}))
    call = client.receive()
    assert (call["type"], call["target"], call["arguments"]) == (1, "ask", [1, "ä"])
    client.send({"type": 3, "invocationId": call["invocationId"], "result": {"x": ["Zoë", 1, None]}})
    answer = asked.result()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["result"] == {"x": ["Zoë", 1, None]}


def test_many_questions_at_once_find_their_answers(connect, rest):
    clients = [connect() for _ in range(5)]
    asked = [
        Later(lambda client=client: rest("POST", f"/connections/{client.connection_id}/:invoke", {"target": "who"}))
        for client in clients
    ]
    for client in clients:
        call = client.receive()
        client.send({"type": 3, "invocationId": call["invocationId"], "result": client.connection_id})
    assert [question.result().json()["result"] for question in asked] == [client.connection_id for client in clients]


def test_a_client_may_answer_with_an_error(connect, rest):
    client = connect()
    asked = Later(lambda: rest("POST", f"/connections/{client.connection_id}/:invoke", {"target": "ask"}))
    client.send({"type": 3, "invocationId": client.receive()["invocationId"], "error": "no idea"})
    answer = asked.result()
    assert (answer.status, answer.json()["message"]) == (400, "no idea")


def test_who_leaves_or_is_not_there_cannot_answer(connect, rest):
    client = connect()
    asked = Later(lambda: rest("POST", f"/connections/{client.connection_id}/:invoke", {"target": "ask"}))
    client.receive()
    client.close()
    for answer in (asked.result(), rest("POST", "/connections/nobody/:invoke", {"target": "ask"})):
        assert (answer.status, answer.headers["x-ms-error-code"]) == (404, "Error.Connection.NotExisted")


def test_a_client_cannot_answer_for_another(connect, rest):
    client, thief = connect(), connect()
    asked = Later(lambda: rest("POST", f"/connections/{client.connection_id}/:invoke", {"target": "ask"}))
    call = client.receive()
    thief.send({"type": 3, "invocationId": call["invocationId"], "result": "stolen"})
    assert thief.receive()["type"] == 7
    client.send({"type": 3, "invocationId": call["invocationId"], "result": "mine"})
    assert asked.result().json()["result"] == "mine"


# Streams


@pytest.mark.parametrize("codec", CODECS)
def test_items_of_a_stream(connect, rest, codec):
    client = connect(codec)
    path = f"/connections/{client.connection_id}/streams/{quote('s/1', safe='')}"
    assert rest("POST", f"{path}/:send", b'{"a":[1]}').status == 202
    assert rest("POST", f"{path}/:send", b'"last"', query="&completed=true").status == 202
    assert rest("POST", f"{path}/:complete", query="&reason=broken").status == 202
    messages = [client.receive() for _ in range(4)]
    assert [(message["type"], message["invocationId"]) for message in messages] == [(2, "s/1"), (2, "s/1"), (3, "s/1"), (3, "s/1")]
    assert [message.get("item") for message in messages[:2]] == [{"a": [1]}, "last"]
    assert (messages[2].get("error"), messages[3]["error"]) == (None, "broken")


def test_frames_of_a_stream(connect, rest):
    clients = [connect(JSON), connect(MessagePack)]
    message = {"type": 2, "invocationId": "s", "item": 7}
    body = msgpack.packb({codec.name: codec().encode(message) for codec in CODECS})
    for client in clients:
        path = f"/connections/{client.connection_id}/streams/s/:send"
        assert rest("POST", path, body, kind="application/octet-stream").status == 202
        assert client.receive() == message or client.codec.is_binary


# Commands


def test_commands_for_those_that_a_filter_picks(connect, rest):
    ann, bob, nobody = connect(user="ann"), connect(MessagePack, user="bob"), connect()
    commands = [{"type": "JoinGroup", "group": "g"}, {"type": "SendMessage", "message": {"target": "news", "arguments": ["in"]}}]
    assert rest("POST", "/:execute", commands, query="&filter=" + quote("userId in ('ann', 'bob')")).status == 202
    for client in (ann, bob):
        assert client.receive()["arguments"] == ["in"]
    assert rest("POST", "/groups/g/:send", {"target": "news", "arguments": ["members"]}).status == 202
    for client in (ann, bob):
        assert client.receive()["arguments"] == ["members"]
    end = [{"type": "CloseConnection", "reason": "over"}]
    assert rest("POST", "/:execute", end, query="&filter=" + quote("'g' in groups and not startswith(userId, 'b')")).status == 202
    assert ann.receive()["error"] == "over"
    rest("POST", "/:send", {"target": "news", "arguments": ["all"]})
    for client in (bob, nobody):
        assert client.receive()["arguments"] == ["all"]


@pytest.mark.parametrize("filter", ["x", "userId eq", "userId eq 'a", "(" * 3000, "'a' in groups or", "drop table"])
def test_a_filter_that_is_none_is_a_bad_request(rest, filter):
    assert rest("POST", "/:execute", [], query="&filter=" + quote(filter)).status == 400


# Members


def test_members_by_pages(server, connect, rest, hub):
    members = [connect(user=f"u{number}") for number in range(5)]
    connect(user="outside")
    for member in members:
        assert rest("PUT", f"/groups/g/connections/{member.connection_id}").status == 200
    path = f"/api/hubs/{hub}/groups/g/connections"
    headers = bearer(rest_token(server, path))
    link, found = f"{server.url}{path}?maxPageSize=2&api-version={VERSION}", {}
    while link:
        url = urlsplit(link)
        assert (f"{url.scheme}://{url.netloc}", url.path) == (server.url, path)
        answer = request(server, "GET", f"{url.path}?{url.query}", headers=headers)
        assert answer.status == 200
        page = answer.json()
        assert 0 < len(page["value"]) <= 2
        found |= {member["connectionId"]: member["userId"] for member in page["value"]}
        link = page.get("nextLink")
    assert found == {member.connection_id: f"u{number}" for number, member in enumerate(members)}


# What survives


def test_user_groups_survive_a_crash(start_server, connect, hub, tmp_path):
    database = str(tmp_path / "state.sqlite")
    old = start_server("--database", database, "--mode", "serverless")
    for user, group in (("ann", "a/b"), ("ann", "gone"), ("bob", "ä")):
        assert below(hub, old, "PUT", f"/users/{user}/groups/{quote(group, safe='')}").status == 200
    assert below(hub, old, "DELETE", "/users/ann/groups/gone").status == 204
    old.kill()
    new = start_server("--database", database, "--mode", "serverless")
    assert below(hub, new, "GET", "/users/ann/groups/a%2Fb").status == 200
    assert below(hub, new, "GET", "/users/bob/groups/%C3%A4").status == 200
    assert below(hub, new, "GET", "/users/ann/groups/gone").status == 404
    client = connect(user="ann", on=new)
    assert below(hub, new, "POST", "/groups/a%2Fb/:send", {"target": "news", "arguments": ["x"]}).status == 202
    assert client.receive()["arguments"] == ["x"]


def test_without_a_database_nothing_is_written(start_server, hub, tmp_path):
    server = start_server("--data-folder", str(tmp_path / "data"))
    assert below(hub, server, "PUT", "/users/ann/groups/g").status == 200
    assert server.stop() == 0
    written = {path.name for path in (tmp_path / "data").rglob("*")}
    assert written <= {"admin-key", "running"}, "only what commands find the service by"


def test_a_file_that_is_no_database_is_refused(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("Dear database, " * 100)
    with pytest.raises(AssertionError, match="cannot use the database"):
        Server("--database", str(file))


def test_a_membership_ends_with_its_time(connect, rest):
    client = connect(user="u")
    assert rest("PUT", "/users/u/groups/g", query="&ttl=1").status == 200
    eventually(lambda: rest("GET", "/users/u/groups/g").status == 404)
    assert rest("PUT", "/users/u/groups/h", query="&ttl=0").status == 200
    assert rest("GET", "/users/u/groups/h").status == 404
    rest("POST", "/groups/h/:send", {"target": "news"})
    assert client.receive()["target"] == "news"


# Documents


@pytest.mark.parametrize("version", ["v1", "2022-06-01", "2024-12-01"])
def test_the_document_of_a_version(server, version):
    answer = request(server, "GET", f"/api/swagger/{version}/swagger.json")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    assert document["info"]["version"] == version
    assert document["servers"] == [{"url": server.url}]


def test_the_page_is_served(server):
    answer = request(server, "GET", "/api/swagger")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_host_that_is_none_gets_into_no_link(server):
    answer = request(server, "GET", "/api/swagger/swagger.json", headers={"Host": 'evil"/><x'})
    assert answer.status == 400 or answer.json()["servers"] == [{"url": "http://localhost"}]


# Every operation of the document, with values that it allows and values that it does not


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["2024-12-01", "2022-06-01", "v1"])
def test_it_is_as_documented(start_server, version, tmp_path):
    """Operations take the spellings of other versions too, so that methods beyond the document are none of its business."""
    server = start_server("--mode", "serverless")
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/api/swagger/{version}/swagger.json",
         "--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1", "--exclude-checks",
         "unsupported_method,allow_header_conformance", "--generation-database", "none", "--no-color"],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
        env=os.environ | {
            "SCHEMATHESIS_HOOKS": "harness.rest_hooks", "SIGNALBOX_TEST_KEY": server.access_key,
            "PYTHONPATH": str(pathlib.Path(__file__).parent)})
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
    assert "Server error" not in done.stdout and server.process.poll() is None
