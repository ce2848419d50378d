# SignalBox: the commands that look into a running service.
# SPDX-License-Identifier: Apache-2.0

import hashlib
import json
import signal

import pytest

from harness.admin import Admin, Following, signalbox
from harness.http import eventually, request
from harness.hub import Hub
from harness.rest import call_rest
from harness.server import ACCESS_KEY, Server
from harness.tokens import bearer, client_token

USAGE, UNAVAILABLE, NO_PERMISSION, CONFIGURATION = 64, 69, 77, 78
COMMANDS = [["connections"], ["groups"], ["users"], ["kick", "--connection", "7bJYYlJ0lT6eOLfPCUkz4A"], ["tail"], ["keys"], ["drain"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def own(folder):
    server = Server("--mode", "classic", "--admin-port", "0", "--data-folder", str(folder))
    Admin(server)
    yield server
    assert server.stop() == 0, server.output()


@pytest.fixture
def run(own, folder):
    """Runs a command that finds the service by the data folder alone."""
    return lambda command, *arguments, **details: signalbox(command, "--data-folder", str(folder), *arguments, **details)


@pytest.fixture
def connect(own, hub):
    clients = []

    def connect(user=None) -> Hub:
        clients.append(Hub(own, f"/client/?hub={hub}", headers=bearer(client_token(own, hub, user))))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_help_is_help(command):
    done = signalbox(command[0], "--help")
    assert (done.returncode, done.stderr) == (0, "") and "USAGE: signalbox" in done.stdout
    assert "SIGNALBOX_ADMIN]" in done.stdout and "SIGNALBOX_ADMIN_KEY]" in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_a_service_it_says_what_to_do(command, tmp_path):
    done = signalbox(*command, "--admin", "http://127.0.0.1:9", "--admin-key", "k" * 32)
    assert done.returncode == UNAVAILABLE and done.stdout == ""
    assert done.stderr.strip() == (
        "signalbox: no service answers at http://127.0.0.1:9; start one with `signalbox serve`, or give --admin")
    done = signalbox(*command, "--data-folder", str(tmp_path))
    assert done.returncode == CONFIGURATION and "--admin-key" in done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_wrong_key_is_refused(own, command):
    done = signalbox(*command, "--admin", Admin(own).url, "--admin-key", "w" * 32)
    assert done.returncode == NO_PERMISSION and "--admin-key" in done.stderr and "w" * 32 not in done.stderr


def test_the_public_listener_is_no_admin_listener(own):
    done = signalbox("connections", "--admin", own.url, "--admin-key", "k" * 32)
    assert done.returncode in (UNAVAILABLE, NO_PERMISSION) and own.url in done.stderr


def test_address_and_key_come_from_the_environment(own, hub, connect):
    connect("ann")
    admin = Admin(own)
    done = signalbox("users", "--json", variables={
        "SIGNALBOX_ADMIN": admin.url, "SIGNALBOX_ADMIN_KEY": admin.key, "SIGNALBOX_HUB": hub})
    assert json.loads(done.stdout) == {"users": [{"hub": hub, "user": "ann", "connections": 1}]}


def test_connections_are_a_table_for_people(run, hub, connect):
    clients = [connect("ann"), connect("bob")]
    done = run("connections", "--hub", hub)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0].split()[:4] == ["CONNECTION", "HUB", "USER", "TRANSPORT"]
    assert {line.split()[0] for line in lines[1:]} == {client.connection_id for client in clients}
    assert len({line.index(hub) for line in lines[1:]}) == 1, "columns are aligned"
    assert run("connections", "--hub", hub, "--user", "nobody").stdout == "No connections.\n"


def test_and_json_for_programs(run, hub, connect):
    clients = [connect(str(number)) for number in range(5)]
    found = json.loads(run("connections", "--hub", hub, "--json").stdout)["connections"]
    assert {one["connectionId"] for one in found} == {client.connection_id for client in clients}
    assert len(json.loads(run("connections", "--hub", hub, "--json", "--limit", "3").stdout)["connections"]) == 3


def test_a_peer_cannot_move_the_cursor(run, hub, connect):
    connect("\x1b[2J\u202eevil\n")
    text = run("connections", "--hub", hub).stdout
    assert "\x1b" not in text and "\u202e" not in text and len(text.splitlines()) == 2 and "evil" in text


def test_one_connection_has_its_story(run, connect):
    client = connect("ann")
    text = run("connections", "--", client.connection_id).stdout
    assert "Why this transport: " in text and "handshake" in text and "webSockets" in text
    assert json.loads(run("connections", "--json", "--", client.connection_id).stdout)["user"] == "ann"


@pytest.mark.parametrize("identifier", ["7bJYYlJ0lT6eOLfPCUkz4A", "-hJYYlJ0lT6eOLfPCUkz4A"])
@pytest.mark.parametrize("command", [["connections", "--"], ["kick", "--connection"]])
def test_a_connection_that_is_not_there(run, command, identifier):
    """Ids may begin with a hyphen."""
    done = run(*command, identifier)
    assert done.returncode == 1 and "no such connection" in done.stderr


def test_groups_and_users_are_counted(own, run, hub, connect):
    client = connect("ann")
    path = f"/api/hubs/{hub}/groups/blue/connections/{client.connection_id}"
    assert call_rest(own, "PUT", path).status == 200
    assert run("groups", "--hub", hub).stdout.split() == ["HUB", "GROUP", "CONNECTIONS", hub, "blue", "1"]
    assert run("users", "--hub", hub).stdout.split() == ["HUB", "USER", "CONNECTIONS", hub, "ann", "1"]


def test_lists_can_be_watched(own, folder, hub, connect):
    with Following("users", "--hub", hub, "--watch", "--data-folder", str(folder)) as watching:
        hub_missing = watching.next()
        assert hub_missing is None, "a hub that is not there is an error"
    connect("ann")
    with Following("users", "--hub", hub, "--watch", "--data-folder", str(folder)) as watching:
        watching.until("ann")
        connect("bob")
        watching.until("bob")
        assert watching.stop(signal.SIGINT) in (130, -signal.SIGINT)


def test_kick_ends_clients(run, hub, connect):
    ann, bob = connect("ann"), connect("bob")
    assert run("kick", "--connection", ann.connection_id, "--reason", "enough").stdout == "Disconnected 1 client.\n"
    assert ann.receive()["error"] == "enough"
    assert json.loads(run("kick", "--hub", hub, "--user", "bob", "--allow-reconnect", "--json").stdout) == {"disconnected": 1}
    assert bob.receive()["allowReconnect"] is True


@pytest.mark.parametrize("arguments", [
    [], ["--user", "a"], ["--user", "a", "--group", "b", "--hub", "c"], ["--connection", "a", "--user", "b"]])
def test_kick_needs_one_target(arguments):
    assert signalbox("kick", *arguments).returncode == USAGE


def test_tail_shows_what_happens(own, folder, hub, connect):
    with Following("tail", "--hub", hub, "--payloads", "--data-folder", str(folder)) as tail:
        # Only what happens after it is connected is shown, so clients come until one is.
        clients = []
        eventually(lambda: clients.append(connect("ann")) or not tail.lines.empty())
        line = tail.until(clients[-1].connection_id)
        assert hub in line and "\x1b" not in line
        Admin(own).post("/api/send", {"hub": hub, "method": "hello", "arguments": ["world"]})
        assert "world" in tail.until("call hello")
        assert tail.stop(signal.SIGINT) in (130, -signal.SIGINT)


def test_tail_for_programs_filters(own, folder, hub, connect):
    with Following("tail", "--kind", "refused", "--json", "--data-folder", str(folder)) as tail:
        refused = lambda: request(own, "POST", f"/client/negotiate?hub={hub}", headers=bearer("wrong"))  # noqa: E731
        eventually(lambda: refused() and not tail.lines.empty())
        assert json.loads(tail.next())["kind"] == "refused"
    done = signalbox("tail", "--kind", "nothing", "--data-folder", str(folder))
    assert done.returncode == 1 and "nothing" in done.stderr


def test_keys_shows_fingerprints(run):
    text = run("keys").stdout
    assert hashlib.sha256(ACCESS_KEY.encode()).hexdigest()[:16] in text and ACCESS_KEY not in text
    assert text.split()[2:] == ["secondary", "none"]


def test_several_services_must_be_told_apart(start_server, tmp_path):
    servers = [start_server("--admin-port", "0", "--data-folder", str(tmp_path)) for _ in range(2)]
    admins = [Admin(server) for server in servers]
    eventually(lambda: len(list((tmp_path / "running").glob("*.json"))) == 2)
    done = signalbox("keys", "--data-folder", str(tmp_path))
    assert done.returncode == CONFIGURATION and all(admin.url in done.stderr for admin in admins)
    assert servers[0].stop() == 0
    assert signalbox("keys", "--data-folder", str(tmp_path)).returncode == 0
    servers[1].kill()
    done = signalbox("keys", "--data-folder", str(tmp_path))
    # Another service may be at the port that commands try then.
    assert done.returncode != 0 and admins[1].url not in done.stderr, "what a crash left behind is no service"


def test_drain_takes_it_out_of_use(start_server, tmp_path):
    server = start_server("--admin-port", "0", "--data-folder", str(tmp_path))
    Admin(server)
    eventually(lambda: list((tmp_path / "running").glob("*.json")))
    assert signalbox("drain", "--data-folder", str(tmp_path)).returncode == 0
    assert Admin(server).get("/api/overview")["draining"] is True
