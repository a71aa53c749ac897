"""Many subscribers in one process, so that a test can kill them all at once.

This module is also the program that runs in that process.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import zmq

READ, STUCK = "read", "stuck"


@contextmanager
def crowd(address: str, count: int, does: str) -> Iterator[subprocess.Popen[str]]:
    """Run `count` subscribers to all topics in another process, which the end of the context kills.

    Parameters
    ----------
    does : str
        `READ`: the subscribers receive everything. `STUCK`: they receive nothing.
    """
    command = [sys.executable, __file__, address, str(count), does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            # Not from helpers.pipes: as a program, this module cannot import it.
            assert process.stdout is not None
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def subscribers(
    context: zmq.Context[zmq.Socket[bytes]], address: str, count: int, does: str
) -> list[zmq.Socket[bytes]]:
    """Return connected subscribers. Each has received its first event, the status that answers a subscription."""
    sockets = [context.socket(zmq.SUB) for _ in range(count)]
    for socket in sockets:
        socket.rcvhwm = 1 if does == STUCK else 0
        socket.subscribe(b"")
        socket.connect(address)
    for socket in sockets:
        socket.poll()
    return sockets


def main(address: str, count: str, does: str) -> None:
    """Subscribe, print an empty line, and then read or do nothing until the process is killed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with zmq.Context() as context:
        context.max_sockets = int(count)
        poller = zmq.Poller()
        for socket in subscribers(context, address, int(count), does):
            poller.register(socket, zmq.POLLIN)
        os.write(sys.stdout.fileno(), b"\n")
        while does == STUCK:
            signal.pause()
        while True:
            for socket, _ in poller.poll():
                socket.recv_multipart()


if __name__ == "__main__":
    main(*sys.argv[1:])
