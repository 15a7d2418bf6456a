"""Sends requests at a steady rate and times them: a process of its own, so that it shares no lock with what it measures.

    load.py '{"address": "127.0.0.1:8080", "connections": 200, "rate": 2000, "paths": ["/"]}'

A request is due at its time whether or not those before it were answered (no coordinated omission), takes a free
connection or waits for one, and its time runs from when it was due to the last byte. With `body` it is a POST of so many
bytes, with `close` each has a connection of its own, with `echo` each has a number in `?n=` with which the body of a 200 must
begin. Commands come on stdin, a line each, and each is answered with a line of
JSON:

    begin        what comes from now on is counted anew
    take N       the figures, once N more requests were answered since `begin`
    end          the figures since `begin`

A request fails when its connection ends before the answer is whole, or with a status that is not 2xx; `begun` tells whether
a byte of the answer had come.
"""

import collections
import errno
import json
import os
import select
import socket
import sys
import time

FAILURES_KEPT = 5


class Commands:
    """Lines on stdin, for a loop that must not wait for them."""

    def __init__(self):
        self.rest, self.ended = b"", False
        os.set_blocking(0, False)

    def read(self):
        """The words of each line that came; `ended` once there will be no more."""
        data = os.read(0, 65536)
        self.ended = not data
        *lines, self.rest = (self.rest + data).split(b"\n")
        return [line.decode().split() for line in lines]


def answer(figures):
    print(json.dumps(figures), flush=True)


