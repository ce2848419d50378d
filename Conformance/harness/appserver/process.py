# SignalBox: an app server in a process of its own, and what it tells.
# SPDX-License-Identifier: Apache-2.0

import json
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from harness.server import PATIENCE


class AppProcess:
    """`python -m harness.appserver` for a hub of a running service; `options` go to it as they are."""

    running: list["AppProcess"] = []

    def __init__(self, connection_string: str, hub: str, *options: str, links=5):
        self.host, self.links = "127.0.0.1", links
        self.events: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self.heard: list[dict] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness.appserver", "--connection-string", connection_string, "--hub", hub,
             "--links", str(links), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent.parent)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            ready = self.wait("ready")
        except BaseException:
            self.kill()
            raise
        AppProcess.running.append(self)
        self.port, self.name = ready["port"], ready["name"]
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def wait(self, event: str, count=1, **details) -> dict:
        """Waits for so many events of this kind with these details; others are passed over. Gives the last."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                heard = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                heard = None
            assert heard is not None, f"no {event} {details} came; these did: {self.heard[-20:]}"
            self.heard.append(heard)
            assert heard["event"] != "mistake", heard
            if heard["event"] == event and details.items() <= heard.items():
                count -= 1
                if not count:
                    return heard

    def history(self) -> str:
        """What it has told so far, waited for or not."""
        while not self.events.empty():
            if (event := self.events.get()) is not None:
                self.heard.append(event)
        return "\n".join(str(event) if event["event"] != "mistake" else event["error"] for event in self.heard)

    def wait_until_connected(self) -> "AppProcess":
        self.wait("link", self.links)
        return self

    def do(self, name: str, *arguments):
        """Sends from outside of the hub, over any server connection; gives what came of it."""
        self.process.stdin.write(json.dumps({"do": name, "with": arguments}) + "\n")
        self.process.stdin.flush()
        done = self.wait("did")
        assert "error" not in done, done
        return done["value"]

    def freeze(self):
        """It reads and writes nothing more, and its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def terminate(self):
        self.process.terminate()

    def stop(self) -> int:
        """Ends it as an app ends; gives its exit code."""
        self.terminate()
        code = self.process.wait(PATIENCE)
        self._forget()
        return code

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._forget()

    def _forget(self):
        self.process.stdin.close()
        if self in AppProcess.running:
            AppProcess.running.remove(self)
