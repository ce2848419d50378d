// SignalBox: the dashboard's console: send to clients, and be one.
// SPDX-License-Identifier: Apache-2.0

import { HubConnection } from "/signalbox.js";
import { button, card, field, format, make, setText } from "/dashboard-elements.js";

const maximumLines = 200;
const targets = [["all", "All"], ["group", "Group"], ["user", "User"], ["connection", "Connection"]];

/** @returns {{ values: any[] } | { problem: string }} What a person wrote as a list of arguments. */
export function readArguments(text) {
    if (text.trim() === "") return { values: [] };
    let values;
    try {
        values = JSON.parse(text);
    } catch (error) {
        return { problem: `Not JSON: ${error.message}` };
    }
    return Array.isArray(values) ? { values } : { problem: "Write a JSON array, one item per argument: [\"Ada\", 1, true]" };
}

/** Lines of what happened, newest first. */
class Log {
    element;

    constructor(id, empty) {
        this.element = make("ol", { id, className: "log", tabIndex: 0, attributes: { role: "log", "aria-label": "Results" }, data: { empty } });
    }

    add(text, level = "info") {
        this.element.prepend(make("li", { data: { level } }, make("time", {}, format.clock(Date.now())), text));
        while (this.element.children.length > maximumLines) this.element.lastElementChild.remove();
    }
}

const input = (id, properties = {}) =>
    make("input", { type: "text", id, autocomplete: "off", spellcheck: false, maxLength: 1024, ...properties });

/** A field for JSON arguments that says at once what is wrong with them. */
class ArgumentsField {
    #text;
    #problem;