def connection_to(address, source, poll):
    """A socket on its way to `address`; writable once it is there."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if source:
        client.setsockopt(socket.IPPROTO_IP, 24, 1)   # IP_BIND_ADDRESS_NO_PORT: ports are counted per pair
        client.bind((source, 0))
    error = client.connect_ex(address)
    if error not in (0, errno.EINPROGRESS):
        client.close()
        raise OSError(error, os.strerror(error))
    poll.register(client, select.EPOLLIN | select.EPOLLOUT)
    return client


def address_of(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


class Tally:
    def __init__(self):
        self.seconds, self.failures, self.failed, self.failed_begun, self.reconnects = [], [], 0, 0, 0
        self.statuses, self.mixed_up = collections.Counter(), 0
        self.began, self.wanted = time.monotonic(), None

    def fail(self, what, begun):
        self.failed += 1
        self.failed_begun += begun
        if len(self.failures) < FAILURES_KEPT:
            self.failures.append({"what": what, "begun": begun, "at_s": round(time.monotonic() - self.began, 3)})

    def figures(self):
        times = sorted(self.seconds)

        def part(share):
            return round(times[min(len(times) - 1, int(len(times) * share))] * 1000, 3) if times else None
        return {"answered": len(times), "failed": self.failed, "failed_begun": self.failed_begun,
                "failures": self.failures, "reconnects": self.reconnects, "statuses": self.statuses,
                "mixed_up": self.mixed_up,
                "rate": round(len(times) / max(time.monotonic() - self.began, 1e-9), 1),
                "p50_ms": part(0.5), "p99_ms": part(0.99), "p999_ms": part(0.999), "max_ms": part(1)}


class Connection:
    """One connection at a time; `due` is the time of the request under way, or None."""

    def __init__(self, load):
        self.load, self.due, self.socket = load, None, None
        if not load.close:
            self.open()

    def open(self):
        self.received, self.needed, self.status = b"", None, None
        self.socket = connection_to(self.load.address, self.load.source, self.load.poll)
        self.load.by_fd[self.socket.fileno()] = self
        self.connected, self.request = False, None

    def start(self, due, request):
        if not self.socket:
            self.open()
        self.due, self.request = due, request
        if self.load.echo:
            self.number = b"%d" % self.load.count
            self.request = request.replace(b" HTTP/1.1", b"?n=%s HTTP/1.1" % self.number, 1)
        if self.connected:
            self.send()

    def send(self):
        if self.request is not None:
            request, self.request = self.request, None
            try:
                self.socket.send(request)
            except OSError as error:
                self.broken(error)

    def on_event(self, events):
        if not self.connected and events & select.EPOLLOUT:
            if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return self.broken(OSError(error, os.strerror(error)))
            self.connected = True
            self.load.poll.modify(self.socket, select.EPOLLIN)
            self.send()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            try:
                data = self.socket.recv(262144)
            except BlockingIOError:
                return
            except OSError as error:
                return self.broken(error)
            if not data:
                return self.broken("closed")
            self.take(data)

    def take(self, data):
        self.received += data
        while self.needed is None:
            head, found, rest = self.received.partition(b"\r\n\r\n")
            if not found:
                return
            if head[9:10] == b"1":   # interim
                self.received = rest
                continue
            self.status, head = int(head[9:12]), head.lower()
            self.last, self.body_at = b"\r\nconnection: close" in head, len(head) + 4
            at = head.find(b"content-length:")
            chunked = b"\r\ntransfer-encoding: chunked" in head
            self.needed = self.body_at + (int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0)
            if chunked:
                self.needed = -1
        if self.received.endswith(b"\r\n0\r\n\r\n") if self.needed < 0 else len(self.received) >= self.needed:
            self.done()

    def done(self):
        tally = self.load.tally
        tally.seconds.append(time.monotonic() - self.due)
        if not 200 <= self.status < 300:
            tally.fail(f"{self.status} {self.received[-200:]!r}", True)
        tally.statuses[self.status] += 1
        if self.load.echo and self.status == 200:
            self.compare()
        self.due, self.needed, self.received = None, None, b""
        if self.load.close or self.last:
            self.shut()
        self.load.idle.append(self)

    def compare(self):
        body = self.received[self.body_at:]
        if self.needed < 0:
            body = body.partition(b"\r\n")[2]   # behind the first chunk's size
        if body.split(b" ", 1)[0] != self.number:
            self.load.tally.mixed_up += 1
            self.load.tally.fail(f"asked for {self.number}, got {self.received[-200:]!r}", True)

    def shut(self):
        self.load.poll.unregister(self.socket)
        del self.load.by_fd[self.socket.fileno()]
        self.socket.close()
        self.socket = None

    def broken(self, error):
        """The request under way has failed; the connection is opened again."""
        self.shut()
        self.load.tally.reconnects += 1
        begun, due, unsent = bool(self.received), self.due, self.request
        self.due = None
        if not self.load.close:
            self.open()
        if due is None:
            return
        if unsent is not None and error == "closed":   # it had been closed before it was used
            return self.start(due, unsent)
        self.load.tally.seconds.append(time.monotonic() - due)
        self.load.tally.fail(str(error), begun)
        self.load.idle.append(self)


class Load:
    def __init__(self, address, connections, rate, paths=("/",), source=None, body=None, close=False, echo=False):
        self.address, self.source, self.interval = address_of(address), source, 1 / rate
        self.close, self.echo, self.count = close, echo, 0
        more = "Connection: close\r\n" * close + (f"Content-Length: {body}\r\n" if body else "")
        self.requests = [f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode() +
                         b"x" * (body or 0) for path in paths]
        self.poll, self.by_fd, self.tally = select.epoll(), {}, Tally()
        self.idle = [Connection(self) for _ in range(connections)]
        self.idle.reverse()
        self.waiting = []   # times of requests that are due and have no connection
        self.commands = Commands()
        self.poll.register(0, select.EPOLLIN)

    def run(self):
        next_due = time.monotonic()
        while True:
            for fd, events in self.poll.poll(max(0.0, next_due - time.monotonic())):
                if fd == 0:
                    if not self.listen():
                        return
                elif fd in self.by_fd:
                    self.by_fd[fd].on_event(events)
            now = time.monotonic()
            while next_due <= now:
                self.waiting.append(next_due)
                next_due += self.interval
            while self.waiting and self.idle:
                self.count += 1
                self.idle.pop(0).start(self.waiting.pop(0), self.requests[self.count % len(self.requests)])
            if self.tally.wanted is not None and len(self.tally.seconds) >= self.tally.wanted:
                self.answer()

    def listen(self):
        for command, *arguments in self.commands.read():
            if command == "begin":
                self.tally = Tally()
                answer({})
            elif command == "take":
                self.tally.wanted = len(self.tally.seconds) + int(arguments[0])
            else:
                self.answer()
        return not self.commands.ended

    def answer(self):
        self.tally.wanted = None
        answer(self.tally.figures())


if __name__ == "__main__":
    Load(**json.loads(sys.argv[1])).run()
