"""The checks that ``kwsd check`` runs. Each module in this package checks one part of the system."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kwsd.check.finding import Finding, failed, ok
from kwsd.config.load import load_config
from kwsd.config.schema import Config
from kwsd.daemon.ending import find_failed_import
from kwsd.errors import ConfigError, LibraryError

if TYPE_CHECKING:
    from kwsd.bus.events import StatusEvent
    from kwsd.models.model import Model

__all__ = ["Finding", "check_all"]


def check_all(device: str | None, file: Path | None) -> Iterator[Finding]:
    """Run all checks, and yield each finding as soon as the result is known.

    The last check records audio for three seconds.

    Parameters
    ----------
    device : str, optional
        Audio device, which overrides the devices in the configuration.
    file : Path, optional
        Path of the configuration file; if not given, kwsd searches the usual paths.
    """
    try:
        config, origins = load_config({"device": device}, file)
    except ConfigError as error:
        yield failed("configuration", error, "kwsd config --default  # shows all settings")
        return
    places = sorted(_places(origins) - {"default"})
    yield ok("configuration", f"from {', '.join(places)}" if places else "all settings have their defaults")
    checks = _Checks(config, device)
    yield from _run_check("model", checks.check_model)
    yield from _run_check("events", checks.check_events)
    yield from _run_check("service", checks.check_service)
    yield from _run_check("clips", checks.check_clips)
    yield from _run_check("sound", checks.check_sound)


class _Checks:
    """All checks of one run of ``kwsd check``.

    Each check imports its own module, so a damaged library stops only this check.
    """

    def __init__(self, config: Config, device: str | None) -> None:
        self._config = config
        self._device = device
        self._model: Model | None = None
        self._status: StatusEvent | None = None

    def check_model(self) -> Iterator[Finding]:
        from kwsd.check.model import check_model  # noqa: PLC0415  see the class

        finding, self._model = check_model(self._config)
        yield finding

    def check_events(self) -> Iterator[Finding]:
        from kwsd.check.bus import check_bus  # noqa: PLC0415  see the class

        findings, self._status = check_bus(self._config)
        yield from findings

    def check_service(self) -> Iterator[Finding]:
        from kwsd.check.service import check_service  # noqa: PLC0415  see the class

        yield check_service()

    def check_clips(self) -> Iterable[Finding]:
        from kwsd.check.clips import check_clips  # noqa: PLC0415  see the class

        return check_clips(self._config.clips)

    def check_sound(self) -> Iterator[Finding]:
        from kwsd.check.sound import check_sound  # noqa: PLC0415  see the class

        # Without a sound server, the running daemon may hold the configured card. It does not hold another device.
        may_be_taken = self._status is not None and self._device is None
        for stream in self._config.streams():
            yield from check_sound(stream.device, self._model, may_be_taken=may_be_taken)


def _run_check(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check, or a failure if a required library cannot be loaded."""
    try:
        yield from check()
    except Exception as error:
        library = find_failed_import(error)
        if library is None:
            raise
        yield failed(name, LibraryError(library.problem), library.cure)


def _places(origins: dict[str, str | dict[str, str]]) -> set[str]:
    return {
        place for origin in origins.values() for place in (origin.values() if isinstance(origin, dict) else [origin])
    }
