# SignalBox: the servers that the conformance tests talk to.
# SPDX-License-Identifier: Apache-2.0

import contextlib
import uuid
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

# What the harness asserts is explained as what tests assert.
pytest.register_assert_rewrite("harness")

from harness.appserver.process import AppProcess
from harness.http import open_connection, read_answer
from harness.server import Server
from harness.server_connection import ServerConnection
from harness.upstream import Upstream
from harness.visitor import Visitor


@pytest.fixture
def start_server():
    """Starts servers that end with the test."""
    mine = []

    def start(*options: str, **details) -> Server:
        mine.append(Server(*options, **details))
        return mine[-1]

    yield start
    for server in mine:
        server.kill()


@pytest.fixture
def start_upstream():
    """Starts upstreams that end with the test."""
    with contextlib.ExitStack() as open_ones:
        yield lambda: open_ones.enter_context(contextlib.closing(Upstream()))


@pytest.fixture(scope="session")
def server():
    """The service with its playground's hubs, with clients that no app server has to serve. A test must leave it as it found it."""
    server = Server("--playground", "--mode", "classic")
    yield server
    assert server.stop() == 0, server.output()


@pytest.fixture(scope="session")
def service():
    """The service as app servers need it. A test must use a hub of its own, and leave the rest as it found it."""
    service = Server("--mode", "default")
    yield service
    assert service.stop() == 0, service.output()


@pytest.fixture(scope="session")
def webhooks():
    """The service in serverless mode, and the upstream that hears of its clients; for tests that change neither."""
    upstream = Upstream()
    template = upstream.url + "/api/{hub}/{category}/{event}?code=secret"
    server = Server("--mode", "serverless", "--upstream", template, "--keep-alive-interval", "1")
    yield server, upstream
    assert server.stop() == 0, server.output()
    upstream.close()


@pytest.fixture
def upstream(webhooks):
    """What the shared service in serverless mode tells, from now on."""
    return webhooks[1].cleared()


@pytest.fixture
def hub() -> str:
    """A hub that no other test has."""
    return f"hub_{uuid.uuid4().hex}"


@pytest.fixture
def attach(service, hub):
    """Makes server connections of the test's hub that have shaken hands."""
    with contextlib.ExitStack() as open_ones:
        def attach(name: str | None = None, to: Server = service, **handshake) -> ServerConnection:
            return open_ones.enter_context(ServerConnection(to, hub, name)).shake_hands(**handshake)

        yield attach


@pytest.fixture
def start_app(service, hub):
    """Starts app servers of the test's hub, and waits until all their server connections are there."""
    mine = []

    def start(*options: str, to: Server = service, **details) -> AppProcess:
        mine.append(AppProcess(to.connection_string, hub, *options, **details))
        return mine[-1].wait_until_connected()

    yield start
    for app in mine:
        app.kill()


@pytest.fixture
def visit(service, hub):
    """Connects clients to the test's hub, up to their hub handshake, which nobody has answered."""
    visitors = []

    def visit(*arguments, to: Server = service, **details) -> Visitor:
        visitors.append(Visitor(to, hub, *arguments, **details))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.close()


@pytest.fixture
def meet(visit):
    """Connects a client that this server connection has welcomed; it requires the app server of that connection."""
    def meet(connection: ServerConnection, *arguments, **details) -> Visitor:
        sticky = {"asrs.s.sn": connection.name, "asrs.s.ssticky": "Required"}
        visitor = visit(*arguments, **(sticky | details))
        opened = connection.take_client(protocol=visitor.codec.name)
        assert opened["connectionId"] == visitor.connection_id
        visitor.expect_welcome()
        return visitor

    return meet


@pytest.fixture
def poll():
    """Starts long polls that wait in the background; gives futures of their answers."""
    with ThreadPoolExecutor() as threads:
        def poll(server: Server, path: str, headers=None) -> Future:
            connection = open_connection(server)
            connection.request("GET", path, headers=headers or {})
            return threads.submit(read_answer, connection)

        yield poll


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every running server's log, and what app servers told."""
    report = yield
    if report.failed:
        for server in Server.running:
            report.sections.append((f"log of {' '.join(server.command[1:])}", server.output()[-4000:]))
        for app in AppProcess.running:
            report.sections.append((f"events of app server {app.name}", app.history()[-4000:]))
    return report
