// SignalBox: the dashboard's page: views by address, the service's state, the admin key.
// SPDX-License-Identifier: Apache-2.0

import { ConnectionPanel } from "/dashboard-connection.js";
import { ConsoleView } from "/dashboard-console.js";
import { address, element, format, setText } from "/dashboard-elements.js";
import { ConnectionsView, HubsView, ServersView, UpstreamView, UsersView } from "/dashboard-lists.js";
import { Figures, History, OverviewView } from "/dashboard-overview.js";
import { Service } from "/dashboard-service.js";
import { TraceView } from "/dashboard-trace.js";

const service = new Service();
const points = new History();
const figures = new Figures();
const panel = new ConnectionPanel(service);
const overview = new OverviewView(service);
const trace = new TraceView(service);
const views = {
    overview,
    connections: new ConnectionsView(service),
    hubs: new HubsView(service),
    users: new UsersView(service),
    servers: new ServersView(service),
    upstream: new UpstreamView(service),
    trace,
    try: new ConsoleView(service),
};

// ---- Views

let current;

/** The hash is `view?query`; `show` in the query opens a connection's panel over the view. */
function route() {
    const [path, search] = location.hash.slice(1).split("?");
    const name = path in views ? path : "overview";
    const query = new URLSearchParams(search);
    const view = views[name];
    if (current !== view) {
        current?.leave?.();
        current = view;
        element("view").replaceChildren(view.element);
        document.body.dataset.view = name;
        document.title = `${view.title} · SignalBox`;
        for (const tab of document.querySelectorAll("#views a")) {
            const isCurrent = tab.hash === `#${name}`;
            if (isCurrent) tab.setAttribute("aria-current", "page");
            else tab.removeAttribute("aria-current");
            if (isCurrent) tab.scrollIntoView({ block: "nearest", inline: "center" });
        }
        scrollTo(0, 0);
    }
    if (service.state === "live") view.open?.(query);
    if (query.get("show")) panel.open(query.get("show"));
    else panel.close();
}

panel.onclose = () => {
    const [path, search] = location.hash.slice(1).split("?");
    const query = new URLSearchParams(search);
    if (!query.has("show")) return;
    query.delete("show");
    location.hash = address(path, Object.fromEntries(query));
};

addEventListener("hashchange", route);

// ---- The service's state

const titles = { connecting: "Connecting", live: "Live", offline: "Offline", locked: "Locked" };
const states = { connecting: "Connecting", live: "Connected", offline: "Reconnecting", locked: "Disconnected" };

function showState() {
    const { state, problem } = service;
    element("state").dataset.state = states[state];
    setText(element("state"), titles[state]);
    element("offline").hidden = state !== "offline";
    setText(element("offline-text"), `${problem} What you see is from before; this page tries again by itself.`);
    document.body.dataset.service = state;
    const dialog = element("unlock");
    if (state === "locked") {
        setText(element("unlock-problem"), problem);
        if (!dialog.open) dialog.showModal();
    } else if (dialog.open) {
        dialog.close();
    }
}

service.addEventListener("state", () => {
    showState();
    // A stream ends with its connection; the view that is open begins another one.
    if (service.state === "live") route();
    else trace.leave();
});

service.addEventListener("history", ({ detail }) => points.load(detail));

service.addEventListener("overview", ({ detail }) => {
    points.add(detail);
    figures.show(detail, points);
    setText(element("facts"), [detail.mode && `${detail.mode} mode`, `up ${format.seconds(detail.uptimeSeconds)}`].filter(Boolean).join(" · "));
    element("draining").hidden = !detail.draining;
    if (current === overview) overview.show(detail, points);
    else if (!document.hidden) current.refresh();
    panel.refresh();
});

// The address is taken by the views.
element("skip").addEventListener("click", (event) => {
    event.preventDefault();
    element("view").focus();
});
element("retry").onclick = () => service.retry();
element("lock").onclick = () => service.lock();
element("unlock-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = element("key").value.trim();
    element("key").value = "";
    if (key) service.unlock(key);
});
// The key is needed; Escape would leave an empty page.
element("unlock").addEventListener("cancel", (event) => event.preventDefault());

showState();
route();
service.run();
