"""Writes what is made from the code itself, so that nothing is described twice.

Man pages and shell completions under share/, docs/config.md and docs/exit-codes.md. The tests compare: run this after
every change of a command, an option, a configuration key or an exit code.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from manpage import manpage

import kwsd
import kwsd_train.cli
from kwsd import errors
from kwsd.cli.commands import app
from kwsd.config.load import ENVIRONMENT_PREFIX
from kwsd.config.schema import EVENT_FIELDS
from kwsd.config.show import Setting, format_toml, list_settings
from kwsd.ending import INTERRUPT_EXIT_CODE

ROOT = Path(__file__).parents[1]

COMPLETIONS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
"""Where each shell looks for the completion of a program, under share/."""

FLAGS = {"device", "model", "labels", "address", "log_level", "control"}
OTHER_FLAGS = {"thresholds": "`--threshold WORD=NUMBER`", "clips.folder": "`--save-clips DIR`"}

FILE_ONLY = {"stream", "curve", "actions", "clips"}
"""Tables that no environment variable can hold."""

FILES = [
    ("~/.config/kwsd/config.toml", "Configuration; `kwsd config --default` prints one to begin with."),
    ("/etc/xdg/kwsd/config.toml", "Configuration for all users, where a user has none."),
    ("~/.local/share/kwsd/models/", "Models of your own, to be named like those that came with kwsd."),
    ("$XDG_RUNTIME_DIR/kwsd/", "Sockets of a running daemon: events.sock and control.sock."),
]

EXAMPLES = [
    ("kwsd run --device 'USB Audio'", "Listen to the microphone with that in its name."),
    ("kwsd listen --exec 'playerctl {keyword}'", "Run a program for each keyword."),
    ("arecord -t raw -f S16_LE -r 16000 | kwsd run --device -", "Listen to what another program records."),
    ("kwsd scan --json *.flac", "Find keywords in recordings."),
    ("kwsd tune --seconds 3600", "Count what would be detected at which thresholds in the next hour."),
    ("kwsd run --save-clips clips", "Keep the audio of detections and near misses."),
    ("kwsd review clips --into data", "Listen to it, and sort it for training."),
]

TRAIN_EXAMPLES = [
    ("kwsd-train download mini", "Fetch the eight words of TensorFlow's tutorial, and print the folder."),
    ("kwsd-train fit --recipe tutorial --data FOLDER", "Train the tutorial's network, and print the run."),
    ("kwsd-train export RUN my-model", "Write the model that kwsd run --model my-model takes."),
]


def pages() -> dict[Path, str]:
    """Every generated file, by its path in the repository."""
    return {
        Path("docs/config.md"): config_page(),
        Path("docs/exit-codes.md"): exit_codes_page(),
        Path("share/man/man1/kwsd.1"): manpage(app, kwsd.__version__, _sections()),
        Path("share/man/man1/kwsd-train.1"): manpage(kwsd_train.cli.app, kwsd.__version__, _train_sections()),
        **dict(_completions()),
    }


def exit_codes() -> Iterator[tuple[int, str]]:
    """Each exit code with its meanings."""
    found: dict[int, list[str]] = {0: ["Done, or stopped as asked."]}
    for kind in (errors.KwsdError, *errors.KwsdError.__subclasses__()):
        found.setdefault(kind.exit_code, []).append(str(kind.__doc__))
    found[errors.KwsdError.exit_code] = ["A fault of kwsd itself."]
    found[1] = ["The reader of the output has gone."]
    found[3] = ["`kwsd service status`: the service does not run."]
    found[INTERRUPT_EXIT_CODE] = ["Ended by Ctrl+C; a daemon ends with 0."]
    for code, meanings in sorted(found.items()):
        yield code, " ".join(meanings)


def exit_codes_page() -> str:
    """The page about exit codes."""
    names = {getattr(os, name): name for name in dir(os) if name.startswith("EX_")}
    rows = "".join(
        f"| {code} | {names.get(code, '') if code >= os.EX_USAGE else ''} | {text} |\n" for code, text in exit_codes()
    )
    return f"""<!-- Written by scripts/reference.py from kwsd/errors.py: change that. -->
# Exit codes

Of `kwsd` and `kwsd-train`. Each comes with one sentence on standard error. The names are those of `sysexits.h`, which
systemd prints; `RestartPreventExitStatus=` in the units lists those that a restart cannot help.

| code | name | meaning |
|---|---|---|
{rows}"""


def config_page() -> str:
    """The page about the configuration."""
    rows = "".join(_rows(list_settings()))
    example = format_toml(
        {
            setting.key: setting.example
            for setting in list_settings()
            if setting.inner or isinstance(setting.example, dict)
        }
    ).strip()
    variables = ", ".join(f"`{ENVIRONMENT_PREFIX}{field.upper()}`" for field in EVENT_FIELDS)
    return f"""<!-- Written by scripts/reference.py from kwsd/config.py: change that. -->
