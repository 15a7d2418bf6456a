"""Connections that are opened and never used: a process beside the soak.

    idle.py '{"addresses": ["127.0.0.1:8080", "127.0.0.1:8081"], "connections": 16000, "rate": 1000}'

Opens `connections` of them, `rate` a second, in turns to the addresses (from one address to one port there are only as many as
there are local ports). On stdin: `figures` is answered with a line of JSON: how many were opened, are alive, were closed by
the other side, and failed. When stdin ends, all are closed.
"""

import collections
import json
import select
import sys
import time

from load import Commands, address_of, answer, connection_to


def run(addresses, connections, rate, source=None):
    targets, poll, commands = [address_of(text) for text in addresses], select.epoll(), Commands()
    poll.register(0, select.EPOLLIN)
    alive, opened, closed, failed = {}, 0, 0, collections.Counter()
    began = time.monotonic()
    while not commands.ended:
        for fd, _ in poll.poll(0.005 if opened < connections else 1.0):
            if fd == 0:
                for _ in commands.read():
                    answer({"opened": opened, "alive": len(alive), "closed": closed, "failed": failed})
            else:
                poll.unregister(fd)
                alive.pop(fd).close()
                closed += 1
        while opened < min(connections, (time.monotonic() - began) * rate):
            try:
                client = connection_to(targets[opened % len(targets)], source, poll)
                poll.modify(client, select.EPOLLIN | select.EPOLLRDHUP)
                alive[client.fileno()] = client
            except OSError as error:
                failed[error.strerror] += 1
            opened += 1
    for client in alive.values():
        client.close()


if __name__ == "__main__":
    run(**json.loads(sys.argv[1]))
