"""The configuration as a TOML file: what is in force, or everything that there is."""

import json
import re
import textwrap
from typing import Any, NamedTuple

import msgspec

from kwsd.config.load import LoadedConfig, config_file_candidates
from kwsd.config.schema import Config

COMMENT_WIDTH = 98
"""Of comments, in characters."""


class Setting(NamedTuple):
    """One key of the configuration, described by `kwsd.config.schema.Config`.

    Parameters
    ----------
    key : str
    description : str
    schema : dict
        JSON Schema of its values.
    inner : list of Setting
        The keys of a table.
    """

    key: str
    description: str
    schema: dict[str, Any]
    inner: "list[Setting]"

    @property
    def example(self) -> Any:  # noqa: ANN401  whatever TOML can hold
        """A value to show: of a table an example, of other keys the default."""
        return self.schema.get("examples", [self.schema.get("default")])[0]


def list_settings() -> list[Setting]:
    """All keys; those of tables are last, because in TOML what follows a table belongs to it."""
    _, components = msgspec.json.schema_components([Config], ref_template="{name}")
    return sorted(_list_table_settings(Config.__name__, components), key=lambda setting: _is_table(setting.example))


def _is_table(value: Any) -> bool:  # noqa: ANN401  whatever TOML can hold
    """Whether a value is a table, or a list of them."""
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _list_table_settings(kind: str, components: dict[str, Any]) -> list[Setting]:
    return [
        Setting(
            key,
            schema["description"],
            schema,
            [setting for name in _table_names(schema) for setting in _list_table_settings(name, components)],
        )
        for key, schema in components[kind]["properties"].items()
    ]


def _table_names(schema: dict[str, Any]) -> list[str]:
    """Names of the kinds of tables that a value may be or hold."""
    kinds = schema.get("additionalProperties", schema.get("items", schema))
    return [kind["$ref"] for kind in kinds.get("anyOf", [kinds]) if "$ref" in kind]


def format_default_config() -> str:
    """A configuration file in which every setting stands with its meaning, and is commented out."""
    user, site = config_file_candidates()
    head = (
        f"The configuration of kwsd. Of {user} and {site}, for all users, the first that exists is read. Environment"
        " variables (KWSD_DEVICE and so on) go over the file, flags over both. A line that begins with # and no space"
        " is a setting; it shows the default or, in a table, an example."
    )
    return "\n".join([_format_comment(head), *map(_format_setting, list_settings())])


def _format_setting(setting: Setting) -> str:
    """One setting of the default file."""
    inner = "".join(
        _format_comment(f"  {key.key}: {key.description}{_format_default(key)}", "    ") for key in setting.inner
    )
    lines = format_toml({setting.key: setting.example}).strip().splitlines()
    commented = "".join(f"#{line}\n" if line else "\n" for line in lines)
    return _format_comment(setting.description) + inner + commented


def _format_default(setting: Setting) -> str:
    return f" Default: {json.dumps(setting.schema['default'])}." if "default" in setting.schema else ""


def format_loaded_config(effective: LoadedConfig) -> str:
    """A configuration file with all values, and where each came from."""
    values = msgspec.to_builtins(effective.config)
    missing = [f"# {key} is not set\n" for key, value in values.items() if value is None]
    return "".join(missing) + format_toml(
        {key: value for key, value in values.items() if value is not None}, effective.origins
    )


def format_toml(values: dict[str, Any], origins: str | dict[str, Any] | None = None, name: str = "") -> str:
    """Values as TOML.

    Parameters
    ----------
    values : dict
        Keys to texts, numbers, booleans, lists of them, and such dicts.
    origins : str or dict, optional
        Where all values or each of them came from; becomes a comment.
    name : str
        Of the table.
    """
    lines, tables = "", ""
    for key, value in values.items():
        origin = origins.get(key) if isinstance(origins, dict) else origins
        if _is_table(value) and isinstance(value, list):
            tables += "".join(f"\n[[{_quote_key(key)}]]\n{format_toml(each, origin)}" for each in value)
            continue
        if isinstance(value, dict) and value:
            inner = f"{name}.{_quote_key(key)}" if name else _quote_key(key)
            # A table that holds nothing but tables needs no heading of its own.
            heading = "" if all(isinstance(item, dict) for item in value.values()) else f"\n[{inner}]\n"
            tables += heading + format_toml(value, origin, inner)
        else:
            comment = f"  # {origin or 'default'}" if origins is not None else ""
            # Texts and lists look the same in JSON, but TOML has no surrogate pairs, which JSON may escape with.
            lines += f"{_quote_key(key)} = {json.dumps(value, ensure_ascii=False)}{comment}\n"
    return lines + tables


def _quote_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


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
