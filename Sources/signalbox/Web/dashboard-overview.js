// SignalBox: the dashboard's first view: key figures, the last minutes as charts, transports and close reasons.
// SPDX-License-Identifier: Apache-2.0

import { LineChart, Sparkline, averaged } from "/dashboard-chart.js";
import { Table, Facts, address, button, card, code, confirm, element, format, link, make, notify, setText } from "/dashboard-elements.js";

const longest = 600_000; // ms, the history that the service keeps
const shortest = 60_000; // ms, what charts show of a service that has just begun

/** The last minutes as points `{ time, … }` with rates per second, which is what charts and tiles show. */
export class History {
    step = 2_000; // ms
    points = [];
    #before;

    load({ stepSeconds, points = [] }) {
        this.step = (stepSeconds ?? 2) * 1000;
        this.points = points.map((point) => this.#read(point)).sort((a, b) => a.time - b.time);
    }

    /** Takes what the service pushes: its newest point, with the figures that are measured at this moment only. */
    add(overview) {
        const { point, latency, process, totals } = overview;
        const last = this.points.at(-1);
        const read = { ...this.#read(point ?? this.#pointOf(overview)) };
        read.p50 ??= latency?.p50;
        read.p99 ??= latency?.p99;
        read.memory ??= process?.residentBytes;
        read.servers ??= totals?.serverConnections;
        const before = this.#before;
        if (before && read.time > before.time && process) {
            read.cpu = (1000 * Math.max(0, process.cpuSeconds - before.cpuSeconds)) / (read.time - before.time);
        }
        this.#before = { time: read.time, cpuSeconds: process?.cpuSeconds };
        if (Number.isNaN(read.time)) return;
        if (last && read.time < last.time) return;
        if (last?.time === read.time) this.points.pop();
        this.points.push(read);
        while (this.points[0].time < read.time - longest) this.points.shift();
    }

    /** How much time there is to show, in milliseconds. */
    get span() {
        const known = this.points.length > 0 ? this.points.at(-1).time - this.points[0].time : 0;
        return Math.min(Math.max(known, shortest), longest);
    }

    /** How many came and went per second, as means of `width` milliseconds each. */
    means(width) {
        const names = ["connects", "disconnects", "rejected"];
        const series = names.map((name) => averaged(this.points.map((point) => ({ time: point.time, value: point[name] ?? 0 })), width));
        // The newest mean is not complete yet.
        return series[0].slice(0, -1).map(({ time }, index) => ({
            time, ...Object.fromEntries(names.map((name, which) => [name, series[which][index].value])),
        }));
    }

    #pointOf({ totals, rates }) {
        const seconds = this.step / 1000;
        return {
            time: Date.now(),
            connections: totals?.connections,
            messagesIn: rates?.messagesInPerSecond * seconds,
            messagesOut: rates?.messagesOutPerSecond * seconds,
            connects: rates?.connectsPerSecond * seconds,
            disconnects: rates?.disconnectsPerSecond * seconds,
        };
    }

    #read(point) {
        const perSecond = (count) => (typeof count === "number" ? (count * 1000) / this.step : undefined);
        return {
            time: typeof point.time === "number" ? point.time : Date.parse(point.time),
            connections: point.connections,
            servers: point.serverConnections,
            in: perSecond(point.messagesIn),
            out: perSecond(point.messagesOut),
            connects: perSecond(point.connects),
            disconnects: perSecond(point.disconnects),
            rejected: perSecond(point.rejected),
            p50: point.latencyP50,
            p99: point.latencyP99,
            memory: point.residentBytes,
            cpu: typeof point.cpuSeconds === "number" ? (point.cpuSeconds * 1000) / this.step : undefined,
        };
    }
}

// ---- Key figures

