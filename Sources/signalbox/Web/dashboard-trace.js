// SignalBox: the dashboard's live trace: what happens to connections and messages, as it happens.
// SPDX-License-Identifier: Apache-2.0

import { address, button, card, field, format, link, make, notify, setText } from "/dashboard-elements.js";

const maximumRows = 1_000;
const kinds = ["negotiate", "connect", "transport", "handshake", "message", "group", "server", "upstream", "disconnect", "refused"];

export class TraceView {
    title = "Live trace";
    #service;
    /** The newest events, oldest first. */
    #events = [];
    /** What came since the last frame. */
    #fresh = [];
    #isPaused = false;
    #isScheduled = false;
    #dropped = 0;
    #lost = 0;
    /** Ends the stream that is read. */
    #watching = new AbortController();
    #isOpen = false;
    #filter = {};
    #rows = make("ol", { id: "trace", className: "trace", tabIndex: 0, attributes: { "aria-label": "Events, newest first" } });
    #status = make("span", { id: "trace-status", className: "hint", attributes: { role: "status" } });
    #empty = make("p", { className: "empty" }, "Nothing has happened yet. Connect a client or send a message: it appears here at once.");
    #pause = button("Pause", () => this.#togglePause(), "small", { id: "trace-pause" });
    #inputs;
    #kinds;
    #payloads = make("input", { type: "checkbox", id: "trace-payloads" });

    constructor(service) {
        this.#service = service;
        const text = (name) => make("input", { type: "text", name, placeholder: "all", autocomplete: "off", spellcheck: false });
        this.#inputs = [["hub", "Hub"], ["user", "User"], ["connection", "Connection id"]].map(([name, title]) => ({ name, title, input: text(name) }));
        this.#kinds = kinds.map((name) => ({ name, input: make("input", { type: "checkbox", checked: true, value: name }) }));
        const form = make("form", { className: "filters", attributes: { "aria-label": "Filter" } },
            ...this.#inputs.map(({ title, input }) => field(title, input)),
            make("button", { type: "submit", className: "small quiet" }, "Filter"));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            location.hash = address("trace", Object.fromEntries(this.#inputs.map(({ name, input }) => [name, input.value.trim()])));
        });
        const chips = make("fieldset", { className: "chips" }, make("legend", { className: "unseen" }, "Kinds of events"),
            ...this.#kinds.map(({ name, input }) => make("label", { data: { kind: name } }, input, make("span", {}, name))),
            make("label", { title: "Messages with their arguments" }, this.#payloads, make("span", {}, "arguments")));
        chips.addEventListener("change", () => this.#restart());
        const tools = make("div", { className: "row" }, this.#pause, button("Clear", () => this.#clear()),
            button("Export", () => this.#export(), "small quiet", { id: "trace-export" }));
        const shown = card("Live trace", form, chips, this.#status, this.#empty, this.#rows);
        shown.querySelector(".head").append(tools);
        this.element = make("div", { className: "stack" }, shown);
    }

    open(query) {
        for (const { name, input } of this.#inputs) {
            if (document.activeElement !== input) input.value = query.get(name) ?? "";
        }
        const filter = Object.fromEntries(this.#inputs.map(({ name }) => [name, query.get(name)]).filter(([, value]) => value));
        const isSame = JSON.stringify(filter) === JSON.stringify(this.#filter);
        if (this.#isOpen && isSame) return;
        this.#filter = filter;
        this.#isOpen = true;
        this.#restart();
    }

    /** Nobody looks: the service need not tell. */
    leave() {
        this.#isOpen = false;
        this.#watching.abort();
    }

    refresh() {}

    #restart() {
        this.#watching.abort();
        this.#watching = new AbortController();
        if (this.#isOpen && this.#service.state === "live") this.#read(this.#watching.signal);
    }

    async #read(signal) {
        const chosen = this.#kinds.filter(({ input }) => input.checked).map(({ name }) => name);
        const filter = { ...this.#filter, payloads: this.#payloads.checked };
        if (chosen.length < kinds.length) filter.kinds = chosen;
        this.#show();
        if (chosen.length === 0) return;
        try {
            for await (const event of this.#service.watch(filter, signal)) this.#take(event);
        } catch (error) {
            // A lost connection is told by the header, and mended by the service's loop.
            if (!signal.aborted && this.#service.state === "live") notify(`The trace ended: ${error.message}`, "error");
        }
    }

    #take(event) {
        if (event.kind === "lost") this.#lost += event.count ?? 0;
        this.#events.push(event);
        this.#fresh.push(event);
        if (this.#events.length > maximumRows) {
            this.#dropped += this.#events.length - maximumRows;
            this.#events.splice(0, this.#events.length - maximumRows);
        }
        if (this.#fresh.length > maximumRows) this.#fresh.splice(0, this.#fresh.length - maximumRows);
        this.#showSoon();
    }

    #showSoon() {
        if (this.#isScheduled) return;
        this.#isScheduled = true;
        // A hidden page has no frames; what waits for one is bounded.
        requestAnimationFrame(() => {
            this.#isScheduled = false;
            this.#show();
        });
    }

    #show() {
        this.#pause.textContent = this.#isPaused ? "Resume" : "Pause";
        const numbers = [format.plural(this.#events.length, "event")];
        if (this.#dropped > 0) numbers.push(`${format.count(this.#dropped)} older ones dropped`);
        if (this.#lost > 0) numbers.push(`${format.count(this.#lost)} lost, this page was too slow`);
        setText(this.#status, `${this.#isPaused ? "Paused" : "Watching"} · ${numbers.join(" · ")}`);
        if (this.#isPaused) return;
        this.#rows.prepend(...this.#fresh.map((event) => this.#row(event)).reverse());
        this.#fresh = [];
        while (this.#rows.children.length > maximumRows) this.#rows.lastElementChild.remove();
        this.#empty.hidden = this.#rows.children.length > 0;
    }

    #row(event) {
        if (event.kind === "lost") {
            return make("li", { data: { kind: "lost" } }, make("p", {}, `${format.plural(event.count ?? 0, "event")} were lost here: this page is too slow for them.`));
        }
        const { time, kind, hub, connectionId, user, text, detail, arguments: payload } = event;
        const shown = connectionId && link(connectionId, address("trace", { ...this.#filter, show: connectionId }), "mono id");
        return make("li", { data: { kind } },
            make("time", {}, format.preciseClock(time)),
            make("span", { className: "kind", data: { kind } }, kind),
            make("span", { className: "who" }, hub ?? "", user ? make("b", {}, ` ${user}`) : undefined),
            make("span", { className: "which" }, shown || "–"),
            make("p", {}, text ?? "", " ", make("span", { className: "mono soft" }, [detail, payload].map(format.detail).filter(Boolean).join(" · "))));
    }

    #togglePause() {
        this.#isPaused = !this.#isPaused;
        this.#show();
    }

    #clear() {
        this.#events = [];
        this.#fresh = [];
        this.#dropped = this.#lost = 0;
        this.#rows.replaceChildren();
        this.#show();
    }

    #export() {
        const file = new Blob([JSON.stringify(this.#events, undefined, 2)], { type: "application/json" });
        const place = URL.createObjectURL(file);
        make("a", { href: place, download: `signalbox-trace-${new Date().toISOString().replace(/[:.]/g, "-")}.json` }).click();
        setTimeout(() => URL.revokeObjectURL(place), 60_000);
    }
}
