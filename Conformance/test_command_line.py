# SignalBox: the program itself: help, exit codes, keys, tokens and sends from the command line.
# SPDX-License-Identifier: Apache-2.0

import json
import signal
import stat
import subprocess

import jwt
import pytest

from harness.http import request
from harness.hub import Hub
from harness.server import ACCESS_KEY, PATIENCE, binary, environment
from harness.tokens import bearer, client_token

USAGE = 64  # sysexits.h: the command was used wrongly


def signalbox(*arguments: str, variables=None, home=None) -> subprocess.CompletedProcess:
    settings = environment() | (variables or {}) | ({"HOME": str(home)} if home else {})
    return subprocess.run(
        [binary(), *arguments], capture_output=True, text=True, timeout=PATIENCE, env=settings, stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("command", [[], ["serve"], ["token"], ["token", "client"], ["token", "rest"], ["send"]])
def test_help_is_help(command):
    done = signalbox(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "USAGE: signalbox" in done.stdout and "OVERVIEW:" in done.stdout


def test_the_help_of_serve_names_every_option_and_its_variable():
    text = signalbox("serve", "--help").stdout
    for option in ("host", "port", "access-key", "secondary-access-key", "mode", "allow-origin", "tls-certificate", "tls-key", "data-folder",
                   "log-level", "handshake-timeout", "keep-alive-interval", "client-timeout", "maximum-message-size"):
        assert f"--{option}" in text
        assert f"SIGNALBOX_{option.upper().replace('-', '_')}" in text
    for flag in ("no-auth", "playground", "websocket-compression", "stateful-reconnect", "detailed-errors"):
        assert f"--{flag}" in text


def test_it_tells_its_version():
    done = signalbox("--version")
    assert done.returncode == 0 and done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_its_commands(shell):
    done = signalbox("--generate-completion-script", shell)
    assert done.returncode == 0 and "serve" in done.stdout


@pytest.mark.parametrize("arguments", [
    ["nothing"], ["serve", "--nothing"], ["serve", "--port"], ["serve", "--port", "many"], ["serve", "--port", "70000"],
    ["serve", "--port", "-1"], ["serve", "--mode", "nothing"], ["serve", "extra"], ["serve", "--handshake-timeout", "soon"],
    ["serve", "--tls-certificate", "only.pem"], ["token", "client"], ["send"], ["send", "--hub", "chat"],
])
def test_wrong_use_is_explained_on_stderr(arguments, tmp_path):
    done = signalbox(*arguments, home=tmp_path)
    assert done.returncode == USAGE, done
    assert done.stdout == "" and "Error:" in done.stderr and "signalbox" in done.stderr


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_a_short_key_is_refused(key, tmp_path):
    done = signalbox("serve", "--port", "0", "--access-key", key, home=tmp_path)
    assert done.returncode == USAGE and done.stdout == ""
    assert "32" in done.stderr and (not key or key not in done.stderr)


def test_a_short_key_is_good_enough_for_play(start_server):
    assert start_server("--no-auth", access_key="short").access_key == "short"


def test_a_key_is_made_once_and_kept_private(start_server, tmp_path):
    folder = tmp_path / "data"
    first = start_server("--data-folder", str(folder), access_key=None)
    assert len(first.access_key) >= 43
    assert first.stop() == 0
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600] * len(files) and files
    again = start_server("--data-folder", str(folder), access_key=None)
    assert again.access_key == first.access_key
    answer = request(again, "POST", "/client/negotiate?hub=chat", headers=bearer(client_token(again)))
    assert answer.status == 200


def test_a_damaged_key_file_is_reported(start_server, tmp_path):
    folder = tmp_path / "data"
    server = start_server("--data-folder", str(folder), access_key=None)
    assert server.stop() == 0
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_text("short")
    done = signalbox("serve", "--port", "0", "--data-folder", str(folder))
    assert done.returncode not in (0, USAGE) and done.stdout == ""
    assert str(folder) in done.stderr and len(done.stderr.strip().splitlines()) <= 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_order(start_server, number):
    server = start_server()
    server.process.send_signal(number)
    assert server.process.wait(PATIENCE) == 0, server.output()


def test_a_port_in_use_is_one_clear_line(server, tmp_path):
    done = signalbox("serve", "--port", str(server.port), "--access-key", ACCESS_KEY, "--data-folder", str(tmp_path))
    assert done.returncode not in (0, USAGE) and "Endpoint=" not in done.stdout
    assert len(done.stderr.strip().splitlines()) == 1 and str(server.port) in done.stderr


@pytest.mark.parametrize("what", ["missing", "garbage"])
def test_a_certificate_that_cannot_be_used_is_one_clear_line(tmp_path, what):
    path = tmp_path / "certificate.pem"
    if what == "garbage":
        path.write_text("not a certificate")
    done = signalbox("serve", "--port", "0", "--access-key", ACCESS_KEY, "--tls-certificate", str(path), "--tls-key", str(path))
    assert done.returncode != 0 and done.stdout == ""
    assert str(path) in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_options_come_from_the_environment_and_flags_win(tmp_path):
    settings = {"SIGNALBOX_ACCESS_KEY": "k" * 40, "SIGNALBOX_PLAYGROUND": "true", "SIGNALBOX_PORT": "1",
                "SIGNALBOX_DATA_FOLDER": str(tmp_path), "SIGNALBOX_DETAILED_ERRORS": "true"}
    process = subprocess.Popen([binary(), "serve", "--port", "0"], env=environment() | settings,
                               stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stdout if "Endpoint=" in line)
        assert f";AccessKey={'k' * 40};Version=1.0;" in line
        assert "Endpoint=http://127.0.0.1:" in line and "127.0.0.1:1;" not in line
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
        process.stdout.close()


def test_a_wrong_variable_is_wrong_use(tmp_path):
    done = signalbox("serve", variables={"SIGNALBOX_PORT": "many"}, home=tmp_path)
    assert done.returncode == USAGE and "SIGNALBOX_PORT" in done.stderr


def test_secrets_stay_out_of_the_log(start_server):
    server = start_server("--log-level", "trace")
    token = client_token(server)
    request(server, "POST", f"/client/negotiate?hub=chat&access_token={token}")
    request(server, "POST", "/client/negotiate?hub=chat", headers=bearer(token))
    assert server.stop() == 0
    errors = "\n".join(line for line in server.output().splitlines() if not line.startswith("stdout: "))
    assert token.split(".")[2] not in errors and server.access_key not in errors


# Tokens and sends


def test_a_client_token_opens_the_service(server):
    done = signalbox("token", "client", "--hub", "chat", "--user", "bob", "--endpoint", server.url,
                     "--access-key", ACCESS_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    claims = jwt.decode(done.stdout.strip(), ACCESS_KEY, algorithms=["HS256"], options={"verify_aud": False})
    assert claims["exp"] - claims["iat"] == 3600 and claims["aud"].endswith("/client/?hub=chat")
    with Hub(server, "/client/?hub=chat", headers=bearer(done.stdout.strip())) as client:
        sent = signalbox("send", "--hub", "chat", "--user", "bob", "--endpoint", server.url, "--access-key", ACCESS_KEY,
                         "news", "text", "42", '{"a":[1]}')
        assert sent.returncode == 0, sent.stderr
        assert client.receive() == {"type": 1, "target": "news", "arguments": ["text", 42, {"a": [1]}]}


def test_a_rest_token_opens_the_api(server):
    done = signalbox("token", "rest", "--hub", "chat", "--endpoint", server.url, "--access-key", ACCESS_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    answer = request(server, "POST", "/api/hubs/chat/:send?api-version=2022-06-01", body=b'{"target":"x"}',
                     headers=bearer(done.stdout.strip()))
    assert answer.status == 202, answer


def test_a_token_can_come_with_its_url(server):
    done = signalbox("token", "client", "--hub", "chat", "--connection-string", server.connection_string, "--json")
    answer = json.loads(done.stdout)
    assert answer["url"] == f"{server.url}/client/?hub=chat" and answer["accessToken"]


def test_a_send_to_a_server_that_is_not_there_fails_clearly(tmp_path):
    done = signalbox("send", "--hub", "chat", "--endpoint", "http://127.0.0.1:9", "--access-key", ACCESS_KEY, "news",
                     home=tmp_path)
    assert done.returncode not in (0, USAGE) and done.stdout == ""
    assert "127.0.0.1:9" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_send_with_the_wrong_key_fails_clearly(server, tmp_path):
    done = signalbox("send", "--hub", "chat", "--endpoint", server.url, "--access-key", "w" * 40, "news", home=tmp_path)
    assert done.returncode not in (0, USAGE) and "access key" in done.stderr
