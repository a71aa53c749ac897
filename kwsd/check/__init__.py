"""The checks of ``kwsd check``. Each module of this folder checks one part of the system."""

from collections.abc import Iterator
from pathlib import Path

from kwsd.check.finding import Finding, failed, ok
from kwsd.config.load import load_config
from kwsd.errors import ConfigError, ModelError

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
        # Here, because a check must name a library that is missing.
        from kwsd.check.bus import check_bus  # noqa: PLC0415
        from kwsd.check.clips import check_clips  # noqa: PLC0415
        from kwsd.check.model import check_model  # noqa: PLC0415
        from kwsd.check.service import check_service  # noqa: PLC0415
        from kwsd.check.sound import check_sound  # noqa: PLC0415
    except (ImportError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        yield failed("libraries", ModelError(f"a library cannot be imported: {reason}"), "pipx reinstall kwsd")
        return
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