const tiles = [
    {
        name: "Connections", id: "connections", value: (point) => point.connections,
        show: ({ totals }) => format.count(totals.connections),
        more: ({ totals }) => `${format.plural(totals.users, "user")} · ${format.plural(totals.groups, "group")}`,
    },
    {
        name: "Messages in", id: "in", unit: "/s", value: (point) => point.in,
        show: ({ rates }) => format.rate(rates.messagesInPerSecond),
        more: ({ totals }) => `${format.count(totals.messagesIn)} · ${format.bytes(totals.bytesIn)}`,
    },
    {
        name: "Messages out", id: "out", unit: "/s", value: (point) => point.out,
        show: ({ rates }) => format.rate(rates.messagesOutPerSecond),
        more: ({ totals }) => `${format.count(totals.messagesOut)} · ${format.bytes(totals.bytesOut)}`,
    },
    {
        name: "New connections", id: "connects", unit: "/s", value: (point) => point.connects,
        show: ({ rates }) => format.rate(rates.connectsPerSecond),
        more: ({ rates }) => `${format.rate(rates.disconnectsPerSecond)}/s leave`,
    },
    {
        name: "Latency, p99", id: "latency", value: (point) => point.p99,
        show: ({ latency }) => format.milliseconds(latency?.p99),
        more: ({ latency }) => `p50 ${format.milliseconds(latency?.p50)}`,
    },
    {
        name: "Server connections", id: "servers", value: (point) => point.servers,
        show: ({ totals }) => format.count(totals.serverConnections),
        more: ({ totals }) => `${format.plural(totals.hubs, "hub")}`,
    },
    {
        name: "Memory", id: "memory", value: (point) => point.memory,
        show: ({ process }) => format.bytes(process?.residentBytes),
        more: (_, { cpu }) => `CPU ${cpu === undefined ? "–" : `${(cpu * 100).toFixed(cpu < 0.1 ? 1 : 0)} %`}`,
    },
];

/** The strip above every view. */
export class Figures {
    #tiles = tiles.map((tile) => {
        const [value, more, spark] = [make("b", { id: `figure-${tile.id}` }), make("small"), new Sparkline()];
        const unit = make("i", {}, tile.unit ?? "");
        const shown = make("li", { className: "tile" }, make("span", {}, tile.name), make("div", {}, value, unit), more, spark.element);
        element("figures").append(shown);
        return { ...tile, show: tile.show, slot: { value, more, spark } };
    });

    show(overview, { points, span }) {
        const newest = points.at(-1) ?? {};
        for (const { slot, show, more, value } of this.#tiles) {
            setText(slot.value, show(overview));
            setText(slot.more, more(overview, newest));
            slot.spark.show(points.map((point) => ({ time: point.time, value: value(point) })), span);
        }
    }
}

// ---- The view

const perSecond = (value) => `${format.rate(value)}/s`;

