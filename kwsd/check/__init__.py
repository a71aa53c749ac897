"""The checks of ``kwsd check``. Each module of this folder checks one part of the system."""

from collections.abc import Iterator
from pathlib import Path

from kwsd.check.bus import check_bus
from kwsd.check.clips import check_clips
from kwsd.check.finding import Finding, failed, ok
from kwsd.check.model import check_model
from kwsd.check.service import check_service
from kwsd.check.sound import check_sound
from kwsd.config.load import load_config
from kwsd.errors import ConfigError

__all__ = ["Finding", "check_all"]


def check_all(device: str | None, file: Path | None) -> Iterator[Finding]:
    """Check everything, and yield each finding as soon as it is known. The last check records for three seconds.

    Parameters
    ----------
    device : str, optional
        Overrides the devices of the configuration.
    file : Path, optional
        Configuration file, instead of the usual places.
    """
    try:
        config, origins = load_config({"device": device}, file)
    except ConfigError as error:
        yield failed("configuration", error, "kwsd config --default  # shows all settings")
        return
    places = sorted(_places(origins) - {"default"})
    yield ok("configuration", f"from {', '.join(places)}" if places else "all settings have their defaults")
    finding, model = check_model(config)
    yield finding
    bus_findings, status = check_bus(config)
    yield from bus_findings
    yield check_service()
    yield from check_clips(config.clips)
    # Without a sound server, the running daemon may hold the configured card. It does not hold another device.
    may_be_taken = status is not None and device is None
    for stream in config.streams():
        yield from check_sound(stream.device, model, may_be_taken=may_be_taken)


def _places(origins: dict[str, str | dict[str, str]]) -> set[str]:
    return {
        place for origin in origins.values() for place in (origin.values() if isinstance(origin, dict) else [origin])
    }
