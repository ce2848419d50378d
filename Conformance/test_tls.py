# SignalBox: the service with a certificate.
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
import ssl
import subprocess

import pytest
from pysignalr.client import SignalRClient

from harness.server import PATIENCE


@pytest.fixture
def secure(start_server, tmp_path):
    """A server with a certificate of its own making, and what a client needs to trust it."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    server = start_server("--playground", "--tls-certificate", str(certificate), "--tls-key", str(key))
    assert server.url == f"https://127.0.0.1:{server.port}"
    return server, certificate


def test_a_client_talks_over_tls(secure):
    server, certificate = secure

    async def scenario():
        client = SignalRClient(f"{server.url}/hubs/chat", ssl=ssl.create_default_context(cafile=str(certificate)))
        opened, heard = asyncio.Event(), asyncio.Queue()

        async def open_():
            opened.set()

        client.on_open(open_)
        client.on("receive", heard.put)
        running = asyncio.ensure_future(client.run())
        await asyncio.wait_for(opened.wait(), PATIENCE)
        await client.send("send", ["u", "x" * 20_000])
        assert await asyncio.wait_for(heard.get(), PATIENCE) == ["u", "x" * 20_000]
        running.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize("options", [["--http1.1"], ["--http2"]])
def test_requests_work_over_tls(secure, options):
    """A client that would rather speak HTTP/2 gets what there is."""
    server, certificate = secure
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", *options, "--cacert", certificate,
         "--request", "POST", f"{server.url}/hubs/chat/negotiate?negotiateVersion=1"],
        capture_output=True, text=True, check=True)
    assert "connectionToken" in json.loads(done.stdout)


def test_plain_text_on_a_tls_port_gets_nothing(secure):
    server, _ = secure
    done = subprocess.run(
        ["curl", "--silent", "--max-time", "20", f"http://127.0.0.1:{server.port}/api/health"], capture_output=True)
    assert done.returncode != 0
