"""Freqtrade's database, its closed trades and their orders, as rows of our history (`semantics.md` 1.15).

Numbers are kept as binary floats there; each becomes the decimal that it is written as. Times are UTC.
Open trades are not taken over: nothing of ours has ordered them, so nothing could guard or end them.
Freqtrade keeps no single fills; an order says how much of it was filled, and at what price.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson

from actors.history.imports import run_of
from engine.errors import DataError
from engine.types import Millis

Values = dict[str, Any]
Key = tuple[str, str, Millis, int]
"""What tells a trade: exchange, pair, when it was opened, Freqtrade's number."""

_TRADE: Final = (
    "id exchange pair is_open is_short leverage open_date close_date open_rate close_rate amount stake_amount"
    " fee_open fee_close fee_open_cost fee_open_currency fee_close_cost fee_close_currency close_profit"
    " close_profit_abs exit_reason enter_tag max_rate min_rate initial_stop_loss stop_loss strategy funding_fees"
)
_ORDER: Final = (
    "id ft_trade_id ft_order_side ft_pair order_id status side order_type price average amount filled cost"
    " stop_price order_date order_filled_date order_update_date ft_order_tag ft_cancel_reason"
)
_STATUS: Final = {
    "closed": "FILLED",
    "canceled": "CANCELED",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "open": "NEW",
}
_KEPT_ASIDE: Final = {
    "pairlocks": ("FreqtradePairLock", "lock_time"),
    "trade_custom_data": ("FreqtradeCustomData", "created_at"),
    "wallet_history": ("FreqtradeWallet", "timestamp"),
}
"""Tables that have no place of their own here: their rows become `events` of this kind and time."""


@dataclass(frozen=True, slots=True)
class FreqtradeTrades:
    """What a Freqtrade database holds, rows as they are. `orders` by trade; `aside` by table."""

    path: Path
    closed: list[Values] = field(default_factory=list)
    open: list[Values] = field(default_factory=list)
    orders: dict[int, list[Values]] = field(default_factory=dict)
    aside: dict[str, list[Values]] = field(default_factory=dict)


