"""The views `stop_gaps` and `unguarded`: when a position had no stop at the exchange, to the millisecond."""

from __future__ import annotations

import json
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
        for view in ("stop_gaps", "unguarded", "amendments"):
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


def said(history: duckdb.DuckDBPyConnection, seq: int, ms: int, kind: str, **body: str) -> None:
    """An event of one stop's amendments."""
    told = {"pair": "BTC/USDT", "trade_id": "g", "client_order_id": "gs0", **body}
    history.execute(
        "INSERT INTO events (seq, ts, writer, stream, kind, body, run) VALUES (?, ?, 'pair:BTC/USDT', 'domain', ?, ?, 1)",
        [seq, at(ms), kind, json.dumps(told)],
    )


def test_a_stop_that_is_changed_in_place_leaves_no_gap(history: duckdb.DuckDBPyConnection) -> None:
    """It rests from the first fill on, whatever it is changed to; each change has its outcome, and one in doubt says so."""
    trade(history, "g", [(1_000, 9_000)])
    said(history, 1, 2_000, "AmendIntended", amount="1.5", trigger_price="95")
    said(history, 2, 2_040, "OrderAmended", amount="1.5", trigger_price="95")
    said(history, 3, 4_000, "AmendIntended", amount="1.5", trigger_price="96")
    said(history, 4, 6_000, "AmendInDoubt", reason="no answer")
    said(history, 5, 8_000, "AmendRejected", code="NOT_FOUND", reason="it was never done")
    said(history, 6, 8_500, "AmendIntended", amount="1.5", trigger_price="97")

    assert history.execute("SELECT gaps, without_ms FROM unguarded").fetchall() == [(0, 0)]
    rows = history.execute(
        "SELECT client_order_id, CAST(trigger_price AS INTEGER), outcome, reason, took_ms, was_in_doubt FROM amendments"
    )
    assert rows.fetchall() == [
        ("gs0", 95, "amended", None, 40, False),
        ("gs0", 96, "rejected", "NOT_FOUND: it was never done", 4_000, True),
        ("gs0", 97, None, None, None, False),
    ]
