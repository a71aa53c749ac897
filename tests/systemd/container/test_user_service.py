"""The user service with a real systemd and the sound server of the same session."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from helpers.booted import USER, Container, EventReader, Unit
from helpers.pipes import stderr_of, stdout_of

pytestmark = pytest.mark.container


def configure(container: Container, text: str) -> None:
    """Write the user's configuration."""
    folder = container.files / "home" / USER / ".config" / "kwsd"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(text)


@contextmanager
def no_sound_server(container: Container) -> Iterator[None]:
    container.anna("systemctl", "--user", "stop", "pulseaudio.socket", "pulseaudio.service")
    try:
        yield
    finally:
        container.anna("systemctl", "--user", "start", "pulseaudio.socket")


def test_a_started_service_is_active_and_a_spoken_word_arrives_at_a_subscriber(
    container: Container, service: Unit, reader: EventReader
) -> None:
    service.systemctl("stop")
    service.systemctl("start")
    assert service.show("ActiveState") == "active"
    reader.status("listening")
    # kwsd listen reports on standard error that it is connected, and then prints the next keyword.
    listener = container.start("kwsd", "listen", "--json", "--count", "1")
    with listener:
        while not stderr_of(listener).readline().startswith("kwsd is listening"):
            pass
        container.play("stop")
        assert json.loads(stdout_of(listener).read())["keyword"] == "stop"


def test_a_killed_daemon_is_started_again_and_listens(container: Container, service: Unit, reader: EventReader) -> None:
    first = reader.status("listening")
    service.systemctl("kill", "--signal=KILL")
    reader.status("listening", after_run=first.run)
    assert service.show("NRestarts") == "1"
    container.play("stop")
    assert reader.keyword() == "stop"


def test_a_daemon_that_hangs_is_restarted_by_the_watchdog_and_listens(
    container: Container, service: Unit, reader: EventReader
) -> None:
    first = reader.status("listening")
    service.systemctl("kill", "--signal=STOP")
    reader.status("listening", after_run=first.run)
    assert any("Watchdog timeout" in line for line in service.log())
    container.play("stop")
    assert reader.keyword() == "stop"


def test_a_bad_configuration_ends_the_service_for_good_and_the_status_says_why(
    container: Container, service: Unit
) -> None:
    configure(container, "devices = 3\n")
    assert service.systemctl("restart", check=False).returncode == 1
    # A service that waits for its restart is "activating".
    assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
    assert service.show("ExecMainStatus") == "78"
    container.sync_journal()
    shown = service.systemctl("status", check=False)
    assert shown.returncode == 3
    assert f"/home/{USER}/.config/kwsd/config.toml: there is no setting 'devices'" in shown.stdout
    assert "status=78/CONFIG" in shown.stdout
    assert "Traceback" not in shown.stdout


@pytest.mark.parametrize("command", [["reload"], ["kill", "--signal=HUP"]])
def test_a_reload_takes_a_good_configuration_and_refuses_a_bad_one(
    container: Container, service: Unit, reader: EventReader, command: list[str]
) -> None:
    first = reader.status("listening")
    line_count = len(service.log())
    configure(container, "thresholds.stop = 1.0\n")
    service.systemctl(*command)
    reader.status("listening")
    assert "reloaded: model default" in service.log()[line_count:]

    line_count = len(service.log())
    configure(container, "thresholds.stop = 2\n")
    service.systemctl(*command, check=False)
    assert reader.status("listening").run == first.run
    assert any(line.startswith("the new configuration is refused") for line in service.log()[line_count:])
    assert service.show("ActiveState") == "active"


def test_a_refused_reload_is_an_error_of_systemctl(container: Container, service: Unit) -> None:
    configure(container, "devices = 3\n")
    assert service.systemctl("reload", check=False).returncode == 1
    assert service.show("ActiveState") == "active"


def test_a_stop_is_clean_within_two_seconds(service: Unit, reader: EventReader) -> None:
    # After this time systemd would kill the daemon, and the result would not be "success".
    service.change("[Service]", "TimeoutStopSec=2s")
    reader.status("listening")
    service.systemctl("stop")
    reader.status("stopping")
    assert (service.show("Result"), service.show("ExecMainStatus")) == ("success", "0")
    assert service.log()[-2].startswith("stopped after ")