def read_trades(path: Path) -> FreqtradeTrades:
    """Read a Freqtrade database, which may be in use; nothing in it is changed.

    Raises:
        DataError: there is none, it is no Freqtrade database, or one of a version too old.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; give Freqtrade's database with --sqlite FILE.")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")  # a trade and its orders of one moment
            result = FreqtradeTrades(path)
            for row in _rows(connection, path, "trades", _TRADE.split()):
                (result.open if row["is_open"] else result.closed).append(row)
            for row in _rows(connection, path, "orders", _ORDER.split()):
                result.orders.setdefault(int(row["ft_trade_id"]), []).append(row)
            there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table in sorted(_KEPT_ASIDE.keys() & there):
                result.aside[table] = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608
            return result
    except sqlite3.Error as error:
        raise DataError(f"{path} cannot be read as an SQLite database: {error}.") from None


def _rows(connection: sqlite3.Connection, path: Path, table: str, names: list[str]) -> Iterable[Values]:
    there = [str(row["name"]) for row in connection.execute(f"PRAGMA table_info({table})")]
    if not there:
        raise DataError(f"{path} is no Freqtrade database: it has no table {table}.")
    missing = [name for name in names if name not in there]
    if missing:
        raise DataError(
            f"{path} is of an older Freqtrade: its table {table} has no column {missing[0]}."
            " Start a newer Freqtrade on it once, which upgrades it."
        )
    for row in connection.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY id"):  # noqa: S608  (names above)
        yield dict(row)


def key_of(trade: Mapping[str, Any], path: Path) -> Key:
    """What tells a trade of the database at `path` from every other."""
    return str(trade["exchange"]), str(trade["pair"]), _ms(path, trade, "open_date"), int(trade["id"])


def import_rows(found: FreqtradeTrades, number: int, known: Iterable[Key] = ()) -> dict[str, list[Values]]:
    """The rows of import `number`: a run for each exchange and strategy, closed trades not yet `known`, their orders.

    Raises:
        DataError: a row has a time that is none, or lacks what every trade has; the text names it.
    """
    before = set(known)
    fresh = [trade for trade in found.closed if key_of(trade, found.path) not in before]
    groups: dict[tuple[str, str], list[Values]] = {}
    for trade in fresh:
        groups.setdefault((str(trade["exchange"]), str(trade["strategy"] or "")), []).append(trade)
    rows: dict[str, list[Values]] = {"runs": [], "trades": [], "orders": [], "events": []}
    for index, ((exchange, strategy), trades) in enumerate(sorted(groups.items())):
        run = run_of(number, index)
        made = [_trade(found.path, trade, number, run) for trade in trades]
        rows["runs"].append(
            {
                "run": run,
                "started": min(trade["open_time"] for trade in made),
                "ended": max(trade["close_time"] for trade in made),
                "strategy": strategy,
                "mode": "import",
                "source": f"freqtrade {found.path.name} {exchange}",
            }
        )
        rows["trades"] += made
        for trade in trades:
            rows["orders"] += [
                _order(found.path, order, trade, number, run) for order in found.orders.get(trade["id"], ())
            ]
    if fresh:
        rows["events"] = list(_events(found, number))
    return rows


def keys_in(rows: Mapping[str, Iterable[Mapping[str, Any]]]) -> set[Key]:
    """The trades that an import holds already."""
    exchanges = {run["run"]: str(run["source"]).rpartition(" ")[2] for run in rows.get("runs", ())}
    return {
        (exchanges[t["run"]], t["pair"], t["open_time"], int(t["trade_id"].rpartition("-")[2]))
        for t in rows.get("trades", ())
    }


# ---------------------------------------------------------------- one row each


def _trade(path: Path, trade: Values, number: int, run: int) -> Values:
    for name in ("open_rate", "close_rate", "amount", "stake_amount", "close_profit", "close_profit_abs"):
        if trade[name] is None:
            raise DataError(f"{path}: trade {trade['id']} is closed and has no {name}.")
    fees: dict[str, Decimal] = {}
    for way in ("open", "close"):
        cost, currency = _decimal(trade[f"fee_{way}_cost"]), trade[f"fee_{way}_currency"]
        if cost is not None and currency:
            fees[currency] = fees.get(currency, Decimal(0)) + cost
    return {
        "trade_id": f"freqtrade-{number}-{trade['id']}",
        "pair": trade["pair"],
        "side": "short" if trade["is_short"] else "long",
        "open_time": _ms(path, trade, "open_date"),
        "close_time": _ms(path, trade, "close_date"),
        "stake": _text(trade["stake_amount"]),
        "leverage": _text(trade["leverage"] or 1.0),
        "profit_abs": _text(trade["close_profit_abs"]),
        "profit_ratio": _text(trade["close_profit"]),
        "exit_reason": trade["exit_reason"],
        "enter_tag": trade["enter_tag"],
        "initial_stop": _text(trade["initial_stop_loss"]),
        "stop": _text(trade["stop_loss"]),
        "fees": orjson.dumps({currency: f"{fee:f}" for currency, fee in fees.items()}).decode() if fees else None,
        **{name: _text(trade[name]) for name in ("open_rate", "close_rate", "amount", "fee_open", "fee_close")},
        **{name: _text(trade[name]) for name in ("max_rate", "min_rate", "funding_fees")},
        "run": run,
        "seq": 0,
    }


def _order(path: Path, order: Values, trade: Values, number: int, run: int) -> Values:
    entering = order["ft_order_side"] == ("sell" if trade["is_short"] else "buy")
    purpose = "stop" if order["ft_order_side"] == "stoploss" else "entry" if entering else "exit"
    ended = "order_filled_date" if order["order_filled_date"] else "order_update_date"
    filled = _decimal(order["filled"]) or Decimal(0)
    price = _decimal(order["average"]) or _decimal(order["price"]) or Decimal(0)
    status = _STATUS.get(str(order["status"]).lower(), str(order["status"] or "unknown").upper())
    return {
        "client_order_id": f"freqtrade-{number}-order-{order['id']}",
        "pair": order["ft_pair"],
        "trade_id": f"freqtrade-{number}-{trade['id']}",
        "order_id": order["order_id"],
        "purpose": purpose,
        "side": order["side"],
        "type": order["order_type"],
        "amount": _text(order["amount"]),
        "price": _text(order["price"]),
        "trigger_price": _text(order["stop_price"]),
        "leverage": _text(trade["leverage"] or 1.0),
        "tag": order["ft_order_tag"],
        "status": status,
        "filled": f"{filled:f}",
        "cost": _text(order["cost"]) if order["cost"] is not None else f"{filled * price:f}",
        "intended_at": _ms(path, order, "order_date") if order["order_date"] else None,
        "accepted_at": _ms(path, order, "order_date") if order["order_date"] else None,
        "ended_at": _ms(path, order, ended) if order[ended] and status != "NEW" else None,
        "reason": order["ft_cancel_reason"],
        "run": run,
        "seq": 0,
    }


def _events(found: FreqtradeTrades, number: int) -> Iterable[Values]:
    run = run_of(number, 0)
    at = 0
    for table, rows in found.aside.items():
        kind, time = _KEPT_ASIDE[table]
        for row in rows:
            at += 1
            yield {
                "seq": run * 10_000_000 - at,
                "ts": _ms(found.path, row, time),
                "writer": "import",
                "stream": "import",
                "kind": kind,
                "body": orjson.dumps(row).decode(),
                "run": run,
            }


def _decimal(value: Any) -> Decimal | None:
    """The decimal that a float is written as."""
    return None if value is None else Decimal(repr(float(value)) if isinstance(value, float) else str(value))


def _text(value: Any) -> str | None:
    number = _decimal(value)
    return None if number is None else f"{number:f}"


def _ms(path: Path, row: Mapping[str, Any], name: str) -> Millis:
    try:
        moment = datetime.fromisoformat(str(row[name]))
    except ValueError:
        raise DataError(f"{path}: row {row['id']} has {name} = {row[name]!r}, which is no time.") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
