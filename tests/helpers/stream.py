"""One stream of a daemon in the process of the test: real parts, a source in memory, and a subscriber."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kwsd.audio.capture import Capture, End, Item
from kwsd.audio.inbox import Inbox
from kwsd.audio.source import BLOCK_SAMPLES, Block, Source
from kwsd.bus.client import Subscription
from kwsd.bus.events import Event, decode_event
from kwsd.bus.publisher import Publisher
from kwsd.config.schema import Config
from kwsd.daemon.listener import Listener
from kwsd.daemon.notify import Notifier
from kwsd.daemon.setup import Setup, build_listeners
from kwsd.frontend import Float32

Step = Float32 | Block | Exception | Callable[[], object]


class Script:
    """A source that follows a list of steps.

    Parameters
    ----------
    steps : list
        Samples to deliver in blocks, a block, an error to raise, or a function to call, which may wait.
    """

    name = "script"
    batch = 1

    def __init__(self, *steps: Step, live: bool = False) -> None:
        self.live = live
        self._steps = steps

    def blocks(self) -> Iterator[Block]:
        for step in self._steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, Block):
                yield step
            elif callable(step):
                step()
            else:
                for samples in np.split(step, range(BLOCK_SAMPLES, len(step), BLOCK_SAMPLES)):
                    yield Block(samples)

    def close(self) -> None:
        """Nothing is open."""


class Parts(NamedTuple):
    """The parts of a daemon with one stream or several."""

    setup: Setup
    publisher: Publisher
    notifier: Notifier
    inbox: Inbox[tuple[Capture, Item]]
    listeners: dict[Capture, Listener]
    subscription: Subscription

    @property
    def listener(self) -> Listener:
        """The only listener."""
        (listener,) = self.listeners.values()
        return listener

    def take_all(self) -> None:
        """Hand the items of the captures to their listeners, until every stream has ended."""
        left = len(self.listeners)
        while left:
            found = self.inbox.next(60)
            assert found
            self.listeners[found[0]].take(found[1])
            left -= isinstance(found[1], End)

    def events(self) -> list[Event]:
        """Events that were published so far."""
        last, found = self.listener.publish_status(), list[Event]()
        while message := self.subscription.receive(timeout_s=60):
            event = decode_event(message.body)
            if event == last:
                return found
            found.append(event)
        raise AssertionError(f"the last status did not arrive after {found}")

    def close(self) -> None:
        """Stop the captures and close the sockets."""
        for listener in self.listeners.values():
            listener.close()
        self.subscription.close()
        self.publisher.close()


def build_parts(folder: Path, *sources: Source, config: Config | Callable[[], Config] | None = None) -> Parts:
    """Build the parts of a daemon whose streams have these sources, in this order."""
    address = f"ipc://{folder}/events.sock"
    chosen = config or Config(device="default" if sources[0].live else "-")
    setup = Setup(chosen if callable(chosen) else lambda: chosen)
    publisher, notifier = Publisher(address), Notifier({})
    subscription, inbox = Subscription(address), Inbox[tuple[Capture, Item]]()
    while not publisher.read_subscriptions():
        pass
    left = iter(sources)
    listeners = build_listeners(setup, publisher, notifier, inbox, lambda _device: lambda: next(left))
    return Parts(setup, publisher, notifier, inbox, listeners, subscription)
