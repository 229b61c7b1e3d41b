"""Writes the generated parts of the documentation: `python -m tests.docs`.

`tests/test_docs.py` fails while they differ from what this would write.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.config import known_keys
from engine.config_rules import RULES, shown
from engine.protection_settings import METHODS
from engine.settings import Config
from engine.strategy import SETTINGS, Strategy

ROOT: Final = Path(__file__).resolve().parent.parent
CONFIG_PAGE: Final = ROOT / "docs" / "config.md"

_WORDS: Final = {str: "text", int: "whole number", Decimal: "number", bool: "true or false", type(None): "none"}

_HEAD: Final = """# Configuration

<!-- Written by `python -m tests.docs` from engine/settings.py and engine/config_rules.py; do not edit by hand. -->

Every key of `config.toml`. All have a default: an empty file runs. A key named as in Freqtrade means the same.
`tradepit check` says what a file amounts to; a mistake is refused at start, with everything else that is wrong, each
with what would do. Ratios are written as such: `0.05` is 5 %. Money is exact: what is written is what is meant.
"""

_OVERRIDES: Final = """
## `[strategy.parameters]` and `[strategy.overrides]`

Parameters are attributes of the strategy, whatever its author called them. Overrides are the settings that every
strategy has; here they win over the strategy's file.

| setting | default |
|---|---|
"""

_PROTECTIONS: Final = """
## `[[protections]]`

Rules that lock pairs after closed trades, named and meant as in Freqtrade. Durations are minutes, or candles where the
name ends so; at most one of the three ways to say how long.

| method | keys |
|---|---|
"""


def config_page() -> str:
    """The text of `docs/config.md`."""
    keys = known_keys()
    text = _HEAD + "\n## At the top\n\n" + _table([k for k in keys if "." not in k], keys)
    for field in dataclasses.fields(Config):
        own = [key for key in keys if key.startswith(f"{field.name}.")]
        if own:
            section = typing.get_type_hints(Config)[field.name]
            about = (section.__doc__ or "").split(": ", 1)[-1].strip().splitlines()[0]
            text += f"\n## `[{field.name}]`\n\n{about[:1].upper()}{about[1:]}\n\n" + _table(own, keys)
    text += _OVERRIDES
    strategy = {"timeframe": Strategy.timeframe, "startup_candles": Strategy.startup_candles}
    for name in ("timeframe", "startup_candles", *SETTINGS):
        text += f"| `{name}` | {_code(name, strategy.get(name, getattr(Strategy, name)))} |\n"
    text += _PROTECTIONS
    for method, names in METHODS.items():
        text += f"| `{method}` | {', '.join(f'`{n}`' for n in names)} |\n"
    return text


def _table(names: list[str], keys: Mapping[str, Any]) -> str:
    rows = "| key | it is | default | what for |\n|---|---|---|---|\n"
    for key in names:
        rule = RULES.get(key)
        kind = _kind(keys[key]) + (f", {rule.says}" if rule else "")
        rows += f"| `{key.rpartition('.')[2]}` | {_cell(kind)} | {_code(key, _default(key))} | {_cell(_doc(key))} |\n"
    return rows


def _kind(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is tuple:
        return "list"
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "table"
    if isinstance(kind, types.UnionType):
        return " or ".join(_WORDS[k] for k in typing.get_args(kind))
    return _WORDS[kind]


def _field(key: str) -> dataclasses.Field[Any]:
    section, _, name = key.rpartition(".")
    owner = typing.get_type_hints(Config)[section] if section else Config
    return next(f for f in dataclasses.fields(owner) if f.name == name)


def _doc(key: str) -> str:
    return str(_field(key).metadata["doc"])


def _default(key: str) -> Any:
    value: Any = Config()
    for part in key.split("."):
        value = getattr(value, part)
    return value


def _code(key: str, value: Any) -> str:
    return "" if value is None else f"`{_cell(shown(key, dict(value) if isinstance(value, Mapping) else value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write every generated page."""
    CONFIG_PAGE.write_text(config_page(), encoding="utf-8")
    print(f"{CONFIG_PAGE.relative_to(ROOT)} is written")


if __name__ == "__main__":
    main()
