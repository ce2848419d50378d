# SignalBox: the configuration file: what it sets, what is wrong with it, how it is shown, and how it changes a running service.
# SPDX-License-Identifier: Apache-2.0

import json
import signal
import ssl
import subprocess
import urllib.request

import pytest

from harness.http import eventually, request
from harness.hub import Hub
from harness.server import ACCESS_KEY, PATIENCE, Server
from harness.tokens import bearer, client_token, sign
from test_command_line import USAGE, signalbox

CONFIGURATION = 78  # sysexits.h: something in a configuration file
NO_INPUT = 66
OTHER_KEY = "another-access-key-of-more-than-32-characters"


@pytest.fixture
def file(tmp_path):
    """Writes the configuration file of the test."""
    path = tmp_path / "signalbox.yaml"

    def write(text: str):
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def upstream(start_upstream):
    return start_upstream()


def make_certificate(folder, name: str):
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


def reload(server: Server, expected: str):
    """Sends SIGHUP and waits until the log tells what came of it; gives the new lines."""
    before = len(server.output())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: expected in server.output()[before:])
    return server.output()[before:]


def negotiate(server: Server, key: str, hub="chat", origin=None) -> int:
    token = sign(server, f"{server.url}/client/?hub={hub}", key=key)
    headers = bearer(token) | ({"Origin": origin} if origin else {})
    return request(server, "POST", f"/client/negotiate?hub={hub}&negotiateVersion=1", headers=headers).status


# Checking and showing


def test_a_file_that_can_be_used_is_said_to_be(file):
    done = signalbox("check-config", file("mode: serverless\nlisten: {port: 1}\n"))
    assert (done.returncode, done.stderr) == (0, "") and "can be used" in done.stdout


def test_every_problem_has_its_place(file):
    path = file("lisen: 1\nlisten:\n  port: many\n  port: 70000\naccess:\n  primaryKey: short\nupstream:\n  templates: [http://x]\n")
    done = signalbox("check-config", path)
    assert done.returncode == CONFIGURATION and done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.removeprefix(path).split(":")[1:3] for line in lines] == [["1", "1"], ["3", "3"], ["4", "9"], ["6", "15"], ["8", "15"]]
    assert "did you mean 'listen'?" in lines[0] and "short" not in done.stderr


def test_serve_names_the_same_problems_and_does_not_start(file, tmp_path):
    path = file("listen:\n  prot: 1\nmode: other\n")
    done = signalbox("serve", "--port", "0", "--config", path, home=tmp_path)
    assert done.returncode == CONFIGURATION and done.stdout == ""
    assert done.stderr == signalbox("check-config", path).stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_missing_file_is_one_clear_line(tmp_path):
    for command in (["check-config"], ["serve", "--config"], ["print-config", "--config"]):
        done = signalbox(*command, str(tmp_path / "none.yaml"), home=tmp_path)
        assert done.returncode == NO_INPUT and done.stdout == ""
        assert len(done.stderr.splitlines()) == 1 and "none.yaml" in done.stderr


@pytest.mark.parametrize(("name", "text", "language"), [
    ("a.yaml", "listen: [1\n", "YAML"), ("a.json", '{"listen": }}', "JSON"), ("a.yaml", "a: b: c\n", "YAML")])
def test_what_is_no_configuration_is_explained(tmp_path, name, text, language):
    path = tmp_path / name
    path.write_text(text)
    done = signalbox("check-config", str(path))
    assert done.returncode == CONFIGURATION and f"this is not {language}" in done.stderr
    assert done.stderr.startswith(f"{path}:")


def test_garbage_is_no_configuration(tmp_path):
    path = tmp_path / "garbage"
    for content in (bytes(range(256)), b"a" * (2 << 20), b"{" * 100_000, b"a: *b\n", b"&a [*a]"):
        path.write_bytes(content)
        done = signalbox("check-config", str(path))
        assert done.returncode == CONFIGURATION and len(done.stderr) < 10_000, (content[:20], done)


