"""The metrics against Freqtrade's, recorded as a black box, and what they owe beyond them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import metrics
from engine.candles import Candles
from engine.columns import Labels, TradeColumns
from engine.equity import Equity, Holding, daily_returns, equity_of, market_change, wallet_figures
from engine.groups import Group, groups_by, periods
from engine.messages import TradeClosed
from engine.summary import Summary, summarise
from engine.types import Side

CASES = Path(__file__).resolve().parents[1] / "data" / "metric_cases.jsonl.gz"
MINUTE = 60_000
SAME = (
    *("total_trades", "trade_count_long", "trade_count_short", "total_volume", "avg_stake_amount", "profit_mean"),
    *("profit_median", "profit_total", "profit_total_abs", "profit_total_long", "profit_total_short", "cagr"),
    *("profit_total_long_abs", "profit_total_short_abs", "expectancy", "expectancy_ratio", "sortino", "sharpe"),
    *("calmar", "p_value", "profit_factor", "starting_balance", "final_balance", "winning_days", "draw_days"),
    *("losing_days", "wins", "losses", "draws", "winrate", "max_consecutive_wins", "max_consecutive_losses"),
    *("max_drawdown_account", "max_relative_drawdown", "max_drawdown_abs", "max_drawdown_low", "max_drawdown_high"),
    *("drawdown_start_ts", "drawdown_end_ts", "drawdown_duration_s", "csum_min", "csum_max"),
    *("winner_holding_min_s", "winner_holding_max_s", "loser_holding_min_s", "loser_holding_max_s"),
)
"""Figures whose names and values are Freqtrade's."""

WALLET = (
    *("end_balance", "high_balance", "low_balance", "sharpe", "sortino", "calmar", "low_ts", "high_ts"),
    *("max_drawdown_account", "max_relative_drawdown", "max_drawdown_abs", "drawdown_start_ts", "drawdown_end_ts"),
    *("max_drawdown_low", "max_drawdown_high"),
)
GROUPED = (
    *("trades", "profit_mean", "profit_total_abs", "profit_total", "wins", "draws", "losses", "winrate", "cagr"),
    *("expectancy", "expectancy_ratio", "sortino", "sharpe", "calmar", "p_value", "profit_factor"),
    *("max_drawdown_account", "max_drawdown_abs"),
)


@cache
def cases() -> list[dict[str, Any]]:
    """The recorded runs."""
    with gzip.open(CASES, "rt") as lines:
        return [json.loads(line) for line in lines]


def columns_of(case: dict[str, Any]) -> TradeColumns:
    """A case's trades."""
    trades = case["trades"]

    def column(name: str, kind: Any = np.float64) -> Any:
        return np.array([trade[name] for trade in trades], kind)

    amount, opened, closed = column("amount"), column("open_rate"), column("close_rate")
    return TradeColumns(
        pair=Labels.of(trade["pair"] for trade in trades),
        enter_tag=Labels.of(trade["enter_tag"] for trade in trades),
        exit_reason=Labels.of(trade["exit_reason"] for trade in trades),
        is_short=column("is_short", np.bool_),
        open_ts=column("open_timestamp", np.int64),
        close_ts=column("close_timestamp", np.int64),
        open_rate=opened,
        close_rate=closed,
        amount=amount,
        stake=column("stake_amount"),
        leverage=column("leverage"),
        profit_abs=column("profit_abs"),
        profit_ratio=column("profit_ratio"),
        volume=amount * (opened + closed) * 1.001,
    )


def summary_of(case: dict[str, Any]) -> Summary:
    """A case's summary."""
    steps = np.arange(len(case["balances"])) * case["balance_step"] * MINUTE
    equity = Equity(case["first"] + steps, np.array(case["balances"]))
    return summarise(
        columns_of(case), start_ts=case["first"], end_ts=case["last"], balance=float(case["start"]), equity=equity
    )


