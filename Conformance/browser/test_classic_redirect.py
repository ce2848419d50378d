# SignalBox: a page whose own server sends classic clients on to the service: negotiate, RedirectUrl, /aspnetclient, in a real browser.
# SPDX-License-Identifier: Apache-2.0

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.http import request
from harness.server import Server
from harness.tokens import bearer, client_token, rest_token
from harness.upstream import Upstream
from test_classic_pages import run

HUB = "shop"
DATA = json.dumps([{"name": HUB}])

# What jquery.signalR does, with the browser's own means. `connect` gives a client on one transport: `heard` has the messages of its frames,
# and a promise of `call` has the result.
DRIVER = """
    const follow = async (url, data) => {
        for (let query = "", token = null, hops = 0; hops < 100; hops += 1) {
            const parameters = `clientProtocol=2.1&connectionData=${encodeURIComponent(data)}${query && "&" + query}`;
            const headers = token ? { Authorization: `Bearer ${token}` } : {};
            const answer = await (await fetch(`${url}/negotiate?${parameters}`, { credentials: "include", headers })).json();
            if (!answer.RedirectUrl) return { url: new URL(answer.Url, url).href, parameters, token, headers, hops, ...answer };
            [url, query = ""] = answer.RedirectUrl.split("?");
            token = answer.AccessToken;
        }
    };
    const connect = async (transport, to) => {
        const query = `transport=${transport}&${to.parameters}&connectionToken=${encodeURIComponent(to.ConnectionToken)}`;
        const get = (action) => fetch(`${to.url}/${action}?${query}`, { credentials: "include", headers: to.headers });
        const post = (action, form) => fetch(`${to.url}/${action}?${query}`, {
            method: "POST", credentials: "include", headers: to.headers, body: new URLSearchParams(form),
        });
        const client = { heard: [], results: {}, cursor: "", isOpen: false };
        const take = (text) => {
            const frame = JSON.parse(text);
            if (frame.I !== undefined) client.results[frame.I] = frame;
            client.cursor = frame.C ?? client.cursor;
            client.isOpen ||= frame.S === 1;
            client.heard.push(...frame.M ?? []);
        };
        const streamed = `${to.url}/connect?${query}&access_token=${to.token}`;
        if (transport === "webSockets") {
            client.channel = new WebSocket(streamed.replace("http", "ws"));
            client.channel.onmessage = (event) => take(event.data);
        } else if (transport === "serverSentEvents") {
            client.channel = new EventSource(streamed, { withCredentials: true });
            client.channel.onmessage = (event) => event.data === "initialized" || take(event.data);
        } else {
            take(await (await post("connect", {})).text());
            client.poll = async () => take(await (await post("poll", { messageId: client.cursor })).text());
        }
        await until(() => client.isOpen);
        client.start = await (await get("start")).json();
        client.call = async (hub, method, ...values) => {
            const data = JSON.stringify({ H: hub, M: method, A: values, I: 0 });
            if (transport !== "webSockets") return (await post("send", { data })).json();
            client.channel.send(data);
            await until(() => client.results[0]);
            return client.results[0];
        };
        client.hear = async () => {
            while (!client.heard.length) await (client.poll ? client.poll() : until(() => client.heard.length));
            return client.heard;
        };
        client.stop = async () => { client.channel?.close(); return (await post("abort", {})).status; };
        return client;
    };
"""


class Home:
    """The page's own server: a page without anything, and an answer to negotiate that sends clients on."""

    def __init__(self, service: Server):
        self.service, self.token = service, None
        home = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kind, body = home.answer() if self.path.startswith("/signalr/negotiate?") else ("text/html", b"<!doctype html>")
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self) -> tuple[str, bytes]:
        redirect = {
            "ProtocolVersion": "2.0", "RedirectUrl": f"{self.service.url}/aspnetclient?color=red", "AccessToken": self.token,
        }
        return "application/json", json.dumps(redirect).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def service(upstream):
    service = Server("--mode", "serverless", "--upstream", upstream.url + "/api/{hub}/{category}/{event}")
    yield service
    service.stop()


@pytest.fixture
def home(service):
    home = Home(service)
    home.token = client_token(service, HUB, "ann")
    yield home
    home.close()


def added(event) -> tuple[int, bytes]:
    asked = json.loads(event.body)
    result = {"type": 3, "invocationId": asked["invocationId"], "result": sum(asked["arguments"])}
    return 200, json.dumps(result).encode() + b"\x1e"


@pytest.mark.parametrize("transport", ["webSockets", "serverSentEvents", "longPolling"])
def test_a_page_goes_where_its_server_sends_it(new_tab, service, upstream, home, transport):
    upstream.answers["add"] = added
    tab = new_tab(home.url).open("/")
    found = run(tab, DRIVER + """
        const to = await follow(`${location.origin}/signalr`, args[0]);
        window.client = await connect(args[1], to);
        return { url: to.url, hops: to.hops, id: to.ConnectionId, start: client.start, sum: await client.call("shop", "add", 1, 2) };
    """, DATA, transport)
    assert found["url"] == f"{service.url}/aspnetclient" and found["hops"] == 1
    assert found["start"] == {"Response": "started"}
    assert found["sum"] == {"R": 3, "I": "0"}
    # The query of the redirect goes with every request, and the user is the token's.
    connected = upstream.next("connected", found["id"])
    assert connected.headers["X-ASRS-User-Id"] == "ann"
    assert "color=red" in connected.headers["X-ASRS-Client-Query"]

    path = f"/api/hubs/{HUB}/users/ann/:send"
    body = json.dumps({"target": "told", "arguments": ["</script>"]}).encode()
    headers = bearer(rest_token(service, path)) | {"Content-Type": "application/json"}
    assert request(service, "POST", f"{path}?api-version=2022-06-01", body=body, headers=headers).status == 202
    assert run(tab, "return await client.hear();") == [{"H": HUB, "M": "told", "A": ["</script>"]}]
    assert run(tab, "return await client.stop();") == 200
    upstream.next("disconnected", found["id"])


def test_a_page_can_read_why_its_token_is_refused(new_tab, home):
    home.token = "nonsense"
    tab = new_tab(home.url).open("/")
    assert run(tab, """
        const { RedirectUrl, AccessToken } = await (await fetch("/signalr/negotiate?")).json();
        const [url] = RedirectUrl.split("?");
        return (await fetch(`${url}/negotiate?clientProtocol=2.1`, {
            credentials: "include", headers: { Authorization: `Bearer ${AccessToken}` },
        })).status;
    """) == 401
