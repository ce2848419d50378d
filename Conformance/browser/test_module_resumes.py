# SignalBox: the browser module goes on with its connection on a new socket (core protocol reference, "Stateful reconnect").
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness.proxy import Proxy
from test_module import SCRIPTED

# A scripted server that offers to resume.
STATEFUL = SCRIPTED + """
    answer = () => json({ negotiateVersion: 1, connectionId: "id", connectionToken: "t", useStatefulReconnect: true,
        availableTransports: [{ transport: "WebSockets", transferFormats: ["Text"] }] });
    const say = (socket, ...messages) => messages.forEach((message) => socket.say(JSON.stringify(message) + RS));
    const lose = (socket) => { socket.readyState = 3; socket.onclose({ code: 1006, reason: "" }); };
    const call = (...given) => ({ type: 1, target: "a", arguments: given });
    const heard = [];
    const open = async (options) => {
        const hub = new HubConnection("/hub", { log() {}, statefulReconnect: true, reconnectDelays: [], ...options });
        hub.on("a", (...given) => heard.push(...given));
        await hub.start();
        return hub;
    };
    // From here on sockets are greeted by the test alone.
    const openQuietly = async (options) => { const hub = await open(options); greeting = ""; return hub; };
"""


@pytest.fixture
def cable(start_server):
    """A playground that lets clients resume, behind a cable."""
    with Proxy(start_server("--playground", "--stateful-reconnect").port) as proxy:
        yield proxy


def test_nothing_is_lost_and_nothing_comes_twice(new_tab, cable):
    tab = new_tab(cable.url)
    tab.run(
        """
        Object.assign(window, { events: [], received: [], sums: [], sent: 0, isSending: true });
        window.hub = new HubConnection("/hubs/chat", { log() {}, statefulReconnect: true });
        for (const event of ["reconnecting", "reconnected", "close"]) hub[`on${event}`] = () => events.push(event);
        hub.on("receive", (user, text) => received.push(Number(text)));
        await hub.start();
        window.first = hub.connectionId;
        const ones = async function* () { yield 1; yield 1; };
        window.sending = (async () => {
            for (; isSending; await new Promise((resolve) => setTimeout(resolve, 1))) {
                await hub.send("send", "me", String(sent++));
                if (sent % 50 === 0) sums.push(hub.invoke("sum", ones()));
            }
        })();
        """
    )
    for _ in range(5):
        reached = tab.js("return received.length") + 20
        tab.until(lambda: tab.js("return received.length") >= reached, "messages to go through")
        cable.cut()
    outcome = tab.run(
        """
        isSending = false;
        await sending;
        await until(() => received.length >= sent);
        const results = await Promise.all(sums);
        const inOrder = received.length === sent && received.every((number, index) => number === index);
        const same = hub.connectionId === first;
        await hub.stop();
        return { inOrder, same, events, allSums: results.every((sum) => sum === 2) };
        """
    )
    assert outcome == {"inOrder": True, "same": True, "events": ["close"], "allSums": True}


def test_a_server_that_forgot_the_connection_leads_to_a_new_one(new_tab, start_server):
    options = ["--playground", "--stateful-reconnect"]
    with Proxy(start_server(*options).port) as cable:
        tab = new_tab(cable.url)
        tab.run(
            """
            const reconnectDelays = [0, 100, 200, 500, 1000, 2000];
            window.hub = new HubConnection("/hubs/chat", { log() {}, statefulReconnect: true, reconnectDelays });
            window.events = [];
            for (const event of ["reconnecting", "reconnected"]) hub[`on${event}`] = () => events.push(event);
            hub.on("answer", () => new Promise(() => {}));
            await hub.start();
            window.first = hub.connectionId;
            window.pending = hub.invoke("ask").catch((error) => error.message);
            """
        )
        cable.target = start_server(*options).port
        cable.cut()
        outcome = tab.run(
            """
            const failed = await pending;
            await until(() => events.length === 2);
            const changed = hub.connectionId !== first;
            const works = await hub.invoke("sum", (async function* () { yield 1; })());
            await hub.stop();
            return { failed, events, changed, works };
            """
        )
    assert outcome == {
        "failed": "Invocation canceled due to the underlying connection being closed.",
        "events": ["reconnecting", "reconnected"],
        "changed": True,
        "works": 1,
    }


