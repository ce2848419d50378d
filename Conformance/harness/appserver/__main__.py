# SignalBox: `python -m harness.appserver`: an app server as a process, so that it can be stopped, frozen and killed.
# SPDX-License-Identifier: Apache-2.0
#
# Says what happens on stdout, a JSON object a line. Does what stdin says, likewise: {"do": "everybody", "with": [...]} for
# a method of Sender; the answer is an event "did". SIGTERM stops it as an app stops.

import argparse
import asyncio
import json
import signal
import sys

from harness.appserver.app import SHUTDOWN, AppServer
from harness.appserver.aspnet import ChatApp
from harness.appserver.endpoint import Endpoint
from harness.appserver.hub import Sender, TestHub
from harness.appserver.negotiate import serve


def report(event: str, **details):
    print(json.dumps({"event": event} | details), flush=True)


async def obey(app: AppServer):
    """Reads orders until there are no more."""
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        order = json.loads(line)
        app.spawn(carry_out(app, order["do"], order.get("with", [])))


async def carry_out(app: AppServer, name: str, arguments: list):
    try:
        report("did", value=await getattr(app if isinstance(app, ChatApp) else Sender(app), name)(*arguments))
    except Exception as error:
        report("did", error=f"{type(error).__name__}: {error}")


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--connection-string", required=True)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--links", type=int, default=5)
    parser.add_argument("--shutdown", choices=SHUTDOWN, default="off")
    parser.add_argument("--sticky", choices=["Preferred", "Required"])
    parser.add_argument("--untyped", action="store_true", help="an SDK of before 2025, that sends slices of the hub's output")
    parser.add_argument("--application", help="a classic app server (ASP.NET SignalR 2.x) of this name, with a chat as its hub")
    parser.add_argument("--keep-alive", type=float, default=15.0, help="seconds between the hub's pings to clients")
    parser.add_argument("--haste", type=float, default=1.0, help="how many times faster than an SDK's its clocks run")
    options = parser.parse_args()

    endpoint = Endpoint(options.connection_string)
    if options.application:
        app = ChatApp(endpoint, options.application, options.hub, report, options.links)
    else:
        app = AppServer(
            endpoint, options.hub, TestHub, report, options.links, options.shutdown, not options.untyped, options.keep_alive)
    app.haste = options.haste
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    app.start()
    report("ready", port=serve(app, options.port, options.sticky), name=app.name)
    orders = asyncio.ensure_future(obey(app))
    await stopping.wait()
    await app.stop()
    orders.cancel()
    report("stopped")


asyncio.run(main())
