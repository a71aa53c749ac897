"""Faults that other programs and users can cause. The daemon must not miss a word because of them."""

import os
import random
import signal
import socket as sockets
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import zmq
from helpers.running import Running

from kwsd.bus.control import MAX_REQUEST_BYTES, MAX_REQUESTS_PER_TURN, Command, send_request
from kwsd.bus.events import StatusEvent
from kwsd.errors import ControlError

STUCK = 5
"""Maximum number of subscribers that do not read at the same time."""

FLOOD = 200
"""Number of consecutive requests. Each publishes a status, so the queue of a stuck subscriber fills up quickly."""

BAD_CONFIGS = (
    "thresholds = 1",
    "[thresholds]\nbanana = 0.5",
    "[thresholds]\nyes = 7",
    'model = "/nowhere"',
    'device = "default"\nunknown = 1',
    'log_level = "loud"',
    "\0",
    "[" * 5000,
)


class Faults:
    """Injects faults into a daemon.

    Parameters
    ----------
    daemon : Running
        The daemon under test.
    config : Path
        Configuration file of the daemon.
    pause : callable
        Feeds a pause of a number of seconds to the daemon.
    draw : random.Random
        Source of random numbers.

    Attributes
    ----------
    counts : Counter
        Number of faults so far, by name.
    wrong : list of str
        Replies that differ from the expected ones.
    """

    def __init__(self, daemon: Running, config: Path, pause: Callable[[float], None], draw: random.Random) -> None:
        self._daemon = daemon
        self._config = config
        self._pause = pause
        self._draw = draw
        self._context = zmq.Context()
        self._stuck: list[zmq.Socket[bytes]] = []
        self._events = daemon.subscription.address
        self._in_pauses = (self._mute, self._reload)
        self._anywhere = (self._reload_bad, self._visit, self._stick, self._misspeak, self._scribble, self._flood)
        self._due: list[Callable[[], None]] = []
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def inject(self) -> str:
        """Inject the next fault, and return its name. Every kind occurs once before any kind occurs again."""
        if not self._due:
            kinds = (*self._in_pauses, *self._anywhere)
            self._due = self._draw.sample(kinds, len(kinds))
        fault = self._due.pop()
        name = fault.__name__.removeprefix("_")
        self.counts[name] += 1
        if fault in self._in_pauses:
            # Pipe and queue hold four seconds of audio, so after six the daemon has processed the previous word.
            self._pause(6)
            fault()
            # The fault can cause a gap. Two seconds later, the window contains only audio from after the gap.
            self._pause(2)
        else:
            fault()
        return name

    @property
    def stuck(self) -> int:
        """Number of subscribers that do not read at present."""
        return len(self._stuck)

    def close(self) -> None:
        """Kill all subscribers."""
        self._context.destroy(linger=0)

    def _mute(self) -> None:
        self._expect("muted", self._ask("mute"))
        self._pause(self._draw.uniform(0, 5))
        self._expect("listening", self._ask("unmute"))

    def _reload(self) -> None:
        """Reload with other thresholds, and then with the previous ones."""
        for text in ("[thresholds]\nyes = 0.5\nno = 0.999", ""):
            self._config.write_text(text)
            self._ask_to_reload(refused=False)
            self._pause(self._draw.uniform(0, 2))

    def _reload_bad(self) -> None:
        self._config.write_text(self._draw.choice(BAD_CONFIGS))
        self._ask_to_reload(refused=True)
        self._config.write_text("")

    def _visit(self) -> None:
        """Start subscribers that receive the status and end."""
        visitors = [self._subscriber(hwm=1000) for _ in range(self._draw.randint(1, 20))]
        for visitor in visitors:
            if not visitor.poll(5000):
                self.wrong.append("a new subscriber got no status")
            visitor.close()

    def _stick(self) -> None:
        """Add a subscriber that does not read. When the maximum is reached, kill all of them."""
        if len(self._stuck) < STUCK:
            self._stuck.append(self._subscriber(hwm=1))
            return
        while self._stuck:
            self._stuck.pop().close()

    def _misspeak(self) -> None:
        """Send whole messages that are not valid requests."""
        requests: tuple[list[bytes], ...] = (
            [self._draw.randbytes(self._draw.randint(0, MAX_REQUEST_BYTES))],
            [self._draw.randbytes(10 * MAX_REQUEST_BYTES)],
            [b'{"command": "status"', b"", b"}"],
            [b'{"command": "explode"}'],
            [b'{"command": "status", "v": 2}'],
            [],
        )
        for request in requests:
            # With and without the empty first frame that a REQ socket sends.
            for envelope in ([b""], []):
                if envelope + request:
                    with closing(self._context.socket(zmq.DEALER)) as socket:
                        socket.linger = 100
                        socket.connect(self._daemon.control)
                        socket.send_multipart(envelope + request)

    def _scribble(self) -> None:
        """Send bytes that are not ZeroMQ messages, and incomplete ZeroMQ greetings."""
        greeting = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL"
        for address in (self._daemon.control, self._events):
            for data in (b"", b"GET / HTTP/1.1\r\n\r\n", greeting, self._draw.randbytes(5000)):
                with sockets.socket(sockets.AF_UNIX) as socket:
                    socket.connect(address.removeprefix("ipc://"))
                    with suppress(BrokenPipeError, ConnectionResetError):
                        socket.sendall(data)

    def _flood(self) -> None:
        with closing(self._context.socket(zmq.DEALER)) as socket:
            socket.linger = 0
            socket.connect(self._daemon.control)
            for _ in range(FLOOD):
                socket.send_multipart([b"", b'{"command": "status"}'])
            # The daemon replies to eight requests between two blocks.
            self._pause(3)
            for _ in range(FLOOD):
                if not socket.poll(5000):
                    self.wrong.append("a request among many was not answered")
                    return
                socket.recv_multipart()

    def _subscriber(self, hwm: int) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.SUB)
        socket.linger = 0
        socket.rcvhwm = hwm
        socket.subscribe("")
        socket.connect(self._events)
        return socket

    def _ask_to_reload(self, *, refused: bool) -> None:
        if self._draw.random() < 0.5:  # noqa: PLR2004  a coin
            os.kill(self._daemon.process.pid, signal.SIGHUP)
            # The signal takes effect in the turn of the first reply. The last reply belongs to a later turn.
            for _ in range(MAX_REQUESTS_PER_TURN + 1):
                self._ask("status")
            return
        try:
            self._ask("reload")
        except ControlError as error:
            if not refused:
                self.wrong.append(f"a good configuration was refused: {error}")
        else:
            if refused:
                self.wrong.append("a bad configuration was taken")

    def _ask(self, command: Command) -> StatusEvent:
        return send_request(command, self._daemon.control)

    def _expect(self, state: str, status: StatusEvent) -> None:
        if status.state != state:
            self.wrong.append(f"the state was {status.state}, not {state}")
