"""Changes of the configuration file: the right values change, and everything else stays."""

import tomllib
from pathlib import Path

import pytest

from kwsd.config.edit import set_thresholds_in_toml, write_thresholds
from kwsd.errors import OutputError

BEFORE = """\
# My kwsd.
device = "USB Audio"   # on the desk

[thresholds]   # after a week
go = 0.9       # loud neighbours
#left = 0.9

[actions]
stop = 'playerctl pause'
"""

AFTER = BEFORE.replace("go = 0.9 ", "go = 0.95 ").replace("#left = 0.9\n", "#left = 0.9\nstop = 0.8\n")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the user's configuration file, which does not exist."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))
    return tmp_path / "user" / "kwsd" / "config.toml"


def write(thresholds: dict[str, float], file: Path | None = None, **environment: str) -> Path:
    return write_thresholds(thresholds, file, environment)


def test_comments_and_all_else_stay_as_they_are() -> None:
    assert set_thresholds_in_toml(BEFORE, {"go": 0.95, "stop": 0.8}) == AFTER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment",
        "device = 'x'\n",
        "thresholds = { go = 0.9, no = 0.5 }\ndevice = 'x'\n",
        "thresholds.go = 0.9\ndevice = 'x'\n",
        "[thresholds]\n\n[actions.go]\ncommand = 'x'\n",
        "[actions.go]\ncommand = 'x'\n\n[curve]\nserver_key = 'a'\nclients = 'b'\n",
        'device = "x"\r\n[thresholds]\r\n"go" = 0.9 # loud\r\n',
    ],
)
def test_any_way_to_write_a_table_is_understood(text: str) -> None:
    before = tomllib.loads(text)
    changed = set_thresholds_in_toml(text, {"go": 0.95, "turn on": 0.8})
    thresholds = before.get("thresholds", {}) | {"go": 0.95, "turn on": 0.8}
    assert tomllib.loads(changed) == before | {"thresholds": thresholds}
    assert "# loud" in changed or "# loud" not in text


def test_a_user_without_a_file_gets_one(user: Path) -> None:
    assert write({"go": 0.95}) == user
    assert user.read_text() == "[thresholds]\ngo = 0.95\n"


@pytest.mark.parametrize("environment", [{}, {"KWSD_CONFIG": ""}], ids=["unset", "empty"])
def test_a_user_s_first_file_begins_as_a_copy_of_the_one_for_all_users(
    user: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    site = tmp_path / "site" / "kwsd" / "config.toml"
    site.parent.mkdir(parents=True)
    site.write_text(BEFORE)
    assert write_thresholds({"go": 0.95, "stop": 0.8}, None, environment) == user
    assert user.read_text() == AFTER
    assert site.read_text() == BEFORE


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_file_that_is_named_is_the_one_that_is_changed(user: Path, tmp_path: Path, by: str) -> None:
    named = tmp_path / "mine.toml"
    named.write_text(BEFORE)
    found = write({"go": 0.5}, named) if by == "argument" else write({"go": 0.5}, KWSD_CONFIG=str(named))
    assert found == named
    assert "go = 0.5 " in named.read_text()
    assert not user.exists()


def test_a_link_stays_one_and_the_mode_of_the_file_stays(user: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text(BEFORE)
    real.chmod(0o640)
    user.parent.mkdir(parents=True)
    user.symlink_to(real)
    write({"go": 0.95, "stop": 0.8})
    assert user.is_symlink()
    assert real.read_text() == AFTER
    assert real.stat().st_mode & 0o777 == 0o640
    assert list(user.parent.iterdir()) == [user]


def test_line_ends_of_other_systems_stay(user: Path) -> None:
    user.parent.mkdir(parents=True)
    user.write_bytes(b"device = 'x'\r\n[thresholds]\r\ngo = 0.9 # loud\r\n")
    write({"go": 0.95})
    assert user.read_bytes() == b"device = 'x'\r\n[thresholds]\r\ngo = 0.95 # loud\r\n"


def test_a_file_that_cannot_be_written_is_one_sentence(user: Path) -> None:
    user.parent.parent.mkdir()
    user.parent.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=f"^cannot write {user}: "):
        write({"go": 0.95})
