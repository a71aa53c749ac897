"""The container of the tests in this folder, and the service in it."""

from collections.abc import Iterator

import pytest
from helpers.booted import RUNTIME, Container, EventReader, Unit, booted, user_service


@pytest.fixture(scope="session")
def container() -> Iterator[Container]:
    """One machine for all tests."""
    with booted() as running:
        yield running


@pytest.fixture
def service(container: Container) -> Iterator[Unit]:
    """The service of the user's session, as it is after ``kwsd service install``."""
    with user_service(container) as unit:
        yield unit


@pytest.fixture
def reader(container: Container, service: Unit) -> Iterator[EventReader]:  # noqa: ARG001  the service must run
    """A subscriber to the events of the service."""
    with EventReader(container, f"{RUNTIME}/kwsd/events.sock") as listening:
        yield listening


@pytest.fixture
def system_service(container: Container) -> Iterator[Unit]:
    """The system unit, installed as its comment describes, but not started."""
    container.root("cp", str(container.units / "kwsd-system.service"), "/etc/systemd/system/")
    container.root("systemctl", "daemon-reload")
    unit = Unit(container, "kwsd-system.service", user=False)
    yield unit
    unit.systemctl("stop")
    container.root("rm", "--recursive", "--force", "/etc/systemd/system/kwsd-system.service.d")
