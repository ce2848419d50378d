# SignalBox: the admin listener: who may ask, what it tells, and what can be done by it.
# SPDX-License-Identifier: Apache-2.0

import hashlib
import http.client
import json
import re

import pytest

from harness.admin import Admin, signalbox
from harness.classic import ClassicPolling, ClassicSocket
from harness.http import eventually, negotiate, request
from harness.hub import Hub
from harness.server import PATIENCE, Server
from harness.server_connection import ServerConnection
from harness.tokens import bearer, client_token
from harness.transports import TRANSPORTS, LongPollingTransport, WebSocketTransport

ADMIN_KEY = "conformance-admin-key-of-more-than-32-characters"
PATHS = ["/api/overview", "/api/history", "/api/hubs", "/api/connections", "/api/connections/7bJYYlJ0lT6eOLfPCUkz4A",
         "/api/groups", "/api/users", "/api/servers", "/api/upstream", "/api/keys", "/api/trace", "/metrics"]
ACTIONS = ["/api/disconnect", "/api/send", "/api/token", "/api/drain"]


@pytest.fixture(scope="module")
def own():
    """A service of this module's own, since figures are compared."""
    server = Server("--mode", "classic", "--admin-key", ADMIN_KEY, "--admin-port", "0")
    yield server
    assert server.stop() == 0, server.output()


@pytest.fixture(scope="module")
def admin(own):
    return Admin(own)


@pytest.fixture
def connect(own, hub):
    """Clients of the test's hub, past their handshake."""
    clients = []

    def connect(user=None, transport=WebSocketTransport, headers=None, to=own, name=hub) -> Hub:
        token = bearer(client_token(to, name, user))
        clients.append(Hub(to, f"/client/?hub={name}", transport, headers=token | (headers or {})))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


# Who may ask


def test_the_first_line_stays_and_the_dashboard_follows(own, admin):
    lines = [line for line in own.output().splitlines() if line.startswith("stdout: ")]
    assert re.fullmatch(r"stdout: SignalBox listens on http://127\.0\.0\.1:\d+: Endpoint=\S+", lines[0])
    assert lines[1] == f"stdout: Dashboard: {admin.url}/#key={ADMIN_KEY}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [
    {}, bearer("wrong"), bearer(ADMIN_KEY[:-1]), bearer(ADMIN_KEY + "x"), {"X-Admin-Key": "wrong"},
    {"Authorization": f"Basic {ADMIN_KEY}"}, {"Authorization": ADMIN_KEY}, bearer(""),
])
def test_nothing_is_told_without_the_key(admin, path, headers):
    answer = request(admin, "GET", path, headers=headers)
    assert answer.status == 401 and set(answer.json()) == {"error"}
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ACTIONS)
def test_nothing_is_done_without_the_key(admin, path):
    assert request(admin, "POST", path, body="{}").status == 401
    assert request(admin, "POST", f"{path}?access_token={ADMIN_KEY}", body="{}").status == 401


def test_the_access_key_and_its_tokens_are_not_the_admin_key(own, admin):
    for secret in (own.access_key, client_token(own)):
        assert request(admin, "GET", "/api/overview", headers=bearer(secret)).status == 401


def test_the_key_counts_in_either_header(admin):
    assert request(admin, "GET", "/api/overview", headers={"X-Admin-Key": ADMIN_KEY}).status == 200
    assert request(admin, "GET", "/api/overview", headers=bearer(ADMIN_KEY)).status == 200


@pytest.mark.parametrize("path", ["/", "/dashboard.js", "/dashboard.css", "/signalbox.js", "/live", "/ready"])
def test_pages_and_health_need_no_key(admin, path):
    assert request(admin, "GET", path).status == 200


def test_the_hub_needs_the_key(admin):
    assert request(admin, "POST", "/hubs/admin/negotiate?negotiateVersion=1").status == 401
    assert request(admin, "POST", "/hubs/admin/negotiate?negotiateVersion=1", headers=bearer("wrong")).status == 401
    assert negotiate(admin, "/hubs/admin", headers=admin.headers)["connectionId"]


