// SignalBox: a SignalR hub client for browsers and workers in one ES module, with no dependencies and no build step.
// SPDX-License-Identifier: Apache-2.0

/**
 * @typedef {"WebSockets" | "ServerSentEvents" | "LongPolling"} TransportName
 * @typedef {"Disconnected" | "Connecting" | "Connected" | "Reconnecting" | "Disconnecting"} HubConnectionState
 * @typedef {"debug" | "info" | "warn" | "error"} LogLevel
 *
 * @typedef {object} HubConnectionOptions
 * @property {() => string | Promise<string>} [accessTokenFactory] Asked before every negotiate, and again after a 401.
 * @property {TransportName[]} [transports] The transports allowed here; the server's order decides. Default: all three.
 * @property {(level: LogLevel, message: string) => void} [log] Default: warnings and errors go to the console.
 * @property {number[]} [reconnectDelays] Milliseconds before each reconnect attempt. Default: 0, 2,000, 10,000, 30,000;
 *     an empty list switches automatic reconnect off.
 * @property {number} [serverTimeout] Milliseconds of silence after which the server counts as lost. Default: 30,000.
 * @property {number} [keepAliveInterval] Milliseconds without a message sent before a ping goes out. Default: 15,000.
 * @property {number} [handshakeTimeout] Milliseconds for a transport to open, and again for the hub handshake.
 *     Default: 15,000.
 * @property {boolean} [withCredentials] Whether cookies go to other origins too. Default: true.
 * @property {Record<string, string>} [headers] Extra HTTP headers. WebSocket and EventSource cannot carry them.
 * @property {boolean} [statefulReconnect] Asks the server to go on with this connection when its socket breaks: same
 *     id, nothing lost, nothing twice, no event. Needs WebSockets, and a server that allows it. Default: false.
 * @property {number} [statefulReconnectBufferSize] Characters sent and not yet acknowledged by the server, from which
 *     on senders wait. Default: 100,000.
 * @property {boolean} [skipNegotiation] Opens a WebSocket at once; the connection id stays unknown. Default: false.
 */

const recordSeparator = "\x1e";
const maximumRedirects = 100; // TransportProtocols.md
const requestTimeout = 100_000; // ms; longer than the 90 s a server may hold a poll
const closeTimeout = 1_000; // ms; how long stop() waits for the Close message to leave
const maximumPartialRecord = 16 * 1024 * 1024; // characters of one unfinished message
const maximumUnreadItems = 16_384; // stream items the page has not read yet
const maximumQueued = 16 * 1024 * 1024; // characters waiting for the next POST, or for the server's acknowledgement
const acknowledgeDelay = 1_000; // ms from a message to the Ack that covers it
const socketHighWater = 1024 * 1024; // bytes in a socket's send buffer before senders wait
const drainInterval = 20; // ms; WebSocket has no event for a drained buffer

/** HubProtocol.md, message types. */
const MessageType = Object.freeze({
    invocation: 1,
    streamItem: 2,
    completion: 3,
    streamInvocation: 4,
    cancelInvocation: 5,
    ping: 6,
    close: 7,
    ack: 8,
    sequence: 9,
});

const defaultOptions = {
    transports: ["WebSockets", "ServerSentEvents", "LongPolling"],
    reconnectDelays: [0, 2_000, 10_000, 30_000],
    serverTimeout: 30_000,
    keepAliveInterval: 15_000,
    handshakeTimeout: 15_000,
    withCredentials: true,
    headers: {},
    statefulReconnect: false,
    statefulReconnectBufferSize: 100_000,
    skipNegotiation: false,
    log: (level, message) => {
        if (level === "warn" || level === "error") console[level](`SignalBox: ${message}`);
    },
};

/**
 * A connection to one hub. It may be started again after it has closed; handlers stay registered.
 *
 *     const chat = new HubConnection("/hubs/chat");
 *     chat.on("receive", (user, text) => console.log(user, text));
 *     await chat.start();
 *     await chat.send("send", "Ada", "Hello");
 */
export class HubConnection {
    /** @type {((error?: Error) => void) | undefined} The connection was lost and is being restored. */
    onreconnecting;
    /** @type {((connectionId?: string) => void) | undefined} The connection is back, under a new id. */
    onreconnected;
    /** @type {((error?: Error) => void) | undefined} The connection is over; no error after stop(). */
    onclose;

    #url;
    #hub;
    /** @type {HubConnectionState} */
    #state = "Disconnected";
    /** @type {Session | undefined} */
    #session;
    /** Aborted by stop(): ends whatever is being opened or waited for. */
    #life = new AbortController();
    #over = Promise.resolve();

