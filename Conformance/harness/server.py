# SignalBox: one `signalbox serve` process: started on a free port, stopped by its own id, its log kept.
# SPDX-License-Identifier: Apache-2.0

import contextlib
import os
import queue
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading

# How long anything may take that a healthy server does at once; generous, since test machines are busy.
PATIENCE = 20.0

ACCESS_KEY = "conformance-access-key-of-more-than-32-characters"


def binary() -> str:
    path = os.environ.get("SIGNALBOX_BIN")
    assert path, "SIGNALBOX_BIN must name the signalbox program; dev/test sets it"
    return path


def environment() -> dict:
    """The caller's environment without settings that would change what is tested."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}


def lasting_port() -> int:
    """A free port for a server that is to come back to it: below those that systems give to outgoing connections, one of which
    could have it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A running service. `options` go to `signalbox serve` as they are."""

    running: list["Server"] = []

    def __init__(self, *options: str, port: int = 0, access_key: str | None = ACCESS_KEY):
        self.folder = tempfile.TemporaryDirectory(prefix="signalbox-")
        self.log = open(os.path.join(self.folder.name, "log"), "w+b", buffering=0)
        command = [binary(), "serve", "--port", str(port)]
        if access_key is not None:
            command += ["--access-key", access_key]
        if "--data-folder" not in options:
            command += ["--data-folder", os.path.join(self.folder.name, "data")]
        self.command = command + list(options)
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.told: list[str] = []
        self.is_ending = False
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment()
        )
        threading.Thread(target=self._read_output, daemon=True).start()
        self.connection_string = self.wait_for_line(r"Endpoint=\S+?;AccessKey=[^;]*;Version=1\.0;")[0]
        fields = dict(part.split("=", 1) for part in self.connection_string.rstrip(";").split(";"))
        self.url = fields["Endpoint"]
        self.access_key = fields["AccessKey"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.host = "127.0.0.1"
        Server.running.append(self)

    def _read_output(self):
        for line in self.process.stdout:
            self.log.write(f"stdout: {line}".encode())
            self.lines.put(line)
        self.lines.put(None)

    def wait_for_line(self, pattern: str) -> re.Match:
        """What a line of standard output has of this pattern, once there is one; it may have come before."""
        while not (found := next(filter(None, (re.search(pattern, line) for line in self.told)), None)):
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                raise AssertionError(f"{self.command} printed no line with {pattern}\n{self.output()}")
            self.told.append(line)
        return found

    def output(self) -> str:
        """What the server has said so far, on both streams."""
        length = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), length, 0).decode(errors="replace")

    def terminate(self):
        self.is_ending = True
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Asks the server to drain, unless it was asked, since a second signal ends it at once; gives its exit code."""
        if self.process.poll() is None and not self.is_ending:
            self.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end after SIGTERM\n{self.output()}") from None
        finally:
            self._forget()

    def kill(self):
        """Ends the server without a goodbye, as a crash or a power cut would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._forget()

    def _forget(self):
        self.folder.cleanup()
        if self in Server.running:
            Server.running.remove(self)