def test_the_public_listener_has_none_of_it(own, admin):
    for path in PATHS + ["/hubs/admin"]:
        assert request(own, "GET", path, headers=admin.headers).status in (401, 404), path
        assert request(own, "GET", path).status in (401, 404), path
    for path in ACTIONS + ["/hubs/admin/negotiate"]:
        assert request(own, "POST", path, body="{}", headers=admin.headers).status in (401, 404), path
    assert request(own, "GET", "/api/health").status == 200
    assert request(own, "GET", "/ready").status == 200


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/overview/more", "/nothing"])
def test_unknown_paths_are_404(admin, path):
    assert admin.answer("GET", path).status == 404


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/overview"), ("DELETE", "/api/connections"), ("GET", "/api/disconnect"), ("GET", "/api/drain"), ("PUT", "/metrics"),
])
def test_other_methods_are_405(admin, method, path):
    assert admin.answer(method, path).status == 405


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=99999999999999999999", "connection=x", "after=x"])
def test_wrong_queries_are_400_and_say_why(admin, query):
    answer = admin.answer("GET", f"/api/connections?{query}")
    assert answer.status == 400 and answer.json()["error"]


def test_without_admin_there_is_nothing(start_server):
    server = start_server("--no-admin")
    assert negotiate(server, "/client?hub=chat", headers=bearer(client_token(server)))
    assert "Dashboard:" not in server.output()


def test_a_port_in_use_is_one_clear_line_if_it_was_asked_for(admin, tmp_path):
    done = signalbox("serve", "--port", "0", "--admin-port", str(admin.port), "--data-folder", str(tmp_path))
    assert done.returncode == 69 and "Endpoint=" not in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1 and str(admin.port) in done.stderr and "--admin-port" in done.stderr


def test_a_made_key_is_kept_and_private(start_server, tmp_path):
    first = start_server("--data-folder", str(tmp_path), "--admin-port", "0")
    key = Admin(first).key
    assert len(key) >= 43 and (tmp_path / "admin-key").stat().st_mode & 0o777 == 0o600
    assert first.stop() == 0
    assert Admin(start_server("--data-folder", str(tmp_path), "--admin-port", "0")).key == key


# What it tells


def test_the_overview_counts(own, admin, hub, connect):
    before = admin.get("/api/overview")
    clients = [connect(user, transport) for user, transport in zip(["ann", "ann", None], TRANSPORTS)]
    eventually(lambda: admin.get("/api/overview")["totals"]["connections"] == before["totals"]["connections"] + 3)
    now = admin.get("/api/overview")
    assert now["totals"]["accepted"] == before["totals"]["accepted"] + 3
    assert now["totals"]["users"] == before["totals"]["users"] + 1
    assert now["totals"]["hubs"] == before["totals"]["hubs"] + 1
    assert now["mode"] == "classic" and now["draining"] is False and now["endpoint"] == own.url
    assert {kind: now["transports"][kind] - before["transports"][kind] for kind in now["transports"]} == {
        "webSockets": 1, "serverSentEvents": 1, "longPolling": 1}
    assert now["process"]["residentBytes"] > 1 << 20 and now["process"]["cpuSeconds"] > 0
    assert now["latency"]["p50"] <= now["latency"]["p99"] and "ms" in now["latency"]["what"]
    for client in clients:
        client.close()
    eventually(lambda: admin.get("/api/overview")["totals"]["closed"] >= before["totals"]["closed"] + 2)
    reasons = admin.get("/api/overview")["closeReasons"]
    assert reasons and all(reason["meaning"] for reason in reasons)


def test_history_gets_a_point_every_other_second(admin, connect):
    connect()
    eventually(lambda: len(admin.get("/api/history")["points"]) >= 2)
    history = admin.get("/api/history")
    assert history["stepSeconds"] == 2
    assert {"time", "connections", "messagesIn", "messagesOut", "connects", "disconnects", "rejected"} <= set(history["points"][0])
    eventually(lambda: admin.get("/api/history")["points"][-1]["connections"] >= 1)


def test_one_connection_with_all_its_facts(own, admin, hub, connect):
    client = connect("ann", headers={"User-Agent": "conformance"})
    facts = admin.get(f"/api/connections/{client.connection_id}")
    assert facts["hub"] == hub and facts["user"] == "ann" and facts["transport"] == "webSockets"
    assert facts["protocol"] == "json" and facts["remoteAddress"].startswith("127.0.0.1:")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", facts["connectedAt"])
    assert [event["event"] for event in facts["timeline"]] == ["negotiate", "connect", "handshake"]
    assert facts["transportChoice"]["chosen"] == "webSockets"
    assert [attempt["outcome"] for attempt in facts["transportChoice"]["tried"]] == ["chosen"]
    client.close()
    eventually(lambda: "closedAt" in admin.get(f"/api/connections/{client.connection_id}"))
    ended = admin.get(f"/api/connections/{client.connection_id}")
    assert ended["timeline"][-1]["event"] == "disconnect" and ended["closeReason"]["meaning"]


