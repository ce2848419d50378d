// SignalBox: the playground's behaviour: a chat, a whiteboard and the three kinds of streams and results.
// SPDX-License-Identifier: Apache-2.0

import { HubConnection } from "/signalbox.js";

const maximumMessages = 500;
const maximumLogLines = 300;
const maximumStrokes = 1_000; // the server remembers 500
const maximumPoints = 600; // of one stroke; keeps it well under the hub's message limit of 32 KiB
const sendInterval = 33; // ms between pieces of a stroke, and between cursor positions
const cursorLifetime = 6_000; // ms a cursor stays without moving
const retryDelay = 3_000; // ms between attempts to reach a server that was never reached
const reconnectDelays = [0, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];

const element = (id) => document.getElementById(id);

/** Makes an element of text and elements; user text never becomes markup. */
function make(tag, properties = {}, ...children) {
    const { data = {}, tint, ...rest } = properties;
    const made = Object.assign(document.createElement(tag), rest);
    Object.assign(made.dataset, data);
    if (tint) made.style.setProperty("--tint", tint);
    made.append(...children);
    return made;
}

const clock = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** Picks from a list by a name, so that everyone sees a person in the same colour. */
function pickFor(name, list) {
    let hash = 7;
    for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193);
    // The high bits are the well mixed ones.
    return list[(hash >>> 16) % list.length];
}

const personColors = [
    "#b4432f", "#a8620c", "#6f7410", "#2f7d32", "#0f766e", "#0e6f9c", "#3b5bb5", "#6b4bb8", "#9a3c9c", "#b03a6b",
];
const colorOf = (name) => pickFor(name, personColors);

// ---- Log

const log = (level, message) => {
    if (level === "debug") return;
    const list = element("log");
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
    list.append(make("li", { data: { level } }, make("time", {}, new Date().toLocaleTimeString()), message));
    if (list.children.length > maximumLogLines) list.firstElementChild.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
};

// ---- Name

const nameField = element("name");
const randomOf = (list) => list[Math.floor(Math.random() * list.length)];
const randomName = () =>
    `${randomOf(["Amber", "Brisk", "Calm", "Clever", "Gentle", "Lucky", "Merry", "Quiet", "Sunny", "Swift"])} ` +
    randomOf(["Badger", "Finch", "Fox", "Heron", "Lynx", "Marten", "Otter", "Owl", "Robin", "Wren"]);

nameField.value = sessionStorage.getItem("name") || randomName();
const myName = () => nameField.value.trim() || "Somebody";
const keepName = () => sessionStorage.setItem("name", myName());
nameField.addEventListener("input", keepName);
keepName();

// ---- Chat

class Chat {
    /** The open conversation: a room, or "" for everyone. */
    #open = "";
    /** @type {Set<string>} */
    rooms = new Set();
    /** @type {Map<string, number>} */
    #unread = new Map();
    onleave = () => {};

    constructor() {
        this.#showRooms();
    }

    get room() {
        return this.#open;
    }

    open(room) {
        if (room) this.rooms.add(room);
        this.#open = room;
        this.#unread.delete(room);
        this.#showRooms();
        for (const item of element("messages").children) item.hidden = item.dataset.room !== room;
        this.#showEmpty();
        this.#scrollToEnd();
    }

    leave(room) {
        this.rooms.delete(room);
        this.open(this.#open === room ? "" : this.#open);
        this.onleave(room);
    }

    add(room, user, text) {
        const list = element("messages");
        const scroll = element("scroll");
        const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
        const hidden = room !== this.#open;
        list.append(
            make(
                "li",
                { hidden, className: user === myName() ? "mine" : "", data: { room } },
                make("span", { className: "avatar", tint: colorOf(user), ariaHidden: "true" }, initials(user)),
                make(
                    "div",
                    { className: "byline" },
                    make("span", { className: "user" }, user),
                    make("time", {}, clock()),
                ),
                make("p", { className: "text" }, text),
            ),
        );
        if (list.children.length > maximumMessages) list.firstElementChild.remove();
        if (hidden) {
            this.#unread.set(room, (this.#unread.get(room) ?? 0) + 1);
            this.#showRooms();
        }
        this.#showEmpty();
        if (atEnd) this.#scrollToEnd();
    }

    #showRooms() {
        const show = (room) => {
            const label = room || "Everyone";
            const open = make("button", { type: "button", data: { room }, onclick: () => this.open(room) }, label);
            open.ariaPressed = String(room === this.#open);
            if (this.#unread.has(room)) open.dataset.unread = this.#unread.get(room);
            const leave = make("button", { type: "button", className: "leave", onclick: () => this.leave(room) }, "×");
            leave.ariaLabel = `Leave ${room}`;
            return make("div", { className: "room" }, open, ...(room ? [leave] : []));
        };
        element("rooms").replaceChildren(...["", ...this.rooms].map(show));
        element("message").placeholder = this.#open ? `Message ${this.#open}` : "Message everyone";
    }

    #showEmpty() {
        element("empty").hidden = [...element("messages").children].some((item) => !item.hidden);
    }

    #scrollToEnd() {
        element("scroll").scrollTop = element("scroll").scrollHeight;
    }
}

