"""Makes a database as Freqtrade keeps it: the tables and columns of `semantics.md` 1.15."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

_TRADES: Final = (
    "id exchange pair base_currency stake_currency is_open fee_open fee_open_cost fee_open_currency fee_close"
    " fee_close_cost fee_close_currency open_rate open_rate_requested open_trade_value close_rate close_rate_requested"
    " realized_profit close_profit close_profit_abs stake_amount max_stake_amount amount amount_requested open_date"
    " close_date stop_loss stop_loss_pct initial_stop_loss initial_stop_loss_pct is_stop_loss_trailing max_rate min_rate"
    " exit_reason exit_order_status strategy enter_tag timeframe trading_mode amount_precision price_precision"
    " precision_mode precision_mode_price contract_size leverage is_short liquidation_price interest_rate funding_fees"
    " funding_fee_running record_version"
)
_ORDERS: Final = (
    "id ft_trade_id ft_order_side ft_pair ft_is_open ft_amount ft_price ft_cancel_reason order_id status symbol"
    " order_type side price average amount filled remaining cost stop_price order_date order_filled_date"
    " order_update_date funding_fee ft_fee_base ft_order_tag"
)
_LOCKS: Final = "id pair side reason lock_time lock_end_time active"

DAY: Final = "2026-09-01"

CLOSED: Final[dict[str, Any]] = {
    "id": 1, "exchange": "binance", "pair": "BTC/USDT", "is_open": 0, "is_short": 0, "leverage": 1.0,
    "open_date": f"{DAY} 12:00:00.000000", "close_date": f"{DAY} 13:30:00.500000", "open_rate": 698.28,
    "close_rate": 669.53, "amount": 2.49714, "stake_amount": 1743.693804639, "fee_open": 0.001, "fee_close": 0.001,
    "fee_open_cost": 1.743693804639, "fee_open_currency": "USDT", "fee_close_cost": 0.1, "fee_close_currency": "USDT",
    "close_profit": -0.04308333266419062, "close_profit_abs": -75.19926439, "exit_reason": "stop_loss",
    "enter_tag": "dip", "max_rate": 744.3555, "min_rate": 673.4644999999999, "initial_stop_loss": 638.02,
    "stop_loss": 638.02, "strategy": "Sample",
}  # fmt: skip
SHORT: Final = {
    **CLOSED, "id": 2, "pair": "SOL/USDT:USDT", "is_short": 1, "leverage": 3.0, "strategy": "Other", "enter_tag": None,
    "fee_open_cost": None, "fee_close_cost": None, "funding_fees": -0.25,
}  # fmt: skip
OPEN: Final = {
    **CLOSED, "id": 3, "is_open": 1, "close_date": None, "close_rate": None, "close_profit": None,
    "close_profit_abs": None, "exit_reason": None,
}  # fmt: skip


def order(number: int, trade: int, way: str, /, **values: Any) -> dict[str, Any]:
    """An order that was filled, unless `values` say otherwise."""
    return {
        "id": number, "ft_trade_id": trade, "ft_order_side": way, "ft_pair": "BTC/USDT", "ft_is_open": 0,
        "order_id": f"x{number}", "status": "closed", "order_type": "limit", "side": way, "price": 700.1,
        "average": 698.28, "amount": 2.49714, "filled": 2.49714, "cost": 1743.693804639,
        "order_date": f"{DAY} 12:00:00", "order_filled_date": f"{DAY} 12:00:30", "order_update_date": f"{DAY} 12:00:31",
    } | values  # fmt: skip


ORDERS_MADE: Final = [
    order(1, 1, "buy", ft_order_tag="dip"),
    order(2, 1, "buy", status="canceled", filled=0.0, cost=0.0, average=None, order_filled_date=None),
    order(3, 1, "stoploss", side="sell", order_type="market", stop_price=638.02, price=None),
    order(4, 2, "sell"),
    order(5, 2, "buy", cost=None),
    order(6, 3, "buy", status="open", filled=0.0, order_filled_date=None),
]


def make_database(
    path: Path, trades: list[dict[str, Any]] | None = None, orders: list[dict[str, Any]] | None = None
) -> Path:
    """A database with a long and a short trade that are closed and one that is open, their orders, and a lock."""
    lock = {"id": 1, "pair": "BTC/USDT", "side": "*", "reason": "Cooldown", "lock_time": f"{DAY} 12:00:00", "active": 1}
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        for table, names, rows in (
            ("trades", _TRADES, [CLOSED, SHORT, OPEN] if trades is None else trades),
            ("orders", _ORDERS, ORDERS_MADE if orders is None else orders),
            ("pairlocks", _LOCKS, [lock]),
        ):
            columns = names.split()
            database.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
            marks = ", ".join("?" * len(columns))
            database.executemany(
                f"INSERT INTO {table} VALUES ({marks})", [tuple(row.get(name) for name in columns) for row in rows]
            )
        database.commit()
    return path
