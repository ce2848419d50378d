# SignalBox: the dashboard in a real browser, over a service with real clients.
# SPDX-License-Identifier: Apache-2.0

import json
import re
import uuid

import pytest

from harness.http import request
from harness.rest import call_rest, rest_send
from harness.server import Server, lasting_port
from harness.server_connection import ServerConnection
from harness.transports import LongPollingTransport, ServerSentEventsTransport
from harness.visitor import Visitor

ADMIN_KEY = "conformance-admin-key-of-more-than-32-characters"
VIEWS = ["overview", "connections", "hubs", "users", "servers", "upstream", "trace", "try"]
MARKUP = '<img src=x onerror="window.markupRan=true">'


class Watched:
    """A service and the address of its dashboard. `url` has no key; what opens it adds one."""

    def __init__(self, *options: str, port: int = 0, admin_port: int = 0):
        self.service = Server("--admin-key", ADMIN_KEY, "--admin-port", str(admin_port), *options, port=port)
        self.address = self.service.wait_for_line(r"Dashboard: (http://\S+#key=\S+)")[1]
        self.url = self.address.split("#")[0].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])

    def send(self, hub: str, method: str, *arguments):
        answer = rest_send(self.service, hub, "", {"target": method, "arguments": arguments})
        assert answer.status == 202, answer


@pytest.fixture(scope="session")
def server():
    watched = Watched()
    yield watched
    assert watched.service.stop() == 0, watched.service.output()


@pytest.fixture
def start():
    """Starts services that end with the test."""
    mine = []

    def start(*options: str, **details) -> Watched:
        mine.append(Watched(*options, **details))
        return mine[-1]

    yield start
    for watched in mine:
        watched.service.kill()