    constructor(id, value) {
        this.#text = make("textarea", { id, value, rows: 3, spellcheck: false, attributes: { "aria-describedby": `${id}-problem` } });
        this.#problem = make("p", { id: `${id}-problem`, className: "problem", attributes: { "aria-live": "polite" } });
        this.element = make("div", { className: "field" }, field("Arguments, a JSON array", this.#text), this.#problem);
        this.#text.addEventListener("input", () => this.check());
    }

    /** @returns {any[] | undefined} The arguments; undefined where they cannot be read. */
    check() {
        const { values, problem } = readArguments(this.#text.value);
        setText(this.#problem, problem ?? "");
        this.#text.setAttribute("aria-invalid", String(problem !== undefined));
        return values;
    }
}

/** Ctrl+Enter sends, from wherever the form's cursor is. */
function submitByKey(form) {
    form.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    });
}

export class ConsoleView {
    title = "Try it";
    #service;
    #hub = input("send-hub", { required: true, placeholder: "chat" });
    #method = input("send-method", { required: true, placeholder: "receive" });
    #to = input("send-to");
    #toField = field("To", this.#to);
    #arguments = new ArgumentsField("send-arguments", '["Hello from the dashboard"]');
    #targets;
    #log = new Log("send-log", "What you send is listed here.");
    #client;
    #hubs = make("datalist", { id: "hubs" });

    constructor(service) {
        this.#service = service;
        this.#client = new TestClient(service);
        this.#hub.setAttribute("list", "hubs");
        this.#targets = targets.map(([value, title]) =>
            [make("input", { type: "radio", name: "target", value, checked: value === "all" }), title]);
        const choice = make("div", { className: "segments", attributes: { role: "radiogroup", "aria-label": "To whom" } },
            ...this.#targets.map(([radio, title]) => make("label", {}, radio, make("span", {}, title))));
        choice.addEventListener("change", () => this.#showTarget());
        const form = make("form", { className: "form" },
            field("Hub", this.#hub), make("div", { className: "field" }, make("span", {}, "To whom"), choice), this.#toField,
            field("Method", this.#method), this.#arguments.element,
            make("div", { className: "row" }, make("button", { type: "submit", id: "send" }, "Send"),
                make("span", { className: "hint" }, "or Ctrl+Enter")));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#send();
        });
        submitByKey(form);
        this.element = make("div", { className: "halves" }, this.#hubs, card("Send to clients", form, this.#log.element), this.#client.element);
        this.#showTarget();
    }

    open(query) {
        if (query.get("hub")) {
            this.#hub.value = query.get("hub");
            this.#client.suggest(query.get("hub"));
        }
        for (const [radio] of this.#targets) if (query.get("target") === radio.value) radio.checked = true;
        if (query.get("to")) this.#to.value = query.get("to");
        this.#showTarget();
        this.#loadHubs();
    }

    refresh() {}

    async #loadHubs() {
        try {
            const { hubs } = await this.#service.get("hubs");
            this.#hubs.replaceChildren(...hubs.map(({ name }) => make("option", { value: name })));
            if (!this.#hub.value && hubs.length > 0) this.#hub.value = hubs[0].name;
            this.#client.suggest(this.#hub.value);
        } catch {
            // Suggestions only; a hub can be typed.
        }
    }

    get #target() {
        return this.#targets.find(([radio]) => radio.checked)[0].value;
    }

    #showTarget() {
        const target = this.#target;
        this.#toField.hidden = target === "all";
        this.#to.required = target !== "all";
        setText(this.#toField.firstElementChild, { group: "Group", user: "User", connection: "Connection id" }[target] ?? "To");
    }

    async #send() {
        const values = this.#arguments.check();
        if (!values) return;
        const [hub, method, target] = [this.#hub.value.trim(), this.#method.value.trim(), this.#target];
        const request = { hub, target, method, arguments: values };
        if (target !== "all") request.to = this.#to.value;
        const whom = target === "all" ? `all of ${hub}` : `${target} ${request.to} of ${hub}`;
        const call = `${method}(${values.map((value) => JSON.stringify(value)).join(", ")})`;
        try {
            await this.#service.post("send", request);
            this.#log.add(`Sent ${call} to ${whom}`);
        } catch (error) {
            this.#log.add(`Not sent to ${whom}: ${error.message}`, "error");
        }
    }
}

/** A client of the service in this page, to see what clients get. */
class TestClient {
    #service;
    #connection;
    #hub = input("client-hub", { required: true, placeholder: "chat" });
    #user = input("client-user", { placeholder: "none" });
    #listen = input("client-listen", { value: "receive", required: true });
    #method = input("client-method", { required: true, value: "send" });
    #arguments = new ArgumentsField("client-arguments", '["Ada", "Hello"]');
    #log = new Log("client-log", "What the client hears is listed here.");
    #state = make("span", { id: "client-state", className: "state", data: { state: "Disconnected" }, attributes: { role: "status" } }, "Disconnected");
    #connect = make("button", { type: "submit", id: "client-connect" }, "Connect");
    #call;

    constructor(service) {
        this.#service = service;
        this.#hub.setAttribute("list", "hubs");
        const form = make("form", { className: "form" },
            make("div", { className: "pair" }, field("Hub", this.#hub), field("User", this.#user)),
            field("Methods it listens to, separated by commas", this.#listen),
            make("div", { className: "row" }, this.#connect, this.#state));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            if (this.#connection) this.#stop();
            else this.#start();
        });
        this.#call = make("form", { className: "form" }, field("Call method", this.#method), this.#arguments.element,
            make("div", { className: "row" }, make("button", { type: "submit", id: "client-invoke" }, "Invoke"),
                button("Send, no answer", () => this.#callHub("send"), "quiet")));
        this.#call.addEventListener("submit", (event) => {
            event.preventDefault();
            this.#callHub("invoke");
        });
        submitByKey(this.#call);
        this.element = card("Be a client", form, this.#call, this.#log.element);
        this.element.id = "client";
        this.#show("Disconnected");
    }

    suggest(hub) {
        this.#hub.value ||= hub;
    }

    async #start() {
        const [hub, user] = [this.#hub.value.trim(), this.#user.value.trim()];
        this.#show("Connecting");
        this.#connect.disabled = true;
        try {
            const { url, accessToken } = await this.#service.post("token", { hub, ...(user && { user }) });
            const connection = new HubConnection(url, {
                accessTokenFactory: () => accessToken,
                withCredentials: false,
                log: (level, text) => this.#hear(level, text),
            });
            this.#connection = connection;
            for (const name of new Set(this.#listen.value.split(",").map((each) => each.trim()).filter(Boolean))) {
                connection.on(name, (...values) => this.#log.add(`${name}(${values.map((value) => JSON.stringify(value)).join(", ")})`));
            }
            connection.onreconnecting = () => this.#show("Reconnecting");
            connection.onreconnected = () => this.#show("Connected");
            connection.onclose = (error) => this.#end(connection, error);
            this.#connect.disabled = false;
            await connection.start();
            this.#show("Connected");
        } catch (error) {
            this.#end(this.#connection, error);
        }
    }

    async #stop() {
        await this.#connection?.stop();
    }

    #end(connection, error) {
        if (connection !== this.#connection) return;
        this.#connection = undefined;
        this.#connect.disabled = false;
        if (error) this.#log.add(error.message, "error");
        this.#show("Disconnected");
    }

    async #callHub(how) {
        const values = this.#arguments.check();
        const method = this.#method.value.trim();
        if (!values || !method || !this.#connection) return;
        try {
            const result = await this.#connection[how](method, ...values);
            this.#log.add(how === "send" ? `${method} sent` : `${method} → ${result === undefined ? "done" : JSON.stringify(result)}`);
        } catch (error) {
            this.#log.add(`${method} failed: ${error.message}`, "error");
        }
    }

    #hear(level, text) {
        if (level !== "debug") this.#log.add(text, level === "info" ? "note" : level);
    }

    #show(state) {
        this.#state.dataset.state = state;
        setText(this.#state, state);
        this.#connect.textContent = state === "Disconnected" ? "Connect" : "Disconnect";
        this.#call.hidden = state !== "Connected";
    }
}
