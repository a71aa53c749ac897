"""Paths and the environment: home folders, other users, and variables that others have set."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import Command

from kwsd.config.load import load_config
from kwsd.errors import ConfigError, ServiceError
from kwsd.files import replace_file
from kwsd.service import PROGRAMS, find_programs

KUBERNETES = {
    "KWSD_PORT": "tcp://10.0.0.1:5555",
    "KWSD_PORT_5555_TCP": "tcp://10.0.0.1:5555",
    "KWSD_PORT_5555_TCP_ADDR": "10.0.0.1",
    "KWSD_PORT_5555_TCP_PORT": "5555",
    "KWSD_PORT_5555_TCP_PROTO": "tcp",
    "KWSD_SERVICE_HOST": "10.0.0.1",
    "KWSD_SERVICE_PORT": "5555",
    "KWSD_SERVICE_PORT_EVENTS": "5555",
    "KWSD_EVENTS_SERVICE_HOST": "fd00::1",
    "KWSD_EVENTS_PORT": "udp://10.0.0.1:5555",
}
"""What Kubernetes sets for the services kwsd and kwsd-events."""


def run_without(capabilities: str, kwsd: Command, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command; root loses the right to read the files of everybody, so that modes count."""
    drop = ["setpriv", f"--inh-caps={capabilities}", f"--bounding-set={capabilities}"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*drop, kwsd.program, *arguments], env=kwsd.environment, capture_output=True, text=True, check=False
    )


def test_variables_that_kubernetes_sets_are_no_settings() -> None:
    assert load_config(environment=KUBERNETES | {"KWSD_DEVICE": "-"}).config.device == "-"


@pytest.mark.parametrize(
    ("name", "text"),
    [("KWSD_PORT", "5555"), ("KWSD_ADRESS", "tcp://127.0.0.1:5555"), ("KWSD_HOST", "10.0.0.1"), ("KWSD_SERVICE", "1")],
)
def test_any_other_variable_that_is_no_setting_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match="there is no setting"):
        load_config(environment={name: text})


@pytest.mark.parametrize("name", ["KWSD_DEVICE", "KWSD_MODEL", "KWSD_LABELS", "KWSD_ADDRESS"])
def test_a_setting_that_is_not_utf_8_is_refused_when_it_is_loaded(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is not valid UTF-8$"):
        load_config(environment={name: "file:\udcff"})


@pytest.mark.parametrize(
    ("option", "value"), [("--save-clips", "\udcff"), ("--device", "file:\udcff"), ("--address", "ipc:///\udcff")]
)
def test_an_option_that_is_not_utf_8_is_refused(kwsd: Command, option: str, value: str) -> None:
    done = kwsd.run("run", option, value)
    assert done.returncode in {2, 78}
    assert done.stderr.endswith("is not valid UTF-8\n")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device", "file:{}/a.wav"),
        ("address", "ipc://{}/e.sock"),
        ("control", "ipc://{}/c.sock"),
        ("clips", {"folder": "{}/clips"}),
        ("curve", {"server_key": "{}/server.key_secret", "clients": "{}/clients"}),
    ],
)
def test_a_path_in_the_configuration_may_begin_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str, value: str | dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def fill(home: str) -> str | dict[str, str]:
        if isinstance(value, str):
            return value.format(home)
        return {inner: text.format(home) for inner, text in value.items()}

    expanded = getattr(load_config({key: fill("~")}, environment={}).config, key)
    assert expanded == getattr(load_config({key: fill(str(tmp_path))}, environment={}).config, key)
    with pytest.raises(ConfigError, match=r"^~nosuchuser/.*: there is no such home folder$"):
        load_config({key: fill("~nosuchuser")}, environment={})


def test_the_configuration_file_may_begin_with_a_tilde(kwsd: Command, runtime: Path) -> None:
    (runtime / "my.toml").write_text('device = "-"')
    for done in (kwsd.run("config", "--config=~/my.toml"), kwsd.run("config", KWSD_CONFIG="~/my.toml")):
        assert done.returncode == 0
        assert f'device = "-"  # {runtime}/my.toml\n' in done.stdout
    done = kwsd.run("config", KWSD_CONFIG="~nosuchuser/my.toml")
    assert (done.returncode, done.stderr) == (
        78,
        "kwsd: cannot read ~nosuchuser/my.toml: there is no such home folder\n",
    )


