# SignalBox: the files that come with the server.
# SPDX-License-Identifier: Apache-2.0

import gzip

import pytest

from harness.http import request


@pytest.mark.parametrize(("path", "kind"), [
    ("/", "text/html"), ("/signalbox.css", "text/css"), ("/playground.css", "text/css"), ("/playground.js", "text/javascript"),
    ("/signalbox.js", "text/javascript"),
])
def test_the_playground_is_served(server, path, kind):
    answer = request(server, "GET", path)
    assert answer.status == 200 and answer.headers["Content-Type"].startswith(kind)
    assert answer.body and answer.body.count(b"\0") == 0
    again = request(server, "GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    head = request(server, "HEAD", path)
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))


def test_the_browser_module_is_small(server):
    assert len(gzip.compress(request(server, "GET", "/signalbox.js").body)) < 15 * 1024


def test_a_service_without_a_playground_says_what_it_is(start_server):
    quiet = start_server()
    answer = request(quiet, "GET", "/")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert "SignalBox" in answer.text
    assert request(quiet, "POST", "/hubs/chat/negotiate").status == 404
    assert request(quiet, "GET", "/signalbox.js").status == 200


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/Web/playground.html", "/.git/config"])
def test_nothing_else_is_served(server, path):
    assert request(server, "GET", path).status in (400, 404)