@pytest.fixture
def visit(server, hub):
    """Clients of the test's hub that were welcomed."""
    visitors = []

    def visit(user: str | None = None, to: Watched = server, **details) -> Visitor:
        visitors.append(Visitor(to.service, hub, user, **details))
        visitors[-1].expect_welcome()
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def dashboard(new_tab, server, driver):
    """Opens the dashboard with its key. At the end, the console must have been silent."""
    driver.get_log("browser")

    def open_dashboard(view="overview", at: Watched = server, key=ADMIN_KEY):
        tab = new_tab()
        tab.base = at.url
        tab.open(f"/#key={key}")
        until_live(tab)
        go(tab, view)
        return tab

    yield open_dashboard
    noise = [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert noise == []


def until_live(tab):
    tab.until(lambda: tab.find("body").get_attribute("data-service") == "live", "the dashboard to be live")


def go(tab, view):
    tab.js("location.hash = arguments[0]", view)
    tab.until(lambda: tab.find(f'#views a[href="#{view.split("?")[0]}"]').get_attribute("aria-current"), f"the view {view}")


def text(tab, selector):
    """What a reader sees there; empty while it is being replaced."""
    return tab.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def number(tab, name):
    shown = text(tab, f"#figure-{name}").replace(",", "")
    return float(shown) if re.fullmatch(r"[\d.]+", shown) else 0.0


def row(tab, key):
    """The cells of a list's row by their column, or None."""
    return tab.js(
        """const row = [...document.querySelectorAll("#view tr[data-key]")].find((each) => each.dataset.key === arguments[0]);
        return row ? Object.fromEntries([...row.cells].map((cell) => [cell.dataset.title, cell.innerText])) : null;""", key)


def until_row(tab, key, condition=lambda cells: True):
    tab.until(lambda: (cells := row(tab, key)) is not None and condition(cells), f"a row {key}: {text(tab, '#view')[:500]}")
    return row(tab, key)


def trace(tab, kind):
    return tab.js(
        "return [...document.querySelectorAll('#trace li')].filter((each) => each.dataset.kind === arguments[0]).map((each) => each.innerText)",
        kind)


def press(tab, key, label):
    """A button in a list's row."""
    tab.js(
        """const row = [...document.querySelectorAll("#view tr[data-key]")].find((each) => each.dataset.key === arguments[0]);
        [...row.querySelectorAll("button")].find((each) => each.textContent === arguments[1]).click();""", key, label)


def agree(tab):
    tab.until(lambda: tab.find("#confirm").get_attribute("open") is not None, "a question")
    tab.click("#confirm-yes")


def hear(visitor) -> dict:
    """The next message that is no ping, which come whenever the machine is slow."""
    while (message := visitor.receive())["type"] == 6:
        pass
    return message


# Overview


def test_figures_move_when_a_client_connects_and_messages_flow(start, hub, dashboard):
    watched = start()
    tab = dashboard(at=watched)
    tab.until(lambda: text(tab, "#figure-connections") == "0", "nobody to be there")
    assert "Connect a client" in text(tab, "#view")
    visitors = [Visitor(watched.service, hub, f"user-{index}") for index in range(3)]
    for visitor in visitors:
        visitor.expect_welcome()
    tab.until(lambda: number(tab, "connections") == 3, "three connections")
    tab.until(lambda: "WebSockets" in text(tab, ".bars"), "their transport")

    def flows():
        watched.send(hub, "receive", "hello")
        return number(tab, "out") > 0

    tab.until(flows, "messages to be counted")
    chart = 'return document.querySelector("svg.chart").getAttribute("aria-label")'
    tab.until(lambda: re.search(r"out [\d.]+/s, in", tab.js(chart)), "the chart's words")
    assert tab.js('return document.querySelector("svg.chart path.line").getAttribute("d").length') > 0
    for visitor in visitors:
        visitor.close()
    tab.until(lambda: number(tab, "connections") == 0, "nobody to be left")
    tab.until(lambda: tab.all(".thirds tr[data-key]"), "a close reason")
    assert tab.js('return [...document.querySelectorAll(".thirds tr[data-key]")].every((each) => each.cells[1].textContent.length > 10)')
    tab.screenshot("dashboard-overview")


def test_a_chart_is_read_with_the_keyboard(dashboard):
    tab = dashboard()
    tab.until(lambda: tab.js('return document.querySelector("svg.chart path.line").getAttribute("d") !== ""'), "a line")
    tab.js('document.querySelector("svg.chart").focus()')
    tab.find("svg.chart").send_keys("\ue012")  # ArrowLeft
    tab.until(lambda: tab.find(".tip").is_displayed(), "the values at the cursor")
    assert re.search(r"\d\d:\d\d:\d\d", text(tab, ".tip")) and "/s" in text(tab, ".tip")


# The key


def test_the_printed_address_opens_the_dashboard_and_the_key_leaves_it(new_tab, server):
    tab = new_tab()
    tab.use().get(server.address)
    until_live(tab)
    assert "key=" not in tab.use().current_url
    # It lasts for the tab, over a reload.
    tab.use().refresh()
    until_live(tab)


def test_a_wrong_key_is_refused_and_another_one_asked_for(new_tab, server):
    tab = new_tab()
    tab.open("/#key=wrong")
    tab.until(lambda: tab.find("#unlock").is_displayed(), "the question for the key")
    assert "does not accept" in text(tab, "#unlock-problem")
    tab.fill("#key", "wrong-again")
    tab.click("#unlock-form button")
    tab.until(lambda: tab.find("body").get_attribute("data-service") == "locked" and tab.find("#unlock").is_displayed(), "a refusal")
    tab.fill("#key", ADMIN_KEY)
    tab.click("#unlock-form button")
    until_live(tab)
    assert not tab.find("#unlock").is_displayed()
    tab.click("#lock")
    tab.until(lambda: tab.find("body").get_attribute("data-service") == "locked", "the key to be forgotten")


def test_without_a_key_nothing_is_told(server, new_tab):
    tab = new_tab().open("/")
    tab.until(lambda: tab.find("#unlock").is_displayed(), "the question for the key")
    assert text(tab, "#figure-connections") == ""
    tab.screenshot("dashboard-locked")


# Lists


def test_connections_are_listed_filtered_and_linked(server, hub, visit, dashboard):
    ada, bo = visit("ada"), visit("bo")
    tab = dashboard(f"connections?hub={hub}")
    cells = until_row(tab, ada.connection_id)
    assert (cells["Hub"].lower(), cells["User"], cells["Transport"], cells["Protocol"]) == (hub, "ada", "WebSockets", "json")
    until_row(tab, bo.connection_id)
    tab.fill("input[name=user]", "bo")
    tab.click(".filters button[type=submit]")
    tab.until(lambda: row(tab, ada.connection_id) is None and row(tab, bo.connection_id), "only bo")
    assert "user=bo" in tab.use().current_url
    tab.click(".filters button[type=button]")
    until_row(tab, ada.connection_id)


def test_hubs_groups_and_users_are_listed(server, hub, visit, dashboard):
    visitor = visit("grace")
    path = f"/api/hubs/{hub}/groups/room/connections/{visitor.connection_id}"
    assert call_rest(server.service, "PUT", path).status == 200
    tab = dashboard("hubs")
    cells = until_row(tab, hub, lambda cells: cells["Groups"] == "1")
    assert (cells["Connections"], cells["Users"]) == ("1", "1")
    until_row(tab, json.dumps([hub, "room"], separators=(",", ":")), lambda cells: cells["Connections"] == "1")
    go(tab, "users")
    until_row(tab, json.dumps([hub, "grace"], separators=(",", ":")), lambda cells: cells["Connections"] == "1")


def test_app_servers_are_listed_and_their_absence_explained(start, hub, dashboard):
    watched = start("--mode", "default")
    tab = dashboard("servers", at=watched)
    tab.until(lambda: "AddAzureSignalR" in text(tab, "#view"), "what to do")
    connection = ServerConnection(watched.service, hub, "WEB_1").shake_hands()
    try:
        tab.until(lambda: tab.all("#view tr[data-key]"), "the server connection")
        assert "WEB_1" in text(tab, "#view table") and hub in text(tab, "#view table").lower()
    finally:
        connection.socket.close()


def test_deliveries_to_upstream_are_listed(start, start_upstream, visit, dashboard):
    upstream = start_upstream()
    upstream.answers["connected"] = lambda _: (500, b"")
    watched = start("--mode", "serverless", "--upstream", upstream.url + "/{hub}/{event}")
    tab = dashboard("upstream", at=watched)
    tab.until(lambda: "--upstream" in text(tab, "#view"), "what to do")
    visitor = visit("ada", watched)
    upstream.next("connected")
    tab.until(lambda: tab.all("#view tr[data-key]"), "the delivery")
    shown = text(tab, "#view table")
    assert "connected" in shown and "500" in shown and visitor.connection_id in shown


# One connection


def test_a_connection_is_followed_from_negotiate_to_close_reason(hub, visit, dashboard):
    visitor = visit("ada", transport=ServerSentEventsTransport)
    tab = dashboard(f"connections?hub={hub}")
    until_row(tab, visitor.connection_id)
    tab.click("#view td a.id")
    tab.until(lambda: text(tab, "#connection-state") == "Open", "the panel")
    assert text(tab, "#connection-title") == visitor.connection_id
    assert "Server-Sent Events" in text(tab, "#connection-facts")
    assert len(text(tab, "#connection-explanation")) > 10
    kinds = "return [...document.querySelectorAll('#connection-timeline li')].map((each) => each.dataset.kind)"
    tab.until(lambda: {"negotiate", "connect", "handshake"} <= set(tab.js(kinds)), f"its life: {tab.js(kinds)}")
    assert tab.js(kinds)[0] == "negotiate"
    tab.screenshot("dashboard-connection")
    tab.click("#connection-end")
    agree(tab)
    tab.until(lambda: text(tab, "#connection-state").startswith("Closed: "), "the close reason")
    assert tab.js(kinds)[-1] == "disconnect"
    assert hear(visitor)["type"] == 7
    tab.js("document.getElementById('connection').close()")
    tab.until(lambda: "show=" not in tab.use().current_url, "the address without the panel")


def test_why_this_transport_names_what_was_tried_before(hub, visit, dashboard):
    visitor = visit("ada", transport=LongPollingTransport)
    tab = dashboard(f"connections?show={visitor.connection_id}")
    tab.until(lambda: "Long polling" in text(tab, "#connection-tried"), "the transports")
    tried = text(tab, "#connection-tried")
    assert "in use" in tried and tried.index("WebSockets") < tried.index("Long polling")


def test_other_clients_are_no_failed_attempts(hub, visit, dashboard):
    stays, leaves = visit("bo"), visit("grace")
    leaves.leave()
    visitor = visit("ada", transport=LongPollingTransport)
    # What ends later cannot be why.
    stays.close()
    tab = dashboard(f"connections?show={visitor.connection_id}")
    tab.until(lambda: len(tab.all("#connection-tried li")) == 3, "the offer and nothing else")
    assert "failed" not in text(tab, "#connection-tried")


def test_an_unknown_connection_is_said_to_be_unknown(dashboard, driver):
    tab = dashboard("connections?show=nobody")
    tab.until(lambda: "not known" in text(tab, "#connection-problem"), "the explanation")
    # The browser itself notes the answer.
    driver.get_log("browser")


@pytest.mark.parametrize("view", ["connections", "users"])
def test_who_is_disconnected_in_a_list_is_gone(hub, visit, dashboard, view):
    visitor = visit("ada")
    tab = dashboard(f"{view}?hub={hub}")
    key = visitor.connection_id if view == "connections" else json.dumps([hub, "ada"], separators=(",", ":"))
    until_row(tab, key)
    press(tab, key, "Disconnect")
    tab.click("#confirm button[value=no]")
    press(tab, key, "Disconnect")
    agree(tab)
    close = hear(visitor)
    assert close["type"] == 7 and not close.get("allowReconnect", False)
    # The notice first, which does not stay.
    tab.until(lambda: "1 connection disconnected" in text(tab, "#notices"), "the notice")
    tab.until(lambda: row(tab, key) is None, "the row to go")


# Trace


def test_the_trace_shows_a_message_as_it_happens(server, hub, visit, dashboard):
    tab = dashboard(f"trace?hub={hub}")
    tab.until(lambda: text(tab, "#trace-status").startswith("Watching"), "the trace")

    def heard():
        # The stream's first moment cannot be seen from outside, so there is more than one message.
        server.send(hub, "receive", "hello")
        return trace(tab, "message")

    visitor = visit("ada")
    tab.until(heard, "a message")
    assert "receive" in trace(tab, "message")[0]
    visitor.close()
    tab.until(lambda: trace(tab, "disconnect"), "the end of the client")
    tab.screenshot("dashboard-trace")
    tab.click("#trace-pause")
    before = len(tab.all("#trace li"))
    again = visit("bo")
    tab.until(lambda: int(re.search(r"(\d+) event", text(tab, "#trace-status")).group(1)) > before, "events behind the pause")
    assert len(tab.all("#trace li")) == before and text(tab, "#trace-status").startswith("Paused")
    tab.click("#trace-pause")
    tab.until(lambda: any(again.connection_id in line for line in trace(tab, "connect")), "what was held back")


def test_arguments_are_told_only_when_asked_for(server, hub, visit, dashboard):
    visit("ada")
    tab = dashboard(f"trace?hub={hub}")
    secret = uuid.uuid4().hex

    def sent():
        server.send(hub, "receive", secret)
        return trace(tab, "message")

    tab.until(sent, "a message")
    assert secret not in text(tab, "#trace")
    tab.click("#trace-payloads")
    tab.until(lambda: sent() and secret in text(tab, "#trace"), "the arguments")


def test_the_trace_is_exported_as_json(server, hub, visit, dashboard):
    tab = dashboard(f"trace?hub={hub}")
    tab.js("""window.saved = []; URL.createObjectURL = (blob) => { blob.text().then((text) => saved.push(text)); return "#"; };
        HTMLAnchorElement.prototype.click = function () { window.savedAs = this.download; };""")
    visit("ada")
    tab.until(lambda: server.send(hub, "receive", 1) or trace(tab, "message"), "a message")
    tab.click("#trace-export")
    tab.until(lambda: tab.js("return saved.length"), "the file")
    events = json.loads(tab.js("return saved[0]"))
    assert {"time", "kind", "hub"} <= set(events[0]) and "message" in {event["kind"] for event in events}
    assert re.fullmatch(r"signalbox-trace-[\dTZ-]+\.json", tab.js("return savedAs"))


def test_the_trace_keeps_a_bounded_number_of_rows(dashboard):
    tab = dashboard("trace")
    outcome = tab.js(
        """return import("/dashboard-trace.js").then(async ({ TraceView }) => {
            const events = async function* () {
                for (let index = 0; index < 2500; index += 1) yield { time: new Date().toISOString(), kind: "message", text: `${index}` };
            };
            const view = new TraceView({ state: "live", watch: events });
            document.body.append(view.element);
            view.open(new URLSearchParams());
            const newest = () => view.element.querySelector("#trace li p")?.textContent;
            while (!newest()?.startsWith("2499")) await new Promise(requestAnimationFrame);
            const shown = [view.element.querySelectorAll("#trace li").length, view.element.querySelector("#trace-status").textContent];
            view.element.remove();
            return shown;
        })""")
    assert outcome[0] == 1000 and "1,500 older ones dropped" in outcome[1]


# Try it


def test_the_console_sends_to_all_users_groups_and_connections(server, hub, visit, dashboard):
    ada, bo = visit("ada"), visit("bo")
    tab = dashboard(f"try?hub={hub}")
    tab.fill("#send-method", "receive")
    for target, to, hears in [("all", None, (ada, bo)), ("user", "bo", (bo,)), ("connection", ada.connection_id, (ada,))]:
        tab.click(f"input[name=target][value={target}]")
        if to:
            tab.fill("#send-to", to)
        tab.fill("#send-arguments", json.dumps([target, 1, {"deep": None}]))
        tab.click("#send")
        for visitor in hears:
            message = hear(visitor)
            assert (message["target"], message["arguments"]) == ("receive", [target, 1, {"deep": None}])
    tab.until(lambda: text(tab, "#send-log").count("Sent receive") == 3, "three lines")
    tab.screenshot("dashboard-try")


def test_arguments_that_are_not_a_json_array_are_not_sent(hub, visit, dashboard):
    visit("ada")
    tab = dashboard(f"try?hub={hub}")
    tab.fill("#send-method", "receive")
    for wrong, problem in [("[1,", "Not JSON"), ('{"a": 1}', "JSON array")]:
        tab.fill("#send-arguments", wrong)
        tab.until(lambda: problem in text(tab, "#send-arguments-problem"), problem)
        tab.click("#send")
        assert text(tab, "#send-log") == ""


def test_the_page_is_a_client(server, hub, dashboard):
    tab = dashboard(f"try?hub={hub}")
    tab.fill("#client-hub", hub)
    tab.fill("#client-user", "page")
    tab.fill("#client-listen", "news, receive")
    tab.click("#client-connect")
    tab.until(lambda: text(tab, "#client-state") == "Connected", text(tab, "#client-log"))
    server.send(hub, "news", "hello")
    tab.until(lambda: 'news("hello")' in text(tab, "#client-log"), "the message")
    go(tab, f"users?hub={hub}")
    until_row(tab, json.dumps([hub, "page"], separators=(",", ":")))
    go(tab, "try")
    tab.click("#client-connect")
    tab.until(lambda: text(tab, "#client-state") == "Disconnected", "the end")


# The modules by themselves


def test_numbers_are_written_for_people(dashboard):
    tab = dashboard()
    assert tab.js("""return import("/dashboard-elements.js").then(({ format }) => [
        format.count(9999), format.count(12345), format.rate(0), format.rate(0.25), format.rate(1234.5), format.bytes(0),
        format.bytes(1023), format.bytes(1536), format.bytes(5 * 2 ** 30), format.milliseconds(0.314), format.milliseconds(12345),
        format.seconds(59.9), format.seconds(3661), format.seconds(200000), format.clock("nonsense"), format.count(undefined),
        format.transport("serverSentEvents"), format.transport("carrier pigeon"),
        format.detail({ direction: "in", method: "send", bytes: 2048, arguments: [1] }), format.detail(null)])""") == [
        "9,999", "12.3K", "0", "0.3", "1,235", "0 B", "1.0 KB", "1.5 KB", "5.0 GB", "0.31 ms", "12.3 s", "59 s", "1 h 1 min",
        "2 d 7 h", "–", "–", "Server-Sent Events", "carrier pigeon", "in · send · 2.0 KB · arguments [1]", ""]


@pytest.mark.parametrize(("highest", "ticks"), [
    (4, [0, 1, 2, 3, 4]), (5, [0, 2, 4, 6]), (0.7, [0, 0.2, 0.4, 0.6, 0.8]), (6400, [0, 2000, 4000, 6000, 8000]),
])
def test_axes_have_round_numbers(dashboard, highest, ticks):
    tab = dashboard()
    found = tab.js("return import('/dashboard-chart.js').then(({ ticksUpTo }) => ticksUpTo(arguments[0]))", highest)
    assert found == pytest.approx(ticks)


def test_history_turns_counts_into_rates_and_forgets(dashboard):
    tab = dashboard()
    points = tab.js(
        """return import("/dashboard-overview.js").then(({ History }) => {
            const history = new History();
            const at = (seconds) => new Date(Date.UTC(2030, 0, 1) + seconds * 1000).toISOString();
            history.load({ stepSeconds: 2, points: [{ time: at(0), connections: 1, messagesIn: 10, messagesOut: 0 }] });
            history.add({ point: { time: at(600), messagesIn: 3 }, process: { cpuSeconds: 1 } });
            history.add({ point: { time: at(602), messagesIn: 4 }, process: { cpuSeconds: 2 } });
            history.add({ point: { time: at(601), messagesIn: 9 } });
            return history.points;
        })""")
    assert [(point["in"], point.get("cpu")) for point in points] == [(1.5, None), (2, 0.5)]


# Safety, size, loss


def test_what_peers_choose_is_never_markup(server, visit, hub, dashboard):
    visitor = visit(MARKUP)
    tab = dashboard(f"trace?hub={hub}")
    tab.click("#trace-payloads")

    def traced():
        visitor.send({"type": 1, "target": MARKUP, "arguments": [MARKUP]})
        server.send(hub, MARKUP, MARKUP)
        return any(MARKUP in line for line in trace(tab, "message"))

    tab.until(traced, "the message in the trace")
    for view in (f"connections?hub={hub}&show={visitor.connection_id}", f"users?hub={hub}", f"try?hub={hub}&target=user&to={MARKUP}"):
        go(tab, view)
        tab.until(lambda: MARKUP in tab.js("return document.body.innerText + document.getElementById('send-to')?.value"), view)
    assert tab.js("return window.markupRan") is None
    assert tab.all("img") == []


@pytest.mark.parametrize("width", [360, 390])
def test_it_fits_a_phone(server, hub, visit, dashboard, width):
    visit("a-user-with-a-name-that-is-very-much-longer-than-the-screen-of-any-phone@example.org")
    tab = dashboard()
    tab.use().execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 844, "deviceScaleFactor": 2, "mobile": True})
    for view in VIEWS:
        go(tab, view)
        if view == "connections":
            tab.until(lambda: tab.all("#view tr[data-key]"), "a row")
        tab.until(lambda: tab.js("return document.documentElement.scrollWidth") <= width, f"{view} to fit {width} pixels")
        tab.screenshot(f"dashboard-phone-{view}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 3840])
def test_it_fits_a_desk(dashboard, visit, scheme, width):
    visit("ada")
    tab = dashboard()
    tab.use().execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    tab.use().execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    for view in VIEWS:
        go(tab, view)
        tab.until(lambda: tab.js("return document.documentElement.scrollWidth") <= width, f"{view} to fit {width} pixels")
        tab.screenshot(f"dashboard-{scheme}-{width}-{view}")


def test_it_says_when_it_is_offline_and_comes_back(start, hub, dashboard, driver):
    first = start(admin_port=lasting_port())
    tab = dashboard("trace", at=first)
    first.service.kill()
    tab.until(lambda: tab.find("#offline").is_displayed(), "the notice")
    assert text(tab, "#state") == "Offline"
    second = start(admin_port=first.port)
    until_live(tab)
    assert not tab.find("#offline").is_displayed()
    # The trace goes on by itself.
    visitor = Visitor(second.service, hub, "ada")
    visitor.expect_welcome()
    tab.until(lambda: second.send(hub, "receive", 1) or trace(tab, "message"), "events of the new service")
    visitor.close()
    # The browser itself notes requests that nobody answered.
    driver.get_log("browser")


def test_drain_asks_first_and_shows(start, dashboard):
    watched = start()
    tab = dashboard(at=watched)
    tab.click("#drain")
    agree(tab)
    tab.until(lambda: tab.find("#draining").is_displayed(), "the mark")


def test_the_page_cannot_be_framed_and_runs_only_its_own_scripts(server):
    admin = type("Admin", (), {"host": "127.0.0.1", "port": server.port})
    answer = request(admin, "GET", "/")
    assert answer.status == 200 and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in answer.text and "<script>" not in answer.text and "onclick" not in answer.text
    scripts = set(re.findall(r'(?:from|src=|href=)\s*"(/[a-z-]+\.(?:js|css))"', answer.text))
    for path in scripts | {"/dashboard-elements.js"}:
        file = request(admin, "GET", path)
        assert file.status == 200, path
        assert "innerHTML" not in file.text and "eval(" not in file.text