def test_a_client_that_fell_back_is_explained(admin, connect):
    agent = {"User-Agent": "one of a kind"}
    first = connect("ann", headers=agent)
    first.close()
    eventually(lambda: "closedAt" in admin.get(f"/api/connections/{first.connection_id}"))
    second = connect("ann", LongPollingTransport, headers=agent)
    choice = admin.get(f"/api/connections/{second.connection_id}")["transportChoice"]
    assert choice["chosen"] == "longPolling"
    outcomes = {attempt["transport"]: attempt["outcome"] for attempt in choice["tried"]}
    assert outcomes == {"webSockets": "failed", "serverSentEvents": "unknown", "longPolling": "chosen"}
    assert choice["explanation"]


def test_messages_and_bytes_are_counted(own, admin, hub, connect):
    """To one, to a group's members, to all, and to a client beside them that gets only the last."""
    ann, bob = connect("ann"), connect("bob")
    before = {one.connection_id: admin.get(f"/api/connections/{one.connection_id}") for one in (ann, bob)}
    for target in ({"target": "user", "to": "ann"}, {"target": "connection", "to": ann.connection_id}, {"target": "all"}):
        admin.post("/api/send", {"hub": hub, "method": "note", "arguments": ["x" * 100]} | target)
    for _ in range(3):
        assert ann.receive()["target"] == "note"
    assert bob.receive()["target"] == "note"
    for one, count in ((ann, 3), (bob, 1)):
        facts, old = admin.get(f"/api/connections/{one.connection_id}"), before[one.connection_id]
        assert facts["messagesOut"] - old["messagesOut"] == count
        assert facts["bytesOut"] - old["bytesOut"] > 100 * count
    ann.send({"type": 1, "target": "nobody", "arguments": []})
    eventually(lambda: admin.get(f"/api/connections/{ann.connection_id}")["messagesIn"] == 1)


def test_lists_come_by_pages_and_filters(admin, hub, connect):
    clients = [connect(user) for user in ("ann", "bob", "ann", "cid", "ann")]
    ids = {client.connection_id for client in clients}
    seen, after, pages = [], "", 0
    while after is not None:
        page = admin.get(f"/api/connections?hub={hub}&limit=2" + (f"&after={after}" if after else ""))
        assert len(page["connections"]) <= 2
        seen += [one["connectionId"] for one in page["connections"]]
        after, pages = page.get("after"), pages + 1
    assert len(seen) == 5 and set(seen) == ids and pages == 3
    assert len(admin.get(f"/api/connections?hub={hub}&user=ann")["connections"]) == 3
    one = clients[1].connection_id
    assert [c["connectionId"] for c in admin.get(f"/api/connections?connection={one}")["connections"]] == [one]
    users = admin.get(f"/api/users?hub={hub}")["users"]
    assert [(user["user"], user["connections"]) for user in users] == [("ann", 3), ("bob", 1), ("cid", 1)]
    [entry] = admin.get(f"/api/hubs?hub={hub}")["hubs"]
    assert (entry["name"], entry["connections"], entry["users"], entry["mode"]) == (hub, 5, 3, "classic")
    assert admin.answer("GET", "/api/hubs?hub=nowhere").status == 404


def test_app_servers_are_listed(start_server, hub):
    server = start_server("--mode", "default", "--admin-port", "0")
    admin = Admin(server)
    with admin.trace("kinds=server") as trace, ServerConnection(server, hub, "one") as connection:
        connection.shake_hands()
        assert trace.until(kind="server")["hub"] == hub
        [entry] = admin.get(f"/api/servers?hub={hub}")["servers"]
        assert entry["serverId"] == "one" and entry["clients"] == 0 and entry["status"] == "serving"
    eventually(lambda: admin.get(f"/api/servers?hub={hub}")["servers"] == [])


def test_deliveries_to_upstream_are_listed_without_secrets(start_server, start_upstream):
    upstream = start_upstream()
    upstream.answers["fail"] = lambda _: (500, b"")
    server = start_server("--mode", "serverless", "--admin-port", "0", "--upstream", upstream.url + "/{event}?code=hidden")
    admin = Admin(server)
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        client.invoke("fail")
        eventually(lambda: len(admin.get("/api/upstream")["deliveries"]) == 2)
        newest, oldest = admin.get("/api/upstream")["deliveries"]
        assert (newest["event"], newest["status"], newest["attempts"]) == ("fail", 500, 1) and newest["error"]
        assert (oldest["event"], oldest["status"]) == ("connected", 204) and "error" not in oldest
        assert newest["connectionId"] == client.connection_id and newest["durationMs"] >= 0
        assert "hidden" not in admin.answer("GET", "/api/upstream").text