export class OverviewView {
    title = "Overview";
    #service;
    #charts = [
        new LineChart({
            title: "Messages", unit: "per second", write: perSecond, axis: format.rate, series: [
                { name: "out", tone: "a", value: (point) => point.out },
                { name: "in", tone: "b", value: (point) => point.in },
            ],
        }),
        new LineChart({
            title: "Connections", unit: "open", series: [{ name: "now", tone: "a", value: (point) => point.connections }],
        }),
        new LineChart({
            title: "Coming and going", unit: "mean of 10 s", write: perSecond, axis: format.rate, least: 1, series: [
                { name: "connect", tone: "a", value: (point) => point.connects },
                { name: "leave", tone: "c", value: (point) => point.disconnects },
                { name: "refused", tone: "d", value: (point) => point.rejected },
            ],
        }),
        new LineChart({
            title: "Latency", unit: "", write: format.milliseconds, least: 1, series: [
                { name: "p99", tone: "c", value: (point) => point.p99 },
                { name: "p50", tone: "a", value: (point) => point.p50 },
            ],
        }),
    ];
    #latency = make("p", { className: "hint" });
    #transports = make("ul", { className: "bars" });
    #reasons = new Table({
        label: "Close reasons",
        columns: [
            { title: "Reason", mono: true, text: ({ reason }) => reason },
            { title: "Meaning", wide: true, text: ({ meaning }) => meaning },
            { title: "Count", numeric: true, text: ({ count }) => format.whole(count) },
        ],
        key: ({ reason }) => reason,
        empty: [make("p", {}, "No connection has ended yet. Each end will be counted here by its reason.")],
    });
    #facts = new Facts();
    #keys = new Facts();
    #first = make("section", { className: "card welcome", hidden: true });
    #hasKeys = false;

    constructor(service) {
        this.#service = service;
        this.#charts[3].element.append(this.#latency);
        const drain = button("Drain…", () => this.#drain(), "small quiet danger", { id: "drain" });
        const process = card("Service", this.#facts.element, this.#keys.element);
        process.querySelector(".head").append(drain);
        this.element = make("div", { className: "stack" },
            this.#first,
            make("div", { className: "charts" }, ...this.#charts.map(({ element }) => element)),
            make("div", { className: "thirds" },
                make("div", { className: "stack" }, card("Transports", this.#transports), process),
                card("Why connections ended", this.#reasons.element)));
    }

    show(overview, history) {
        const [messages, connections, coming, latency] = this.#charts;
        const { span } = history;
        for (const chart of [messages, connections, latency]) chart.show(history.points, span, history.step);
        coming.show(history.means(10_000), span, 10_000);
        setText(this.#latency, overview.latency?.what ? `Measured: ${overview.latency.what}.`.replace("..", ".") : "");
        this.#showTransports(overview.transports ?? {});
        this.#reasons.show([...(overview.closeReasons ?? [])].filter(({ count }) => count > 0).sort((a, b) => b.count - a.count));
        const { totals } = overview;
        this.#facts.show({
            Version: overview.version,
            Mode: overview.mode,
            Started: format.dateAndTime(overview.startedAt),
            Up: format.seconds(overview.uptimeSeconds),
            Accepted: format.whole(totals.accepted),
            Refused: format.whole(totals.rejected),
            Ended: format.whole(totals.closed),
        });
        this.#showFirstSteps(overview);
        if (!this.#hasKeys) this.#showKeys();
    }

    #showTransports(transports) {
        const entries = Object.entries(transports).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
        const all = entries.reduce((sum, [, count]) => sum + count, 0);
        const rows = entries.map(([name, count]) => {
            const percent = Math.round((100 * count) / all);
            const share = `${percent === 0 ? "<1" : percent} %`;
            return make("li", {}, make("span", {}, format.transport(name)), make("b", {}, `${format.whole(count)} · ${share}`),
                make("progress", { max: all, value: count, attributes: { "aria-label": format.transport(name) } }));
        });
        const empty = make("li", { className: "empty" }, "Nobody is connected.");
        this.#transports.replaceChildren(...(rows.length > 0 ? rows : [empty]));
    }

    /** Until somebody has connected: how to get there. */
    #showFirstSteps({ totals, endpoint }) {
        this.#first.hidden = totals.accepted > 0 || totals.connections > 0;
        if (this.#first.hidden || this.#first.hasChildNodes()) return;
        const place = endpoint ?? "http://127.0.0.1:8888";
        this.#first.append(
            make("h2", {}, "The service is up. Connect a client to see it live."),
            code(`signalbox token --hub chat --user ada\n# in JavaScript: new HubConnection("${place}/client/?hub=chat", { accessTokenFactory })`),
            make("p", { className: "hint" }, "An ASP.NET Core app connects with its connection string, see ", link("Servers", "servers"),
                ". A client of this page connects at ", link("Try it", "try"), "."));
    }

    async #showKeys() {
        this.#hasKeys = true;
        try {
            const { primary, secondary } = await this.#service.get("keys");
            this.#keys.show({ "Primary key": primary?.fingerprint, ...(secondary && { "Secondary key": secondary.fingerprint }) });
        } catch {
            this.#hasKeys = false;
        }
    }

    async #drain() {
        const isSure = await confirm({
            title: "Drain the service?",
            text: "It reports that it is not ready, refuses new clients, and tells all connected ones to come back, in batches. " +
                "This cannot be taken back: start the service again to end it.",
            action: "Drain",
        });
        if (!isSure) return;
        try {
            await this.#service.post("drain");
            notify("The service drains.");
        } catch (error) {
            notify(error.message, "error");
        }
    }
}
