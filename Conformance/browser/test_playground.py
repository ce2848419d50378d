# SignalBox: the playground page in a real browser.
# SPDX-License-Identifier: Apache-2.0

import uuid

import pytest

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]
BLOCK = "window.{0} = class {{ constructor() {{ throw new Error('{0} is blocked'); }} }};"


def say(tab, text):
    tab.fill("#message", text)
    tab.click("#send")


def messages(tab):
    """What a reader of the open conversation sees, as (user, text)."""
    return [tuple(pair) for pair in tab.js(
        """return [...document.querySelectorAll("#messages li:not([hidden])")].map((item) =>
            [item.querySelector(".user").textContent, item.querySelector(".text").textContent]);"""
    )]


def until_read(tab, user, text):
    tab.until(lambda: (user, text) in messages(tab), f"the message {text!r}")


def join(tab, room):
    tab.fill("#room", room)
    tab.click("#room-join")


def inked(tab, x, y):
    """Whether something is drawn near a point of the board given in fractions."""
    return tab.js(
        """const canvas = document.getElementById("board");
        const [x, y] = [arguments[0] * canvas.width, arguments[1] * canvas.height];
        const { data } = canvas.getContext("2d").getImageData(x - 2, y - 2, 5, 5);
        return data.some((value) => value > 0);""",
        x,
        y,
    )


def draw(tab, *points):
    tab.js(
        """const canvas = document.getElementById("board");
        const frame = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};  // there is no real pointer to capture
        const fire = (type, [x, y]) => canvas.dispatchEvent(new PointerEvent(type, {
            pointerId: 1, button: 0, clientX: frame.left + x * frame.width, clientY: frame.top + y * frame.height }));
        const points = arguments[0];
        fire("pointerdown", points[0]);
        for (const point of points) fire("pointermove", point);
        fire("pointerup", points.at(-1));""",
        points,
    )


def clear_board(tab):
    tab.click("#board-clear")
    tab.until(lambda: not inked(tab, 0.5, 0.5), "the board to be empty")


def test_two_tabs_chat_both_ways(new_tab):
    ada, bo = new_tab().open_connected(), new_tab().open_connected()
    ada.fill("#name", "Ada")
    bo.fill("#name", "Bo")
    hello, reply = f"hello {uuid.uuid4()}", f"<b>reply</b> & {uuid.uuid4()}"
    say(ada, hello)
    until_read(bo, "Ada", hello)
    say(bo, reply)
    until_read(ada, "Bo", reply)
    until_read(bo, "Bo", reply)
    assert ada.all("#messages b") == [], "user text became markup"
    ada.until(lambda: int(ada.find("#online").get_attribute("data-count")) >= 2, "two online")
    ada.screenshot("chat")


def test_the_name_survives_a_reload(tab):
    tab.open_connected()
    assert tab.find("#name").get_attribute("value")
    tab.fill("#name", "Grace")
    tab.open_connected()
    assert tab.find("#name").get_attribute("value") == "Grace"


def test_room_messages_stay_in_the_room(new_tab):
    room = f"r{uuid.uuid4().hex[:8]}"
    ada, bo, outsider = (new_tab().open_connected() for _ in range(3))
    join(ada, room)
    # A member's own message coming back proves that the join has been done.
    say(ada, "first")
    ada.until(lambda: any(text == "first" for _, text in messages(ada)), "the room's first message")
    join(bo, room)
    say(bo, "secret")
    for member in (ada, bo):
        member.until(lambda: any(text == "secret" for _, text in messages(member)), "the room's message")
    # Sent after the secret, to everyone: had the outsider been sent the secret, it would have come before.
    marker = f"marker {uuid.uuid4()}"
    bo.click('#rooms [data-room=""]')
    say(bo, marker)
    outsider.until(lambda: any(text == marker for _, text in messages(outsider)), "the marker")
    assert "secret" not in outsider.js("return document.getElementById('messages').textContent")
    # The room is open in Ada's tab, so what everyone got waits, counted.
    ada.until(lambda: ada.find('#rooms [data-room=""]').get_attribute("data-unread"), "an unread count")
    assert all(text != marker for _, text in messages(ada))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_try_it_on_each_transport(tab, transport):
    tab.open(f"/?transport={transport}")
    tab.until_state("Connected", transport)
    for button, result in (
        ("#try-countdown", "countdown(5) → 5, 4, 3, 2, 1 · done"),
        ("#try-sum", "sum(1, 2, 3, 4, 5) = 15"),
        ("#try-ask", "ask() = 42"),
    ):
        tab.click(button)
        tab.until(lambda: result in tab.find("#try-output").text, result)
    assert tab.find(f'#transports input[value="{transport}"]').is_selected()


