"""Formats the configuration as a TOML file, with the origins of the values or with descriptions of all settings."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import tomlkit
from tomlkit.items import AoT, Item, Table
from tomlkit.toml_document import TOMLDocument

from kwsd.config.load import LoadedConfig, config_file_candidates
from kwsd.config.schema import Config
from kwsd.system.text import clean_lines, clean_text

MAX_SHORT_CODE = 0xFFFF
"""Largest code point that TOML writes as an escape with four digits."""

COMMENT_WIDTH = 98
"""Maximum length of a comment line, in characters."""


class Setting(NamedTuple):
    """A key of the configuration, as `kwsd.config.schema.Config` describes it.

    Parameters
    ----------
    key : str
        Name of the key in the TOML file.
    description : str
        Description of the configuration key, in one or two sentences.
    schema : dict
        JSON Schema of the values that the key accepts.
    inner : list of Setting
        Keys of the table if the value is a table; otherwise empty.
    """

    key: str
    description: str
    schema: dict[str, Any]
    inner: "list[Setting]"

    @property
    def example(self) -> Any:  # noqa: ANN401  any TOML value
        """A value for documentation: an example for a table, or the default for any other key."""
        return self.schema.get("examples", [self.schema.get("default")])[0]


def list_settings() -> list[Setting]:
    """Return all keys of the configuration.

    Tables come last, because TOML assigns every later key to the preceding table.
    """
    _, components = msgspec.json.schema_components([Config], ref_template="{name}")
    return sorted(_list_table_settings(Config.__name__, components), key=lambda setting: _is_table(setting.example))


def _is_table(value: Any) -> bool:  # noqa: ANN401  any TOML value
    """Whether TOML writes a value under a heading, because the value is a table or a list of tables."""
    return bool(value) and isinstance(value[0] if isinstance(value, list) else value, dict)


def _list_table_settings(table: str, components: dict[str, Any]) -> list[Setting]:
    return [
        Setting(
            key,
            schema["description"],
            schema,
            [setting for name in _table_names(schema) for setting in _list_table_settings(name, components)],
        )
        for key, schema in components[table]["properties"].items()
    ]


def _table_names(schema: dict[str, Any]) -> list[str]:
    """Return the names of the table types that a value can be or contain."""
    kinds = schema.get("additionalProperties", schema.get("items", schema))
    return [kind["$ref"] for kind in kinds.get("anyOf", [kinds]) if "$ref" in kind]


def format_default_config() -> str:
    """Return a configuration file that lists every setting with its meaning.

    In the returned file, each setting is commented out.
    """
    *user, site = config_file_candidates()
    places = f"{user[0]}, or {site} (for all users) if the first does not exist" if user else str(site)
    head = (
        f"The configuration of kwsd. kwsd reads {places}."
        " Environment variables such as KWSD_DEVICE override the file. Command-line options override both."
        " A line that starts with # and no space is a setting. It shows the default value or, for a table, an example."
    )
    return "\n".join([_format_comment(head), *map(_format_setting, list_settings())])


def _format_setting(setting: Setting) -> str:
    """Return one setting of the default configuration file."""
    inner = "".join(
        _format_comment(f"  {key.key}: {key.description}{_format_default(key)}", "    ") for key in setting.inner
    )
    lines = format_toml({setting.key: setting.example}).splitlines()
    commented = "".join(f"#{line}\n" if line else "\n" for line in lines)
    return _format_comment(setting.description) + inner + commented


def _format_default(setting: Setting) -> str:
    return f" Default: {json.dumps(setting.schema['default'])}." if "default" in setting.schema else ""


def format_loaded_config(loaded: LoadedConfig) -> str:
    """Return a configuration file with all loaded values. A comment after each value states the origin of the value."""
    values = msgspec.to_builtins(loaded.config)
    missing = [f"# {key} is not set\n" for key, value in values.items() if value is None]
    return "".join(missing) + format_toml(
        {key: value for key, value in values.items() if value is not None}, loaded.origins
    )


def format_toml(values: Mapping[str, Any], origins: str | Mapping[str, Any] | None = None) -> str:
    """Values as TOML.

    Parameters
    ----------
    values : mapping
        Maps keys to strings, numbers, booleans, lists of these, or other mappings of this form.
    origins : str or mapping, optional
        Origin of all values, or a mapping from each key to the origin of its value. The origin is written as a comment
        after the value.
    """
    document = tomlkit.document()
    _fill_table(document, values, origins)
    return "".join(map(_escape_character, tomlkit.dumps(document)))


def _escape_character(character: str) -> str:
    """Return a character as TOML writes it in a string. Comments do not contain characters that must be escaped."""
    if clean_lines(character) == character:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= MAX_SHORT_CODE else f"\\U{code:08x}"


def _fill_table(
    table: TOMLDocument | Table, values: Mapping[str, Any], origins: str | Mapping[str, Any] | None
) -> None:
    # TOML assigns every later key to the table before it, so plain values must come first.
    for key, value in sorted(values.items(), key=lambda pair: _is_table(pair[1])):
        origin = origins.get(key) if isinstance(origins, Mapping) else origins
        table.append(key, _to_toml_item(value, origin))


def _to_toml_item(value: Any, origin: Any) -> Item:  # noqa: ANN401  any TOML value; the origins of a table are a mapping
    if not _is_table(value):
        item = tomlkit.item(value) if value != {} else tomlkit.inline_table()
        if origin is not None:
            # A table without keys has a mapping without origins: no layer has set a key of it.
            item.comment(clean_text(origin or "default"))
            item.trivia.comment_ws = "  "
        return item
    if isinstance(value, list):
        tables = AoT([])
        for each in value:
            tables.append(_to_toml_table(each, origin))
        return tables
    return _to_toml_table(value, origin)


def _to_toml_table(values: Mapping[str, Any], origins: str | Mapping[str, Any] | None) -> Table:
    # A table that holds only tables needs no heading of its own.
    table = tomlkit.table(is_super_table=all(isinstance(value, dict) for value in values.values()))
    _fill_table(table, values, origins)
    return table


def _format_comment(text: str, indent: str = "") -> str:
    filled = textwrap.fill(
        text,
        COMMENT_WIDTH,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return filled + "\n"
