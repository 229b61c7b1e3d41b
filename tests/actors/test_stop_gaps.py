"""The view `stop_gaps`: when a position had no stop at the exchange, to the millisecond."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import duckdb
import pytest

from tests.docs import HISTORY

START = datetime(2026, 1, 1)  # noqa: DTZ001 - the history's times are UTC, without saying so


def at(ms: int | None) -> datetime | None:
    """A time of the history, in milliseconds from its start."""
    return None if ms is None else START + timedelta(milliseconds=ms)


@pytest.fixture
def history() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty history with one live run and one backtest."""
    with duckdb.connect() as connection:
        for file in sorted((HISTORY / "schema").glob("*.sql")):
            connection.execute(file.read_text(encoding="utf-8"))
        connection.execute((HISTORY / "views" / "stop_gaps.sql").read_text(encoding="utf-8"))
        for run, mode in ((1, "live"), (2, "backtest")):
            connection.execute("INSERT INTO runs (run, mode) VALUES (?, ?)", [run, mode])
        yield connection


def trade(
    history: duckdb.DuckDBPyConnection,
    name: str,
    stops: list[tuple[int | None, int | None]],
    *,
    filled: int = 1_000,
    closed: int | None = 9_000,
    run: int = 1,
) -> None:
    """A trade, its first fill, and its stops as (accepted, ended)."""
    history.execute(
        "INSERT INTO trades (trade_id, pair, close_time, run, seq) VALUES (?, 'A/USDT', ?, ?, 1)",
        [name, at(closed), run],
    )
    for number, ts in enumerate((filled, filled + 500)):
        history.execute(
            "INSERT INTO fills (seq, ts, pair, trade_id, client_order_id, fill_id, price, amount, fee, run) "
            "VALUES (?, ?, 'A/USDT', ?, 'in', ?, 1, 1, 0, ?)",
            [ord(name) * 10 + number, at(ts), name, f"{name}{number}", run],
        )
    for number, (accepted, ended) in enumerate(stops):
        history.execute(
            "INSERT INTO orders (client_order_id, pair, trade_id, purpose, status, accepted_at, ended_at, run, seq) "
            "VALUES (?, 'A/USDT', ?, 'stop', 'NEW', ?, ?, ?, 1)",
            [f"{name}s{number}", name, at(accepted), at(ended), run],
        )


def gaps(history: duckdb.DuckDBPyConnection, name: str) -> list[tuple[str, int | None]]:
    """A trade's gaps, the first first: why, and how long."""
    query = "SELECT why, gap_ms FROM stop_gaps WHERE trade_id = ? ORDER BY since"
    return history.execute(query, [name]).fetchall()


def test_the_gaps_of_a_trade(history: duckdb.DuckDBPyConnection) -> None:
    """Before the first stop, between two of them, and while the position was left."""
    trade(history, "a", [(1_080, 5_000), (5_042, 8_700)])

    assert gaps(history, "a") == [("first", 80), ("replaced", 42), ("last", 300)]


def test_stops_that_overlap_leave_none(history: duckdb.DuckDBPyConnection) -> None:
    """A new stop that stands before the old one goes is no gap, nor is a short one within a long one."""
    trade(history, "b", [(1_000, 5_000), (4_950, 9_000), (2_000, 2_100)])

    assert gaps(history, "b") == []


def test_an_open_trade(history: duckdb.DuckDBPyConnection) -> None:
    """A stop that still rests ends with no gap; without one the gap has no end yet."""
    trade(history, "c", [(1_010, None)], closed=None)
    trade(history, "d", [(1_010, 3_000)], closed=None)
    trade(history, "e", [(None, 3_000)], closed=None)

    assert gaps(history, "c") == [("first", 10)]
    assert gaps(history, "d") == [("first", 10), ("last", None)]
    assert gaps(history, "e") == [("none", None)]


def test_trades_without_stops_at_the_exchange_are_left_out(history: duckdb.DuckDBPyConnection) -> None:
    """Where the bot guards there is nothing to measure, and a backtest has no exchange."""
    trade(history, "f", [])
    trade(history, "g", [(1_500, 9_000)], run=2)

    assert history.execute("SELECT count(*) FROM stop_gaps").fetchall() == [(0,)]
