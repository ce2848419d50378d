// SignalBox: a stand-in for jquery.signalR with the surface that generated scripts and forever frames use. It keeps a diary.
// SPDX-License-Identifier: Apache-2.0

(function ($) {
    "use strict";
    var diary = [];

    function Connection(url, options) {
        this.url = url;
        this.options = options;
        this.handlers = { starting: [], disconnected: [] };
        this.proxies = {};
    }

    Connection.prototype = {
        starting: function (handler) { this.handlers.starting.push(handler); diary.push("starting bound"); return this; },
        disconnected: function (handler) { this.handlers.disconnected.push(handler); return this; },
        // Lists the hubs with subscriptions, as the original does in a handler that comes with the first proxy.
        _registerSubscribedHubs: function () {
            var connection = this;
            connection.data = $.map(connection.proxies, function (proxy, name) {
                return $.isEmptyObject(proxy.subscriptions) ? null : { name: name };
            });
        },
        createHubProxy: function (name) {
            diary.push("proxy " + name);
            return this.proxies[name.toLowerCase()] = {
                hubName: name,
                subscriptions: {},
                on: function (event, wrapper, identity) { this.subscriptions[event] = { call: wrapper, identity: identity }; },
                off: function (event, wrapper, identity) {
                    if (this.subscriptions[event].identity === identity) { delete this.subscriptions[event]; }
                },
                invoke: function () { diary.push(["invoke", name].concat($.makeArray(arguments))); return "promise"; },
            };
        },
        fire: function (event) { $.each(this.handlers[event], function (_, handler) { handler(); }); },
    };

    $.signalR = function () {};
    $.hubConnection = function (url, options) { return new Connection(url, options); };
    $.hubConnection.prototype = Connection.prototype;
    $.connection = $.signalR;

    // One connection, number 7, whose frames arrive in `received`.
    $.signalR.transports = {
        foreverFrame: {
            received: [],
            started: function (connection) { connection.isStarted = true; },
            getConnection: function (number) { return Number(number) === 7 ? $.signalR.seven : undefined; },
            receive: function (connection, frame) { this.received.push(frame); },
        },
    };
    $.signalR.seven = {};
    $.signalR.diary = diary;
}(window.jQuery));