# Configuration

Values come from flags, over environment variables, over a file, over defaults. `kwsd config` prints those in force and
where each came from; `kwsd config --default` prints a file to begin with, with the meaning of every setting.

The file is `$XDG_CONFIG_HOME/kwsd/config.toml` (`~/.config/kwsd/config.toml`) or, where there is none,
`/etc/xdg/kwsd/config.toml`; `--config FILE` or `KWSD_CONFIG=FILE` names another. A key that is not known, or a value of
the wrong kind, is refused with exit code 78.

| key | value | default | flag of `kwsd run` | environment | meaning |
|---|---|---|---|---|---|
{rows}
Tables of keywords are merged keyword by keyword: a threshold on the command line leaves those of the file for other
words as they are. In the environment `labels` are `a,b,c` and `thresholds` are `go=0.9,stop=0.8`. Some variables are no
configuration, because [actions](actions.md) find their event in them:
{variables}.

Of the keys `device` and `stream` the one from the higher place is in force, so `kwsd run --device NAME` listens to that
device alone; a file that has both listens to the streams.

`device`, `stream`, `address`, `control`, `curve` and `clips` last as long as the daemon; `kwsd reload` reads the
rest anew. The actions are read by `kwsd act` when it starts.

```toml
{example}
```
"""


def _rows(found: list[Setting], table: str = "") -> Iterator[str]:
    for setting in found:
        key = table + setting.key
        default = f"`{json.dumps(setting.schema['default'])}`" if setting.schema.get("default") is not None else ""
        flag = f"`--{setting.key.replace('_', '-')}`" if not table and setting.key in FLAGS else ""
        variable = f"`{ENVIRONMENT_PREFIX}{setting.key.upper()}`" if not table and setting.key not in FILE_ONLY else ""
        flag = OTHER_FLAGS.get(key, flag)
        description = setting.description.replace("|", "\\|")
        yield f"| `{key}` | {_kind(setting.schema)} | {default} | {flag} | {variable} | {description} |\n"
        inner = f"{key}.KEYWORD." if setting.key == "actions" else f"{key}."
        yield from _rows(setting.inner, inner)


def _kind(schema: dict) -> str:
    """What a value may be, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(kind) for kind in schema["anyOf"] if kind.get("type") != "null")
    if "additionalProperties" in schema:
        return "table of " + " or ".join(f"{kind}s" for kind in _kind(schema["additionalProperties"]).split(" or "))
    if "$ref" in schema.get("items", {}):
        return "list of tables"
    words = {
        "string": "text",
        "boolean": "true or false",
        "number": "number",
        "integer": "whole number",
        "array": "list of texts",
    }
    return words.get(schema.get("type", ""), "table")


def _sections() -> dict[str, list[tuple[str, str]]]:
    variables = [
        (ENVIRONMENT_PREFIX + setting.key.upper(), setting.description)
        for setting in list_settings()
        if not setting.inner
    ]
    return {
        "ENVIRONMENT": [
            *variables,
            ("KWSD_CONFIG", "A configuration file, instead of the usual places."),
            ("NO_COLOR", "When it is not empty, nothing is printed in colour."),
        ],
        "FILES": FILES,
        "EXIT STATUS": [(str(code), meaning) for code, meaning in exit_codes()],
        "EXAMPLES": EXAMPLES,
        "SEE ALSO": [("", "`kwsd-train`(1), `playerctl`(1), `mosquitto_pub`(1), `systemctl`(1)")],
    }


def _train_sections() -> dict[str, list[tuple[str, str]]]:
    return {
        "EXIT STATUS": [(str(code), meaning) for code, meaning in exit_codes()],
        "EXAMPLES": TRAIN_EXAMPLES,
        "SEE ALSO": [("", "`kwsd`(1)")],
    }


def _completions() -> Iterator[tuple[Path, str]]:
    for program in ("kwsd", "kwsd-train"):
        variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
        for shell, place in COMPLETIONS.items():
            command = [Path(sys.executable).with_name(program)]
            environment = os.environ | {variable: f"source_{shell}"}
            written = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
            if shell == "zsh":
                # In a file that zsh loads at the first Tab, registering the function would come too late for that Tab.
                written = re.sub(r"^compdef (\w+) .*$", r"\1", written, flags=re.MULTILINE)
            yield Path("share") / place.format(program), written.strip() + "\n"


if __name__ == "__main__":
    for path, text in pages().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, "utf-8")