    /**
     * @param {string | URL} url Address of the hub, absolute or relative to the page.
     * @param {HubConnectionOptions} [options]
     * @throws {TypeError} The address is not a URL.
     */
    constructor(url, options = {}) {
        const given = Object.entries(options).filter(([, value]) => value !== undefined);
        let lastId = -1;
        this.#url = new URL(url, globalThis.location?.href);
        this.#url.hash = "";
        this.#hub = {
            options: { ...defaultOptions, ...Object.fromEntries(given) },
            /** @type {Map<string, Set<Function>>} By lower-case name: SignalR matches without regard to case. */
            handlers: new Map(),
            // Invocations and upload streams share one counter, so that no two of them can be mixed up.
            newId: () => String((lastId += 1)),
        };
    }

    /** @returns {HubConnectionState} */
    get state() {
        return this.#state;
    }

    /** The id other clients know this one by; undefined while disconnected and when negotiation was skipped. */
    get connectionId() {
        return this.#session?.connectionId;
    }

    /** @returns {TransportName | undefined} The transport in use. */
    get transport() {
        return this.#session?.transportName;
    }

    /**
     * Connects. Failures are reported here and never retried; automatic reconnect begins once connected.
     * @throws {Error} The connection is not Disconnected, the server refused, or no transport could be opened.
     */
    async start() {
        if (this.#state !== "Disconnected") throw new Error(`A connection that is ${this.#state} cannot be started.`);
        this.#state = "Connecting";
        this.#life = new AbortController();
        const over = deferred();
        this.#over = over.promise;
        try {
            const session = await this.#establish(this.#life.signal);
            this.#keep(session).then(over.resolve);
        } catch (error) {
            this.#state = "Disconnected";
            over.resolve();
            throw error;
        }
    }

    /** Tells the server goodbye and closes; resolves when the connection is Disconnected. */
    async stop() {
        if (this.#state === "Disconnected") return;
        this.#state = "Disconnecting";
        this.#life.abort(new Error("The connection was stopped."));
        await this.#session?.close();
        await this.#over;
    }

    /**
     * Registers a handler for calls from the server. What it returns, or resolves to, answers a client result.
     * @param {string} method Case does not matter.
     * @param {(...args: any[]) => any} handler
     */
    on(method, handler) {
        const name = method.toLowerCase();
        const handlers = this.#hub.handlers.get(name) ?? new Set();
        this.#hub.handlers.set(name, handlers.add(handler));
    }

    /**
     * Removes one handler of a method, or all of them.
     * @param {string} method
     * @param {Function} [handler]
     */
    off(method, handler) {
        const name = method.toLowerCase();
        if (handler) this.#hub.handlers.get(name)?.delete(handler);
        else this.#hub.handlers.delete(name);
    }

    /**
     * Calls a hub method without waiting for an answer; resolves when the transport has taken the message.
     * @param {string} method
     * @param {...any} args Async iterables and ReadableStreams are uploaded as streams; an AbortSignal ends them.
     * @throws {Error} Not connected, or the message could not be sent.
     */
    async send(method, ...args) {
        await this.#live().begin(MessageType.invocation, method, args).sent;
    }

    /**
     * Calls a hub method and resolves to its result.
     * @param {string} method
     * @param {...any} args As for send(). An AbortSignal cancels the call.
     * @returns {Promise<any>}
     * @throws {Error} The hub's error, a lost connection, or the signal's reason.
     */
    invoke(method, ...args) {
        return new Promise((resolve, reject) => {
            this.#live().begin(MessageType.invocation, method, args, {
                item: () => true,
                finish: (error, result) => (error ? reject(error) : resolve(result)),
            });
        });
    }

    /**
     * Calls a streaming hub method with the first read. Leaving the loop cancels the stream.
     * @param {string} method
     * @param {...any} args As for invoke().
     * @returns {AsyncGenerator<any, void, void>}
     * @throws {Error} While reading: as for invoke(), after the items that arrived before.
     */
    async *stream(method, ...args) {
        const items = new ItemQueue();
        const call = this.#live().begin(MessageType.streamInvocation, method, args, items);
        try {
            yield* items;
        } finally {
            call.cancel();
        }
    }

    #live() {
        if (this.#session && this.#state === "Connected") return this.#session;
        throw new Error(`A hub method cannot be called while the connection is ${this.#state}.`);
    }

    /** Sees a session to its end, and after it the ones that replace it. */
    async #keep(session) {
        let error;
        while (session) {
            const end = await session.ended;
            error = end.error;
            this.#session = undefined;
            session = end.allowReconnect ? await this.#reconnect(end.error) : undefined;
        }
        const stopped = this.#life.signal.aborted;
        this.#log("info", stopped || !error ? "Connection closed." : `Connection closed: ${error.message}`);
        this.#state = "Disconnected";
        this.#notify("onclose", stopped ? undefined : error);
    }

    /** @returns {Promise<Session | undefined>} The new session, or undefined after stop() or the last delay. */
    async #reconnect(error) {
        const { reconnectDelays } = this.#hub.options;
        const { signal } = this.#life;
        if (signal.aborted || reconnectDelays.length === 0) return undefined;
        this.#state = "Reconnecting";
        this.#log("warn", `Connection lost${error ? `: ${error.message}` : "."}`);
        this.#notify("onreconnecting", error);
        for (let attempt = 0; attempt < reconnectDelays.length && !signal.aborted; ) {
            this.#log("info", `Reconnecting in ${reconnectDelays[attempt]} ms.`);
            // Waking up is news about the network, so an attempt made early does not use up its delay.
            if (!(await pause(reconnectDelays[attempt], signal))) attempt += 1;
            if (signal.aborted) break;
            try {
                const session = await this.#establish(signal);
                this.#notify("onreconnected", session.connectionId);
                return session;
            } catch (failure) {
                if (!signal.aborted) this.#log("warn", `Reconnect failed: ${failure.message}`);
            }
        }
        return undefined;
    }

    async #establish(signal) {
        const session = await this.#connect(signal);
        if (signal.aborted) await session.close();
        signal.throwIfAborted();
        this.#session = session;
        this.#state = "Connected";
        return session;
    }

    /** Negotiates, opens the first transport that works, and shakes hands. */
    async #connect(signal) {
        const { options } = this.#hub;
        if (options.skipNegotiation) return this.#connectDirectly(signal);
        let offer = await negotiate(this.#url, options, signal);
        const names = this.#choose(offer.transports);
        const failures = [];
        for (const [index, name] of names.entries()) {
            // The attempt before may have used its connection up.
            if (index > 0) offer = await negotiate(this.#url, options, signal);
            const session = new Session(this.#hub, name, offer.connectionId, offer.isStateful);
            try {
                await session.open(offer.endpoint, signal);
            } catch (error) {
                signal.throwIfAborted();
                failures.push(`${name} failed: ${error.message}`);
                const next = names[index + 1];
                this.#log("warn", `${failures.at(-1)}; ${next ? `trying ${next}` : "no transport is left"}`);
                continue;
            }
            await session.shakeHands(signal);
            this.#log("info", `Connected with ${name}: ${reasonFor(index, names, options.transports)}.`);
            return session;
        }
        const reasons = failures.join("; ");
        throw new Error(`Unable to connect to the server with any of the available transports. ${reasons}`);
    }

    async #connectDirectly(signal) {
        const { options } = this.#hub;
        if (!options.transports.includes("WebSockets")) {
            throw new Error("Negotiation can only be skipped with the WebSockets transport.");
        }
        const endpoint = new Endpoint(this.#url, options, options.accessTokenFactory);
        await endpoint.authorize();
        const session = new Session(this.#hub, "WebSockets", undefined);
        await session.open(endpoint, signal);
        await session.shakeHands(signal);
        this.#log("info", "Connected with WebSockets: negotiation is skipped.");
        return session;
    }

    /** The offered transports that can be tried here, in the server's order. */
    #choose(offered) {
        const allowed = this.#hub.options.transports;
        const names = offered.filter((name) => {
            const obstacle = !allowed.includes(name)
                ? "the page does not allow it"
                : !transports[name]
                  ? "this client does not know it"
                  : !transports[name].isAvailable() && "this browser does not have it";
            if (obstacle) this.#log("info", `${name} skipped: ${obstacle}.`);
            return !obstacle;
        });
        for (const name of allowed) {
            if (!offered.includes(name)) this.#log("info", `${name} skipped: the server does not offer it.`);
        }
        if (names.length > 0) return names;
        throw new Error(
            `No transport in common: the server offers ${offered.join(", ") || "none"}, ` +
                `this page allows ${allowed.join(", ") || "none"}.`,
        );
    }

    #log(level, message) {
        this.#hub.options.log(level, message);
    }

    #notify(name, argument) {
        try {
            this[name]?.(argument);
        } catch (error) {
            this.#log("error", `The ${name} handler failed: ${error}`);
        }
    }
}

