// SignalBox: one connection in the dashboard: facts, why this transport, groups, and its life from negotiate to close reason.
// SPDX-License-Identifier: Apache-2.0

import { Facts, address, element, format, make, notify, setText } from "/dashboard-elements.js";
import { disconnect } from "/dashboard-lists.js";
import { RequestFailed } from "/dashboard-service.js";

/** What became of a transport, as the service says it: a sign, its colour, and words. */
const outcomes = {
    chosen: ["✓", "good", "in use"],
    failed: ["✕", "bad", "failed"],
    skipped: ["–", "", "skipped"],
    unknown: ["–", "", "not seen"],
};

/** The panel at the side; it follows a connection until the connection or the panel is closed. */
export class ConnectionPanel {
    #service;
    #dialog = element("connection");
    #facts = new Facts();
    #id;
    #connection;
    #isBusy = false;
    /** Nothing about it will change any more. */
    #isFinal = false;
    #shown = 0;
    onclose = () => {};

    constructor(service) {
        this.#service = service;
        element("connection-facts").append(this.#facts.element);
        this.#dialog.addEventListener("close", () => {
            this.#id = undefined;
            this.onclose();
        });
        // A click outside closes: the dialog itself is hit there only.
        this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
        element("connection-copy").onclick = () => this.#copy();
        element("connection-end").onclick = async () => {
            if (await disconnect(service, { connectionId: this.#id }, "this connection")) this.refresh();
        };
        element("connection-trace").onclick = () => this.#go("trace", { connection: this.#id });
        element("connection-send").onclick = () =>
            this.#go("try", { hub: this.#connection?.hub, target: "connection", to: this.#id });
    }

    open(id) {
        if (this.#id === id) return;
        this.#id = id;
        this.#connection = undefined;
        this.#isFinal = false;
        this.#shown = 0;
        setText(element("connection-title"), id);
        for (const place of ["tried", "groups", "timeline"]) element(`connection-${place}`).replaceChildren();
        setText(element("connection-explanation"), "");
        for (const place of ["problem", "reason", "state"]) setText(element(`connection-${place}`), "");
        if (!this.#dialog.open) this.#dialog.showModal();
        this.refresh();
    }

    close() {
        if (this.#dialog.open) this.#dialog.close();
    }

    async refresh() {
        const id = this.#id;
        if (!id || this.#isBusy || this.#isFinal) return;
        this.#isBusy = true;
        try {
            const connection = await this.#service.get(`connections/${encodeURIComponent(id)}`);
            if (this.#id === id) this.#show(connection);
        } catch (error) {
            if (this.#id === id) {
                this.#isFinal = error instanceof RequestFailed;
                setText(element("connection-problem"), this.#isFinal
                    ? "This connection is not known. It ended too long ago, or never was." : error.message);
            }
        } finally {
            this.#isBusy = false;
        }
        if (this.#id && this.#id !== id) this.refresh();
    }

    #go(view, items) {
        this.#dialog.close();
        location.hash = address(view, items);
    }

    async #copy() {
        try {
            await navigator.clipboard.writeText(this.#id);
            notify("The connection id was copied.");
        } catch {
            getSelection().selectAllChildren(element("connection-title"));
        }
    }

    #show(connection) {
        this.#connection = connection;
        const isOver = Boolean(connection.closedAt);
        this.#isFinal = isOver;
        setText(element("connection-problem"), "");
        const badge = element("connection-state");
        const { reason, detail, meaning } = connection.closeReason ?? {};
        setText(badge, isOver ? `Closed: ${reason ?? "unknown reason"}` : "Open");
        setText(element("connection-reason"), isOver ? [meaning, detail].filter(Boolean).join(" ") : "");
        badge.dataset.tone = isOver ? "" : "good";
        element("connection-end").disabled = isOver;
        element("connection-send").disabled = isOver;
        this.#facts.show({
            Hub: connection.hub,
            User: connection.user ?? "none",
            Transport: format.transport(connection.transport),
            Protocol: connection.protocol,
            Address: connection.remoteAddress,
            Connected: format.dateAndTime(connection.connectedAt),
            [isOver ? "Lasted" : "Open for"]: isOver
                ? format.milliseconds(Date.parse(connection.closedAt) - Date.parse(connection.connectedAt))
                : format.since(connection.connectedAt),
            "App server": connection.serverConnection ?? "none",
            "Messages in": `${format.whole(connection.messagesIn)} · ${format.bytes(connection.bytesIn)}`,
            "Messages out": `${format.whole(connection.messagesOut)} · ${format.bytes(connection.bytesOut)}`,
            "Waiting for it": format.bytes(connection.queuedBytes),
        });
        this.#showChoice(connection.transportChoice ?? {});
        this.#showGroups(Array.isArray(connection.groups) ? connection.groups : []);
        this.#showTimeline(connection.timeline ?? []);
    }

    #showChoice({ explanation, tried = [] }) {
        setText(element("connection-explanation"), explanation ?? "Nothing is known about how it was chosen.");
        element("connection-tried").replaceChildren(...tried.map(({ transport, outcome, reason }) => {
            const [sign, tone, title] = outcomes[outcome] ?? ["?", "", outcome];
            return make("li", {},
                make("i", { data: { tone }, attributes: { "aria-hidden": "true" } }, sign),
                make("b", {}, format.transport(transport)), " ", make("span", {}, [title, reason].filter(Boolean).join(": ")));
        }));
    }

    #showGroups(groups) {
        const chips = groups.slice(0, 200).map((name) => make("li", {}, name));
        const rest = groups.length > 200 ? [make("li", {}, `and ${format.whole(groups.length - 200)} more`)] : [];
        element("connection-groups").replaceChildren(...(groups.length > 0 ? [...chips, ...rest] : [make("li", {}, "none")]));
    }

    #showTimeline(events) {
        // Only what is new is made anew; the service forgets the oldest, which begins the list again.
        const list = element("connection-timeline");
        const first = events[0]?.time ?? "";
        if (list.dataset.first !== first || events.length < this.#shown) {
            list.dataset.first = first;
            list.replaceChildren();
            this.#shown = 0;
        }
        const start = Date.parse(first);
        list.append(...events.slice(this.#shown).map(({ time, event, text, detail }) =>
            make("li", { data: { kind: event } },
                make("div", { className: "byline" }, make("span", { className: "kind", data: { kind: event } }, event),
                    make("time", { title: format.dateAndTime(time) }, format.preciseClock(time)),
                    make("span", { className: "after" }, `+${format.milliseconds(Date.parse(time) - start)}`)),
                make("p", {}, text ?? ""),
                format.detail(detail) ? make("p", { className: "mono soft" }, format.detail(detail)) : undefined)));
        this.#shown = events.length;
    }
}
