# SignalBox: what classic clients load in a browser: the generated scripts, a forever frame, JSONP, and requests of another origin.
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib

import pytest

from conftest import Tab
from harness.server import Server

JQUERY = pathlib.Path("/usr/share/javascript/jquery/jquery.js")
STAND_IN = pathlib.Path(__file__).with_name("standin.js")
DATA = json.dumps([{"name": "chathub"}])


@pytest.fixture(scope="module")
def classic_url():
    """A playground that answers JSONP, too."""
    server = Server("--playground", "--no-auth", "--classic-jsonp")
    yield server.url
    server.stop()


@pytest.fixture
def page(new_tab, classic_url):
    """A page of the server's origin with jQuery and the stand-in, but nothing else."""
    return prepare(new_tab(), classic_url, "/playground.css")


@pytest.fixture
def stranger(new_tab, classic_url):
    """The same on another origin: another name of the same machine."""
    return prepare(new_tab(), classic_url.replace("127.0.0.1", "localhost"), "/playground.css")


def prepare(tab: Tab, base: str, path: str) -> Tab:
    tab.base = base
    tab.open(path)
    tab.js(JQUERY.read_text() + "\nwindow.jQuery = window.$ = jQuery;")
    tab.js(STAND_IN.read_text())
    return tab


def run(tab: Tab, body: str, *arguments):
    """Runs async JavaScript and gives its value."""
    outcome = tab.use().execute_async_script(
        """
        const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);
        const load = (url) => new Promise((resolve, reject) => {
            const script = document.createElement("script");
            Object.assign(script, { src: url, onload: resolve, onerror: reject });
            document.documentElement.append(script);
        });
        const until = async (condition) => {
            while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
        };
        const negotiate = async (base) => (await fetch(
            `${base}/signalr/negotiate?clientProtocol=2.1&connectionData=${encodeURIComponent(args[0])}`,
            { credentials: "include" })).json();
        (async () => { %s })().then((value) => done({ value }), (error) => done({ error: `${error.message}\\n${error.stack}` }));
        """ % body, *arguments)
    assert "error" not in outcome, outcome["error"]
    return outcome["value"]


def test_the_script_defines_proxies(page):
    found = run(page, """
        await load("/signalr/hubs");
        const hub = $.connection.hub;
        $.connection.chatHub.client.receive = function (user, text) { this.heard = [user, text]; };
        $.connection.boardHub.server.clear();
        const answer = $.connection.chatHub.server.sendToRoom("den", "ann", "hi");
        hub.fire("starting");
        hub.proxies.chathub.subscriptions.receive.call("ann", "hi");
        const data = hub.data;
        hub.fire("disconnected");
        return {
            data, answer, url: hub.url, options: hub.options, heard: $.connection.chatHub.heard,
            left: Object.keys(hub.proxies.chathub.subscriptions), diary: $.signalR.diary,
        };
    """)
    assert found["url"] == "/signalr"
    assert found["options"] == {"useDefaultPath": False}
    assert found["data"] == [{"name": "chathub"}]
    assert found["heard"] == ["ann", "hi"]
    assert found["left"] == []
    assert found["answer"] == "promise"
    assert found["diary"] == [
        "starting bound", "proxy boardHub", "proxy chatHub", ["invoke", "boardHub", "clear"],
        ["invoke", "chatHub", "sendToRoom", "den", "ann", "hi"],
    ]


def test_the_script_needs_the_client(page):
    assert "load jquery.signalR" in run(page, """
        delete $.signalR;
        let message = "";
        window.onerror = (text) => { message = text; return true; };
        await load("/signalr/js");
        return message;
    """)


def test_the_module(page):
    found = run(page, """
        const { url, createHubProxies } = await import("/signalr/hubs.mjs");
        const { chatHub } = createHubProxies($.hubConnection(url, {}));
        return { url, methods: Object.keys(chatHub.server), answer: chatHub.server.send("ann", "hi") };
    """)
    assert found["url"] == "/signalr"
    assert {"send", "join", "countdown"} <= set(found["methods"])
    assert found["answer"] == "promise"


