"""Many subscribers in one process; also a program of its own, so that all of them can vanish at once."""

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
    """So many subscribers to everything in a process of their own, killed with the context at the latest.

    Parameters
    ----------
    address : str
    count : int
    does : str
        `READ`, all that comes, or be `STUCK`: take nothing at all.
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
    """Subscribers for each of which the first event, the status that answers it, has arrived."""
    sockets = [context.socket(zmq.SUB) for _ in range(count)]
    for socket in sockets:
        socket.rcvhwm = 1 if does == STUCK else 0
        socket.subscribe(b"")
        socket.connect(address)
    for socket in sockets:
        socket.poll()
    return sockets


def main(address: str, count: str, does: str) -> None:
    """Subscribe, say so in a line on standard output, and read or not until killed."""
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
