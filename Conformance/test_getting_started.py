# SignalBox: what docs/GettingStarted tells people to run does what it says.
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from harness.hub import Hub
from harness.server import PATIENCE, Server, binary, environment, lasting_port
from harness.tokens import bearer, client_token

PAGES = pathlib.Path(__file__).parents[1] / "docs/GettingStarted"
SNIPPET = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
ADDRESS = "http://127.0.0.1:8888"
# What a snippet is saved as and run by; languages that are not installed here are left to where they are.
RUNNERS = {"python": ("send.py", [sys.executable]), "js": ("send.mjs", ["node"]), "go": ("send.go", ["go", "run"]), "php": ("send.php", ["php"])}
NAMES = {"python": "Python", "js": "JavaScript", "go": "Go", "php": "PHP"}


def snippets(page: str, language: str) -> list[str]:
    return [text for found, text in SNIPPET.findall((PAGES / page).read_text()) if found == language]


def snippet(page: str, language: str, mark: str) -> str:
    """The only one that holds `mark`."""
    (text,) = [text for text in snippets(page, language) if mark in text]
    return text


@pytest.fixture
def server(start_server) -> Server:
    return start_server()


@pytest.fixture
def ada(server):
    with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server, "chat", "ada"))) as client:
        yield client


@pytest.fixture
def variables(server) -> dict:
    """As in a terminal where signalbox is installed and its service is known."""
    path = f"{pathlib.Path(binary()).resolve().parent}{os.pathsep}{os.environ['PATH']}"
    return environment() | {"PATH": path, "SIGNALBOX_CONNECTION_STRING": server.connection_string}


def run(command: list[str], variables: dict, **details) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60, stdin=subprocess.DEVNULL, **details)


def test_curl_sends(server, ada, variables, tmp_path):
    # Everything that calls; the others start the service or tell where it is.
    script = "".join(text for text in snippets("REST.md", "sh") if re.search(r"\b(curl|call) ", text))
    assert script.count("curl ") == 3 and script.count("\ncall ") == 5
    done = run(["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, server.url)], variables, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ada is here\n" in done.stdout and "nobody is not\n" in done.stdout
    for audience in ("everybody", "Ada", "readers"):
        message = ada.receive()
        assert (message["target"], message["arguments"]) == ("receive", ["curl", f"hello, {audience}"])
    assert ada.receive()["type"] == 7


@pytest.mark.parametrize("language", [name for name, (_, command) in RUNNERS.items() if shutil.which(command[0])])
def test_languages_send(server, ada, variables, tmp_path, language):
    name, command = RUNNERS[language]
    (tmp_path / name).write_text(snippet("REST.md", language, ":send"))
    done = run([*command, name], variables, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ada.receive()["arguments"] == [NAMES[language], "hello"]


def test_the_webhook_hears_and_answers(start_server, tmp_path):
    here, service_command = f"127.0.0.1:{lasting_port()}", snippet("Serverless.md", "sh", "signalbox serve")
    assert "python3 webhook.py" in service_command
    (upstream,) = re.findall(r"--upstream '(.*?)'", service_command)
    assert "--mode serverless" in service_command and "127.0.0.1:8080" in upstream
    server = start_server("--mode", "serverless", "--upstream", upstream.replace("127.0.0.1:8080", here))
    program = snippet("Serverless.md", "python", "Webhook")
    (tmp_path / "webhook.py").write_text(program.replace('"127.0.0.1", 8080', f'"127.0.0.1", {here.rsplit(":")[-1]}'))
    webhook = subprocess.Popen(
        [sys.executable, "webhook.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        env=environment() | {"SIGNALBOX_ACCESS_KEY": server.access_key})
    try:
        assert webhook.stdout.readline() == "webhook.py listens\n"
        with Hub(server, "/client/?hub=chat", headers=bearer(client_token(server, "chat", "ada"))) as ada:
            assert webhook.stdout.readline() == 'ada connected {"type":10}\n'
            assert ada.invoke("add", 1, 2)["result"] == 3
            assert webhook.stdout.readline().startswith("ada add ")
        assert webhook.stdout.readline().startswith("ada disconnected ")
    finally:
        webhook.kill()
        webhook.wait(PATIENCE)


def test_the_json_of_a_client_token_is_as_shown(server, variables):
    shown = snippet("Serverless.md", "sh", "token client")
    done = run(["bash", "-euc", shown], variables)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r'\{"url":"' + re.escape(server.url) + r'/client/\?hub=chat","accessToken":"[\w.-]+"\}\n', done.stdout)


@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("*.md")))
def test_links_lead_somewhere(page):
    text = SNIPPET.sub("", (PAGES / page).read_text())
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (PAGES / target).exists(), target
