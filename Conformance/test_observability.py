# SignalBox: metrics, JSON logs and trace context, as the tools of others read them.
# SPDX-License-Identifier: Apache-2.0

import json
import re

import pytest

from harness.admin import Admin
from harness.http import eventually, request
from harness.hub import Hub
from harness.server import Server
from harness.tokens import bearer, client_token
from harness.transports import TRANSPORTS
from harness.visitor import Visitor

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|[+-]Inf|NaN)")


@pytest.fixture(scope="module")
def own():
    server = Server("--mode", "classic", "--admin-port", "0")
    yield server
    assert server.stop() == 0, server.output()


def samples(text: str) -> dict:
    """Checks the format as promtool does, and gives {(name, labels): value}."""
    assert text.endswith("\n")
    kinds, helped, found, family = {}, set(), {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, family) and family not in helped, line
            assert line.split(" ", 3)[3]
            helped.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == family and name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert name == family or kinds[family] == "histogram" and re.fullmatch(f"{family}_(bucket|sum|count)", name), line
            assert kinds[family] != "counter" or family.endswith("_total"), f"{family} is a counter"
            assert (name, labels) not in found, f"twice: {line}"
            found[name, labels] = float(value)
    buckets = [(key, value) for key, value in found.items() if key[0].endswith("_bucket")]
    for (name, labels), value in buckets:
        if 'le="+Inf"' in labels:
            rest = ",".join(part for part in re.findall(LABEL, labels) if not part.startswith("le="))
            assert found[name.removesuffix("_bucket") + "_count", rest or None] == value
    return found


def test_metrics_are_what_prometheus_reads(own, hub):
    admin = Admin(own)
    for transport in TRANSPORTS:
        Hub(own, f"/client/?hub={hub}", transport, headers=bearer(client_token(own, hub))).close()
    eventually(lambda: admin.get("/api/overview")["totals"]["closed"] >= 2)
    answer = admin.answer("GET", "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    assert found["signalbox_connections", f'hub="{hub}"'] >= 0
    assert found["signalbox_accepted_total", None] >= 3
    assert found["process_resident_memory_bytes", None] > 1 << 20
    durations = {key: value for key, value in found.items() if key[0] == "signalr_server_connection_duration_seconds_count"}
    assert sum(durations.values()) >= 2 and all("signalr_transport=" in key[1] for key in durations)
    assert any(key[0] == "signalr_server_connections_closed_total" for key in found)
    assert found["signalr_server_active_connections", 'signalr_transport="web_sockets"'] >= 0


def test_metrics_count_messages(own, hub):
    admin = Admin(own)
    with Hub(own, f"/client/?hub={hub}", headers=bearer(client_token(own, hub))) as client:
        key = ("signalbox_messages_total", 'direction="out"')
        before = samples(admin.answer("GET", "/metrics").text)[key]
        admin.post("/api/send", {"hub": hub, "method": "m", "arguments": []})
        client.receive()
        assert samples(admin.answer("GET", "/metrics").text)[key] >= before + 1


def test_logs_can_be_json(start_server, hub):
    server = start_server("--log-format", "json", "--log-level", "debug", "--admin-port", "0")
    with Hub(server, f"/client/?hub={hub}", headers=bearer(client_token(server, hub))):
        pass
    assert server.stop() == 0
    server_lines = [line for line in server.output().splitlines() if line and not line.startswith("stdout: ")]
    entries = [json.loads(line) for line in server_lines]
    assert entries
    for entry in entries:
        assert {"time", "level", "logger", "message"} <= set(entry) <= {"time", "level", "logger", "message", "metadata"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
    closed = [entry for entry in entries if entry["message"] == "Connection closed"]
    assert closed and "signalr.connection.id" in closed[0]["metadata"]


# Trace context


@pytest.fixture
def serverless(start_server, start_upstream):
    upstream = start_upstream()
    return start_server("--mode", "serverless", "--upstream", upstream.url + "/{event}", "--admin-port", "0"), upstream


def test_upstream_sees_the_trace_of_the_connection(serverless):
    server, upstream = serverless
    headers = bearer(client_token(server)) | {"traceparent": PARENT, "tracestate": "vendor=1"}
    with Hub(server, "/client/?hub=chat", headers=headers) as client:
        connected = upstream.next("connected", client.connection_id)
        assert connected.headers["traceparent"].split("-")[1] == TRACE and connected.headers["tracestate"] == "vendor=1"
        other = f"00-{'1' * 32}-{'2' * 16}-00"
        client.invoke("echo", headers={"traceparent": other})
        assert upstream.next("echo").headers["traceparent"].split("-")[1] == "1" * 32
        client.invoke("plain")
        assert upstream.next("plain").headers["traceparent"].split("-")[1] == TRACE


def test_the_trace_of_the_negotiation_counts_where_the_connection_has_none(serverless):
    server, upstream = serverless
    token = bearer(client_token(server))
    answer = request(
        server, "POST", "/client/negotiate?hub=chat&negotiateVersion=1", headers=token | {"traceparent": PARENT}).json()
    identifier = answer["connectionToken"]
    poll = lambda: request(server, "GET", f"/client/?hub=chat&id={identifier}", headers=token)
    assert poll().status == 200
    hello = b'{"protocol":"json","version":1}\x1e'
    assert request(server, "POST", f"/client/?hub=chat&id={identifier}", body=hello, headers=token).status == 200
    event = upstream.next("connected", answer["connectionId"])
    assert event.headers["traceparent"].split("-")[1] == TRACE
    request(server, "DELETE", f"/client/?hub=chat&id={identifier}", headers=token)


@pytest.mark.parametrize("wrong", ["", "x", f"00-{'0' * 32}-{'1' * 16}-01", PARENT.upper(), PARENT + "-x", f"ff{PARENT[2:]}"])
def test_what_is_no_trace_context_goes_no_further(serverless, wrong):
    server, upstream = serverless
    headers = bearer(client_token(server)) | {"traceparent": wrong, "tracestate": "vendor=1"}
    with Hub(server, "/client/?hub=chat", headers=headers) as client:
        connected = upstream.next("connected", client.connection_id)
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", connected.headers["traceparent"])
        assert TRACE not in connected.headers["traceparent"] and connected.headers["tracestate"] is None


def test_app_servers_see_the_trace_of_the_connection(service, hub, attach):
    connection = attach()
    visitor = Visitor(service, hub, headers={"traceparent": PARENT, "tracestate": "vendor=1"})
    opened = connection.take_client(protocol="json")
    headers = {name.lower(): values for name, values in opened["headers"].items()}
    assert headers["traceparent"][0].split("-")[1] == TRACE and headers["tracestate"] == ["vendor=1"]
    visitor.close()
