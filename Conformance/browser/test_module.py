# SignalBox: the browser module against a real server, and against scripted ones where the server must misbehave.
# SPDX-License-Identifier: Apache-2.0

import re

import pytest

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]

# A server inside the page: negotiate answers and a WebSocket whose every move the test decides.
SCRIPTED = """
    const RS = "\\x1e";
    const requests = [], sockets = [];
    const json = (body, status = 200) => new Response(JSON.stringify(body), { status });
    let answer = () => json({ negotiateVersion: 1, connectionId: `id${sockets.length}`, connectionToken: "t+/=",
        availableTransports: [{ transport: "WebSockets", transferFormats: ["Text"] }] });
    window.fetch = async (address, init) => {
        const { method, body, headers } = init;
        requests.push({ address, method, body, authorization: headers.get("Authorization") });
        return answer(requests.length, address);
    };
    let greeting = "{}" + RS;
    window.WebSocket = class {
        readyState = 1; bufferedAmount = 0; sent = [];
        constructor(address) { this.address = address; sockets.push(this); queueMicrotask(() => this.onopen()); }
        send(text) {
            this.sent.push(...text.split(RS).filter(Boolean).map((record) => JSON.parse(record)));
            if (this.sent.length === 1 && greeting) this.say(greeting);
        }
        say(data) { this.onmessage({ data }); }
        close(code) { this.closedWith = code; }
    };
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_calls_streams_and_results(tab, transport):
    result = tab.run(
        """
        const logged = [], received = [];
        const log = (_, message) => logged.push(message);
        const hub = new HubConnection("/hubs/chat", { transports: [args[0]], log });
        const marker = crypto.randomUUID();
        hub.on("RECEIVE", (user, text) => { if (user === marker) received.push(text); });
        hub.on("answer", async () => "forty-two");
        let closed = "not yet";
        hub.onclose = (error) => (closed = error);
        await hub.start();
        const { state, transport, connectionId } = hub;
        const texts = Array.from({ length: 100 }, (_, index) => `${index} ä€😀 "\\\\`);
        for (const text of texts) hub.send("send", marker, text);
        await until(() => received.length === texts.length);
        const countdown = [];
        for await (const number of hub.stream("countdown", 3)) countdown.push(number);
        for await (const number of hub.stream("countdown", 20)) break;
        const numbers = async function* () { yield 1; yield 2; yield 3; };
        const readable = new ReadableStream({ start(it) { it.enqueue(4); it.enqueue(5); it.close(); } });
        const sums = [await hub.invoke("sum", numbers()), await hub.invoke("Sum", readable)];
        const answer = await hub.invoke("ask");
        const unknown = await hub.invoke("nope").catch((error) => error.message);
        hub.off("answer");
        const unanswered = await hub.invoke("ask").catch((error) => error.message);
        await hub.stop();
        const inOrder = received.join() === texts.join();
        return { state, transport, connectionId, inOrder, countdown, sums, answer, unknown, unanswered, logged,
            closed: closed === undefined, after: hub.state, gone: hub.connectionId === undefined };
        """,
        transport,
    )
    assert result["state"] == "Connected" and result["transport"] == transport and result["connectionId"]
    assert result["inOrder"]
    assert result["countdown"] == [3, 2, 1]
    assert result["sums"] == [6, 9]
    assert result["answer"] == "forty-two"
    assert result["unknown"].endswith("HubException: Method does not exist.")
    assert "ask" in result["unanswered"]
    assert result["closed"] and result["after"] == "Disconnected" and result["gone"]
    assert f"Connected with {transport}: the page allows only this one." in result["logged"]
    assert sum("skipped: the page does not allow it." in line for line in result["logged"]) == 2


def test_it_works_in_a_module_worker(tab):
    result = tab.run(
        """
        const source = `
            import { HubConnection } from "${location.origin}/signalbox.js";
            const hub = new HubConnection("${location.origin}/hubs/chat");
            await hub.start();
            const seen = [];
            for await (const number of hub.stream("countdown", 2)) seen.push(number);
            await hub.stop();
            postMessage(seen);`;
        const script = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
        const worker = new Worker(script, { type: "module" });
        return new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => resolve(data);
            worker.onerror = (event) => reject(new Error(event.message));
        });
        """
    )
    assert result == [2, 1]


def test_leaving_a_stream_cancels_it(tab):
    result = tab.run(
        SCRIPTED
        + """
        const hub = new HubConnection("/hub", { log() {} });
        await hub.start();
        const { sent } = sockets[0];
        // Answers each stream with one item, so that it is surely unfinished when the reader leaves.
        sockets[0].send = function (text) {
            const message = JSON.parse(text.slice(0, -1));
            sent.push(message);
            const { type, invocationId } = message;
            if (type === 4) this.say(JSON.stringify({ type: 2, invocationId, item: 1 }) + RS);
        };
        for await (const item of hub.stream("s", undefined)) break;
        const controller = new AbortController();
        const reasons = [];
        try {
            for await (const item of hub.stream("s", controller.signal, 1)) controller.abort(new Error("enough"));
        } catch (error) { reasons.push(error.message); }
        const ended = AbortSignal.abort(new Error("never sent"));
        await hub.invoke("call", ended).catch((error) => reasons.push(error.message));
        return { sent: sent.filter(({ type }) => type && type < 6), reasons };
        """
    )
    assert result["reasons"] == ["enough", "never sent"]
    assert result["sent"] == [
        {"type": 4, "invocationId": "0", "target": "s", "arguments": [None]},
        {"type": 5, "invocationId": "0"},
        {"type": 4, "invocationId": "1", "target": "s", "arguments": [1]},
        {"type": 5, "invocationId": "1"},
    ]


def test_a_page_without_websocket_and_event_source(tab):
    tab.before_load("window.WebSocket = class { constructor() { throw new Error('blocked'); } };")
    tab.before_load("delete window.EventSource;")
    result = tab.run(
        """
        const logged = [];
        const hub = new HubConnection("/hubs/chat", { log: (level, message) => logged.push(`${level}: ${message}`) });
        await hub.start();
        const { transport } = hub;
        await hub.stop();
        return { transport, logged };
        """
    )
    assert result["transport"] == "LongPolling"
    assert "info: ServerSentEvents skipped: this browser does not have it." in result["logged"]
    assert "warn: WebSockets failed: blocked; trying LongPolling" in result["logged"]
    assert "info: Connected with LongPolling: WebSockets failed." in result["logged"]


def test_start_says_why_it_failed(tab):
    result = tab.run(
        """
        const failure = (url, options) =>
            new HubConnection(url, { log() {}, ...options }).start().catch((error) => error.message);
        const hub = new HubConnection("/hubs/chat");
        await hub.start();
        const twice = await hub.start().catch((error) => error.message);
        await hub.stop();
        const offline = await hub.invoke("ask").catch((error) => error.message);
        return { missing: await failure("/no/such/hub"), unreachable: await failure("http://127.0.0.1:1/hub"),
            nothing: await failure("/hubs/chat", { transports: ["Pigeon"] }), twice, offline };
        """
    )
    assert re.match(r"Negotiate failed with status 4\d\d: ", result["missing"])
    assert result["unreachable"].startswith("http://127.0.0.1:1 could not be reached")
    assert "this page allows Pigeon" in result["nothing"]
    assert result["twice"] == "A connection that is Connected cannot be started."
    assert result["offline"] == "A hub method cannot be called while the connection is Disconnected."


def test_a_lost_connection_is_restored_and_its_calls_fail(tab):
    result = tab.run(
        """
        const sockets = [];
        const Real = WebSocket;
        window.WebSocket = class extends Real { constructor(...given) { super(...given); sockets.push(this); } };
        const hub = new HubConnection("/hubs/chat", { log() {}, reconnectDelays: [0, 50, 100, 200, 400] });
        const events = [];
        hub.onreconnecting = (error) => events.push(["reconnecting", hub.state, error instanceof Error]);
        hub.onreconnected = (id) => events.push(["reconnected", hub.state, id === hub.connectionId]);
        hub.on("answer", () => new Promise(() => {}));
        await hub.start();
        const first = hub.connectionId;
        const pending = hub.invoke("ask").catch((error) => error.message);
        sockets[0].close(4000, "pulled out");
        const failed = await pending;
        await until(() => events.length === 2);
        const works = await hub.invoke("sum", (async function* () { yield 1; })());
        const changed = hub.connectionId !== first;
        await hub.stop();
        return { events, failed, works, changed };
        """
    )
    assert result["events"] == [["reconnecting", "Reconnecting", True], ["reconnected", "Connected", True]]
    assert result["failed"] == "Invocation canceled due to the underlying connection being closed."
    assert result["works"] == 1 and result["changed"]


def test_stop_ends_start_and_the_wait_between_attempts(tab):
    result = tab.run(
        SCRIPTED
        + """
        greeting = "";
        const starting = new HubConnection("/hub", { log() {} });
        const started = starting.start().catch((error) => error.message);
        await until(() => sockets[0]?.sent.length === 1);
        await starting.stop();
        const whileStarting = [await started, starting.state, sockets[0].closedWith];

        greeting = "{}" + RS;
        const hub = new HubConnection("/hub", { log() {}, reconnectDelays: [3_600_000] });
        let closed = 0;
        hub.onclose = (error) => (closed += error ? 100 : 1);
        await hub.start();
        sockets.at(-1).onclose({ code: 1006, reason: "" });
        await until(() => hub.state === "Reconnecting");
        await hub.stop();
        return { whileStarting, waiting: [hub.state, closed, sockets.length] };
        """
    )
    assert result["whileStarting"] == ["The connection was stopped.", "Disconnected", 1000]
    assert result["waiting"] == ["Disconnected", 1, 2]


def test_coming_online_shortens_the_wait(tab):
    result = tab.run(
        SCRIPTED
        + """
        const hub = new HubConnection("/hub", { log() {}, reconnectDelays: [3_600_000] });
        await hub.start();
        sockets[0].onclose({ code: 1006, reason: "" });
        await until(() => hub.state === "Reconnecting");
        window.dispatchEvent(new Event("online"));
        await until(() => hub.state === "Connected");
        return sockets.length;
        """
    )
    assert result == 2


def test_messages_split_anywhere_and_joined(tab):
    result = tab.run(
        SCRIPTED
        + """
        const received = [];
        const hub = new HubConnection("/hub", { log() {} });
        hub.on("a", (...given) => received.push(given));
        const messages = [
            { type: 6 },
            { type: 1, target: "A", arguments: [1, "zwölf €"] },
            { type: 99, strange: true },
            { type: 1, target: "a", arguments: [] },
        ].map((message) => JSON.stringify(message) + RS).join("");
        greeting = "{}" + RS + messages;  // the first ones may come together with the handshake's answer
        await hub.start();
        for (const character of messages) sockets[0].say(character);
        await hub.stop();
        return received;
        """
    )
    assert result == [[1, "zwölf €"], []] * 2


def test_answers_to_the_server(tab):
    result = tab.run(
        SCRIPTED
        + """
        const hub = new HubConnection("/hub", { log() {} });
        hub.on("one", async (x) => x + 1);
        hub.on("two", () => 1);
        hub.on("two", () => 2);
        hub.on("silent", () => {});
        hub.on("fails", () => { throw new Error("from callback"); });
        hub.on("zero", () => 0);
        await hub.start();
        const names = ["one", "two", "silent", "fails", "zero", "absent"];
        for (const [index, target] of names.entries())
            sockets[0].say(JSON.stringify({ type: 1, invocationId: `s${index}`, target, arguments: [41] }) + RS);
        await until(() => sockets[0].sent.filter(({ type }) => type === 3).length === names.length);
        return Object.fromEntries(sockets[0].sent.filter(({ type }) => type === 3)
            .map(({ invocationId, result, error }) => [names[invocationId.slice(1)], error ?? result]));
        """
    )
    assert result == {
        "one": 42,
        "two": "Client provided multiple results.",
        "silent": "Client didn't provide a result.",
        "fails": "Error: from callback",
        "zero": 0,
        "absent": "Client didn't provide a result.",
    }


def test_uploads_share_the_ids_of_calls_and_end_with_them(tab):
    result = tab.run(
        SCRIPTED
        + """
        const hub = new HubConnection("/hub", { log() {} });
        await hub.start();
        let released = 0;
        const endless = { [Symbol.asyncIterator]: () => ({
            count: 0,
            next() { return this.count < 2 ? Promise.resolve({ value: this.count++ }) : new Promise(() => {}); },
            return() { released += 1; return Promise.resolve({ done: true }); } }) };
        const failing = (async function* () { yield null; throw new Error("dry"); })();
        const call = hub.invoke("up", "plain", endless, failing);
        const { sent } = sockets[0];
        await until(() => sent.filter(({ type }) => type === 2).length === 3 && sent.some(({ type }) => type === 3));
        sockets[0].say(JSON.stringify({ type: 3, invocationId: "0", result: "done" }) + RS);
        const outcome = await call;
        await until(() => released === 1);
        return { outcome, sent: sent.filter(({ type }) => type && type < 6) };
        """
    )
    assert result["outcome"] == "done"
    assert result["sent"][0] == {
        "type": 1, "invocationId": "0", "target": "up", "arguments": ["plain"], "streamIds": ["1", "2"],
    }
    items = [(message["invocationId"], message["item"]) for message in result["sent"] if message["type"] == 2]
    assert sorted(items, key=str) == [("1", 0), ("1", 1), ("2", None)]
    assert [message for message in result["sent"] if message["type"] == 3] == [
        {"type": 3, "invocationId": "2", "error": "Error: dry"}
    ]


def test_a_stream_fails_after_its_items(tab):
    result = tab.run(
        SCRIPTED
        + """
        const hub = new HubConnection("/hub", { log() {} });
        await hub.start();
        const seen = [];
        const reading = (async () => { for await (const item of hub.stream("s")) seen.push(item); })();
        await until(() => sockets[0].sent.some(({ type }) => type === 4));
        sockets[0].say([{ type: 2, invocationId: "0", item: 1 }, { type: 2, invocationId: "0", item: null },
            { type: 3, invocationId: "0", error: "broke" }].map((each) => JSON.stringify(each) + RS).join(""));
        const error = await reading.catch(({ message }) => message);
        return { seen, error, cancelled: sockets[0].sent.some(({ type }) => type === 5) };
        """
    )
    assert result == {"seen": [1, None], "error": "broke", "cancelled": False}


def test_close_messages(tab):
    result = tab.run(
        SCRIPTED
        + """
        const outcome = async (message) => {
            const hub = new HubConnection("/hub", { log() {}, reconnectDelays: [0] });
            const events = [];
            hub.onreconnecting = (error) => events.push(`reconnecting ${error?.message}`);
            hub.onreconnected = () => events.push("reconnected");
            hub.onclose = (error) => events.push(`closed ${error?.message}`);
            await hub.start();
            sockets.at(-1).say(JSON.stringify(message) + RS);
            await until(() => /^(reconnected|closed)/.test(events.at(-1)));
            return events;
        };
        return [await outcome({ type: 7 }), await outcome({ type: 7, error: "bad" }),
            await outcome({ type: 7, error: "again", allowReconnect: true })];
        """
    )
    assert result == [
        ["closed undefined"],
        ["closed Server returned an error on close: bad"],
        ["reconnecting Server returned an error on close: again", "reconnected"],
    ]


def test_a_garbled_message_ends_the_connection(tab):
    result = tab.run(
        SCRIPTED
        + """
        const outcome = async (data) => {
            const hub = new HubConnection("/hub", { log() {}, reconnectDelays: [] });
            let closed;
            hub.onclose = (error) => (closed = error.message);
            await hub.start();
            sockets.at(-1).say(data);
            await until(() => closed);
            return closed;
        };
        return [await outcome("{nonsense" + RS), await outcome("null" + RS), await outcome('{"type":1}' + RS),
            await outcome(new Blob(["binary"])), await outcome("x".repeat(17 * 1024 * 1024))];
        """
    )
    assert all(text.startswith("The server sent a message that cannot be read: ") for text in result[:3])
    assert result[3:] == [
        "The server sent binary data, but the JSON protocol is text.",
        "The server sent a message of more than 16777216 characters.",
    ]


def test_handshake_failures(tab):
    result = tab.run(
        SCRIPTED
        + """
        const outcome = async (text, options) => {
            greeting = text;
            const hub = new HubConnection("/hub", { log() {}, ...options });
            const error = await hub.start().catch(({ message }) => message);
            return [error, hub.state, sockets.at(-1).closedWith];
        };
        return [await outcome('{"error":"no"}' + RS), await outcome('{"type":6}' + RS),
            await outcome("", { handshakeTimeout: 30 })];
        """
    )
    assert result == [
        ["The server refused the handshake: no", "Disconnected", 1000],
        ["Expected a handshake response from the server.", "Disconnected", 1000],
        ["The server did not answer the handshake within 30 ms.", "Disconnected", 1000],
    ]


def test_pings_and_the_server_timeout(tab):
    result = tab.run(
        SCRIPTED
        + """
        const timing = { keepAliveInterval: 10, serverTimeout: 200, reconnectDelays: [] };
        const hub = new HubConnection("/hub", { log() {}, ...timing });
        let closed;
        hub.onclose = (error) => (closed = error.message);
        await hub.start();
        await until(() => closed);
        return { closed, pings: sockets[0].sent.filter(({ type }) => type === 6).length };
        """
    )
    assert result["closed"] == "Server timeout elapsed without receiving a message from the server."
    assert result["pings"] >= 2


def test_tokens_and_redirects(tab):
    result = tab.run(
        SCRIPTED
        + """
        const offer = answer;
        answer = (count) => count === 1 ? json({ url: "/elsewhere?kept=1", accessToken: "t&2" }) : offer();
        const hub = new HubConnection("/hub?x=1", { log() {}, accessTokenFactory: async () => "t1" });
        await hub.start();
        return { requests, address: sockets[0].address };
        """
    )
    first, second = result["requests"]
    assert first["method"] == "POST" and first["address"].endswith("/hub/negotiate?x=1&negotiateVersion=1")
    assert first["authorization"] == "Bearer t1"
    assert second["address"].endswith("/elsewhere/negotiate?kept=1&negotiateVersion=1")
    assert second["authorization"] == "Bearer t&2"
    assert re.fullmatch(r"ws://[^/]+/elsewhere\?kept=1&id=t%2B%2F%3D&access_token=t%262", result["address"])


def test_negotiate_refusals(tab):
    result = tab.run(
        SCRIPTED
        + """
        const outcome = async (body, status) => {
            answer = () => json(body, status);
            requests.length = 0;
            const error = await new HubConnection("/hub", { log() {} }).start().catch(({ message }) => message);
            return [error, requests.length];
        };
        return [await outcome({ url: "/hub" }), await outcome({ error: "not today" }),
            await outcome({ ProtocolVersion: "1.5" }),
            await outcome({ negotiateVersion: 1, connectionId: "a", availableTransports: [] }), await outcome([]),
            await outcome("Unauthorized", 401)];
        """
    )
    assert result == [
        ["Negotiate redirection limit exceeded.", 101],
        ["The server refused to negotiate: not today", 1],
        ["The server speaks classic ASP.NET SignalR, another protocol.", 1],
        ["The server's negotiate answer lacks the connection id or the transports.", 1],
        ["The server's negotiate answer lacks the connection id or the transports.", 1],
        ['Negotiate failed with status 401: "Unauthorized".', 1],
    ]


def test_one_post_at_a_time_and_a_fresh_token_after_401(tab):
    result = tab.run(
        SCRIPTED
        + """
        let posting = 0, mostPosting = 0, tokens = 0, refused = false;
        const bodies = [], polls = [];
        const offer = { negotiateVersion: 1, connectionId: "a", connectionToken: "b",
            availableTransports: [{ transport: "LongPolling", transferFormats: ["Text"] }] };
        answer = async (_, address) => {
            const { method, body } = requests.at(-1);
            if (address.includes("/negotiate")) return json(offer);
            if (method === "GET" && polls.push(0) === 1) return new Response("");
            if (method === "GET" && polls.length === 2) return new Response("{}" + RS);
            if (method === "GET") return new Promise(() => {});
            if (body.includes('"target"') && !refused) { refused = true; return new Response("", { status: 401 }); }
            mostPosting = Math.max(mostPosting, posting += 1);
            await new Promise((resolve) => setTimeout(resolve, 10));
            posting -= 1;
            bodies.push(body.split(RS).length - 1);
            return new Response("");
        };
        const hub = new HubConnection("/hub", { log() {}, accessTokenFactory: () => `token${tokens += 1}` });
        await hub.start();
        await Promise.all(Array.from({ length: 20 }, (_, index) => hub.send("m", index)));
        const { authorization } = requests.filter(({ method }) => method === "POST").at(-1);
        return { mostPosting, bodies, tokens, authorization };
        """
    )
    assert result["mostPosting"] == 1
    assert result["bodies"] == [1, 20], "the handshake alone, then all messages together"
    assert result["tokens"] == 2 and result["authorization"] == "Bearer token2"


def test_the_module_is_small(tab):
    size = tab.run(
        """
        const packed = (await fetch("/signalbox.js")).body.pipeThrough(new CompressionStream("gzip"));
        return (await new Response(packed).arrayBuffer()).byteLength;
        """
    )
    assert size < 15 * 1024
