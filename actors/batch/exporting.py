"""Closed trades as `--export` writes them: one form for replay and backtest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from engine.codec import to_plain
from engine.columns import Ints
from engine.messages import TradeClosed
from engine.taken import PlainTrades
from engine.types import Millis


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
    """Write exported trades, sorted by their ends."""
    ordered = sorted(rows, key=lambda row: str(row["close_time"]))
    path.write_bytes(orjson.dumps(ordered, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


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