const initials = (name) => name.split(/\s+/).slice(0, 2).map((word) => [...word][0] ?? "").join("").toUpperCase();

// ---- Whiteboard

/**
 * A stroke is `{ id, color, width, points, done }`: points as fractions of the board, width in thousandths of its
 * width. It travels in pieces that hold new points only; the last one has `done` and holds them all.
 */
class Whiteboard {
    #canvas = element("board");
    #context = this.#canvas.getContext("2d");
    #strokes = new Map();
    #cursors = new Map();
    #isStale = false;
    /** Hears every piece of a stroke drawn here, and where the pointer is. */
    onstroke = () => {};
    oncursor = () => {};

    constructor() {
        new ResizeObserver(() => this.#fit()).observe(this.#canvas);
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redrawSoon());
        new Pen(this.#canvas, this);
    }

    /** Takes a piece of a stroke from anywhere; what does not make sense is dropped. */
    add({ id, color, width, points, done } = {}) {
        if (typeof id !== "string" || !Array.isArray(points) || points.length === 0) return;
        if (!points.every(isPoint)) return;
        const known = this.#strokes.get(id);
        if (known && !done) {
            const from = known.points.length;
            if (from > 4 * maximumPoints) return;
            known.points.push(...points);
            this.#paint(known, from);
            return;
        }
        const stroke = { color, width: Math.min(Math.max(Number(width) || 5, 1), 60), points: [...points] };
        this.#strokes.set(id, stroke);
        if (this.#strokes.size > maximumStrokes) this.#strokes.delete(this.#strokes.keys().next().value);
        // The whole stroke is smoother than its pieces.
        if (known) this.#redrawSoon();
        else this.#paint(stroke, 0);
    }

    clear() {
        this.#strokes.clear();
        this.#redrawSoon();
    }

    load(strokes) {
        this.#strokes.clear();
        for (const stroke of strokes) this.add(stroke);
        this.#redrawSoon();
    }

    moveCursor(id, x, y, name, color) {
        const cursor = this.#cursors.get(id) ?? { mark: make("div", { className: "cursor" }, make("span")) };
        clearTimeout(cursor.timer);
        cursor.timer = setTimeout(() => this.removeCursor(id), cursorLifetime);
        cursor.mark.firstElementChild.textContent = String(name).slice(0, 24);
        cursor.mark.style.setProperty("--tint", /^#[0-9a-f]{6}$/i.test(color) ? color : colorOf(String(name)));
        place(cursor.mark, x, y, this.#canvas);
        if (!this.#cursors.has(id)) element("cursors").append(cursor.mark);
        this.#cursors.set(id, cursor);
    }

    removeCursor(id) {
        this.#cursors.get(id)?.mark.remove();
        this.#cursors.delete(id);
    }

    #fit() {
        const scale = devicePixelRatio || 1;
        this.#canvas.width = Math.round(this.#canvas.clientWidth * scale);
        this.#canvas.height = Math.round(this.#canvas.clientHeight * scale);
        this.#redraw();
    }

    #redrawSoon() {
        if (this.#isStale) return;
        this.#isStale = true;
        requestAnimationFrame(() => this.#redraw());
    }

    #redraw() {
        this.#isStale = false;
        this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
        for (const stroke of this.#strokes.values()) this.#paint(stroke, 0);
    }

    /** Paints a stroke's points from one on, as curves through the middles between them. */
    #paint({ color, width, points }, from) {
        const context = this.#context;
        const at = (index) => [points[index][0] * this.#canvas.width, points[index][1] * this.#canvas.height];
        const middle = ([ax, ay], [bx, by]) => [(ax + bx) / 2, (ay + by) / 2];
        const start = Math.max(from - 1, 0);
        context.strokeStyle = inkOf(color);
        context.lineWidth = (width * this.#canvas.width) / 1000;
        context.lineCap = "round";
        context.lineJoin = "round";
        context.beginPath();
        context.moveTo(...(start === 0 ? at(0) : middle(at(start - 1), at(start))));
        for (let index = start; index < points.length - 1; index += 1) {
            context.quadraticCurveTo(...at(index), ...middle(at(index), at(index + 1)));
        }
        context.lineTo(...at(points.length - 1));
        context.stroke();
    }
}

const isPoint = (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);

/** Moves a mark to a point given in fractions of the canvas. */
function place(mark, x, y, { clientWidth, clientHeight }) {
    mark.style.transform = `translate(${x * clientWidth}px, ${y * clientHeight}px)`;
}

/** "ink" is black on a light board and white on a dark one; anything but it and #rrggbb is taken for ink. */
function inkOf(color) {
    if (/^#[0-9a-f]{6}$/i.test(color)) return color;
    return getComputedStyle(document.documentElement).getPropertyValue("--ink").trim() || "#16202b";
}

/** Turns pointer and keys into strokes, at most one piece each `sendInterval`. */
class Pen {
    #canvas;
    #board;
    #stroke;
    #sent = 0;
    #cursor;
    #lastSend = 0;
    #isScheduled = false;
    /** Where the keyboard's pen is, with its mark. */
    #key = { x: 0.5, y: 0.5, mark: make("div", { className: "cursor pen" }) };

    constructor(canvas, board) {
        this.#canvas = canvas;
        this.#board = board;
        canvas.addEventListener("pointerdown", (event) => this.#press(event));
        canvas.addEventListener("pointermove", (event) => this.#move(event));
        for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => this.#finish());
        canvas.addEventListener("keydown", (event) => this.#type(event));
        canvas.addEventListener("blur", () => {
            this.#finish();
            this.#key.mark.remove();
        });
    }

    #press(event) {
        if (event.button !== 0) return;
        this.#canvas.setPointerCapture(event.pointerId);
        this.#begin(this.#pointOf(event));
    }

    #move(event) {
        this.#cursor = this.#pointOf(event);
        const events = event.getCoalescedEvents?.() ?? [];
        for (const each of events.length > 0 ? events : [event]) this.#extend(this.#pointOf(each));
        this.#sendSoon();
    }

    #type(event) {
        const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
        const step = steps[event.key];
        if (!step && event.key !== " ") return;
        event.preventDefault();
        const key = this.#key;
        if (!step && this.#stroke) this.#finish();
        else if (!step) this.#begin([key.x, key.y]);
        else {
            const length = event.shiftKey ? 0.05 : 0.01;
            key.x = Math.min(Math.max(key.x + step[0] * length, 0), 1);
            key.y = Math.min(Math.max(key.y + step[1] * length, 0), 1);
            this.#cursor = [key.x, key.y];
            this.#extend(this.#cursor);
            this.#sendSoon();
        }
        key.mark.classList.toggle("down", this.#stroke !== undefined);
        place(key.mark, key.x, key.y, this.#canvas);
        element("cursors").append(key.mark);
    }

    #pointOf(event) {
        const frame = this.#canvas.getBoundingClientRect();
        const round = (value) => Math.round(Math.min(Math.max(value, 0), 1) * 10_000) / 10_000;
        return [round((event.clientX - frame.left) / frame.width), round((event.clientY - frame.top) / frame.height)];
    }

    #begin(point) {
        this.#finish();
        const color = document.querySelector("#colors input:checked").value;
        this.#stroke = { id: identifier(), color, width: Number(element("width").value), points: [] };
        this.#sent = 0;
        this.#extend(point);
        this.#sendSoon();
    }

    #extend(point) {
        const points = this.#stroke?.points;
        const last = points?.at(-1);
        if (!points || (last && Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.001)) return;
        points.push(point);
        const { id, color, width } = this.#stroke;
        this.#board.add({ id, color, width, points: [point], done: false });
        // A very long line goes on as a new stroke.
        if (points.length >= maximumPoints) this.#begin(point);
    }

    #finish() {
        if (!this.#stroke) return;
        const finished = { ...this.#stroke, done: true };
        this.#stroke = undefined;
        this.#board.add(finished);
        this.#board.onstroke(finished);
    }

    #sendSoon() {
        if (this.#isScheduled) return;
        this.#isScheduled = true;
        requestAnimationFrame((now) => this.#sendDue(now));
    }

    #sendDue(now) {
        if (now - this.#lastSend < sendInterval) return requestAnimationFrame((later) => this.#sendDue(later));
        this.#isScheduled = false;
        this.#lastSend = now;
        const points = this.#stroke?.points.slice(this.#sent) ?? [];
        if (points.length > 0) {
            this.#sent += points.length;
            this.#board.onstroke({ ...this.#stroke, points, done: false });
        }
        if (this.#cursor) this.#board.oncursor(...this.#cursor);
        this.#cursor = undefined;
    }
}

/** crypto.randomUUID() exists on secure pages only, which a phone on the local network does not get. */
function identifier() {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const penColors = {
    ink: "Ink",
    "#e5484d": "Red",
    "#e08a1e": "Orange",
    "#2f9e5f": "Green",
    "#2f7fd6": "Blue",
    "#8e5bd0": "Violet",
};

function showColors() {
    for (const [value, title] of Object.entries(penColors)) {
        const checked = value === "ink";
        const radio = make("input", { type: "radio", name: "color", value, ariaLabel: title, checked });
        const swatch = make("span");
        swatch.style.setProperty("--swatch", checked ? "var(--ink)" : value);
        element("colors").append(make("label", { title }, radio, swatch));
    }
}

// ---- Connections

/** Both hubs on one choice of transport, kept connected until another choice replaces them. */
class Link {
    #isOver = false;
    #isStarting = false;
    /** What the log said about the choice of transport: each failure, then the success. */
    #choice = [];

    /** @param {string} transport A transport's name, or "" for whichever works. */
    constructor(transport, chat, board) {
        const connect = (hub) => {
            const connection = new HubConnection(`/hubs/${hub}`, {
                transports: transport ? [transport] : undefined,
                reconnectDelays,
                log: (level, message) => {
                    log(level, `${hub}: ${message}`);
                    if (hub === "chat") this.#noteChoice(message);
                },
            });
            connection.onreconnecting = () => this.#show();
            connection.onclose = () => this.#show();
            return connection;
        };
        this.chat = connect("chat");
        this.board = connect("board");
        this.#serveChat(chat);
        this.#serveBoard(board);
    }

    /** Connects, trying until it works or the link is replaced. */
    async start() {
        if (this.#isStarting) return;
        this.#isStarting = true;
        while (!this.#isOver) {
            const waiting = [this.chat, this.board].filter(({ state }) => state === "Disconnected");
            const starting = waiting.map((connection) => connection.start().then(() => connection.onreconnected()));
            this.#show();
            const failures = (await Promise.allSettled(starting)).filter(({ status }) => status === "rejected");
            if (failures.length === 0 || this.#isOver) break;
            for (const { reason } of failures) log("error", reason.message);
            this.#show(failures[0].reason);
            await new Promise((resolve) => setTimeout(resolve, retryDelay));
        }
        this.#isStarting = false;
        this.#show();
    }

    async stop() {
        this.#isOver = true;
        await Promise.allSettled([this.chat.stop(), this.board.stop()]);
    }

    /** Sends where nothing is awaited: a loss shows in the state, and a stroke missed comes with the history. */
    tell(hub, method, ...args) {
        if (this[hub].state !== "Connected") return;
        this[hub].send(method, ...args).catch((error) => log("warn", `${method}: ${error.message}`));
    }

    #serveChat(chat) {
        this.chat.on("receive", (user, text) => chat.add("", String(user), String(text)));
        this.chat.on("receiveRoom", (room, user, text) => chat.add(String(room), String(user), String(text)));
        this.chat.on("online", showOnline);
        this.chat.on("answer", () => {
            log("info", "chat: the server asked this page.");
            const answer = element("try-answer").value.trim();
            return answer !== "" && Number.isFinite(Number(answer)) ? Number(answer) : answer;
        });
        this.chat.onreconnected = () => {
            this.#show();
            // A new connection is in no group.
            for (const room of chat.rooms) this.tell("chat", "join", room);
        };
    }

    #serveBoard(board) {
        this.board.on("draw", (stroke) => board.add(stroke));
        this.board.on("cursor", (...cursor) => board.moveCursor(...cursor));
        this.board.on("clear", () => board.clear());
        this.board.on("left", (id) => board.removeCursor(id));
        this.board.on("online", () => {});
        this.board.onreconnected = async () => {
            this.#show();
            try {
                board.load(await this.board.invoke("history"));
            } catch (error) {
                log("warn", `board: the history is missing: ${error.message}`);
            }
        };
    }

    #noteChoice(message) {
        if (message.startsWith("Reconnecting")) this.#choice = [];
        else if (/^Connected with |^\w+ failed: /.test(message)) this.#choice.push(message);
    }

    #show(failure) {
        if (this.#isOver) return;
        const { state, transport = "" } = this.chat;
        const mark = element("state");
        mark.dataset.state = state;
        mark.dataset.transport = transport;
        const by = transport ? ` · ${transportTitles[transport] ?? transport}` : "";
        mark.replaceChildren(state, make("span", { className: "by" }, by));
        element("send").disabled = state !== "Connected";
        element("reconnect").hidden = state !== "Disconnected" || this.#isStarting;
        element("connection-id").textContent = this.chat.connectionId ?? "–";
        element("why").textContent = failure?.message ?? (transport ? this.#choice.join(" ") : `${state}…`);
    }
}

const transportTitles = { WebSockets: "WebSockets", ServerSentEvents: "SSE", LongPolling: "Long polling" };

function showOnline(count) {
    element("online").dataset.count = count;
    element("online").textContent = `${count} online`;
}

// ---- Try it

/** Runs one demonstration, showing its words as they come; `run` is given a function that shows them. */
function offer(id, run) {
    const button = element(id);
    button.addEventListener("click", async () => {
        const show = (text) => (element("try-output").textContent = text);
        button.disabled = true;
        try {
            await run(show);
        } catch (error) {
            show(`Failed: ${error.message}`);
        }
        button.disabled = false;
    });
}

async function countDown(show) {
    const seen = [];
    for await (const number of link.chat.stream("countdown", 5)) {
        seen.push(number);
        show(`countdown(5) → ${seen.join(", ")}`);
    }
    show(`countdown(5) → ${seen.join(", ")} · done`);
}

async function sumUp(show) {
    const numbers = async function* () {
        for (let number = 1; number <= 5; number += 1) {
            show(`sum(${Array.from({ length: number }, (_, index) => index + 1).join(", ")} …`);
            yield number;
            await new Promise((resolve) => setTimeout(resolve, 200));
        }
    };
    show(`sum(1, 2, 3, 4, 5) = ${await link.chat.invoke("sum", numbers())}`);
}

async function ask(show) {
    show("ask() …");
    show(`ask() = ${JSON.stringify(await link.chat.invoke("ask"))}`);
}

// ---- The page

showColors();
const chat = new Chat();
const board = new Whiteboard();
/** @type {Link} */
let link;
let switching = Promise.resolve();

/** Replaces the connections, one change after the other. */
function connectBy(transport) {
    switching = switching.then(async () => {
        await link?.stop();
        link = new Link(transport, chat, board);
        link.start();
    });
}

chat.onleave = (room) => link.tell("chat", "leave", room);
board.onstroke = (stroke) => link.tell("board", "draw", stroke);
board.oncursor = (x, y) => link.tell("board", "cursor", x, y, myName(), colorOf(myName()));

element("chat-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = element("message");
    const text = field.value.trim();
    if (!text || link.chat.state !== "Connected") return;
    const sending = chat.room ? ["sendToRoom", chat.room, myName(), text] : ["send", myName(), text];
    field.value = "";
    try {
        await link.chat.invoke(...sending);
    } catch (error) {
        log("error", `The message was not sent: ${error.message}`);
        field.value ||= text;
    }
});

element("room-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const room = element("room").value.trim();
    if (!room) return;
    element("room").value = "";
    if (!chat.rooms.has(room)) link.tell("chat", "join", room);
    chat.open(room);
    element("message").focus();
});

element("board-clear").addEventListener("click", () => link.tell("board", "clear"));
element("reconnect").addEventListener("click", () => link.start());
element("copy").addEventListener("click", async () => {
    // The clipboard needs a secure page; the selection works everywhere.
    getSelection().selectAllChildren(element("snippet"));
    await navigator.clipboard?.writeText(element("snippet").textContent);
    element("copy").textContent = "Copied";
});

offer("try-countdown", countDown);
offer("try-sum", sumUp);
offer("try-ask", ask);

const wanted = new URL(location.href).searchParams.get("transport");
const chosen = wanted in transportTitles ? wanted : "";
for (const radio of document.querySelectorAll("#transports input")) {
    radio.checked = radio.value === chosen;
    radio.addEventListener("change", () => {
        const address = new URL(location.href);
        if (radio.value) address.searchParams.set("transport", radio.value);
        else address.searchParams.delete("transport");
        history.replaceState(null, "", address);
        connectBy(radio.value);
    });
}

connectBy(chosen);