def test_a_service_that_fails_is_restarted_without_limit(container: Container, service: Unit) -> None:
    # So fast that systemd's own limit, five starts in ten seconds, would end it.
    service.change("[Service]", "RestartSec=100ms", "ExecStart=", "ExecStart=/bin/sh -c 'exit 69'")
    service.systemctl("restart", check=False)
    with container.start("journalctl", "--user", "--follow", "--lines=all", "--unit=kwsd") as journal:
        for line in stdout_of(journal):
            assert "repeated too quickly" not in line
            if "restart counter is at 10." in line:
                break
        journal.terminate()


def test_a_service_without_a_sound_server_listens_as_soon_as_there_is_one(
    container: Container, service: Unit, reader: EventReader
) -> None:
    first = reader.status("listening")
    line_count = len(service.log())
    with no_sound_server(container):
        service.systemctl("restart", check=False)
        assert any("there is no input device" in line for line in service.log()[line_count:])
        assert service.show("ActiveState") != "failed"
    reader.status("listening", after_run=first.run)
    container.play("stop")
    assert reader.keyword() == "stop"


def test_the_status_shows_whether_the_daemon_listens_is_muted_or_lost_and_why(
    container: Container, service: Unit, reader: EventReader
) -> None:
    reader.status("listening")
    assert service.show("StatusText") == "listening on default"
    container.anna("kwsd", "mute")
    assert service.show("StatusText") == "muted"
    container.anna("kwsd", "unmute")
    assert service.show("StatusText") == "listening on default"
    with no_sound_server(container):
        reason = reader.status("lost").reason
        shown = service.systemctl("status").stdout
        assert f'Status: "lost: {reason}"' in shown
    reader.status("listening")
    assert service.show("StatusText") == "listening on default"


def test_the_service_starts_with_the_session(container: Container, service: Unit, reader: EventReader) -> None:
    first = reader.status("listening")
    container.root("systemctl", "restart", "user@1000.service")
    reader.status("listening", after_run=first.run)
    assert service.show("ActiveState") == "active"


def test_status_and_logs_show_what_systemd_and_the_journal_know(
    container: Container, service: Unit, reader: EventReader
) -> None:
    reader.status("listening")
    container.sync_journal()
    shown = container.anna("kwsd", "service", "status")
    assert "Active: active (running)" in shown.stdout
    logged = container.anna("kwsd", "service", "logs").stdout.splitlines()
    assert any(line.endswith("listening on default") for line in logged)
    service.systemctl("stop")
    assert container.anna("kwsd", "service", "status", check=False).returncode == 3


def test_installing_again_restarts_the_daemon(container: Container, service: Unit, reader: EventReader) -> None:
    first = reader.status("listening")
    message = container.anna("kwsd", "service", "install").stderr
    assert message == f"kwsd runs as the service /home/{USER}/.config/systemd/user/kwsd.service\n"
    reader.status("listening", after_run=first.run)
    assert service.show("NRestarts") == "0"


def test_an_installation_of_a_service_that_cannot_start_says_where_to_look(container: Container, service: Unit) -> None:
    configure(container, "devices = 3\n")
    done = container.anna("kwsd", "service", "install", check=False)
    assert done.returncode == 69
    assert done.stderr.startswith("kwsd: systemctl --user restart kwsd.service: Job for kwsd.service failed ")
    assert 'See "systemctl --user status kwsd.service"' in done.stderr
    assert service.show("UnitFileState") == "enabled"


def test_an_uninstalled_service_leaves_nothing(container: Container, service: Unit) -> None:
    container.anna("kwsd", "service", "uninstall")
    assert service.show("LoadState") == "not-found"
    assert service.show("ActiveState") == "inactive"
    units = container.files / "home" / USER / ".config" / "systemd" / "user"
    assert [path for path in units.rglob("*") if not path.is_dir()] == []
    container.anna("kwsd", "service", "uninstall")


def test_the_unit_installed_by_hand_starts_the_kwsd_in_the_users_own_folder(
    container: Container, service: Unit, reader: EventReader
) -> None:
    first = reader.status("listening")
    container.anna("mkdir", "--parents", f"/home/{USER}/.local/bin")
    for program in ("kwsd", "kwsd-daemon"):
        container.anna("ln", "--symbolic", "--force", f"/usr/local/bin/{program}", f"/home/{USER}/.local/bin/{program}")
    container.anna("install", "-D", "-t", f"/home/{USER}/.config/systemd/user", str(container.units / "kwsd.service"))
    container.anna("systemctl", "--user", "daemon-reload")
    service.systemctl("restart")
    assert f"/home/{USER}/.local/bin/kwsd-daemon" in service.show("ExecStart")
    reader.status("listening", after_run=first.run)