/** Why the transport at `index` of those tried is the one in use, for the log. */
function reasonFor(index, names, allowed) {
    if (index > 0) return `${names.slice(0, index).join(" and ")} failed`;
    return allowed.length === 1 ? "the page allows only this one" : "the server's first choice here";
}

/** One connection from its first transport's opening to its end; reconnecting makes a new one. */
class Session {
    #hub;
    #endpoint;
    /** Undefined while a new one is being opened. */
    #transport;
    /** @type {Replay | undefined} Only if the connection may be resumed. */
    #replay;
    #awaitsSequence = false;
    #ackTimer;
    #pending = new Map();
    #partial = "";
    #welcomed = false;
    #handshake = deferred();
    #end = deferred();
    #life = new AbortController();
    #lastSent = 0;
    #pingTimer;
    #silenceTimer;

    constructor(hub, transportName, connectionId, isStateful) {
        this.#hub = hub;
        this.transportName = transportName;
        this.connectionId = connectionId;
        // The other transports survive a lost request by themselves, or cannot be resumed.
        if (isStateful && transportName === "WebSockets") {
            this.#replay = new Replay(hub.options.statefulReconnectBufferSize);
        }
        // Someone waits for the handshake only once the transport is open; it may fail before.
        this.#handshake.promise.catch(() => {});
    }

