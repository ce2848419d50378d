// SignalBox: the dashboard's lists: connections, hubs and groups, users, app servers, deliveries to upstream.
// SPDX-License-Identifier: Apache-2.0

import { Table, address, button, card, code, confirm, field, format, link, make, notify, setText } from "/dashboard-elements.js";
import { RequestFailed } from "/dashboard-service.js";

const pageSize = 100;
const maximumRows = 1_000;

/** A list from the service, asked for again with every push while it is looked at. */
export class List {
    #service;
    #path;
    #items;
    #table;
    #wanted = pageSize;
    #isBusy = false;
    #query = {};
    #more = make("button", { type: "button", className: "small quiet more", hidden: true }, "Show more");
    #note = make("p", { className: "hint", hidden: true });

    /** `items` names the answer's property. */
    constructor(service, { path, items, table }) {
        this.#service = service;
        this.#path = path;
        this.#items = items;
        this.#table = new Table(table);
        this.element = make("div", {}, this.#table.element, this.#note, this.#more);
        this.#more.onclick = () => {
            this.#wanted = Math.min(this.#wanted * 2, maximumRows);
            this.load(this.#query);
        };
    }

    async load(query = {}) {
        const isSame = JSON.stringify(query) === JSON.stringify(this.#query);
        // An answer under way to the same question will do; after another question the newest one counts.
        if (this.#isBusy && isSame) return;
        if (!isSame) this.#wanted = pageSize;
        this.#query = query;
        this.#isBusy = true;
        try {
            const answer = await this.#service.get(this.#path, { ...query, limit: this.#wanted });
            if (this.#query !== query) return;
            const rows = answer[this.#items] ?? [];
            this.#table.show(rows);
            const isCut = answer.after !== undefined && answer.after !== null;
            this.#more.hidden = !isCut || this.#wanted >= maximumRows;
            this.#note.hidden = !isCut;
            setText(this.#note, `The first ${format.whole(rows.length)} are shown. Filter to find others.`);
        } catch (error) {
            if (this.#query !== query) return;
            // What the service refuses to list is not there; what it did not answer may be.
            if (error instanceof RequestFailed) this.#table.show([]);
            this.#note.hidden = false;
            setText(this.#note, error.message);
        } finally {
            if (this.#query === query) this.#isBusy = false;
        }
    }
}

/** Disconnects after a question. `whom` says to whom in words. */
export async function disconnect(service, request, whom) {
    const isSure = await confirm({
        title: `Disconnect ${whom}?`,
        text: "The clients are told that they were disconnected by an administrator; they do not come back by themselves.",
        action: "Disconnect",
    });
    if (!isSure) return false;
    try {
        const { disconnected } = await service.post("disconnect", { reason: "Disconnected by an administrator.", ...request });
        notify(disconnected === 0 ? "Nobody was there any more." : `${format.plural(disconnected, "connection")} disconnected.`);
        return true;
    } catch (error) {
        notify(error.message, "error");
        return false;
    }
}

const text = (name, placeholder) =>
    make("input", { type: "text", name, placeholder, autocomplete: "off", spellcheck: false, maxLength: 1024 });

/** A row of filters that live in the address, so that a filtered list can be linked to. */
class Filters {
    #view;
    #inputs;

    constructor(view, fields) {
        this.#view = view;
        this.#inputs = fields.map(([name, title]) => [name, title, text(name, "all")]);
        this.element = make("form", { className: "filters", attributes: { role: "search", "aria-label": "Filter" } },
            ...this.#inputs.map(([, title, input]) => field(title, input)),
            make("button", { type: "submit", className: "small quiet" }, "Filter"),
            make("button", { type: "button", className: "small quiet", onclick: () => this.#clear() }, "Clear"));
        this.element.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#go();
        });
    }

    set(query) {
        for (const [name, , input] of this.#inputs) if (document.activeElement !== input) input.value = query.get(name) ?? "";
    }

    #clear() {
        for (const [, , input] of this.#inputs) input.value = "";
        this.#go();
    }

    #go() {
        location.hash = address(this.#view, Object.fromEntries(this.#inputs.map(([name, , input]) => [name, input.value.trim()])));
    }
}

const queryOf = (query, names) =>
    Object.fromEntries(names.map((name) => [name, query.get(name) ?? ""]).filter(([, value]) => value));

export class ConnectionsView {
    title = "Connections";
    #filters = new Filters("connections", [["hub", "Hub"], ["user", "User"], ["group", "Group"], ["connection", "Connection id"]]);
    #list;

    constructor(service) {
        const openDetails = (id) => {
            const query = new URLSearchParams(location.hash.split("?")[1]);
            return address("connections", { ...Object.fromEntries(query), show: id });
        };
        this.#list = new List(service, {
            path: "connections",
            items: "connections",
            table: {
                label: "Connections",
                key: ({ connectionId }) => connectionId,
                columns: [
                    {
                        title: "Connection", build: ({ connectionId }) => {
                            const shown = link(connectionId, "", "mono id");
                            shown.addEventListener("click", (event) => {
                                event.preventDefault();
                                location.hash = openDetails(connectionId);
                            });
                            return shown;
                        },
                    },
                    { title: "Hub", text: ({ hub }) => hub },
                    { title: "User", text: ({ user }) => user ?? "–" },
                    { title: "Transport", text: ({ transport }) => format.transport(transport).replace("Server-Sent Events", "SSE") },
                    { title: "Protocol", text: ({ protocol }) => protocol },
                    { title: "From", text: ({ remoteAddress }) => remoteAddress },
                    { title: "Open for", numeric: true, text: ({ connectedAt }) => format.age(connectedAt) },
                    { title: "In", numeric: true, text: ({ messagesIn }) => format.count(messagesIn) },
                    { title: "Out", numeric: true, text: ({ messagesOut }) => format.count(messagesOut) },
                    {
                        title: "Queued", numeric: true, text: ({ queuedBytes }) => format.bytes(queuedBytes),
                        tone: ({ queuedBytes }) => (queuedBytes > 65_536 ? "warn" : ""),
                    },
                    {
                        title: "", build: ({ connectionId }) =>
                            button("Disconnect", async () => {
                                if (await disconnect(service, { connectionId }, "this connection")) this.refresh();
                            }, "small quiet danger"),
                    },
                ],
                empty: [
                    make("p", {}, "No connection fits. Clients connect to ", make("code", {}, "/client/?hub=…"), " of the service, or from ",
                        link("Try it", "try"), "."),
                ],
            },
        });
        this.element = make("div", { className: "stack" }, card("Connections", this.#filters.element, this.#list.element));
    }

    open(query) {
        this.query = queryOf(query, ["hub", "user", "group", "connection"]);
        this.#filters.set(query);
        this.refresh();
    }

    refresh() {
        this.#list.load(this.query);
    }
}

const actions = (...children) => make("div", { className: "row" }, ...children);
const to = (title, view, items) => link(title, address(view, items), "button small quiet");

export class HubsView {
    title = "Hubs and groups";
    #hubs;
    #groups;
    #filters = new Filters("hubs", [["hub", "Groups of hub"]]);

    constructor(service) {
        this.#hubs = new List(service, {
            path: "hubs",
            items: "hubs",
            table: {
                label: "Hubs",
                key: ({ name }) => name,
                columns: [
                    { title: "Hub", text: ({ name }) => name },
                    { title: "Mode", text: ({ mode }) => mode },
                    { title: "Connections", numeric: true, text: ({ connections }) => format.whole(connections) },
                    { title: "Users", numeric: true, text: ({ users }) => format.whole(users) },
                    { title: "Groups", numeric: true, text: ({ groups }) => format.whole(groups) },
                    { title: "Server connections", numeric: true, text: ({ serverConnections }) => format.whole(serverConnections) },
                    {
                        title: "", build: ({ name }) => actions(to("Connections", "connections", { hub: name }),
                            to("Trace", "trace", { hub: name }), to("Send", "try", { hub: name })),
                    },
                ],
                empty: [make("p", {}, "No hub yet. A hub exists from the first client or app server that names it: ",
                    make("code", {}, "/client/?hub=chat"), ".")],
            },
        });
        this.#groups = new List(service, {
            path: "groups",
            items: "groups",
            table: {
                label: "Groups",
                key: ({ hub, name }) => JSON.stringify([hub, name]),
                columns: [
                    { title: "Group", text: ({ name }) => name },
                    { title: "Hub", text: ({ hub }) => hub },
                    { title: "Connections", numeric: true, text: ({ connections }) => format.whole(connections) },
                    {
                        title: "", build: ({ hub, name }) => actions(to("Connections", "connections", { hub, group: name }),
                            to("Send", "try", { hub, target: "group", to: name }),
                            button("Disconnect", async () => {
                                if (await disconnect(service, { hub, group: name }, `the group ${name}`)) this.refresh();
                            }, "small quiet danger")),
                    },
                ],
                empty: [make("p", {}, "No group. Hub methods, app servers and REST callers put connections into groups.")],
            },
        });
        this.element = make("div", { className: "stack" },
            card("Hubs", this.#hubs.element), card("Groups", this.#filters.element, this.#groups.element));
    }

    open(query) {
        this.query = queryOf(query, ["hub"]);
        this.#filters.set(query);
        this.refresh();
    }

    refresh() {
        this.#hubs.load();
        this.#groups.load(this.query);
    }
}

export class UsersView {
    title = "Users";
    #filters = new Filters("users", [["hub", "Hub"], ["user", "User"]]);
    #list;

    constructor(service) {
        this.#list = new List(service, {
            path: "users",
            items: "users",
            table: {
                label: "Users",
                key: ({ hub, user }) => JSON.stringify([hub, user]),
                columns: [
                    { title: "User", text: ({ user }) => user },
                    { title: "Hub", text: ({ hub }) => hub },
                    { title: "Connections", numeric: true, text: ({ connections }) => format.whole(connections) },
                    {
                        title: "", build: ({ hub, user }) => actions(to("Connections", "connections", { hub, user }),
                            to("Send", "try", { hub, target: "user", to: user }),
                            button("Disconnect", async () => {
                                if (await disconnect(service, { hub, user }, `the user ${user}`)) this.refresh();
                            }, "small quiet danger")),
                    },
                ],
                empty: [make("p", {}, "No user. A client has one if its token names one, in the claim ", make("code", {}, "nameid"), ".")],
            },
        });
        this.element = make("div", { className: "stack" }, card("Users", this.#filters.element, this.#list.element));
    }

    open(query) {
        this.query = queryOf(query, ["hub", "user"]);
        this.#filters.set(query);
        this.refresh();
    }

    refresh() {
        this.#list.load(this.query);
    }
}

export class ServersView {
    title = "App servers";
    #list;

    constructor(service) {
        this.#list = new List(service, {
            path: "servers",
            items: "servers",
            table: {
                label: "Server connections",
                key: ({ id }) => id,
                columns: [
                    { title: "Server", mono: true, text: ({ serverId, id }) => serverId ?? id },
                    { title: "Hub", text: ({ hub }) => hub },
                    { title: "Status", text: ({ status }) => status, tone: ({ status }) => (status === "connected" ? "good" : "") },
                    { title: "Clients", numeric: true, text: ({ clients }) => format.whole(clients) },
                    { title: "Ping", numeric: true, text: ({ pingLatencyMs }) => format.milliseconds(pingLatencyMs) },
                    { title: "Queued", numeric: true, text: ({ queuedBytes }) => format.bytes(queuedBytes) },
                    { title: "Connected", numeric: true, text: ({ connectedAt }) => format.since(connectedAt) },
                ],
                empty: [
                    make("p", {}, "No app server is attached. An ASP.NET Core app attaches with the connection string that ",
                        make("code", {}, "signalbox serve"), " printed:"),
                    code('builder.Services.AddSignalR().AddAzureSignalR("Endpoint=…;AccessKey=…;Version=1.0;");'),
                    make("p", {}, "Without one, the service answers REST callers and, with ", make("code", {}, "--mode serverless"), ", webhooks."),
                ],
            },
        });
        this.element = make("div", { className: "stack" }, card("App servers", this.#list.element));
    }

    open() {
        this.refresh();
    }

    refresh() {
        this.#list.load();
    }
}

export class UpstreamView {
    title = "Upstream";
    #list;

    constructor(service) {
        this.#list = new List(service, {
            path: "upstream",
            items: "deliveries",
            table: {
                label: "Deliveries to upstream, newest first",
                key: ({ time, connectionId, event, url }) => JSON.stringify([time, connectionId, event, url]),
                columns: [
                    { title: "Time", mono: true, text: ({ time }) => format.preciseClock(time) },
                    { title: "Hub", text: ({ hub }) => hub },
                    { title: "Event", text: ({ event }) => event },
                    { title: "Status", numeric: true, text: ({ status }) => status || "–", tone: toneOfStatus },
                    { title: "Took", numeric: true, text: ({ durationMs }) => format.milliseconds(durationMs) },
                    { title: "Attempts", numeric: true, text: ({ attempts }) => format.whole(attempts) },
                    { title: "Connection", mono: true, text: ({ connectionId }) => connectionId },
                    { title: "URL", wide: true, mono: true, text: ({ url }) => url },
                    { title: "Error", wide: true, text: ({ error }) => error ?? "", tone: ({ error }) => (error ? "bad" : "") },
                ],
                empty: [
                    make("p", {}, "Nothing was delivered. In serverless mode, webhooks hear of clients and answer their calls:"),
                    code("signalbox serve --mode serverless --upstream 'http://localhost:3000/{hub}/{event}'"),
                ],
            },
        });
        this.element = make("div", { className: "stack" }, card("Deliveries to upstream", this.#list.element));
    }

    open() {
        this.refresh();
    }

    refresh() {
        this.#list.load();
    }
}

const toneOfStatus = ({ status, error }) => (error || status >= 400 || !status ? "bad" : "good");