def test_keys_are_fingerprints(own, admin):
    answer = admin.answer("GET", "/api/keys")
    assert own.access_key not in answer.text
    assert answer.json() == {"primary": {"fingerprint": hashlib.sha256(own.access_key.encode()).hexdigest()[:16]}}


def test_refusals_are_counted_and_traced(own, admin):
    before = admin.get("/api/overview")["totals"]["rejected"]
    with admin.trace("kinds=refused") as trace:
        request(own, "POST", "/client/negotiate?hub=nobody", headers=bearer("wrong"))
        event = trace.until(kind="refused")
    assert "401" in event["text"] and event["hub"] == "nobody" and "wrong" not in json.dumps(event)
    assert admin.get("/api/overview")["totals"]["rejected"] == before + 1


# What can be done


def test_one_client_is_disconnected_and_told_why(admin, connect):
    ann, bob = connect("ann"), connect("bob")
    assert admin.post("/api/disconnect", {"connectionId": ann.connection_id, "reason": "enough"}) == {"disconnected": 1}
    message = ann.receive()
    assert message["type"] == 7 and message["error"] == "enough" and not message.get("allowReconnect")
    ann.expect_end()
    bob.send({"type": 6})


def test_a_user_is_disconnected_and_may_come_back(admin, hub, connect):
    clients = [connect("ann"), connect("ann"), connect("bob")]
    body = {"user": "ann", "hub": hub, "allowReconnect": True}
    assert admin.post("/api/disconnect", body) == {"disconnected": 2}
    for client in clients[:2]:
        assert client.receive()["allowReconnect"] is True
    assert admin.post("/api/disconnect", body) == {"disconnected": 0}


@pytest.mark.parametrize("path, body", [
    ("disconnect", {}), ("disconnect", {"user": "a"}), ("disconnect", {"user": 1, "hub": "h"}),
    ("disconnect", {"user": "a", "group": "b", "hub": "h"}), ("disconnect", {"connectionId": "x"}), ("disconnect", []),
    ("send", {}), ("send", {"hub": "chat"}), ("send", {"hub": "chat", "method": "m", "arguments": 1}),
    ("send", {"hub": "chat", "method": "m", "target": "moon", "to": "x"}), ("send", {"hub": "chat", "method": "m", "target": "user"}),
])
def test_wrong_bodies_are_explained(admin, path, body):
    answer = admin.answer("POST", f"/api/{path}", body)
    assert answer.status == 400 and answer.json()["error"]


def test_bodies_that_are_no_json_or_too_large_are_400(admin):
    for body in (b"{", b"\xff", b"[" * 100_000, b'{"a":"' + b"x" * (1 << 20) + b'"}'):
        assert request(admin, "POST", "/api/send", body=body, headers=admin.headers).status == 400


def test_the_console_gets_tokens_that_work(own, admin, hub):
    token = admin.post("/api/token", {"hub": hub, "user": "ann"})
    assert token["url"] == f"{own.url}/client/?hub={hub}"
    with Hub(own, f"/client/?hub={hub}", headers=bearer(token["accessToken"])) as client:
        assert admin.get(f"/api/connections/{client.connection_id}")["user"] == "ann"


def test_draining_turns_new_clients_away_and_lets_those_here_go(start_server, hub):
    server = start_server("--mode", "classic", "--admin-port", "0")
    admin = Admin(server)
    headers = bearer(client_token(server, hub))
    with Hub(server, f"/client/?hub={hub}", headers=headers) as client:
        assert admin.post("/api/drain", {}) == {"draining": True}
        assert request(server, "GET", "/ready").status == 503 and request(admin, "GET", "/ready").status == 503
        assert request(admin, "GET", "/live").status == 200 and request(server, "GET", "/api/health").status == 200
        answer = request(server, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers)
        assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 5
        message = client.receive()
        assert message["type"] == 7 and message["allowReconnect"] is True
    assert admin.get("/api/overview")["draining"] is True
    assert server.stop() == 0


