"""The views `stop_gaps` and `unguarded`: when a position had no stop at the exchange, to the millisecond."""

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
        for view in ("stop_gaps", "unguarded"):
            connection.execute((HISTORY / "views" / f"{view}.sql").read_text(encoding="utf-8"))
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


def test_one_that_came_in_the_same_request_leaves_no_gap(history: duckdb.DuckDBPyConnection) -> None:
    """Both were done at once, whichever was heard first; a gap between two requests counts as it is."""
    trade(history, "h", [(1_000, 5_000), (5_003, 7_000), (7_040, None)], closed=None)
    history.execute("UPDATE orders SET replaces = 'hs0' WHERE client_order_id = 'hs1'")

    assert gaps(history, "h") == [("replaced", 40)]


def test_each_trade_has_a_row_that_sums_up(history: duckdb.DuckDBPyConnection) -> None:
    """All gaps together, the longest, and the longest at a replacement; a trade without any has zeros."""
    trade(history, "i", [(1_080, 5_000), (5_042, 8_700)])
    trade(history, "j", [(1_000, 9_000)])
    trade(history, "k", [])
    query = (
        "SELECT trade_id, gaps, without_ms, longest_ms, longest_replaced_ms, first_ms FROM unguarded ORDER BY trade_id"
    )

    assert history.execute(query).fetchall() == [("i", 3, 422, 300, 42, 80), ("j", 0, 0, 0, 0, 0)]