def test_what_goes_over_the_new_socket(tab):
    result = tab.run(
        STATEFUL
        + """
        const hub = await openQuietly();
        const [first] = sockets;
        await hub.send("one");
        await hub.send("two");
        say(first, call(1), { type: 6 }, call(2), { type: 8, sequenceId: 1 });
        lose(first);
        const duringLoss = hub.send("three");
        const states = [hub.state, hub.connectionId];
        await until(() => sockets.length === 2);
        const second = sockets[1];
        await until(() => second.sent.length > 0);
        await duringLoss;
        // Before the sequence nothing counts; what follows begins with two that were there before.
        say(second, call("too early"), { type: 9, sequenceId: 1 }, call(1), call(2), call(3));
        await hub.send("four");
        await until(() => second.sent.some(({ type, sequenceId }) => type === 8 && sequenceId === 3));
        await hub.stop();
        return { negotiate: requests[0].address, count: requests.length, handshake: first.sent[0], states, heard,
            addresses: sockets.map(({ address }) => address), closed: second.closedWith,
            second: second.sent.filter(({ type }) => type !== 8) };
        """
    )
    assert result["negotiate"].endswith("?negotiateVersion=1&useStatefulReconnect=true")
    assert result["count"] == 1
    assert result["handshake"] == {"protocol": "json", "version": 2}
    assert result["states"] == ["Connected", "id"]
    assert result["addresses"][0] == result["addresses"][1]
    assert result["heard"] == [1, 2, 3]
    calls = [{"type": 1, "target": name, "arguments": []} for name in ("two", "three", "four")]
    sequence = {"type": 9, "sequenceId": 2}
    assert result["second"] == [sequence, *calls, {"type": 7}]
    assert result["closed"] == 1000


def test_acknowledgements_come_together(tab):
    result = tab.run(
        STATEFUL
        + """
        const hub = await openQuietly();
        say(sockets[0], call(1), call(2), { type: 6 });
        await until(() => sockets[0].sent.some(({ type }) => type === 8));
        say(sockets[0], { type: 6 });
        say(sockets[0], call(3));
        await until(() => sockets[0].sent.filter(({ type }) => type === 8).length === 2);
        await hub.stop();
        return sockets[0].sent.filter(({ type }) => type === 8);
        """
    )
    assert result == [{"type": 8, "sequenceId": 2}, {"type": 8, "sequenceId": 3}]


def test_senders_wait_for_acknowledgements(tab):
    result = tab.run(
        STATEFUL
        + """
        const hub = await openQuietly({ statefulReconnectBufferSize: 200 });
        const order = [];
        const sends = ["a", "b", "c"].map((name) => hub.send(name, "x".repeat(90)).then(() => order.push(name)));
        await until(() => sockets[0].sent.filter(({ type }) => type === 1).length === 3);
        await sends[0];
        order.push("ack");
        say(sockets[0], { type: 8, sequenceId: 2 });
        await Promise.all(sends);
        const waiting = hub.send("d", "x".repeat(200)).catch((error) => error.message);
        say(sockets[0], { type: 7 });
        return { order, waiting: await waiting };
        """
    )
    assert result["order"][:2] == ["a", "ack"] and sorted(result["order"][2:]) == ["b", "c"]
    assert result["waiting"] == "The connection is closed."


@pytest.mark.parametrize("move", [
    'say(sockets[1], { type: 9, sequenceId: 3 })',
    'say(sockets[1], { type: 9, sequenceId: "2" })',
    'say(sockets[1], { type: 7, error: "gone" })',
    'lose(sockets[1])',
])
def test_a_resumption_that_fails_ends_the_connection(tab, move):
    result = tab.run(
        STATEFUL
        + """
        const hub = await openQuietly();
        let closed;
        hub.onclose = (error) => (closed = String(error?.message));
        say(sockets[0], call(1));
        lose(sockets[0]);
        await until(() => sockets[1]?.sent.length > 0);
        """
        + move
        + """
        await until(() => closed);
        return { closed, state: hub.state, count: sockets.length };
        """
    )
    assert result["state"] == "Disconnected" and result["count"] == 2 and result["closed"] != "undefined"


@pytest.mark.parametrize("offer, wish", [("false", "true"), ("true", "false")])
def test_without_both_sides_wish_nothing_is_counted(tab, offer, wish):
    result = tab.run(
        STATEFUL
        + f"""
        const plain = answer;
        answer = async () => json({{ ...(await plain().json()), useStatefulReconnect: {offer} }});
        const hub = await openQuietly({{ statefulReconnect: {wish} }});
        """
        + """
        await hub.send("one");
        lose(sockets[0]);
        await until(() => hub.state === "Disconnected");
        return { sent: sockets[0].sent, count: sockets.length };
        """
    )
    assert result["sent"][0] == {"protocol": "json", "version": 1} and result["count"] == 1


def test_stopping_while_resuming(tab):
    result = tab.run(
        STATEFUL
        + """
        const hub = await openQuietly();
        window.WebSocket = class extends WebSocket { set onopen(_) {} get onopen() { return () => {}; } };
        lose(sockets[0]);
        await until(() => sockets.length === 2);
        await hub.stop();
        return { state: hub.state, closed: sockets[1].hasOwnProperty("closedWith") };
        """
    )
    assert result == {"state": "Disconnected", "closed": True}