def test_a_forever_frame_in_a_frame(page):
    found = run(page, """
        const { ConnectionToken } = await negotiate("");
        const query = new URLSearchParams({
            transport: "foreverFrame", clientProtocol: "2.1", connectionToken: ConnectionToken, connectionData: args[0],
        });
        const frame = document.createElement("iframe");
        frame.src = `/signalr/connect?${query}&frameId=7`;
        document.documentElement.append(frame);
        const received = $.signalR.transports.foreverFrame.received;
        await until(() => received.length > 0);
        const start = await (await fetch(`/signalr/start?${query}`)).json();
        const text = "</script><script>top.broken = true</script>\\u2028";
        const data = JSON.stringify({ H: "chathub", M: "send", A: ["ann", text], I: 0 });
        const result = await (await fetch(`/signalr/send?${query}`, {
            method: "POST", body: new URLSearchParams({ data }),
        })).json();
        const heard = () => received.flatMap((one) => one.M ?? []).find((message) => message.M === "receive");
        await until(heard);
        return {
            first: received[0], start, result, heard: heard().A, text, broken: window.broken ?? null,
            isStarted: $.signalR.seven.isStarted,
        };
    """, DATA)
    assert found["first"]["S"] == 1
    assert found["isStarted"] is True
    assert found["start"] == {"Response": "started"}
    assert found["result"] == {"I": "0"}
    assert found["heard"] == ["ann", found["text"]]
    assert found["broken"] is None


def test_jsonp_from_another_origin(stranger, classic_url):
    found = run(stranger, """
        const base = args[1], answers = {};
        const call = async (name, action, parameters) => {
            window[name] = (value) => { answers[name] = value; };
            await load(`${base}/signalr/${action}?${new URLSearchParams({ ...parameters, callback: name })}`);
            return answers[name];
        };
        const common = { clientProtocol: "2.1", connectionData: args[0] };
        const { ConnectionToken } = await call("negotiated", "negotiate", common);
        Object.assign(common, { transport: "longPolling", connectionToken: ConnectionToken });
        const first = await call("connected", "connect", common);
        const started = await call("started", "start", common);
        const data = JSON.stringify({ H: "chathub", M: "send", A: ["ann", "from afar"], I: 0 });
        const sent = await call("sent", "send", { ...common, data });
        let cursor = first.C, heard;
        while (!heard) {
            const polled = await call("polled", "poll", { ...common, messageId: cursor });
            cursor = polled.C;
            heard = polled.M.find((message) => message.M === "receive");
        }
        return { first, started, sent, heard: heard.A };
    """, DATA, classic_url)
    assert found["first"]["S"] == 1
    assert found["started"] == {"Response": "started"}
    assert found["sent"] == {"I": "0"}
    assert found["heard"] == ["ann", "from afar"]


def test_requests_and_streams_of_another_origin(stranger, classic_url):
    found = run(stranger, """
        const base = args[1];
        const { ConnectionToken } = await negotiate(base);
        const query = new URLSearchParams({
            transport: "serverSentEvents", clientProtocol: "2.1", connectionToken: ConnectionToken, connectionData: args[0],
        });
        const source = new EventSource(`${base}/signalr/connect?${query}`, { withCredentials: true });
        const events = [];
        source.onmessage = (event) => events.push(event.data);
        await until(() => events.length > 1);
        const authorized = await fetch(`${base}/signalr/start?${query}`, {
            credentials: "include", headers: { Authorization: "Bearer x" },
        });
        const refused = await fetch(`${base}/signalr/connect?transport=pigeon`, { credentials: "include" });
        source.close();
        return { events, started: await authorized.json(), refused: refused.status };
    """, DATA, classic_url)
    assert found["events"][0] == "initialized"
    assert json.loads(found["events"][1])["S"] == 1
    assert found["started"] == {"Response": "started"}
    assert found["refused"] == 400


def test_the_query_of_a_socket(page):
    """A WebSocket of the browser's own, which offers compression."""
    assert run(page, """
        const { ConnectionToken } = await negotiate("");
        const query = new URLSearchParams({
            transport: "webSockets", clientProtocol: "2.1", connectionToken: ConnectionToken, connectionData: args[0],
        });
        const socket = new WebSocket(`${location.origin.replace("http", "ws")}/signalr/connect?${query}`);
        return await new Promise((resolve) => { socket.onmessage = (event) => resolve(JSON.parse(event.data).S); });
    """, DATA) == 1
