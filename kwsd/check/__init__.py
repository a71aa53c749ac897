"""What ``kwsd check`` looks at; each module of this folder looks at a part of it."""

from collections.abc import Iterator
from pathlib import Path

from kwsd.check.bus import bus
from kwsd.check.clips import clips
from kwsd.check.finding import Finding, failed, ok
from kwsd.check.model import model
from kwsd.check.service import service
from kwsd.check.sound import sound
from kwsd.config.load import load_config
from kwsd.errors import ConfigError

__all__ = ["Finding", "findings"]


def findings(device: str | None, file: Path | None) -> Iterator[Finding]:
    """Everything that can be wrong, thing by thing; recording at the end takes three seconds.

    Parameters
    ----------
    device : str, optional
        That of the configuration without it.
    file : Path, optional
        Configuration, instead of the usual places.
    """
    try:
        config, origins = load_config({"device": device}, file)
    except ConfigError as error:
        yield failed("configuration", error, "kwsd config --default  # shows all settings")
        return
    places = sorted(_places(origins) - {"default"})
    yield ok("configuration", f"from {', '.join(places)}" if places else "nothing is set, all is as by default")
    found, loaded = model(config)
    yield found
    on_bus, status = bus(config)
    yield from on_bus
    yield service()
    yield from clips(config.clips)
    # Without a server, a card can be missing because the daemon has it; a device that was named here is another.
    taken = status is not None and device is None
    for stream in config.streams():
        yield from sound(stream.device, loaded, taken=taken)


def _places(origins: dict[str, str | dict[str, str]]) -> set[str]:
    return {
        place for origin in origins.values() for place in (origin.values() if isinstance(origin, dict) else [origin])
    }
