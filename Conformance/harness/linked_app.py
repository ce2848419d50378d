# SignalBox: the example app that is attached to a service, as a process.
# SPDX-License-Identifier: Apache-2.0

import os
import signal
import subprocess

from harness.http import eventually, request
from harness.server import PATIENCE, lasting_port


def program() -> str:
    path = os.environ.get("SIGNALBOX_LINK_EXAMPLE")
    assert path, "SIGNALBOX_LINK_EXAMPLE must name the program of Examples/ServiceLink; dev/conformance sets it"
    return path


class LinkedApp:
    """Examples/ServiceLink. It has a port, as a Server has."""

    def __init__(self, connection_string: str):
        self.host, self.port = "127.0.0.1", lasting_port()
        environment = os.environ | {"SIGNALBOX_CONNECTION_STRING": connection_string, "PORT": str(self.port)}
        self.process = subprocess.Popen([program()], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_until_connected(self):
        """The app sends clients on once a server connection is there."""
        eventually(self._negotiates)
        return self

    def _negotiates(self) -> bool:
        assert self.process.poll() is None, f"the app ended with {self.process.returncode}"
        try:
            return request(self, "POST", "/chat/negotiate?negotiateVersion=1").status == 200
        except OSError:
            return False

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self):
        self.process.kill()
        self.process.wait()
