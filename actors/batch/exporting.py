"""Closed trades as `--export` writes them: one form for replay and backtest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

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


def _iso(ts: Millis) -> str:
    return datetime.fromtimestamp(ts / 1_000, UTC).isoformat()
