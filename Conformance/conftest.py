# SignalBox: the servers that the conformance tests talk to.
# SPDX-License-Identifier: Apache-2.0

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from harness.http import open_connection, read_answer
from harness.server import Server


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


@pytest.fixture(scope="session")
def server():
    """The service with its playground's hubs, with clients that no app server has to serve. A test must leave it as it found it."""
    server = Server("--playground", "--mode", "classic")
    yield server
    assert server.stop() == 0, server.output()


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
    """A failure shows the end of every running server's log."""
    report = yield
    if report.failed:
        for server in Server.running:
            report.sections.append((f"log of {' '.join(server.command[1:])}", server.output()[-4000:]))
    return report
