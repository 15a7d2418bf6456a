"""AMQP 0-9-1 by hand, for what no client library would send."""

import socket
import struct
from urllib.parse import urlsplit

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, CONTENT_HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_END = b"\xce"


def short_string(text):
    raw = text.encode()
    return bytes([len(raw)]) + raw


def long_string(raw):
    return struct.pack(">I", len(raw)) + raw


def frame(kind, channel, payload, end=FRAME_END, size=None):
    return struct.pack(">BHI", kind, channel, len(payload) if size is None else size) + payload + end


def method(channel, class_id, method_id, arguments=b""):
    return frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def publish(channel, routing_key, body, flags=0, announced=None, exchange="", persistent=False):
    """basic.publish, content header without properties but delivery_mode, one body frame if there is a body."""
    size = len(body) if announced is None else announced
    address = short_string(exchange) + short_string(routing_key)
    properties = struct.pack(">HB", 1 << 12, 2) if persistent else b"\0\0"
    return (method(channel, 60, 40, b"\0\0" + address + bytes([flags]))
            + frame(CONTENT_HEADER, channel, struct.pack(">HHQ", 60, 0, size) + properties)
            + (frame(BODY, channel, body) if body else b""))


class RawConnection:
    def __init__(self, url):
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=15)
        self.user, self.password = address.username, address.password
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Sends what it can: a server that has hung up is what some tests want to see."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass
        return self

    def read(self, size):
        """Exactly `size` bytes, or what came before the end of the stream."""
        while len(self.buffer) < size:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            self.buffer += more
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def read_to_end(self):
        return self.read(1 << 30)

    def read_frame(self):
        """(kind, channel, payload), or None at the end of the stream."""
        head = self.read(7)
        if len(head) < 7:
            return None
        kind, channel, size = struct.unpack(">BHI", head)
        payload = self.read(size)
        assert self.read(1) == FRAME_END
        return kind, channel, payload

    def expect(self, class_id, method_id):
        """The arguments of the next method, which must be this one; heartbeats are passed over."""
        while True:
            got = self.read_frame()
            assert got, f"the connection ended instead of {class_id}.{method_id}"
            if got[0] != HEARTBEAT:
                found = struct.unpack(">HH", got[2][:4])
                assert (got[0], found) == (METHOD, (class_id, method_id)), f"{got[0]} {found}: {got[2][4:]!r}"
                return got[2][4:]

    def start(self, password=None):
        """Up to and including start-ok."""
        self.send(HEADER)
        self.expect(10, 10)
        answer = f"\0{self.user}\0{self.password if password is None else password}".encode()
        return self.send(method(0, 10, 11, long_string(b"") + short_string("PLAIN") + long_string(answer)
                                + short_string("en_US")))

    def tune(self, channel_max=2047, frame_max=131072, heartbeat=0):
        """Up to and including tune-ok and open."""
        self.start()
        self.expect(10, 30)
        self.send(method(0, 10, 31, struct.pack(">HIH", channel_max, frame_max, heartbeat)))
        return self.send(method(0, 10, 40, short_string("/") + b"\0\0"))

    def login(self, **limits):
        """An open connection, with channel 1 open on it."""
        self.tune(**limits)
        self.expect(10, 41)
        self.send(method(1, 20, 10, b"\0"))
        self.expect(20, 11)
        return self

    def expect_close(self, class_id=10):
        """(code, text) of the next connection.close (channel.close with 20); None when it just hangs up."""
        close_method = 50 if class_id == 10 else 40
        while got := self.read_frame():
            if got[0] == METHOD and struct.unpack(">HH", got[2][:4]) == (class_id, close_method):
                code, length = struct.unpack(">HB", got[2][4:7])
                return code, got[2][7:7 + length].decode()
        return None