    /** @returns {Promise<{ error?: Error, allowReconnect: boolean }>} */
    get ended() {
        return this.#end.promise;
    }

    async open(endpoint, signal) {
        this.#endpoint = endpoint;
        this.#transport = await this.#openTransport(signal);
    }

    async #openTransport(signal) {
        const { handshakeTimeout } = this.#hub.options;
        const limit = AbortSignal.any([signal, AbortSignal.timeout(handshakeTimeout)]);
        try {
            return await transports[this.transportName].open(this.#endpoint, this, limit);
        } catch (error) {
            if (limit.aborted) throw new Error(`no answer within ${handshakeTimeout} ms`);
            throw error;
        }
    }

    /** HubProtocol.md, handshake. */
    async shakeHands(signal) {
        const { handshakeTimeout } = this.#hub.options;
        const fail = (error) => this.#finish(error, false);
        const stop = () => fail(signal.reason);
        const timer = setTimeout(
            () => fail(new Error(`The server did not answer the handshake within ${handshakeTimeout} ms.`)),
            handshakeTimeout,
        );
        signal.addEventListener("abort", stop);
        try {
            if (signal.aborted) stop();
            this.#post({ protocol: "json", version: this.#replay ? 2 : 1 }).catch(fail);
            await this.#handshake.promise;
        } finally {
            clearTimeout(timer);
            signal.removeEventListener("abort", stop);
        }
        // The server watches over a client only after its first ping.
        this.#ping();
    }