def unequal(ours: dict[str, Any], theirs: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    """The figures that differ by more than 1e-9; what the other does not say of an empty run is left out."""
    for name in names:
        wanted, given = theirs.get(name), ours[name]
        if wanted is not None and given != pytest.approx(wanted, rel=1e-9, abs=1e-9):
            yield f"{name}: {given} is {wanted} there"


@pytest.mark.parametrize("number", range(len(cases())))
def test_summary_equals_the_reference(number: int) -> None:
    """Every figure of the summary and of the marked balance is Freqtrade's, to 1e-9."""
    case = cases()[number]
    summary, expected = summary_of(case), case["expected"]
    assert summary.wallet is not None

    assert [] == list(unequal(asdict(summary), expected, SAME))
    assert [] == list(unequal(asdict(summary.wallet), expected["wallet_stats"], WALLET))
    assert expected["backtest_days"] == summary.days
    assert expected["sqn"] == pytest.approx(summary.sqn, abs=0.51e-4), "it rounds to 4 digits"
    assert expected.get("winner_holding_avg_s", 0) == pytest.approx(summary.winner_holding_avg_s, abs=30.1), "minutes"


def _named(groups: list[Group]) -> dict[str, dict[str, Any]]:
    return {"/".join(group.key): asdict(group) for group in groups}


@pytest.mark.parametrize("number", range(len(cases())))
def test_groups_equal_the_reference(number: int) -> None:
    """The figures of each pair, tag, exit reason, their mix, and of what was left open are Freqtrade's."""
    case = cases()[number]
    trades, start, expected = columns_of(case), float(case["start"]), case["expected"]
    days = metrics.days_of(case["first"], case["last"])
    left = trades[np.array([t == "force_exit" for t in trades.exit_reason.texts()], np.bool_)]
    ours = {
        "results_per_pair": groups_by([trades.pair], trades, start, days),
        "results_per_enter_tag": groups_by([trades.enter_tag], trades, start, days),
        "exit_reason_summary": groups_by([trades.exit_reason], trades, start, days),
        "mix_tag_stats": groups_by([trades.enter_tag, trades.exit_reason], trades, start, days),
        "left_open_trades": groups_by([left.pair], left, start, days),
    }
    for table, groups in ours.items():
        rows = [row for row in expected[table] if row["key"] != "TOTAL" and row["trades"]]
        theirs = {"/".join(r["key"]) if isinstance(r["key"], list) else r["key"]: r for r in rows}
        mine = _named(groups)
        assert theirs.keys() == mine.keys(), table
        for key, row in theirs.items():
            assert [] == list(unequal(mine[key], row, GROUPED)), f"{table} {key}"


@pytest.mark.parametrize("number", range(len(cases())))
def test_days_equal_the_reference(number: int) -> None:
    """What each day earned, days without a trade too, is Freqtrade's."""
    case = cases()[number]
    ours = [[day.start_ts, day.profit_abs] for day in periods(columns_of(case), "day")]
    theirs = case["expected"].get("daily_profit", [])

    assert [row[0] for row in theirs] == [str(np.datetime64(ts, "ms").astype("datetime64[D]")) for ts, _ in ours]
    assert [row[1] for row in theirs] == pytest.approx([profit for _, profit in ours])


def test_days_of_an_empty_run() -> None:
    """A run without a trade has no day, no group, and figures that say so."""
    summary = summarise(TradeColumns.of(()), start_ts=0, end_ts=MINUTE, balance=100.0)

    assert [] == periods(TradeColumns.of(()), "day")
    assert (1, 0, 100.0, 0.0, None) == (
        summary.days,
        summary.total_trades,
        summary.final_balance,
        summary.sharpe,
        summary.wallet,
    )


# ---------------------------------------------------------------- periods, equity, columns


def closed(pair: str, minutes: tuple[int, int], rates: tuple[str, str], **values: Any) -> TradeClosed:
    """A trade of one coin without fees."""
    opened, left = (Decimal(rate) for rate in rates)
    side = values.pop("side", Side.LONG)
    profit = left - opened if side is Side.LONG else opened - left
    zero = Decimal(0)
    return TradeClosed(
        pair=pair,
        trade_id=f"{pair}-{minutes[0]}",
        side=side,
        open_ts=minutes[0] * MINUTE,
        close_ts=minutes[1] * MINUTE,
        open_rate=opened,
        close_rate=left,
        amount=Decimal(1),
        stake=opened,
        leverage=Decimal(1),
        fee_open=zero,
        fee_close=zero,
        profit_abs=profit,
        profit_ratio=profit / opened,
        exit_reason=values.pop("exit_reason", "roi"),
        enter_tag="",
        max_rate=zero,
        min_rate=zero,
        initial_stop=zero,
        stop=zero,
    )


def walked(pair: str, opens: list[float]) -> Candles:
    """Candles of a minute at these opens."""
    column = np.array(opens)
    ts = np.arange(len(opens)) * MINUTE
    return Candles(pair=pair, timeframe="1m", ts=ts, open=column, high=column, low=column, close=column, volume=column)


def test_columns_are_sorted_by_the_end() -> None:
    """Trades come in the order of their ends, and of equal ends the first given first."""
    trades = [closed("A", (5, 9), ("1", "2")), closed("B", (1, 7), ("1", "2")), closed("C", (2, 9), ("1", "2"))]

    assert ["B", "A", "C"] == TradeColumns.of(trades).pair.texts()


def test_equity_follows_the_market() -> None:
    """While a trade is open the account is worth what its coins are; a short earns when they fall."""
    candles = {"A": walked("A", [10, 10, 11, 12, 13, 13]), "B": walked("B", [50, 50, 40, 45, 45, 45])}
    trades = [closed("A", (1, 4), ("10", "13")), closed("B", (1, 3), ("50", "45"), side=Side.SHORT)]

    equity = equity_of(TradeColumns.of(trades), candles, 100.0)

    assert [MINUTE * m for m in (1, 2, 3, 4, 5)] == equity.ts.tolist()
    assert [100.0, 111.0, 107.0, 108.0, 108.0] == pytest.approx(equity.total.tolist())


def test_equity_keeps_the_last_price_of_a_pair_that_ended() -> None:
    """A trade that outlives its pair's candles is worth their last price."""
    candles = {"A": walked("A", [10, 10, 12]), "B": walked("B", [1] * 6)}

    equity = equity_of(TradeColumns.of([closed("A", (1, 5), ("10", "12"))]), candles, 100.0)

    assert [100.0, 102.0, 102.0, 102.0, 102.0] == pytest.approx(equity.total.tolist())


def test_equity_has_every_pairs_times() -> None:
    """Pairs that begin late, end early, or lie between one another's candles all have their points."""
    whole, late = walked("A", [10] * 4), walked("B", [5] * 3)
    late.ts = late.ts + 2 * MINUTE + 1_000

    equity = equity_of(TradeColumns.of(()), {"A": whole, "B": late, "C": whole[:3]}, 1.0)

    assert [60_000, 120_000, 180_000, 181_000, 241_000] == equity.ts.tolist()
    assert [1.0] * 5 == equity.total.tolist()


def test_equity_of_a_trade_that_grew_and_shrank() -> None:
    """A trade that was added to and reduced is worth what it held at each time, and what it had realized."""
    candles = {"A": walked("A", [10, 10, 20, 30, 40, 40]), "B": walked("B", [1] * 6)}
    trades = [closed("A", (1, 4), ("15", "40")), closed("B", (1, 2), ("1", "1"))]
    held = [(1, 1.0, 10.0, 0.0), (2, 2.0, 15.0, 0.0), (3, 1.0, 15.0, 15.0)]
    holdings = [Holding("A", MINUTE, minute * MINUTE, *what) for minute, *what in held]

    equity = equity_of(TradeColumns.of(trades), candles, 100.0, holdings)

    assert [100.0, 110.0, 130.0, 140.0, 125.0] == pytest.approx(equity.total.tolist())
    shorts = [closed("A", (1, 4), ("15", "40"), side=Side.SHORT), trades[1]]
    mirrored = equity_of(TradeColumns.of(shorts), candles, 100.0, [replace(h, realized=-h.realized) for h in holdings])
    assert [100.0, 90.0, 70.0, 60.0, 75.0] == pytest.approx(mirrored.total.tolist())


def test_daily_returns_are_from_end_to_end_of_days() -> None:
    """The last balance of a UTC day is what the next day is compared with."""
    half = 720 * MINUTE
    equity = Equity(np.arange(5) * half, np.array([100.0, 110.0, 100.0, 99.0, 198.0]))

    assert [-0.1, 1.0] == pytest.approx(daily_returns(equity).tolist())
    assert wallet_figures(Equity(np.zeros(0, np.int64), np.zeros(0))) is None


def test_market_change_is_the_pairs_mean() -> None:
    """Each pair counts alike, from its first close to its last."""
    assert 0.75 == market_change({"A": walked("A", [1, 2]), "B": walked("B", [4, 9, 6])})
    assert 0.0 == market_change({})


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """Weeks, months and years are the calendar's, in UTC; those between with no trade are there too."""
    day = 24 * 60
    trades = TradeColumns.of([closed("A", (0, 2 * day), ("1", "2")), closed("A", (1, 33 * day), ("2", "1"))])

    def starts(length: str) -> list[str]:
        return [str(np.datetime64(p.start_ts, "ms").astype("datetime64[D]")) for p in periods(trades, length)]

    assert ["1969-12-29", "1970-01-05", "1970-01-12", "1970-01-19", "1970-01-26", "1970-02-02"] == starts("week")
    assert ["1970-01-01", "1970-02-01"] == starts("month")
    assert ["1970-01-01"] == starts("year")
    assert [1, 0] == [p.trades for p in periods(trades, "day")[:2]]


@pytest.mark.parametrize(("t", "freedom", "p"), [(2.0, 10, 0.07338803477074043), (1.96, 100_000, 0.04999856319430168)])
def test_students_tails(t: float, freedom: int, p: float) -> None:
    """Student's t agrees with its tables, for few degrees of freedom and for very many."""
    assert p == pytest.approx(metrics.student_tails(t, freedom), rel=1e-9)


def test_growth_past_all_floats_is_no_number() -> None:
    """A growth rate that no float holds, and one of a lost account, is 0 rather than an error."""
    assert 0.0 == metrics.cagr(1.0, 1e6, 1)
    assert 0.0 == metrics.cagr(1.0, -1.0, 10)