def test_the_configuration_in_force_shows_origins(file):
    path = file("listen:\n  port: 1\n  host: 127.0.0.2\nmode: default\n")
    done = signalbox("print-config", "--config", path, "--port", "3", variables={"SIGNALBOX_MODE": "serverless"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "mode: serverless  # SIGNALBOX_MODE\n" in done.stdout
    assert "  port: 3  # --port\n" in done.stdout
    assert f"  host: 127.0.0.2  # {path}:3\n" in done.stdout
    assert "  clientTimeout: 30s  # default\n" in done.stdout


def test_secrets_are_shown_on_demand_only(file):
    path = file(f"access: {{primaryKey: {ACCESS_KEY}}}\nmode: serverless\nupstream: {{templates: ['http://x/?code=hidden']}}\n")
    done = signalbox("print-config", "--config", path)
    assert ACCESS_KEY not in done.stdout and "hidden" not in done.stdout and "***" in done.stdout
    done = signalbox("print-config", "--config", path, "--show-secrets", "--format", "json")
    shown = json.loads(done.stdout)
    assert shown["access"]["primaryKey"] == ACCESS_KEY
    assert shown["upstream"]["templates"][0]["url"] == "http://x/?code=hidden"


def test_what_is_shown_can_be_used(file, tmp_path):
    template = signalbox("print-config", "--defaults")
    assert template.returncode == 0
    path = file(template.stdout)
    assert signalbox("check-config", path).returncode == 0
    shown = signalbox("print-config", "--config", path, "--format", "json")
    again = tmp_path / "again.json"
    again.write_text(shown.stdout)
    assert signalbox("check-config", str(again)).returncode == 0
    assert signalbox("print-config", "--config", str(again), "--format", "json").stdout == shown.stdout


def test_wrong_options_are_wrong_use(tmp_path):
    assert signalbox("print-config", "--port", "many").returncode == USAGE
    assert signalbox("check-config").returncode == USAGE


# Serving


def test_flags_win_over_the_file(file, start_server):
    path = file(f"mode: default\naccess: {{primaryKey: {OTHER_KEY}}}\nlisten: {{host: 127.0.0.2, port: 1}}\nplayground: true\n")
    server = start_server("--config", path, "--host", "127.0.0.1")
    assert server.access_key == ACCESS_KEY and server.url.startswith("http://127.0.0.1:")
    assert request(server, "GET", "/playground.js").status == 200
    assert [negotiate(server, key) for key in (ACCESS_KEY, OTHER_KEY)] == [200, 401]


def test_the_emulators_settings_are_taken(tmp_path, start_server, upstream):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"UpstreamSettings": {"Templates": [
        {"UrlTemplate": upstream.url + "/runtime/{event}", "EventPattern": "*", "HubPattern": "chat", "CategoryPattern": "*"}]}}))
    server = start_server("--config", str(path))
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        assert upstream.next("connected").path == "/runtime/connected"
        assert client.invoke("work").get("error") is None


def test_several_places_with_and_without_tls(file, tmp_path, start_server):
    certificate, key = make_certificate(tmp_path, "first")
    path = file("listen:\n  - {host: 127.0.0.1, port: 0}\n"
                "  - {host: 127.0.0.1, port: 0, tls: {certificate: first.pem, key: first.key}}\n")
    server = start_server("--config", path)
    secure = server.wait_for_line(r"Listening on (https://\S+), too")[1]
    assert server.url.startswith("http://")
    context = ssl.create_default_context(cafile=str(certificate))
    with urllib.request.urlopen(f"{secure}/api/swagger/v1/swagger.json", context=context, timeout=PATIENCE) as answer:
        assert answer.status == 200
    # The same service behind both.
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        token = sign(server, f"{server.url}/api/v1/hubs/chat")
        call = urllib.request.Request(
            f"{secure}/api/v1/hubs/chat", b'{"target":"news","arguments":[1]}',
            bearer(token) | {"Content-Type": "application/json"})
        with urllib.request.urlopen(call, context=context, timeout=PATIENCE) as answer:
            assert answer.status == 202
        assert client.receive()["arguments"] == [1]


def test_a_further_place_that_is_taken_is_one_clear_line(server, tmp_path):
    done = signalbox("serve", "--port", "0", "--access-key", ACCESS_KEY, "--listen", f"http://127.0.0.1:{server.port}",
                     "--data-folder", str(tmp_path))
    assert done.returncode not in (0, USAGE) and done.stdout == ""
    assert str(server.port) in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_only_allowed_hubs_exist(file, start_server):
    server = start_server("--config", file("access: {allowedHubs: [Chat]}\n"))
    assert negotiate(server, ACCESS_KEY) == 200
    assert negotiate(server, ACCESS_KEY, "other") == 404
    path = "/api/v1/hubs/other"
    answer = request(server, "POST", path, body=b'{"target":"x"}',
                     headers=bearer(sign(server, server.url + path)) | {"Content-Type": "application/json"})
    assert answer.status == 404


def test_a_hub_may_have_a_mode_of_its_own(file, start_server, upstream):
    server = start_server("--config", file(
        f"mode: classic\nhubs:\n  chat:\n    mode: serverless\n    upstream: ['{upstream.url}/chat']\n"))
    with Hub(server, "/client/?hub=other", headers=bearer(client_token(server, "other"))) as other, \
            Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        assert upstream.next("connected").connection_id == client.connection_id
        assert client.invoke("work").get("error") is None
        assert "no app server" in other.invoke("work")["error"]


