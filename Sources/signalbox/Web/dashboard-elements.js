// SignalBox: what the dashboard's views are made of: elements, numbers in words, tables, questions.
// SPDX-License-Identifier: Apache-2.0

export const element = (id) => document.getElementById(id);

/**
 * Makes an element of text and elements; what a peer chose never becomes markup.
 * `data` becomes data attributes, `attributes` attributes, all else properties.
 */
export function make(tag, { data = {}, attributes = {}, ...properties } = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    Object.assign(made.dataset, data);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children.filter((child) => child !== undefined && child !== null));
    return made;
}

/** Changes text only where it differs, so that a selection and a screen reader are left in peace. */
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

// ---- Numbers and times in words

const none = "–";
const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const format = {
    /** 1,234; 12.3K from ten thousand on. */
    count: (value) => (!isNumber(value) ? none : Math.abs(value) < 10_000 ? grouped.format(value) : compact.format(value)),

    /** All digits, for tables. */
    whole: (value) => (isNumber(value) ? grouped.format(value) : none),

    rate(value) {
        if (!isNumber(value)) return none;
        if (value === 0) return "0";
        return value < 10 ? value.toFixed(1) : format.count(Math.round(value));
    },

    bytes(value) {
        if (!isNumber(value)) return none;
        const units = ["B", "KB", "MB", "GB", "TB"];
        let unit = 0;
        while (Math.abs(value) >= 1000 && unit < units.length - 1) {
            value /= 1024;
            unit += 1;
        }
        return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
    },

    milliseconds(value) {
        if (!isNumber(value)) return none;
        if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
        return `${value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : Number(value.toFixed(2))} ms`;
    },

    /** 2 d 3 h; the two largest units. */
    seconds(value) {
        if (!isNumber(value)) return none;
        const left = Math.max(0, Math.floor(value));
        const [days, hours, minutes, seconds] =
            [Math.floor(left / 86_400), Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60];
        if (days > 0) return `${days} d ${hours} h`;
        if (hours > 0) return `${hours} h ${minutes} min`;
        return minutes > 0 ? `${minutes} min ${seconds} s` : `${seconds} s`;
    },

    /** How long ago a time of the service was. */
    since: (time) => format.seconds((Date.now() - Date.parse(time)) / 1000),

    /** The same in its largest unit only, for tables. */
    age(time) {
        const text = format.since(time);
        return text.split(" ").slice(0, 2).join(" ");
    },

    clock: (time) => pad(time, (date) => date.toLocaleTimeString("en-GB")),

    preciseClock: (time) =>
        pad(time, (date) => `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`),

    dateAndTime: (time) => pad(time, (date) => date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" })),

    plural: (number, one, many = `${one}s`) => `${format.count(number)} ${number === 1 ? one : many}`,

    /** A transport's name for people, however its client spelled it. */
    transport(name) {
        const titles = {
            websockets: "WebSockets",
            serversentevents: "Server-Sent Events",
            longpolling: "Long polling",
            foreverframe: "Forever frame",
        };
        return titles[String(name ?? "").toLowerCase()] ?? (name ? String(name) : none);
    },

    /** Any value of a trace event as one short text. */
    detail(value) {
        if (value === undefined || value === null || value === "") return "";
        const text = typeof value === "string" ? value : Array.isArray(value) || typeof value !== "object" ? JSON.stringify(value)
            : Object.entries(value).map(describe).join(" · ");
        return text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
    },
};

/** One item of a trace event's detail; what is clear by itself needs no name. */
function describe([name, value]) {
    if (name === "bytes") return format.bytes(value);
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return name === "direction" || name === "method" ? text : `${name} ${text}`;
}

function pad(time, write) {
    const date = new Date(time);
    return Number.isNaN(date.getTime()) ? none : write(date);
}

// ---- Tables

/**
 * A table whose rows are kept by key, so that focus and selection outlive an update.
 * Columns are `{ title, text(row), numeric?, wide?, mono?, tone?(row) }`, or `{ title, build(row) }` for cells that depend
 * on the key alone and are made once.
 */
export class Table {
    #columns;
    #key;
    #body = make("tbody");
    #frame;
    #empty;
    #rows = new Map();

    constructor({ label, columns, key, empty }) {
        this.#columns = columns;
        this.#key = key;
        const titles = columns.map(({ title, numeric, build }) =>
            make("th", { className: numeric ? "numeric" : "", attributes: { scope: "col" } },
                build && !title ? make("span", { className: "unseen" }, "Actions") : title));
        const table = make("table", { attributes: { "aria-label": label } },
            make("thead", {}, make("tr", {}, ...titles)), this.#body);
        this.#frame = make("div", { className: "table", hidden: true }, table);
        this.#empty = make("div", { className: "empty", hidden: true }, ...empty);
        this.element = make("div", {}, this.#frame, this.#empty);
    }

    show(rows) {
        const before = this.#rows;
        this.#rows = new Map();
        for (const row of rows) {
            const key = this.#key(row);
            if (this.#rows.has(key)) continue;
            const line = before.get(key) ?? this.#newLine(row);
            before.delete(key);
            this.#rows.set(key, line);
            this.#fill(line, row);
        }
        for (const line of before.values()) line.remove();
        let place = this.#body.firstElementChild;
        for (const line of this.#rows.values()) {
            if (line === place) place = place.nextElementSibling;
            else this.#body.insertBefore(line, place);
        }
        this.#frame.hidden = rows.length === 0;
        this.#empty.hidden = rows.length > 0;
    }

    #newLine(row) {
        const cells = this.#columns.map(({ title, build, numeric, mono, wide }) => {
            const className = [numeric && "numeric", mono && "mono", wide && "wide", build && !title && "actions"].filter(Boolean);
            const cell = make("td", { className: className.join(" "), data: { title } });
            if (build) cell.append(build(row));
            return cell;
        });
        return make("tr", { data: { key: this.#key(row) } }, ...cells);
    }

    #fill(line, row) {
        for (const [index, { text, tone }] of this.#columns.entries()) {
            if (!text) continue;
            setText(line.children[index], String(text(row) ?? none));
            if (tone) line.children[index].dataset.tone = tone(row) ?? "";
        }
    }
}

// ---- Facts, badges, buttons

/** A list of terms and values, updated in place. */
export class Facts {
    #values = new Map();
    element = make("dl", { className: "facts" });

    show(facts) {
        for (const [term, value] of Object.entries(facts)) {
            if (!this.#values.has(term)) {
                const shown = make("dd");
                this.#values.set(term, shown);
                this.element.append(make("div", {}, make("dt", {}, term), shown));
            }
            setText(this.#values.get(term), String(value ?? none));
        }
    }
}

export const button = (text, onclick, className = "small quiet", attributes = {}) =>
    make("button", { type: "button", className, onclick, attributes }, text);

/** A link to another view, or to a connection's details. */
export const link = (text, hash, className = "") => make("a", { href: `#${hash}`, className }, text);

/** The hash of a view with a query of its non-empty items. */
export function address(view, items = {}) {
    const query = new URLSearchParams(Object.entries(items).filter(([, value]) => value));
    return `${view}${query.size > 0 ? `?${query}` : ""}`;
}

export const card = (title, ...content) =>
    make("section", { className: "card" }, make("div", { className: "head" }, make("h2", {}, title)), ...content);

export const code = (text) => make("pre", { className: "snippet", tabIndex: 0 }, make("code", {}, text));

/** A labelled field: `<label>` around its name and the control. */
export const field = (title, control) => make("label", { className: "field" }, make("span", {}, title), control);

// ---- Talking with the person

/** Shows a line for some seconds. `level` is "info" or "error". */
export function notify(text, level = "info") {
    const line = make("p", { data: { level } }, text);
    const place = element("notices");
    place.append(line);
    while (place.children.length > 4) place.firstElementChild.remove();
    setTimeout(() => line.remove(), level === "error" ? 10_000 : 5_000);
}

/**
 * Asks before something is done that cannot be undone.
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action }) {
    const dialog = element("confirm");
    setText(element("confirm-title"), title);
    setText(element("confirm-text"), text);
    setText(element("confirm-yes"), action);
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) =>
        dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
