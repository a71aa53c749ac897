"""The configuration: priorities, origins of values, error messages and the printed form."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.command import Command
from hypothesis import given
from hypothesis import strategies as st

from kwsd.config.load import LoadedConfig, load_config
from kwsd.config.schema import ActionConfig, ClipsConfig, Config, CurveConfig, StreamConfig
from kwsd.config.show import format_default_config, format_loaded_config, list_settings
from kwsd.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "kwsd.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def load(file: Path | None = None, flags: dict[str, Any] | None = None, **environment: str) -> LoadedConfig:
    return load_config(flags, file, environment)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "site"))


def test_nothing_given_means_the_defaults() -> None:
    effective = load()
    assert effective.config == Config("default", "default", [], "", "info", {})
    tables = {"thresholds": {}, "actions": {}, "clips": {"folder": "default", "keep": "default"}}
    assert effective.origins == dict.fromkeys(Config.__struct_fields__, "default") | tables


def test_a_flag_overrides_the_environment_which_overrides_the_file(file: Callable[[str], Path]) -> None:
    path = file('device = "file"\nmodel = "file"\nlog_level = "error"\n')
    effective = load(path, {"device": "flag", "model": None}, KWSD_DEVICE="variable", KWSD_MODEL="variable")
    assert effective.config == Config(device="flag", model="variable", log_level="error")
    assert effective.origins == {
        "device": "command line",
        "model": "environment (KWSD_DEVICE KWSD_MODEL)",
        "labels": "default",
        "address": "default",
        "log_level": str(path),
        "thresholds": {},
        "control": "default",
        "stream": "default",
        "curve": "default",
        "actions": {},
        "clips": {"folder": "default", "keep": "default"},
    }


def test_a_flag_for_the_folder_of_clips_leaves_their_number_as_the_file_says(file: Callable[[str], Path]) -> None:
    path = file('[clips]\nfolder = "file"\nkeep = 5\n')
    effective = load(path, {"clips": {"folder": "flag"}})
    assert effective.config.clips == ClipsConfig("flag", 5)
    assert effective.origins["clips"] == {"folder": "command line", "keep": str(path)}


def test_thresholds_of_all_places_are_merged_word_by_word(file: Callable[[str], Path]) -> None:
    path = file("[thresholds]\ngo = 0.1\nstop = 0.1\nleft = 0.1\n")
    effective = load(path, {"thresholds": {"left": 0.3}}, KWSD_THRESHOLDS="stop=0.2,left=0.2")
    assert effective.config.thresholds == {"go": 0.1, "stop": 0.2, "left": 0.3}
    assert effective.origins["thresholds"] == {
        "go": str(path),
        "stop": "environment (KWSD_THRESHOLDS)",
        "left": "command line",
    }


def test_streams_are_listened_to_in_place_of_a_device(file: Callable[[str], Path]) -> None:
    path = file('[[stream]]\nname = "desk"\ndevice = "USB"\n[[stream]]\nname = "door"\ndevice = "Webcam"\n')
    effective = load(path)
    assert effective.config.streams() == [StreamConfig("desk", "USB"), StreamConfig("door", "Webcam")]
    assert effective.origins["stream"] == str(path)
    assert load().config.streams() == [StreamConfig("", "default")]


def test_a_device_in_a_higher_layer_overrides_streams(file: Callable[[str], Path]) -> None:
    path = file('[[stream]]\nname = "desk"\ndevice = "USB"\n')
    assert load(path, {"device": "built-in"}).config.streams() == [StreamConfig("", "built-in")]
    assert load(path, KWSD_DEVICE="built-in").config.streams() == [StreamConfig("", "built-in")]


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    assert load(KWSD_LABELS="no,yes").config.labels == ["no", "yes"]


def test_the_user_s_file_has_priority_over_the_machine_s(tmp_path: Path) -> None:
    for name in ("site", "user"):
        (tmp_path / name / "kwsd").mkdir(parents=True)
        path = tmp_path / name / "kwsd" / "config.toml"
        path.write_text(f'device = "{name}"')
        assert load().config.device == name
        assert load().origins["device"] == str(path)


def test_a_file_named_by_a_flag_or_the_environment_has_priority(file: Callable[[str], Path]) -> None:
    path = file('device = "named"')
    assert load(KWSD_CONFIG=str(path)).config.device == "named"
    other = path.with_name("other.toml")
    other.write_text('device = "flag"')
    assert load(other, KWSD_CONFIG=str(path)).config.device == "flag"


def test_an_empty_file_name_is_ignored() -> None:
    assert load(KWSD_CONFIG="").config == Config()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('devise = "x"', "there is no setting 'devise'$"),
        ("device = 1", "device: expected a text, got a whole number$"),
        ('log_level = "loud"', "log_level: 'loud' is not an allowed value; see  kwsd config --default$"),
        ('thresholds = "go"', "thresholds: expected a table, got a text$"),
        ("[thresholds]\ngo = 1.5", r"the threshold of 'go' is 1\.5; it must be above 0 and at most 1"),
        ("[thresholds]\ngo = 0", "the threshold of 'go' is 0; "),
        ("[thresholds]\ngo = nan", "the threshold of 'go' is nan; "),
        ('stream = [{name = "desk"}]', r"stream\[0\]: the setting 'device' is missing$"),
        ('stream = [{name = "", device = "x"}]', r"stream\[0\]\.name: expected a text matching regex"),
        ('stream = [{name = "a", device = "x"}, {name = "a", device = "y"}]', "two streams have the same name 'a'"),
        ('stream = [{name = "a", device = "-"}, {name = "b", device = "-"}]', "two streams have the same device '-'"),
        ('actions.go = ""', "action for 'go': the command is empty"),
        ('actions.go = "say \'go"', "action for 'go': No closing quotation"),
        ('actions.go = {command = "say {keyword}", shell = true}', r"a shell command cannot contain placeholders"),
        ('actions.go = {command = "say", timeout_s = 0}', "expected a number > 0.0$"),
        ('actions.go = {command = "say", retries = 3}', r"actions\[\.\.\.\]: there is no setting 'retries'$"),
        ("actions.go = 3", r"actions\[\.\.\.\]: expected a text or a table, got a whole number$"),
        ("device", "is not valid TOML"),
        ('device = "x"\ndevice = "y"', "is not valid TOML"),
    ],
)
def test_an_invalid_file_is_refused_by_name(file: Callable[[str], Path], text: str, sentence: str) -> None:
    path = file(text)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('device = "Gerät"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.toml is not valid TOML"):
        load(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(KWSD_CONFIG=str(tmp_path))


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("KWSD_DEVISE", "x", r"environment \(KWSD_DEVISE\): there is no setting 'devise'$"),
        ("KWSD_LOG_LEVEL", "loud", r"environment \(KWSD_LOG_LEVEL\): log_level: 'loud' is not an allowed value"),
        ("KWSD_THRESHOLDS", "go", "KWSD_THRESHOLDS: 'go' is not WORD=NUMBER"),
        ("KWSD_THRESHOLDS", "go=loud", "'go=loud' is not WORD=NUMBER"),
        ("KWSD_THRESHOLDS", "=0.5", "'=0.5' is not WORD=NUMBER"),
        ("KWSD_THRESHOLDS", "go=2", "KWSD_THRESHOLDS: the threshold of 'go' is 2.0; it must be"),
    ],
)
def test_an_invalid_variable_is_refused_by_name(variable: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        load_config(environment={variable: text})


def test_a_flag_with_a_wrong_value_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="command line: log_level: 'loud' is not an allowed value"):
        load(flags={"log_level": "loud"})


def test_what_kwsd_config_prints_is_a_configuration_with_the_same_values(
    kwsd: Command, file: Callable[[str], Path]
) -> None:
    path = file(
        'labels = ["no", "yes"]\nactions.no = "say no"\nactions."two words" = {command = "x", interval_s = 2}\n'
        'thresholds = {"two words" = 0.5, go = 1e-7}\n'
    )
    device = 'a "quoted" \\ name, été 🎤\n'
    printed = kwsd.run("config", "--config", path, KWSD_DEVICE=device, KWSD_ADDRESS="ipc:///e.sock")
    assert f"\ngo = 1e-07  # {path}\n" in printed.stdout
    assert '\naddress = "ipc:///e.sock"  # environment (KWSD_ADDRESS KWSD_DEVICE)\n' in printed.stdout
    assert '\nmodel = "default"  # default\n' in printed.stdout
    again = load(file(printed.stdout)).config
    assert again == Config(
        device,
        labels=["no", "yes"],
        address="ipc:///e.sock",
        thresholds={"two words": 0.5, "go": 1e-7},
        control="ipc:///control.sock",
        actions={"no": "say no", "two words": ActionConfig("x", interval_s=2)},
    )


def test_what_kwsd_config_prints_has_the_same_streams(kwsd: Command, file: Callable[[str], Path]) -> None:
    path = file('stream = [{name = "a", device = "x"}, {name = "b", device = "y"}]\n')
    printed = kwsd.run("config", "--config", path).stdout
    assert load(file(printed)).config.streams() == [StreamConfig("a", "x"), StreamConfig("b", "y")]


def test_kwsd_config_escapes_the_delete_character(kwsd: Command, file: Callable[[str], Path]) -> None:
    printed = kwsd.run("config", KWSD_DEVICE="a\x7fb").stdout
    assert load(file(printed)).config.device == "a\x7fb"


texts = st.text().map(lambda text: text.replace("\0", ""))
words = st.lists(texts, min_size=1).map(shlex.join)
numbers = st.floats(0, 86_400, exclude_min=True)
fractions = st.floats(0, 1, exclude_min=True)
configurations = st.builds(
    Config,
    device=texts,
    labels=st.lists(st.text()),
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
    thresholds=st.dictionaries(st.text(), fractions),
    stream=st.lists(
        st.builds(StreamConfig, st.from_regex(r"\A[^\x00-\x1f/.][^\x00-\x1f/]{0,9}\Z"), texts),
        max_size=3,
        unique_by=(lambda stream: stream.name, lambda stream: stream.device),
    ),
    curve=st.none() | st.builds(CurveConfig, texts, texts),
    actions=st.dictionaries(
        st.text(), words | st.builds(ActionConfig, words, timeout_s=numbers, interval_s=numbers), max_size=3
    ),
    clips=st.builds(ClipsConfig, texts, st.integers(1, 1_000_000)),
)


@given(config=configurations, origin=st.text(min_size=1))
def test_every_configuration_is_printed_as_toml_that_loads_to_the_same(
    tmp_path_factory: pytest.TempPathFactory, config: Config, origin: str
) -> None:
    path = tmp_path_factory.mktemp("config") / "kwsd.toml"
    origins: dict[str, str | dict[str, str]] = dict.fromkeys(Config.__struct_fields__, origin)
    path.write_bytes(format_loaded_config(LoadedConfig(config, origins)).encode())
    assert load(path).config == config


def test_kwsd_config_prints_the_default_addresses_in_full(kwsd: Command, runtime: Path) -> None:
    printed = json.loads(kwsd.run("config", "--json", KWSD_THRESHOLDS="go=0.5").stdout)
    assert printed["address"] == {"value": f"ipc://{runtime}/kwsd/events.sock", "origin": "default"}
    assert printed["control"] == {"value": f"ipc://{runtime}/kwsd/control.sock", "origin": "default"}
    assert printed["thresholds"] == {"value": {"go": 0.5}, "origin": {"go": "environment (KWSD_THRESHOLDS)"}}
    assert set(printed) == set(Config.__struct_fields__)


def test_kwsd_config_names_a_model_that_cannot_be_used_after_the_values(kwsd: Command) -> None:
    done = kwsd.run("config", KWSD_MODEL="mine")
    assert '\nmodel = "mine"  # environment (KWSD_MODEL)\n' in done.stdout
    assert done.returncode == 66
    assert done.stderr.startswith("kwsd: there is no model 'mine': installed are default")
    assert kwsd.run("config", KWSD_THRESHOLDS="hello=0.5").returncode == 66


# The file with every setting


def test_the_default_file_changes_nothing_as_it_is(kwsd: Command, file: Callable[[str], Path]) -> None:
    printed = kwsd.run("config", "--default")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert load(file(printed.stdout)) == load()


def test_every_setting_of_the_default_file_is_valid_without_its_comment_mark(file: Callable[[str], Path]) -> None:
    text = "\n".join(
        line.removeprefix("#") if line[1:2] != " " else line for line in format_default_config().splitlines()
    )
    effective = load(file(text))
    default = Config()
    for key in ("device", "model", "labels", "address", "log_level", "control"):
        assert effective.origins[key] != "default"
        assert getattr(effective.config, key) == getattr(default, key)
    assert effective.config.thresholds
    assert effective.config.curve
    assert any(isinstance(action, ActionConfig) for action in effective.config.actions.values())
    assert set(effective.origins) == set(Config.__struct_fields__)


def test_every_setting_has_its_meaning_above_it(kwsd: Command) -> None:
    lines = format_default_config().splitlines()
    for setting in list_settings():
        place = next(
            number for number, line in enumerate(lines) if re.match(rf"#(\[+{setting.key}\]|{setting.key} = )", line)
        )
        assert lines[place - 1].startswith("# ")
        assert all(f"#   {key.key}: " in "\n".join(lines[:place]) for key in setting.inner)
    assert kwsd.run("config", "--default", "--json").returncode == 2