def test_draining_reaches_classic_clients(start_server, poll, hub):
    """They lose their transports, may not come back here, and nobody new may come."""
    server = start_server("--mode", "classic", "--admin-port", "0")
    admin = Admin(server)
    token = client_token(server, hub)
    socket, polling = [kind(server, hub, path="/aspnetclient", token=token).connect() for kind in (ClassicSocket, ClassicPolling)]
    late = ClassicSocket(server, hub, path="/aspnetclient", token=token)
    waiting = poll(server, polling.target("poll", transport=polling.transport, **polling.resume()), polling.headers)
    assert admin.post("/api/drain", {}) == {"draining": True}
    assert socket.at_end()
    answer = waiting.result(PATIENCE)
    # Unless the poll was later than the end.
    assert answer.status == 404 or answer.json()["T"] == 1
    for client in (socket, polling):
        eventually(lambda: client.get("reconnect", transport=client.transport, **client.resume()).status == 404)
    answer = request(server, "GET", socket.target("negotiate"), headers=socket.headers)
    assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 5
    # One that had negotiated before is let in, and told.
    assert late.open().at_end()
    assert server.stop() == 0


# The hub and the trace


def test_the_hub_pushes_figures(admin):
    with Hub(admin, "/hubs/admin", headers=admin.headers) as watcher:
        identifier = watcher.start(1, "subscribe")
        messages = [watcher.receive() for _ in range(3)]
        assert any(message.get("invocationId") == identifier for message in messages)
        pushed = [message for message in messages if message.get("target") == "overview"]
        assert pushed[-1]["arguments"][0]["totals"] and "point" in pushed[-1]["arguments"][0]


def test_the_hub_streams_what_happens(admin, hub, connect):
    with Hub(admin, "/hubs/admin", headers=admin.headers) as watcher:
        stream = watcher.start(4, "watch", {"hub": hub, "payloads": True})
        connect("ann")
        kinds, events = [], []
        while "handshake" not in kinds:
            message = watcher.receive()
            assert message["type"] == 2 and message["invocationId"] == stream
            kinds.append(message["item"]["kind"])
        admin.post("/api/send", {"hub": hub, "method": "hello", "arguments": [{"a": 1}]})
        while not events or events[-1]["kind"] != "message":
            events.append(watcher.receive()["item"])
        assert events[-1]["detail"]["method"] == "hello" and events[-1]["detail"]["arguments"] == [{"a": 1}]
        assert events[-1]["detail"]["direction"] == "out" and events[-1]["hub"] == hub


@pytest.mark.parametrize("filter", [{"kinds": ["nothing"]}, {"connection": "x"}, {"kinds": 1}, {"payloads": "yes"}, 5])
def test_wrong_filters_are_explained(admin, filter):
    with Hub(admin, "/hubs/admin", headers=admin.headers) as watcher:
        watcher.start(4, "watch", filter)
        assert watcher.receive()["error"]


def test_the_trace_follows_one_user(admin, hub, connect):
    with admin.trace(f"hub={hub}&user=ann") as trace:
        connect("bob"), connect("ann")
        assert trace.until(kind="handshake")["user"] == "ann"
        admin.post("/api/send", {"hub": hub, "method": "one", "target": "user", "to": "bob"})
        admin.post("/api/send", {"hub": hub, "method": "two", "arguments": ["hidden"]})
        event = trace.until(kind="message")
        assert event["detail"]["method"] == "two" and event["user"] == "ann" and "arguments" not in event["detail"]
        assert event["detail"]["bytes"] > 0


def test_a_trace_ends_with_the_service(start_server):
    server = start_server("--admin-port", "0")
    with Admin(server).trace() as trace:
        assert server.stop() == 0
        while trace.next() is not None:
            pass


def test_only_so_many_follow_the_trace(start_server):
    admin = Admin(start_server("--admin-port", "0"))
    traces = [admin.trace() for _ in range(64)]
    assert admin.answer("GET", "/api/trace").status == 503
    traces.pop().close()
    eventually(lambda: admin.answer("HEAD", "/api/trace").status == 200)
    for trace in traces:
        trace.close()


def test_a_slow_reader_is_told_what_it_lost(start_server, hub):
    server = start_server("--mode", "classic", "--admin-port", "0")
    admin = Admin(server)
    headers = bearer(client_token(server, hub))
    with Hub(server, f"/client/?hub={hub}", headers=headers) as client, admin.trace("kinds=message&payloads=true") as trace:
        # Nobody reads; the socket's buffers fill, then the watch's queue.
        argument = "x" * 3_000
        body = json.dumps({"hub": hub, "method": "m", "target": "user", "to": "nobody", "arguments": [argument]})
        connection = http.client.HTTPConnection(admin.host, admin.port, timeout=PATIENCE)
        lost = None
        for _ in range(6_000):
            connection.request("POST", "/api/send", body=body, headers=admin.headers)
            assert connection.getresponse().read() == b"{}"
        while lost is None:
            event = trace.next()
            assert event is not None
            if event["kind"] == "lost":
                lost = event["count"]
        assert lost > 0
        connection.close()
        client.send({"type": 6})
