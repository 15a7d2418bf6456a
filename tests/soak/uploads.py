"""Slow uploads: so many connections at once, each sending a body at its pace, for ever: a process beside the soak.

    uploads.py '{"address": "127.0.0.1:8080", "path": "/buy", "connections": 1000, "bytes": 16777216, "pace": 262144}'

`pace` is bytes a second of each connection. One that is answered, or ends, begins again a second later. On stdin: `figures`
is answered with a line of JSON: what came of the uploads since the start, how many are under way, bytes sent. When stdin
ends, all connections are closed.
"""

import collections
import heapq
import itertools
import json
import select
import sys
import time

from load import Commands, address_of, answer, connection_to

PIECE = 65536
AGAIN = 1.0


class Upload:
    """One at a time over a connection of its own."""

    def __init__(self, uploads):
        self.uploads, self.socket = uploads, None

    def begin(self):
        self.left, self.received = self.uploads.bytes, b""
        self.unsent = memoryview(self.uploads.head)
        self.socket = connection_to(self.uploads.address, self.uploads.source, self.uploads.poll)
        self.uploads.by_fd[self.socket.fileno()] = self

    def on_event(self, events):
        try:
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                data = self.socket.recv(65536)
                self.received += data
                if b"\r\n\r\n" in self.received:
                    return self.end(int(self.received[9:12]))
                if not data:
                    return self.end("closed")
            if events & select.EPOLLOUT:
                self.uploads.poll.modify(self.socket, select.EPOLLIN)
                self.send()
        except BlockingIOError:
            return
        except OSError as error:
            self.end(error.strerror)

    def due(self):
        if self.socket is None:
            return self.begin()
        try:
            self.send()
        except OSError as error:
            self.end(error.strerror)

    def send(self):
        """What is left of the piece under way, then a new one; the next is due when the pace allows."""
        try:
            if not self.unsent:
                self.unsent = self.uploads.piece[:min(PIECE, self.left)]
                self.left -= len(self.unsent)
            sent = self.socket.send(self.unsent)
            self.uploads.sent += sent
            self.unsent = self.unsent[sent:]
        except BlockingIOError:
            pass
        if self.unsent:
            self.uploads.poll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)
        elif self.left:
            self.uploads.later(self, self.uploads.interval)

    def end(self, outcome):
        self.uploads.outcomes[str(outcome)] += 1
        self.shut()
        self.uploads.later(self, AGAIN)

    def shut(self):
        if self.socket:
            self.uploads.poll.unregister(self.socket)
            del self.uploads.by_fd[self.socket.fileno()]
            self.socket.close()
            self.socket = None


class Uploads:
    def __init__(self, address, path, connections, bytes, pace, source=None):
        self.address, self.source, self.bytes = address_of(address), source, bytes
        self.head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n".encode()
        self.piece, self.interval = memoryview(b"x" * PIECE), PIECE / pace
        self.poll, self.by_fd, self.outcomes, self.sent = select.epoll(), {}, collections.Counter(), 0
        self.timers, self.numbers = [], itertools.count()
        for i in range(connections):   # not all at the same moment of their pace
            self.later(Upload(self), self.interval * i / connections)

    def later(self, upload, seconds):
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.numbers), upload, upload.socket))

    def run(self):
        commands = Commands()
        self.poll.register(0, select.EPOLLIN)
        while not commands.ended:
            for fd, events in self.poll.poll(max(0.0, self.timers[0][0] - time.monotonic()) if self.timers else 1.0):
                if fd == 0:
                    for _ in commands.read():
                        answer({"outcomes": self.outcomes, "under_way": len(self.by_fd), "sent_bytes": self.sent})
                elif fd in self.by_fd:
                    self.by_fd[fd].on_event(events)
            now = time.monotonic()
            while self.timers and self.timers[0][0] <= now:
                _, _, upload, socket = heapq.heappop(self.timers)
                if upload.socket is socket:   # else: that upload is over
                    upload.due()
        for upload in list(self.by_fd.values()):
            upload.shut()


if __name__ == "__main__":
    Uploads(**json.loads(sys.argv[1])).run()