    /**
     * Sends an invocation. `reply` hears the items and the end; without it nothing comes back.
     * @param {{ item(value: any): boolean, finish(error?: Error, result?: any): void }} [reply]
     */
    begin(type, target, args, reply) {
        const { values, streams, signal } = sortArguments(args);
        signal?.throwIfAborted();
        const invocationId = reply && this.#hub.newId();
        const uploads = streams.map((stream) => ({ id: this.#hub.newId(), stream }));
        const streamIds = uploads.length > 0 ? uploads.map(({ id }) => id) : undefined;
        const over = new AbortController();
        const finish = (error, result) => {
            if (over.signal.aborted) return;
            this.#pending.delete(invocationId);
            over.abort();
            reply?.finish(error, result);
        };
        const cancel = (reason) => {
            if (over.signal.aborted) return;
            if (reply) this.#post({ type: MessageType.cancelInvocation, invocationId }).catch(() => {});
            finish(reason);
        };
        const item = (value) => {
            if (!reply.item(value)) cancel(new Error(`More than ${maximumUnreadItems} stream items were left unread.`));
        };
        if (reply) this.#pending.set(invocationId, { item, finish });
        signal?.addEventListener("abort", () => cancel(signal.reason), { signal: over.signal });
        const sent = this.#post({ type, invocationId, target, arguments: values, streamIds });
        sent.then(() => uploads.forEach(({ id, stream }) => this.#upload(id, stream, over.signal)), finish);
        return { sent, cancel };
    }

    /** Says goodbye, then closes the transport. */
    async close() {
        await Promise.race([this.#post({ type: MessageType.close }).catch(() => {}), pause(closeTimeout)]);
        await this.#finish(undefined, false);
    }

    /** Called by the transport with text, split anywhere. */
    received(text) {
        if (this.#life.signal.aborted) return;
        this.#heard();
        const records = (this.#partial + text).split(recordSeparator);
        this.#partial = records.pop();
        try {
            for (const record of records) this.#accept(JSON.parse(record));
        } catch (error) {
            this.#finish(new Error(`The server sent a message that cannot be read: ${error.message}`), true);
        }
        if (this.#partial.length > maximumPartialRecord) {
            this.#finish(new Error(`The server sent a message of more than ${maximumPartialRecord} characters.`), true);
        }
    }

    /** Called by the transport when it has ended by itself. */
    lost(error) {
        // One that is lost before it says where to go on would be lost again and again.
        if (this.#replay && this.#welcomed && !this.#awaitsSequence) this.#resume(error);
        else this.#finish(error, true);
    }

    /** Goes on with a new transport where the old one broke off. One try: reconnecting comes next. */
    async #resume(error) {
        const { signal } = this.#life;
        if (signal.aborted) return;
        this.#log("info", `Resuming: ${error.message}`);
        this.#transport = undefined;
        this.#partial = "";
        this.#awaitsSequence = true;
        let transport;
        try {
            await this.#endpoint.authorize();
            transport = await this.#openTransport(signal);
        } catch {
            return this.#finish(error, true);
        }
        if (signal.aborted) return transport.close();
        // In one go: a message that slipped in before these would have the wrong number.
        for (const text of this.#replay.backlog()) transport.send(text);
        this.#transport = transport;
        this.#lastSent = performance.now();
        this.#acknowledgeSoon();
    }

    #acknowledgeSoon() {
        this.#ackTimer ??= setTimeout(() => {
            this.#ackTimer = undefined;
            // Without a transport: resuming comes here again.
            this.#post({ type: MessageType.ack, sequenceId: this.#replay.latest }).catch(() => {});
        }, acknowledgeDelay);
    }

    /** Whether to act on a message: not if it came before, nor until it is known where the server goes on. */
    #isNew(message) {
        if (!this.#replay || !isNumbered(message)) return true;
        if (this.#awaitsSequence || !this.#replay.accept()) return false;
        this.#acknowledgeSoon();
        return true;
    }

    #accept(message) {
        if (this.#life.signal.aborted) return;
        if (!this.#welcomed) return this.#acceptHandshake(message);
        if (!this.#isNew(message)) return;
        switch (message.type) {
            case MessageType.invocation:
                if (typeof message.target !== "string" || !Array.isArray(message.arguments)) {
                    throw new Error("an invocation without target or arguments");
                }
                this.#handle(message);
                break;
            case MessageType.streamItem:
                this.#pending.get(message.invocationId)?.item(message.item);
                break;
            case MessageType.completion: {
                const error = message.error ? new Error(message.error) : undefined;
                this.#pending.get(message.invocationId)?.finish(error, message.result);
                break;
            }
            case MessageType.close: {
                const error = message.error && new Error(`Server returned an error on close: ${message.error}`);
                this.#finish(error || undefined, message.allowReconnect === true);
                break;
            }
            case MessageType.ack:
                this.#replay?.acknowledge(message.sequenceId);
                break;
            case MessageType.sequence:
                this.#replay?.goOnFrom(message.sequenceId);
                this.#awaitsSequence = false;
                break;
            default: // A ping has done its work by arriving; types of the future are none of ours.
        }
    }

    #acceptHandshake(message) {
        if ("type" in message) this.#finish(new Error("Expected a handshake response from the server."), false);
        else if (message.error) this.#finish(new Error(`The server refused the handshake: ${message.error}`), false);
        else {
            this.#welcomed = true;
            this.#handshake.resolve();
        }
    }

    /** Runs the page's handlers for a call from the server, and answers it if it wants a result. */
    async #handle({ target, arguments: args, invocationId }) {
        const handlers = [...(this.#hub.handlers.get(target.toLowerCase()) ?? [])];
        if (handlers.length === 0) this.#log("warn", `No handler is registered for '${target}'.`);
        // All of them start before the next message is looked at, so that they run in order of arrival.
        const outcomes = await Promise.allSettled(handlers.map(async (handler) => handler(...args)));
        const failed = outcomes.filter(({ status }) => status === "rejected");
        for (const { reason } of failed) this.#log("error", `The handler for '${target}' failed: ${reason}`);
        if (!invocationId) return;
        const results = outcomes.filter(({ value }) => value !== undefined);
        const answer = { type: MessageType.completion, invocationId };
        if (results.length > 1) answer.error = "Client provided multiple results.";
        else if (failed.length > 0) answer.error = String(failed[0].reason);
        else if (results.length === 0) answer.error = "Client didn't provide a result.";
        else answer.result = results[0].value;
        this.#post(answer).catch((error) => this.#log("error", `'${target}' could not be answered: ${error.message}`));
    }

    /** Sends the items of one stream argument until it ends, fails, or nobody wants more. */
    async #upload(invocationId, stream, callOver) {
        const items = itemsOf(stream);
        const signal = AbortSignal.any([callOver, this.#life.signal]);
        const release = () => Promise.resolve(items.return?.()).catch(() => {});
        if (signal.aborted) return void release();
        signal.addEventListener("abort", release);
        const end = { type: MessageType.completion, invocationId };
        try {
            for (let step; !(step = await items.next()).done; ) {
                if (signal.aborted) return;
                await this.#post({ type: MessageType.streamItem, invocationId, item: step.value ?? null });
            }
        } catch (error) {
            end.error = String(error);
        }
        signal.removeEventListener("abort", release);
        if (!signal.aborted) await this.#post(end).catch(() => {});
    }

    async #post(message) {
        if (this.#life.signal.aborted) throw new Error("The connection is closed.");
        const text = JSON.stringify(message) + recordSeparator;
        const room = isNumbered(message) ? this.#replay?.keep(text) : undefined;
        if (!this.#transport && !room) throw new Error("The connection is being resumed.");
        this.#lastSent = performance.now();
        await this.#transport?.send(text);
        await room;
        if (room && this.#life.signal.aborted) throw new Error("The connection is closed.");
    }

    #ping() {
        clearTimeout(this.#pingTimer);
        if (this.#transport?.isPolling || this.#life.signal.aborted) return;
        this.#post({ type: MessageType.ping }).catch(() => {});
        this.#schedulePing();
    }

    #schedulePing() {
        const due = this.#lastSent + this.#hub.options.keepAliveInterval - performance.now();
        this.#pingTimer = setTimeout(() => (this.#isPingDue() ? this.#ping() : this.#schedulePing()), due);
    }

    #isPingDue() {
        return performance.now() - this.#lastSent >= this.#hub.options.keepAliveInterval;
    }

    #heard() {
        if (this.#transport?.isPolling) return;
        const { serverTimeout } = this.#hub.options;
        const silent = () => this.#finish(
            new Error("Server timeout elapsed without receiving a message from the server."), true,
        );
        clearTimeout(this.#silenceTimer);
        this.#silenceTimer = setTimeout(silent, serverTimeout);
        // A hidden tab's timers may run once a minute only; the server's own pings still come in time.
        if (this.#welcomed && this.#isPingDue()) this.#ping();
    }

    /** Ends the session once: whoever waits for something learns that it will not come. */
    async #finish(error, allowReconnect) {
        if (this.#life.signal.aborted) return;
        this.#life.abort();
        clearTimeout(this.#pingTimer);
        clearTimeout(this.#silenceTimer);
        clearTimeout(this.#ackTimer);
        this.#replay?.end();
        this.#handshake.reject(error ?? new Error("The connection was closed before the handshake was answered."));
        const text = "Invocation canceled due to the underlying connection being closed.";
        const dropped = new Error(text, { cause: error });
        for (const call of [...this.#pending.values()]) call.finish(dropped);
        this.#end.resolve({ error, allowReconnect });
        await Promise.resolve(this.#transport?.close()).catch(() => {});
    }

    #log(level, message) {
        this.#hub.options.log(level, message);
    }
}

/** HubProtocol.md, "Ack" and "Sequence": the messages that have numbers, counted from 1 in each direction. */
function isNumbered({ type }) {
    return type >= MessageType.invocation && type <= MessageType.cancelInvocation;
}

/** What a connection keeps and counts, so that a new transport can go on where the one before broke off. */
class Replay {
    #limit;
    /** What was sent and not acknowledged, oldest first. */
    #kept = [];
    #size = 0;
    /** The number of the first of them, or of the next to come. */
    #first = 1;
    /** The number of the next message of the server. */
    #expected = 1;
    /** Senders that wait for an acknowledgement. */
    #waiting = [];
    /** The highest number that came from the server. */
    latest = 0;

    constructor(limit) {
        this.#limit = limit;
    }

    /** @returns {Promise<void>} When there is room for more, or the connection is over. */
    keep(text) {
        if (this.#size > maximumQueued) throw new Error("Too much is waiting to be acknowledged by the server.");
        this.#kept.push(text);
        this.#size += text.length;
        if (this.#size < this.#limit) return Promise.resolve();
        return new Promise((resolve) => this.#waiting.push(resolve));
    }

    /** Everything up to this number has arrived. */
    acknowledge(number) {
        const count = Math.min(checkedNumber(number) - this.#first + 1, this.#kept.length);
        if (count <= 0) return;
        for (const text of this.#kept.splice(0, count)) this.#size -= text.length;
        this.#first += count;
        if (this.#size < this.#limit) this.end();
    }

    /** What a new transport begins with. */
    backlog() {
        const start = JSON.stringify({ type: MessageType.sequence, sequenceId: this.#first }) + recordSeparator;
        return [start, ...this.#kept];
    }

    /** Counts a message of the server; false when it came before. */
    accept() {
        const number = this.#expected;
        this.#expected += 1;
        if (number <= this.latest) return false;
        this.latest = number;
        return true;
    }

    /** The server's next message has this number. */
    goOnFrom(number) {
        if (checkedNumber(number) > this.#expected) {
            throw new Error("Sequence ID greater than amount of messages we've received.");
        }
        this.#expected = number;
    }

    /** Lets everybody go who waits for room. */
    end() {
        for (const resolve of this.#waiting.splice(0)) resolve();
    }
}

function checkedNumber(number) {
    if (Number.isSafeInteger(number)) return number;
    throw new Error("a sequence number that is none");
}

/** The address of a hub together with what a request to it must carry. */
class Endpoint {
    #options;
    #tokenFactory;
    #token;
    /** @type {string | undefined} The connection token, once negotiated. */
    id;

    constructor(url, options, tokenFactory) {
        this.url = url;
        this.#options = options;
        this.#tokenFactory = tokenFactory;
    }

    get withCredentials() {
        return this.#options.withCredentials;
    }

    get asksForResumption() {
        const { statefulReconnect, transports: allowed } = this.#options;
        return statefulReconnect && allowed.includes("WebSockets") && transports.WebSockets.isAvailable();
    }

    async authorize() {
        this.#token = (await this.#tokenFactory?.()) || undefined;
    }

    /** For WebSocket and EventSource, which cannot send an Authorization header. */
    get addressWithToken() {
        return withQuery(this.url, { id: this.id, access_token: this.#token });
    }

    /** One HTTP request of the connection; a 401 is answered with a fresh token, once. */
    async request(method, { body, signal } = {}) {
        const address = withQuery(this.url, { id: this.id });
        let response = await this.fetch(method, address, body, signal);
        if (response.status === 401 && this.#tokenFactory) {
            await this.authorize();
            response = await this.fetch(method, address, body, signal);
        }
        if (!response.ok) throw new Error(await describe(method, response));
        return response;
    }

    async fetch(method, address, body, signal) {
        const headers = new Headers(this.#options.headers);
        // ASP.NET answers such requests with 401 where it would otherwise redirect to a login page.
        headers.set("X-Requested-With", "XMLHttpRequest");
        if (this.#token) headers.set("Authorization", `Bearer ${this.#token}`);
        const timeout = AbortSignal.timeout(requestTimeout);
        try {
            return await fetch(address, {
                method,
                body,
                headers,
                cache: "no-store",
                credentials: this.withCredentials ? "include" : "same-origin",
                signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
            });
        } catch (error) {
            signal?.throwIfAborted();
            throw new Error(`${this.url.origin} could not be reached (${error.message}).`, { cause: error });
        }
    }
}

/** Asks where and how to connect, following redirects (TransportProtocols.md, negotiate version 1). */
async function negotiate(start, options, signal) {
    let url = start;
    let tokenFactory = options.accessTokenFactory;
    for (let redirects = 0; redirects <= maximumRedirects; redirects += 1) {
        const endpoint = new Endpoint(url, options, tokenFactory);
        await endpoint.authorize();
        const answer = await askToConnect(endpoint, signal);
        if (!answer.url) return readOffer(answer, endpoint, options);
        options.log("info", `Redirected to ${new URL(answer.url, url).origin}.`);
        url = new URL(answer.url, url);
        if (answer.accessToken) tokenFactory = () => answer.accessToken;
    }
    throw new Error("Negotiate redirection limit exceeded.");
}

async function askToConnect(endpoint, signal) {
    const address = new URL(endpoint.url);
    address.pathname = address.pathname.replace(/\/?$/, "/negotiate");
    const query = { negotiateVersion: 1, useStatefulReconnect: endpoint.asksForResumption || undefined };
    const response = await endpoint.fetch("POST", withQuery(address, query), "", signal);
    if (response.status !== 200) throw new Error(await describe("Negotiate", response));
    const answer = await response.json().catch(() => undefined);
    if (answer === null || typeof answer !== "object") throw new Error("The server's negotiate answer is not JSON.");
    if (answer.error) throw new Error(`The server refused to negotiate: ${answer.error}`);
    if (answer.ProtocolVersion) throw new Error("The server speaks classic ASP.NET SignalR, another protocol.");
    return answer;
}

function readOffer(answer, endpoint, options) {
    const { negotiateVersion, connectionId, connectionToken, availableTransports } = answer;
    endpoint.id = negotiateVersion > 0 ? connectionToken : connectionId;
    if (typeof endpoint.id !== "string" || !Array.isArray(availableTransports)) {
        throw new Error("The server's negotiate answer lacks the connection id or the transports.");
    }
    const isStateful = endpoint.asksForResumption && answer.useStatefulReconnect === true;
    if (options.statefulReconnect && !isStateful) options.log("info", "This connection cannot be resumed.");
    return { endpoint, connectionId, isStateful, transports: availableTransports.map(({ transport }) => transport) };
}

/**
 * How bytes travel. `open` resolves to `{ send(text), close(), isPolling? }` and reports to its session by
 * `received(text)` and `lost(error)`; it rejects when the transport does not open before `signal` aborts.
 */
const transports = {
    WebSockets: { isAvailable: () => typeof globalThis.WebSocket === "function", open: openWebSocket },
    ServerSentEvents: { isAvailable: () => typeof globalThis.EventSource === "function", open: openServerSentEvents },
    LongPolling: { isAvailable: () => true, open: openLongPolling },
};

function openWebSocket(endpoint, session, signal) {
    return new Promise((resolve, reject) => {
        const socket = new WebSocket(endpoint.addressWithToken.replace(/^http/, "ws"));
        let opened = false;
        const send = async (text) => {
            socket.send(text);
            while (socket.bufferedAmount > socketHighWater && socket.readyState === 1) await pause(drainInterval);
        };
        const refuse = () => reject(new Error("the socket could not be opened"));
        socket.onopen = () => {
            opened = true;
            resolve({ send, close: () => socket.close(1000) });
        };
        socket.onmessage = ({ data }) => {
            if (typeof data === "string") session.received(data);
            else session.lost(new Error("The server sent binary data, but the JSON protocol is text."));
        };
        socket.onerror = () => opened || refuse();
        socket.onclose = ({ code, reason }) => {
            if (!opened) refuse();
            else session.lost(new Error(`The socket was closed with code ${code}${reason ? `: ${reason}` : "."}`));
        };
        signal.addEventListener("abort", () => {
            if (opened) return;
            socket.close();
            reject(signal.reason);
        });
    });
}

function openServerSentEvents(endpoint, session, signal) {
    return new Promise((resolve, reject) => {
        const { withCredentials } = endpoint;
        const source = new EventSource(endpoint.addressWithToken, { withCredentials });
        let opened = false;
        source.onopen = () => {
            opened = true;
            resolve({ send: postQueue(endpoint), close: () => source.close() });
        };
        source.onmessage = ({ data }) => session.received(data);
        source.onerror = () => {
            // Left open, an EventSource would come back by itself with an id the server has forgotten.
            source.close();
            if (opened) session.lost(new Error("The event stream ended."));
            else reject(new Error("the event stream could not be opened"));
        };
        signal.addEventListener("abort", () => {
            if (opened) return;
            source.close();
            reject(signal.reason);
        });
    });
}

async function openLongPolling(endpoint, session, signal) {
    // The first poll is always empty; it starts the connection.
    await endpoint.request("GET", { signal });
    const polling = new AbortController();
    poll(endpoint, session, polling.signal);
    const close = async () => {
        if (polling.signal.aborted) return;
        polling.abort();
        await endpoint.request("DELETE");
    };
    return { send: postQueue(endpoint), close, isPolling: true };
}

async function poll(endpoint, session, signal) {
    try {
        while (!signal.aborted) {
            const response = await endpoint.request("GET", { signal });
            if (response.status === 204) return session.lost(new Error("The server ended the connection."));
            session.received(await response.text());
        }
    } catch (error) {
        if (!signal.aborted) session.lost(error);
    }
}

/** Sends by POST, one at a time: what is queued while one is under way leaves together in the next. */
function postQueue(endpoint) {
    let queued = "";
    let current = Promise.resolve();
    /** @type {Promise<void> | undefined} */
    let next;
    const leave = () => {
        const body = queued;
        queued = "";
        next = undefined;
        current = endpoint.request("POST", { body });
        return current;
    };
    return async (text) => {
        if (queued.length > maximumQueued) throw new Error("Too much is waiting to be sent; the server is too slow.");
        queued += text;
        next ??= current.then(leave, leave);
        return next;
    };
}

/** Stream items between their arrival and their reader. */
class ItemQueue {
    #items = [];
    #end;
    #wake = () => {};

    /** @returns {boolean} False when the reader has fallen too far behind. */
    item(value) {
        if (this.#items.length >= maximumUnreadItems) return false;
        this.#items.push(value);
        this.#wake();
        return true;
    }

    finish(error) {
        this.#end = { error };
        this.#wake();
    }

    async *[Symbol.asyncIterator]() {
        for (;;) {
            const batch = this.#items;
            this.#items = [];
            yield* batch;
            if (this.#items.length > 0) continue;
            if (this.#end?.error) throw this.#end.error;
            if (this.#end) return;
            await new Promise((resolve) => (this.#wake = resolve));
        }
    }
}

/** Takes streams and an abort signal out of a call's arguments; neither could be written as JSON. */
function sortArguments(args) {
    const signal = args.find((argument) => argument instanceof AbortSignal);
    const rest = args.filter((argument) => !(argument instanceof AbortSignal));
    return { values: rest.filter((value) => !isStream(value)), streams: rest.filter(isStream), signal };
}

function isStream(value) {
    return typeof value?.[Symbol.asyncIterator] === "function" || typeof value?.getReader === "function";
}

/** @returns {AsyncIterator<any>} Not every browser lets a ReadableStream be iterated, hence the reader. */
function itemsOf(stream) {
    if (typeof stream.getReader !== "function") return stream[Symbol.asyncIterator]();
    const reader = stream.getReader();
    return { next: () => reader.read(), return: () => reader.cancel() };
}

/**
 * Waits, but no longer than until the network comes back, the page is looked at again, or `signal` aborts.
 * @returns {Promise<boolean>} Whether the wait was cut short.
 */
function pause(milliseconds, signal) {
    return new Promise((resolve) => {
        const listening = new AbortController();
        const end = (early) => {
            clearTimeout(timer);
            listening.abort();
            resolve(early);
        };
        const timer = setTimeout(() => end(false), milliseconds);
        if (!signal) return;
        const wake = (target, event, condition = () => true) =>
            target?.addEventListener?.(event, () => condition() && end(true), { signal: listening.signal });
        wake(signal, "abort");
        wake(globalThis, "online");
        wake(globalThis.document, "visibilitychange", () => document.visibilityState === "visible");
    });
}

/** Adds query items without touching those that are there. */
function withQuery(url, items) {
    const address = new URL(url);
    for (const [name, value] of Object.entries(items)) {
        if (value === undefined) continue;
        address.search += `${address.search ? "&" : "?"}${name}=${encodeURIComponent(value)}`;
    }
    return address.href;
}

/** An HTTP failure in words: the server's own, else the status. */
async function describe(what, response) {
    const body = (await response.text().catch(() => "")).trim().slice(0, 200);
    return `${what} failed with status ${response.status}: ${body || response.statusText || "no reason given"}.`;
}

function deferred() {
    let settle;
    const promise = new Promise((resolve, reject) => (settle = { resolve, reject }));
    return { promise, ...settle };
}
