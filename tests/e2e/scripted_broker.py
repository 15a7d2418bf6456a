"""Just enough of an AMQP broker to misbehave on purpose: the test decides what becomes of each message."""

import contextlib
import socket
import struct
import threading

from amqp_raw import BODY, CONTENT_HEADER, METHOD, frame, long_string, method, short_string


class Message:
    def __init__(self, connection, tag, routing_key, mandatory, header, body):
        self.connection, self.tag, self.routing_key, self.mandatory = connection, tag, routing_key, mandatory
        self.header, self.body = header, body

    def ack(self, multiple=False):
        self.connection.sendall(method(1, 60, 80, struct.pack(">QB", self.tag, multiple)))

    def nack(self):
        self.connection.sendall(method(1, 60, 120, struct.pack(">QB", self.tag, 0)))

    def give_back(self):
        self.connection.sendall(
            method(1, 60, 50, struct.pack(">H", 312) + short_string("NO_ROUTE") + short_string("")
                   + short_string(self.routing_key))
            + frame(CONTENT_HEADER, 1, self.header) + frame(BODY, 1, self.body))
        self.ack()

    def close_channel(self):
        self.connection.sendall(method(1, 20, 40, struct.pack(">H", 406) + short_string("no") + b"\0\0\0\0"))

    def block(self, reason="low on disk"):
        self.connection.sendall(method(0, 10, 60, short_string(reason)))

    def unblock(self):
        self.connection.sendall(method(0, 10, 61))

    def hang_up(self):
        self.connection.shutdown(socket.SHUT_RDWR)


class ScriptedBroker:
    """`on_message(message)` is called in the connection's thread for each published message."""

    def __init__(self, on_message, path=None):
        self.on_message, self.messages, self.connections = on_message, [], 0
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen(16)
        self.address = f"unix:{path}" if path else "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError, struct.error), connection, connection.makefile("rb") as stream:
            assert stream.read(8) == b"AMQP\x00\x00\x09\x01"
            connection.sendall(method(0, 10, 10, b"\0\x09" + long_string(b"") + long_string(b"PLAIN")
                                      + long_string(b"en_US")))
            tag = 0
            while True:
                kind, channel, size = struct.unpack(">BHI", stream.read(7))
                payload = stream.read(size)
                assert stream.read(1) == b"\xce"
                if kind != METHOD:
                    continue
                name = struct.unpack(">HH", payload[:4])
                if name == (10, 11):
                    assert b"\0guest\0guest" in payload
                    connection.sendall(method(0, 10, 30, struct.pack(">HIH", 0, 4096, 0)))
                elif name == (10, 40):
                    connection.sendall(method(0, 10, 41, b"\0"))
                elif name == (20, 10):
                    connection.sendall(method(1, 20, 11, long_string(b"")))
                elif name == (85, 10):
                    connection.sendall(method(1, 85, 11))
                elif name == (60, 40):
                    tag += 1
                    message = self._read_message(connection, stream, tag, payload)
                    self.messages.append(message)
                    self.on_message(message)

    @staticmethod
    def _read_message(connection, stream, tag, payload):
        key_size = payload[7]
        routing_key, mandatory = payload[8:8 + key_size].decode(), payload[8 + key_size] & 1
        _, _, size = struct.unpack(">BHI", stream.read(7))
        header = stream.read(size)
        stream.read(1)
        left, parts = struct.unpack(">Q", header[4:12])[0], []
        while left > 0:
            _, _, size = struct.unpack(">BHI", stream.read(7))
            parts.append(stream.read(size))
            left -= size
            stream.read(1)
        return Message(connection, tag, routing_key, mandatory, header, b"".join(parts))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