# Reloading


def test_keys_origins_and_limits_change_without_a_lost_client(file, start_server):
    path = file(f"access: {{primaryKey: {ACCESS_KEY}, allowedOrigins: [http://a]}}\n")
    server = start_server("--config", path, access_key=None)
    assert negotiate(server, ACCESS_KEY, origin="http://a") == 200
    assert negotiate(server, ACCESS_KEY, origin="http://b") == 403
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        file(f"access: {{primaryKey: {OTHER_KEY}, secondaryKey: {ACCESS_KEY}, allowedOrigins: [http://b]}}\n"
             "connections: {maximumMessageSize: 100}\n")
        log = reload(server, "Configuration read again")
        assert "access.primaryKey" in log and "access.allowedOrigins" in log and "connections.maximumMessageSize" in log
        assert OTHER_KEY not in log and ACCESS_KEY not in log
        assert [negotiate(server, key) for key in (ACCESS_KEY, OTHER_KEY)] == [200, 200]
        assert [negotiate(server, OTHER_KEY, origin=origin) for origin in ("http://a", "http://b")] == [403, 200]

        # The old key goes; whoever came with it stays, under the limits of then.
        file(f"access: {{primaryKey: {OTHER_KEY}}}\nconnections: {{maximumMessageSize: 100}}\n")
        reload(server, "Configuration read again")
        assert [negotiate(server, key) for key in (ACCESS_KEY, OTHER_KEY)] == [401, 200]
        assert "no app server" in client.invoke("work", "x" * 1000)["error"]
        token = sign(server, f"{server.url}/client/?hub=chat", key=OTHER_KEY)
        with Hub(server, "/client/?hub=chat", headers=bearer(token)) as newer:
            newer.start(1, "work", "x" * 1000)
            assert newer.receive()["type"] == 7


def test_upstream_changes_for_clients_that_are_there(file, start_server, start_upstream):
    before, after = start_upstream(), start_upstream()
    text = "mode: serverless\naccess: {{primaryKey: {key}}}\nupstream: {{templates: ['{url}/x']}}\n"
    server = start_server("--config", file(text.format(key=ACCESS_KEY, url=before.url)), access_key=None)
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server))) as client:
        assert before.next("connected").is_signed_by(ACCESS_KEY)
        file(text.format(key=OTHER_KEY, url=after.url))
        assert "upstream.templates" in reload(server, "Configuration read again")
        assert client.invoke("work").get("error") is None
        event = after.next("work")
        assert event.is_signed_by(OTHER_KEY) and not event.is_signed_by(ACCESS_KEY)
    assert after.next("disconnected").connection_id == client.connection_id


def test_a_bad_file_changes_nothing(file, start_server):
    path = file(f"access: {{primaryKey: {ACCESS_KEY}}}\n")
    server = start_server("--config", path, access_key=None)
    file(f"access: {{primaryKey: {OTHER_KEY}}}\nlisen: 1\nlisten: {{port: many}}\n")
    log = reload(server, "listen.port")
    assert f"{path}:2:1" in log and f"{path}:3:16" in log and "stays as it was" in log
    assert [negotiate(server, key) for key in (ACCESS_KEY, OTHER_KEY)] == [200, 401]
    file(f"access: {{primaryKey: {OTHER_KEY}}}\n")
    reload(server, "Configuration read again")
    assert [negotiate(server, key) for key in (ACCESS_KEY, OTHER_KEY)] == [401, 200]


def test_what_needs_a_restart_is_said(file, start_server):
    server = start_server("--config", file("mode: classic\n"))
    file("mode: serverless\nplayground: true\nlogging: {level: debug}\n")
    log = reload(server, "need a restart")
    assert "mode" in log and "playground" in log
    request(server, "POST", "/client/negotiate?hub=chat", headers=bearer("no-token"))
    eventually(lambda: "Authentication failed" in server.output())


def test_certificates_are_read_again(file, tmp_path, start_server):
    first, key = make_certificate(tmp_path, "used")
    server = start_server("--config", file("listen: {tls: {certificate: used.pem, key: used.key}}\n"))

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=PATIENCE).strip()

    assert shown() == first.read_text().strip()
    make_certificate(tmp_path, "used")
    assert shown() != first.read_text().strip()
    assert "certificates" in reload(server, "Configuration read again")
    assert shown() == first.read_text().strip()


def test_without_a_file_sighup_ends_the_program(start_server):
    server = start_server()
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(PATIENCE) == -signal.SIGHUP