def test_the_switcher_changes_the_transport(tab):
    tab.open_connected()
    tab.until_state("Connected", "WebSockets")
    for transport in ("LongPolling", "ServerSentEvents", "WebSockets"):
        tab.click(f'#transports input[value="{transport}"]')
        tab.until_state("Connected", transport)
        assert f"transport={transport}" in tab.use().current_url
        text = f"by {transport} {uuid.uuid4()}"
        say(tab, text)
        tab.until(lambda: any(each == text for _, each in messages(tab)), text)


def test_a_stroke_appears_in_the_other_tab_and_can_be_cleared(new_tab):
    ada, bo = new_tab().open_connected(), new_tab().open_connected()
    clear_board(ada)
    bo.until(lambda: not inked(bo, 0.5, 0.5), "an empty board")
    draw(ada, [0.2, 0.2], [0.35, 0.35], [0.5, 0.5], [0.65, 0.65], [0.8, 0.8])
    assert inked(ada, 0.5, 0.5)
    bo.until(lambda: inked(bo, 0.5, 0.5), "the stroke")
    assert not inked(bo, 0.8, 0.2)
    bo.until(lambda: bo.all("#cursors .cursor"), "Ada's cursor")
    bo.screenshot("board")
    late = new_tab().open_connected()
    late.until(lambda: inked(late, 0.5, 0.5), "the stroke from the history")
    clear_board(late)
    ada.until(lambda: not inked(ada, 0.5, 0.5), "a cleared board")


def test_the_board_can_be_drawn_on_by_keyboard(new_tab):
    ada, bo = new_tab().open_connected(), new_tab().open_connected()
    clear_board(ada)
    ada.js("document.getElementById('board').focus()")
    ada.find("#board").send_keys(" ", *["\ue014"] * 8, " ")  # Space, ArrowRight, Space
    bo.until(lambda: inked(bo, 0.54, 0.5), "the stroke")
    clear_board(ada)


def test_without_websocket_it_falls_back_to_server_sent_events(new_tab):
    assert_falls_back(new_tab, ["WebSocket"], "ServerSentEvents", "WebSockets failed")


def test_without_event_source_it_falls_back_to_long_polling(new_tab):
    assert_falls_back(new_tab, ["WebSocket", "EventSource"], "LongPolling", "ServerSentEvents failed")


def assert_falls_back(new_tab, blocked, transport, reason):
    tab, other = new_tab(), new_tab().open_connected()
    for name in blocked:
        tab.before_load(BLOCK.format(name))
    tab.open()
    tab.until_state("Connected", transport)
    assert reason in tab.find("#why").text
    assert reason in tab.find("#log").text
    here, there = f"here {uuid.uuid4()}", f"there {uuid.uuid4()}"
    say(tab, here)
    other.until(lambda: any(text == here for _, text in messages(other)), here)
    say(other, there)
    tab.until(lambda: any(text == there for _, text in messages(tab)), there)
    tab.screenshot(f"fallback-{transport}")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_it_comes_back_after_the_server_restarts(tab, server, transport):
    room = f"r{uuid.uuid4().hex[:8]}"
    tab.open(f"/?transport={transport}")
    tab.until_state("Connected", transport)
    join(tab, room)
    server.stop()
    try:
        tab.until_state("Reconnecting")
    finally:
        server.start()
    tab.until_state("Connected", transport)
    say(tab, "still in the room")
    tab.until(lambda: any(text == "still in the room" for _, text in messages(tab)), "the room to be joined again")


def test_it_fits_a_phone(tab):
    tab.use().execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 375, "height": 760, "deviceScaleFactor": 2, "mobile": True}
    )
    tab.open_connected()
    assert tab.js("return document.documentElement.scrollWidth") <= 375
    tab.screenshot("phone")
