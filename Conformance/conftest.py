# SignalBox: the servers that the conformance tests talk to.
# SPDX-License-Identifier: Apache-2.0

import pytest

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
    """The service with its playground's hubs, as everybody starts it. A test must leave it as it found it."""
    server = Server("--playground")
    yield server
    assert server.stop() == 0, server.output()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of every running server's log."""
    report = yield
    if report.failed:
        for server in Server.running:
            report.sections.append((f"log of {' '.join(server.command[1:])}", server.output()[-4000:]))
    return report
