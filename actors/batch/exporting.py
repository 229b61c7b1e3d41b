"""Closed trades as `--export` writes them: one form for replay and backtest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from engine.codec import to_plain
from engine.columns import Ints
from engine.errors import DataError
from engine.messages import TradeClosed
from engine.taken import PlainTrades
from engine.types import Millis


def check_target(path: Path, kinds: Sequence[str]) -> None:
    """Refuse, before the work, a file that could not be written after it; `kinds` are the endings it may have.

    Raises:
        DataError: its name has another ending, its folder is not there, or it may not be written.
    """
    if path.suffix not in kinds:
        raise DataError(f"{path} must end in {' or '.join(kinds)}, which says what is written.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give a file in it.")
    if not path.parent.is_dir():
        raise DataError(f"{path} cannot be written: there is no folder {path.parent}; make it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise DataError(f"{path} cannot be written: Permission denied.")


def exported(body: Mapping[str, Any]) -> dict[str, Any]:
    """One closed trade as `--export` writes it."""
    numbers = ("open_rate", "close_rate", "amount", "stake", "leverage", "fee_open", "fee_close", "profit_abs")
    return {
        "pair": body["pair"],
        "side": body["side"],
        "open_time": _iso(body["open_ts"]),
        "close_time": _iso(body["close_ts"]),
        **{name: float(body[name]) for name in numbers},
        "profit_ratio": float(body["profit_ratio"]),
        "exit_reason": body["exit_reason"],
        "enter_tag": body["enter_tag"],
    }


def write_trades(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write exported trades, sorted by their ends. Raises DataError where the file cannot be written."""
    ordered = sorted(rows, key=lambda row: str(row["close_time"]))
    write_whole(path, orjson.dumps(ordered, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or all of the new one, whatever happens. Raises DataError if it cannot."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        try:
            aside.write_bytes(content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None


def rows_of(trades: Sequence[TradeClosed]) -> list[dict[str, Any]]:
    """Trades as exported; plain ones without making each of them."""
    if not isinstance(trades, PlainTrades) or not len(trades):
        return [exported(to_plain(trade)) for trade in trades]
    columns, fee = trades.columns, float(trades.fee)
    figures = [getattr(columns, name).tolist() for name in ("open_rate", "close_rate", "amount", "stake", "leverage")]
    names = ("pair", "side", "open_time", "close_time", "open_rate", "close_rate", "amount", "stake", "leverage",
             "fee_open", "fee_close", "profit_abs", "profit_ratio", "exit_reason", "enter_tag")  # fmt: skip
    sides = ["short" if short else "long" for short in columns.is_short.tolist()]
    rows = zip(
        columns.pair.texts(),
        sides,
        _times(columns.open_ts),
        _times(columns.close_ts),
        *figures,
        [fee] * len(sides),
        [fee] * len(sides),
        columns.profit_abs.tolist(),
        columns.profit_ratio.tolist(),
        columns.exit_reason.texts(),
        columns.enter_tag.texts(),
        strict=True,
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _times(times: Ints) -> list[str]:
    """ISO 8601 in UTC, as `_iso`."""
    if (times % 1_000).any():
        return [_iso(ts) for ts in times.tolist()]
    texts: list[str] = np.datetime_as_string(times.astype("datetime64[ms]"), unit="s").tolist()
    return [f"{text}+00:00" for text in texts]


def _iso(ts: Millis) -> str:
    return datetime.fromtimestamp(ts / 1_000, UTC).isoformat()