def test_keys_are_written_to_the_home_folder(kwsd: Command, runtime: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [kwsd.program, "keys", "new", "~/keys", "--server"],
        env=kwsd.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{runtime}/keys/server.key_secret\n"
    assert list(tmp_path.iterdir()) == []
    done = kwsd.run("keys", "new", "~nosuchuser/keys", "--server")
    assert (done.returncode, done.stderr) == (2, "kwsd: ~nosuchuser/keys: there is no such home folder\n")


def test_an_address_on_the_command_line_may_begin_with_a_tilde(kwsd: Command, runtime: Path) -> None:
    done = kwsd.run("status", "--connect", "ipc://~/control.sock")
    assert done.stderr == f"kwsd: no kwsd is running at ipc://{runtime}/control.sock: start one with  kwsd run\n"
    done = kwsd.run("listen", "--connect", "ipc://~/events.sock", "--timeout=0")
    assert done.stderr == f"waiting for kwsd at ipc://{runtime}/events.sock\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        ("models", 0, ""),
        ("config", 0, ""),
        ("config --default", 0, ""),
        ("check --device -", 0, ""),
        ("service install", 69, "kwsd: this user has no home folder for the unit: set HOME\n"),
        ("tune --set go=0.9", 74, "kwsd: there is no home folder for the configuration: name a file with --config\n"),
    ],
)
def test_a_user_without_a_home_folder_can_use_kwsd(
    kwsd: Command, runtime: Path, arguments: str, exit_code: int, sentence: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become a user that does not exist")
    os.chown(runtime, 54321, -1)
    become = ["setpriv", "--reuid=54321", "--clear-groups", "--inh-caps=+dac_read_search"]
    environment = {
        name: value
        for name, value in kwsd.environment.items()
        if name == "XDG_RUNTIME_DIR" or name[:3] not in {"HOM", "XDG"}
    }
    # A measurement of coverage could not write its file as this user.
    environment["COVERAGE_PROCESS_CONFIG"] = ""
    done = subprocess.run(
        [*become, "--ambient-caps=+dac_read_search", kwsd.program, *arguments.split()],
        env=environment,
        cwd=runtime,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (exit_code, sentence)
    assert not (runtime / "~").exists()


def test_a_home_folder_of_another_user_is_named(kwsd: Command, runtime: Path) -> None:
    home = runtime / "home"
    home.mkdir(mode=0)
    del kwsd.environment["XDG_CONFIG_HOME"]
    kwsd.environment["HOME"] = str(home)
    done = run_without("-dac_override,-dac_read_search", kwsd, "config")
    home.chmod(0o700)
    assert (done.returncode, done.stderr) == (
        78,
        f"kwsd: cannot read {home}/.config/kwsd/config.toml: Permission denied\n",
    )


@pytest.mark.parametrize("command", ["listen", "act"])
def test_a_client_says_that_it_may_not_connect(kwsd: Command, runtime: Path, command: str) -> None:
    folder = runtime / "private"
    folder.mkdir(mode=0)
    (runtime / "actions.toml").write_text("[actions]\n\"*\" = 'true'\n".replace("'true'", '{ command = "true" }'))
    kwsd.environment["KWSD_CONFIG"] = str(runtime / "actions.toml")
    address = f"ipc://{folder}/events.sock"
    done = run_without("-dac_override,-dac_read_search", kwsd, command, "--connect", address)
    folder.chmod(0o700)
    assert done.returncode in {69, 73}
    assert address.removeprefix("ipc://").rpartition("/")[0] in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_programs_are_found_where_the_installation_has_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("python", "argv", "path"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python3"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "argv" / "kwsd")])
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr("sysconfig.get_path", lambda _name, _scheme=None: str(tmp_path / "scripts"))
    with pytest.raises(ServiceError, match=r"neither beside .* nor in PATH"):
        find_programs()
    for folder in ("path", "argv", "python"):
        for name in PROGRAMS:
            shutil.copy("/bin/true", tmp_path / folder / name)
        assert find_programs() == tmp_path / folder


@pytest.mark.parametrize("kind", ["device", "fifo"])
def test_a_device_or_pipe_is_never_replaced_by_a_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.toml"
    if kind == "device":
        path.symlink_to(os.devnull)
    else:
        os.mkfifo(path)
    with pytest.raises(OSError, match="it is not a regular file"):
        replace_file(path, b"")
    assert not path.is_file()
