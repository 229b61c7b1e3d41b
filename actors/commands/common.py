"""What several commands need: which files are meant, and plain tables."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from actors.config_file import read_config
from actors.files import Files
from engine.config import checked_pairs
from engine.errors import ConfigError, Problem
from engine.settings import Config

DEFAULT_CONFIG: Final = Path("config.toml")


def files_of(arguments: argparse.Namespace) -> Files:
    """The bot's files that are meant: by `--db`, else by `-c`, else by ./config.toml if there is one."""
    if arguments.db:
        return Files.beside(Path(arguments.db))
    config = getattr(arguments, "config", None)
    if config is None and not DEFAULT_CONFIG.exists():
        return Files.beside(Path("tradepit.duckdb"))
    return Files.beside(Path(read_config(config or DEFAULT_CONFIG).history.db))


def with_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """The one account's configuration that is meant, with what the command line says instead: strategy, pairs, history file.

    Raises:
        ConfigError: there are several accounts, and none of them is named; the pairs are none, or are not traded for
            the coin that stakes are in.
    """
    return _changed(one_account(config, getattr(arguments, "account", None)), arguments)


def all_with_arguments(config: Config, arguments: argparse.Namespace) -> Config:
    """The same of a whole configuration, each of its accounts changed alike."""
    accounts = tuple(_changed(account, arguments) for account in config.accounts)
    return replace(_changed(config, arguments), accounts=accounts)


def one_account(config: Config, name: str | None) -> Config:
    """The account's own configuration; that of a bot without accounts is the whole.

    Raises:
        ConfigError: there is no such account, or several and no name.
    """
    names = [account.account for account in config.accounts]
    if name is None and not names:
        return config
    if name is None:
        why = f"this command is about one account, and there are {', '.join(names)}"
        raise ConfigError([Problem("accounts", "", why, f"Say which: --account {names[0]}")])
    for account in config.accounts:
        if account.account == name:
            return account
    why = f"the configuration has {', '.join(names)}" if names else "the configuration has no [[accounts]]"
    raise ConfigError([Problem("--account", name, why, "Name one of them" if names else "Leave it out")])


def _changed(config: Config, arguments: argparse.Namespace) -> Config:
    strategy = getattr(arguments, "strategy", None)
    if strategy:
        config = replace(config, strategy=replace(config.strategy, name=strategy))
    pairs = getattr(arguments, "pairs", None)
    if pairs:
        checked = checked_pairs("--pairs", pairs, config.trading.stake_currency)
        config = replace(config, trading=replace(config.trading, pairs=checked))
    detail = getattr(arguments, "timeframe_detail", None)
    if detail:
        config = replace(config, feed=replace(config.feed, timeframe_detail=detail))
    if getattr(arguments, "db", None):
        config = replace(config, history=replace(config.history, db=str(arguments.db)))
    return config


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Print to somebody who may have seen enough (`| head`): the rest goes nowhere, and the command goes on."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """One JSON value on standard output; decimals as numbers are text, so none loses a digit."""
    print(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode())


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table in plain text, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
    widths = [max(len(c), *(len(row[i]) for row in cells)) if cells else len(c) for i, c in enumerate(columns)]
    for row in [list(columns), *cells]:
        line = (v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right, strict=True))
        print("  ".join(line).rstrip())


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float | Decimal)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.8g}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def time_text(ts: Any) -> str:
    """Milliseconds as a time in UTC; `-` for what is none."""
    if not isinstance(ts, int) or ts <= 0:
        return "-"
    return datetime.fromtimestamp(ts / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def percent_text(ratio: Any) -> str:
    """A ratio as a percentage with its sign; `-` for what is none."""
    try:
        return f"{float(ratio) * 100:+.2f}%"
    except (TypeError, ValueError):
        return "-"


def number(text: Any, digits: int | None = None) -> Decimal | None:
    """A figure that was sent as text; rounded to `digits` for a reader, None for what is none."""
    try:
        value = Decimal(str(text))
    except ArithmeticError:
        return None
    return value if digits is None else round(value, digits)
