# SignalBox: a cable between a client and a server that a test can pull, and plug into another server.
# SPDX-License-Identifier: Apache-2.0

import socket
import threading


class Proxy:
    """Forwards TCP connections to `target`, a port of this machine."""

    def __init__(self, target: int):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.open: set[socket.socket] = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                upstream = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.open |= {client, upstream}
            threading.Thread(target=self._forward, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self._forward, args=(upstream, client), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        self._drop(source)
        self._drop(sink)

    def _drop(self, end: socket.socket):
        # Closing alone would not wake a thread that is reading.
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        end.close()
        with self.lock:
            self.open.discard(end)

    def cut(self):
        """Ends every connection at once, without a goodbye of either side."""
        with self.lock:
            ends = list(self.open)
        for end in ends:
            self._drop(end)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()
