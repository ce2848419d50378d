// SignalBox: the dashboard's way to the service: the admin key, requests, and the hub that pushes figures and the trace.
// SPDX-License-Identifier: Apache-2.0

import { HubConnection } from "/signalbox.js";

const requestTimeout = 20_000; // ms
const retryDelays = [1_000, 2_000, 4_000, 8_000]; // ms; the last one again and again
const keyName = "signalbox-admin-key";

/** The service refused the key. */
export class KeyRefused extends Error {}

/** A request that the service answered with an error. */
export class RequestFailed extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

/**
 * The running service. Events: "state" after `state` or `problem` changed, "history" and "overview" with what the service
 * told in `detail`.
 */
export class Service extends EventTarget {
    /** @type {"connecting" | "live" | "offline" | "locked"} */
    state = "connecting";
    /** Why the state is offline, in words. */
    problem = "";
    #key = takeKey();
    #hub;
    /** Wakes the loop: a new key came, or the person wants to try now. */
    #wake = () => {};

    /** Connects, and again whenever the connection was lost; never returns. */
    async run() {
        for (let failures = 0; ; ) {
            try {
                const { over } = await this.#connect();
                failures = 0;
                await over;
                this.#show("offline", "The connection to the service was lost.");
            } catch (error) {
                await this.#hub?.stop();
                if (error instanceof KeyRefused) {
                    this.#show("locked", this.#key ? "The service does not accept this key." : "");
                    await new Promise((resolve) => (this.#wake = resolve));
                    this.#show("connecting");
                    continue;
                }
                this.#show("offline", error.message);
            }
            await this.#pause(retryDelays[Math.min(failures, retryDelays.length - 1)]);
            failures += 1;
        }
    }

    /** Tries with another key. */
    unlock(key) {
        this.#key = key;
        sessionStorage.setItem(keyName, key);
        this.#wake();
    }

    /** Forgets the key, in this tab, and asks for it again. */
    lock() {
        sessionStorage.removeItem(keyName);
        location.reload();
    }

    /** Tries to connect now instead of later. */
    retry() {
        this.#wake();
    }

    get(path, query = {}, signal) {
        const address = new URL(`/api/${path}`, location.href);
        for (const [name, value] of Object.entries(query)) {
            if (value !== undefined && value !== "") address.searchParams.set(name, value);
        }
        return this.#request("GET", address, undefined, signal);
    }

    post(path, body) {
        return this.#request("POST", new URL(`/api/${path}`, location.href), JSON.stringify(body ?? {}));
    }

    /**
     * The trace, until the reader leaves the loop or `signal` aborts.
     * @throws {Error} The connection was lost, or there is none.
     */
    watch(filter, signal) {
        return this.#hub.stream("watch", filter, signal);
    }

    /** @returns {Promise<{ over: Promise<void> }>} Connected, and the promise of its end. */
    async #connect() {
        // First by plain requests, whose refusals have a status.
        const [overview, history] = await Promise.all([this.get("overview"), this.get("history")]);
        this.#hub = new HubConnection("/hubs/admin", {
            accessTokenFactory: () => this.#key,
            // Reconnecting is this loop's work: it also covers a service that was never reached.
            reconnectDelays: [],
            log: () => {},
        });
        const over = new Promise((resolve) => (this.#hub.onclose = () => resolve()));
        this.#hub.on("overview", (news) => this.#tell("overview", news));
        await this.#hub.start();
        await this.#hub.invoke("subscribe");
        this.#show("live");
        this.#tell("history", history);
        this.#tell("overview", overview);
        return { over };
    }

    async #request(method, address, body, signal) {
        const headers = { Accept: "application/json" };
        if (this.#key) headers.Authorization = `Bearer ${this.#key}`;
        if (body !== undefined) headers["Content-Type"] = "application/json";
        const timeout = AbortSignal.timeout(requestTimeout);
        let response;
        try {
            response = await fetch(address, {
                method, body, headers, cache: "no-store", credentials: "omit",
                signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
            });
        } catch (error) {
            signal?.throwIfAborted();
            throw new Error("The service does not answer. Is signalbox serve still running?", { cause: error });
        }
        if (response.status === 401) throw new KeyRefused("The service does not accept the admin key.");
        const text = await response.text();
        if (!response.ok) throw new RequestFailed(response.status, reasonOf(text) || `The service answered with ${response.status}.`);
        return text ? JSON.parse(text) : {};
    }

    /** Waits, but no longer than until the page is looked at again, the network is back or somebody asks. */
    #pause(milliseconds) {
        const over = new AbortController();
        return new Promise((resolve) => {
            this.#wake = resolve;
            setTimeout(resolve, milliseconds);
            addEventListener("online", resolve, { signal: over.signal });
            document.addEventListener("visibilitychange", resolve, { signal: over.signal });
        }).finally(() => over.abort());
    }

    #show(state, problem = "") {
        this.state = state;
        this.problem = problem;
        this.#tell("state");
    }

    #tell(name, detail) {
        this.dispatchEvent(new CustomEvent(name, { detail }));
    }
}

/** The service's own words about a failure: `{"error": …}`, or plain text. */
function reasonOf(text) {
    try {
        const { error } = JSON.parse(text);
        return typeof error === "string" ? error : error?.message ?? "";
    } catch {
        return text.trim().slice(0, 300);
    }
}

/** The key from the address, which it leaves, so that it is in no bookmark and on no screen; else the tab's. */
function takeKey() {
    const key = new URLSearchParams(location.hash.slice(1)).get("key");
    if (!key) return sessionStorage.getItem(keyName) ?? "";
    history.replaceState(null, "", `${location.pathname}${location.search}`);
    sessionStorage.setItem(keyName, key);
    return key;
}
