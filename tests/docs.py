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

import duckdb

from actors.commands.sql import view_words
from engine.config import known_keys
from engine.config_rules import RULES, shown
from engine.notify_settings import KEYS
from engine.protection_settings import METHODS
from engine.settings import Config
from engine.strategy import SETTINGS, Strategy
from tests.exchange_docs import EXCHANGES_PAGE, exchanges_page
from tests.local_exchange_docs import LOCAL_PAGE, local_page
from tests.machine_docs import DENIALS_PAGE, MACHINE_PAGE, denials_page, machine_page

ROOT: Final = Path(__file__).resolve().parent.parent
CONFIG_PAGE: Final = ROOT / "docs" / "config.md"
SQL_PAGE: Final = ROOT / "docs" / "sql.md"
HISTORY: Final = ROOT / "actors" / "history"

_TYPES: Final = {
    "VARCHAR": "text",
    "DECIMAL(38,18)": "decimal",
    "TIMESTAMP": "time",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "HUGEINT": "integer",
    "DOUBLE": "float",
    "BOOLEAN": "true/false",
    "DATE": "date",
}
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

_ACCOUNTS: Final = """
## `[[accounts]]`

Several accounts or exchanges in one process; see [live.md](live.md). Each table has a `name`, of 1 to 16 small letters,
digits, `-` and `_`, and under it whatever differs from the rest of the file: `mode`, `protections` and any section but
`[history]`, `[notify]` and `[runtime]`, such as `[accounts.exchange]`. Tables are merged key by key; lists and values are
replaced. `live.exchange` and `live.largest_stake` are each account's own.
"""

_TARGETS: Final = """
## `[[notify.targets]]`

Who is told beside the log. An address is one of [Apprise](https://github.com/caronc/apprise)'s (`tgram://`, `discord://`,
`mailto://`, `ntfy://`, `json://` …); it holds secrets, so it is in the environment or in a file of its own. What was
sent, and what was not and why, is in the table `notices`.

| key | what for |
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
    text += _ACCOUNTS + _TARGETS
    for name, about in KEYS.items():
        text += f"| `{name}` | {_cell(about)} |\n"
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


_SQL_HEAD: Final = """# Asking the history

<!-- Written by `python -m tests.docs` from actors/history; do not edit by hand. -->

`tradepit sql "QUERY"` asks in SQL, DuckDB's, while the bot runs and when it doesn't; `--json` and `--csv` are for
programs. Only SELECT is possible. Times are UTC; money is `DECIMAL(38,18)`, exact to the last digit. While a bot runs
the history is at most a second behind it. Views are made for asking and stay as they are; tables may grow columns.

## From another program

While the bot runs no other process can open its DuckDB file; the bot opens a door instead, on the loopback, that speaks
DuckDB's own remote protocol. Port and token lie in `X.door` beside the file, which only its owner can read:

```python
import duckdb
import json
from actors.history.door import load_extensions  # or, with a network, con.execute("INSTALL quack; LOAD quack")

with open("tradepit.door") as file:
    door = json.load(file)
con = duckdb.connect()
load_extensions(con)
con.execute(f"ATTACH 'quack:localhost:{door['port']}' AS bot (TOKEN '{door['token']}', DISABLE_SSL true)")
con.sql("FROM bot.profit_by_pair LIMIT 5").show()
```

A statement past its time or memory is ended and costs the door its life; it is open again in a moment, and trading does
not notice. What may be called is a list: functions that read files, use the network or change anything are not on it.

## Views
"""


def sql_page() -> str:
    """The text of `docs/sql.md`: the views and tables as the migrations really make them."""
    with duckdb.connect(":memory:") as connection:
        for file in sorted((HISTORY / "schema").glob("*.sql")):
            connection.execute(file.read_text(encoding="utf-8"))
        views = sorted((HISTORY / "views").glob("*.sql"))
        for file in views:
            connection.execute(file.read_text(encoding="utf-8"))
        text = _SQL_HEAD
        for file in views:
            what, example = view_words(file)
            text += f"\n### `{file.stem}`\n\n{what}\n\n{_columns(connection, file.stem)}\n\n```sql\n{example}\n```\n"
        text += "\n## Tables\n"
        found = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_oid").fetchall()
        for (name,) in found:
            text += f"\n### `{name}`\n\n{_columns(connection, name)}\n"
    return text


def _columns(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    columns = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [name]
    ).fetchall()
    return ", ".join(f"`{column}` {_TYPES.get(kind, kind)}" for column, kind in columns)


def main() -> None:
    """Write every generated page."""
    pages = (
        (CONFIG_PAGE, config_page()),
        (SQL_PAGE, sql_page()),
        (MACHINE_PAGE, machine_page()),
        (DENIALS_PAGE, denials_page()),
        (EXCHANGES_PAGE, exchanges_page()),
        (LOCAL_PAGE, local_page()),
    )
    for page, text in pages:
        page.write_text(text, encoding="utf-8")
        print(f"{page.relative_to(ROOT)} is written")


if __name__ == "__main__":
    main()
