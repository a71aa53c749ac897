"""Builds a daemon from its configuration, and reads the configuration again while the daemon runs."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from kwsd.audio.capture import Capture, Item
from kwsd.audio.inbox import Inbox
from kwsd.audio.opening import Opener
from kwsd.audio.source import Source, is_live
from kwsd.bus.curve import ServerKeys, read_server_keys
from kwsd.bus.publisher import Publisher
from kwsd.clips.saver import ClipSaver
from kwsd.config.schema import ClipsConfig, Config, StreamConfig
from kwsd.daemon.listener import Listener
from kwsd.daemon.notify import Notifier
from kwsd.daemon.reporter import Reporter
from kwsd.daemon.state import StreamState
from kwsd.errors import ConfigError, KwsdError
from kwsd.log import set_up_logging
from kwsd.models.find import configured_model
from kwsd.models.model import Model
from kwsd.pipeline.spotter import Spotter

FIXED_KEYS = ("device", "stream", "address", "control", "curve", "clips")
"""Settings that cannot change while the daemon runs, because the daemon has already opened the named devices and
addresses."""

MakeOpener = Callable[[str], Callable[[], Source]]
"""Takes the ``device`` setting of a stream, and returns the function that opens this device."""


class Setup:
    """The configuration of a daemon, with the model and the encryption keys that the configuration names.

    Parameters
    ----------
    read_config : callable
        Function that reads and returns the configuration.

    Attributes
    ----------
    keys : ServerKeys or None
        Encryption keys of the daemon; None if its events are not encrypted.

    Raises
    ------
    ConfigError, ModelError
        The configuration is invalid, or its model cannot be used.
    """

    def __init__(self, read_config: Callable[[], Config]) -> None:
        self._read_config = read_config
        self.config = read_config()
        set_up_logging(self.config.log_level)
        self.model: Model = configured_model(self.config)
        self.keys: ServerKeys | None = _keys(self.config)

    def reload(self, set_client_keys: Callable[[ServerKeys | None], None]) -> None:
        """Read the configuration, the model and the encryption keys again.

        If one of the three cannot be read or used, all three keep their old values.

        Parameters
        ----------
        set_client_keys : callable
            Function that activates new encryption keys. If the function raises an error, the old keys stay active.

        Raises
        ------
        KwsdError
            The files cannot be read, `set_client_keys` has failed, or a setting in `FIXED_KEYS` has another value.
        """
        try:
            config, model, keys = self._read_again()
            set_client_keys(keys)
        except KwsdError:
            raise
        except Exception as error:  # no fault of a file may end a daemon that works
            raise ConfigError(f"reading failed: {type(error).__name__}: {error}") from error
        self.config, self.model, self.keys = config, model, keys
        set_up_logging(config.log_level)

    def _read_again(self) -> tuple[Config, Model, ServerKeys | None]:
        config = self._read_config()
        for key in FIXED_KEYS:
            if getattr(config, key) != getattr(self.config, key):
                raise ConfigError(f"{key} cannot change while the daemon runs: restart it")
        if (keys := _keys(config)) and self.keys and keys.pair != self.keys.pair:
            raise ConfigError("the server key cannot change while the daemon runs: restart it")
        return config, configured_model(config), keys


def build_listeners(
    setup: Setup,
    publisher: Publisher,
    notifier: Notifier,
    inbox: Inbox[tuple[Capture, Item]],
    make_opener: MakeOpener = Opener,
) -> dict[Capture, Listener]:
    """Start a capture for each configured stream, and return a mapping from each capture to its listener.

    Under a service manager, the daemon waits for a microphone that is not connected yet. In a terminal, a missing
    microphone is an error, because the user can start the daemon again.
    """
    listeners = {}
    for stream in setup.config.streams():
        live = is_live(stream.device)
        clip_saver = ClipSaver(_clips_of_stream(setup.config.clips, stream))
        state = StreamState(stream.name, stream.device)
        spotter = Spotter(setup.model, attentive=clip_saver.on)
        capture = Capture(make_opener(stream.device), patient=live and notifier.managed, inbox=inbox)
        reporter = Reporter(publisher, notifier, state, capture, spotter, clip_saver)
        listeners[capture] = Listener(state, capture, spotter, reporter, clip_saver, live=live)
    return listeners


def _clips_of_stream(clips: ClipsConfig, stream: StreamConfig) -> ClipsConfig:
    """Return the clip settings of a stream. A named stream saves its clips in a subfolder with its name."""
    folder = str(Path(clips.folder) / stream.name) if clips.folder else ""
    return msgspec.structs.replace(clips, folder=folder)


def _keys(config: Config) -> ServerKeys | None:
    return read_server_keys(config.curve) if config.curve else None
