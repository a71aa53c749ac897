"""The setup: configuration and model of a running daemon, which can be read anew while it runs."""

from collections.abc import Callable

from kwsd.bus.curve import ServerKeys, server_keys
from kwsd.config.schema import Config
from kwsd.errors import ConfigError
from kwsd.log import set_up_logging
from kwsd.models.find import configured_model

LASTING = ("device", "stream", "address", "control", "curve", "clips")
"""Keys whose values last as long as the daemon: what they name is open."""


class Setup:
    """Configuration and model.

    Parameters
    ----------
    read_config : callable
        Gives the configuration, now and whenever it is to be read anew.

    Attributes
    ----------
    config : Config
    model : Model
    keys : ServerKeys or None
        For a publisher with CURVE.

    Raises
    ------
    ConfigError, ModelError
        The configuration or its model is bad.
    """

    def __init__(self, read_config: Callable[[], Config]) -> None:
        self._read_config = read_config
        self.config = read_config()
        set_up_logging(self.config.log_level)
        self.model = configured_model(self.config)
        self.keys = _keys(self.config)

    def reload(self) -> None:
        """Read both anew; when either is bad, both stay as they were.

        Raises
        ------
        ConfigError, ModelError
            As above, or a value differs that lasts as long as the daemon.
        """
        config = self._read_config()
        for key in LASTING:
            if getattr(config, key) != getattr(self.config, key):
                raise ConfigError(f"{key} cannot change while the daemon runs: restart it")
        if (keys := _keys(config)) and self.keys and keys.pair != self.keys.pair:
            raise ConfigError("the server key cannot change while the daemon runs: restart it")
        self.model, self.keys, self.config = configured_model(config), keys, config
        set_up_logging(config.log_level)


def _keys(config: Config) -> ServerKeys | None:
    return server_keys(config.curve) if config.curve else None
