"""Protections: which closed trades lock what, and until when (`semantics.md` 1.11)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.messages import TradeClosed
from engine.protections import Lock, largest_drop, next_candle, protections_from, relative_drawdown
from engine.types import Side

D = Decimal
HOUR = 3_600_000
DAY = 24 * HOUR


def closed(
    minute: int, profit: str = "0.01", pair: str = "A/U", reason: str = "roi", side: Side = Side.LONG, money: str = ""
) -> TradeClosed:
    """A trade that closed so many minutes into a day."""
    return TradeClosed(
        pair=pair,
        trade_id=f"{pair}#{minute}",
        side=side,
        open_ts=0,
        close_ts=DAY + minute * 60_000,
        open_rate=D(100),
        close_rate=D(100),
        amount=D(1),
        stake=D(100),
        leverage=D(1),
        fee_open=D(0),
        fee_close=D(0),
        profit_abs=D(money or profit) * (1 if money else 100),
        profit_ratio=D(profit),
        exit_reason=reason,
        enter_tag="",
        max_rate=D(100),
        min_rate=D(100),
        initial_stop=D(90),
        stop=D(90),
    )


def locks(entry: dict[str, Any], *trades: TradeClosed, balance: int = 1_000) -> list[tuple[str, str, float]]:
    """(pair, side, hours into the day) of the locks that the last of these trades brings; candles of 1 h."""
    (rule,) = protections_from([entry], HOUR)
    found = rule.locks(trades[-1], trades, D(balance), HOUR)
    return [(lock.pair, lock.side, (lock.until - DAY) / HOUR) for lock in found]


@pytest.mark.parametrize(
    ("duration", "opens"),
    [
        ({"stop_duration_candles": 1}, 3),
        ({"stop_duration_candles": 2}, 4),
        ({"stop_duration": 30}, 2),
        ({"unlock_at": "10:00"}, 11),
    ],
)
def test_cooldown_as_measured(duration: dict[str, Any], opens: int) -> None:
    """1 h candles, exit in candle 1 (dated by its open): the next entry is possible in the candle that was measured."""
    found = locks({"method": "CooldownPeriod", **duration}, closed(60))

    assert [("A/U", "*", opens)] == found


def test_unlock_at_a_time_that_is_over_is_tomorrow() -> None:
    """A trade that closes after the time of day is locked until the next day's."""
    assert [("A/U", "*", 24 + 11)] == locks({"method": "CooldownPeriod", "unlock_at": "10:00"}, closed(660))


def test_a_lock_ends_at_the_candle_after() -> None:
    """Rounded up to the next candle's open; an exact boundary moves a full candle."""
    assert [HOUR, 2 * HOUR, 2 * HOUR] == [next_candle(t, HOUR) for t in (HOUR - 1, HOUR, HOUR + 1)]


STOPS = {"method": "StoplossGuard", "lookback_period": 120, "trade_limit": 2, "stop_duration": 60}


def test_stoploss_guard_counts_losing_stops_of_all_pairs() -> None:
    """At the limit it locks everything, counted from the latest; a stop in profit does not count."""
    first, second = closed(10, "-0.1", reason="stop_loss"), closed(20, "-0.1", "B/U", "trailing_stop_loss")
    in_profit = closed(20, "0.1", "B/U", "trailing_stop_loss")

    assert [] == locks(STOPS, first)
    assert [] == locks(STOPS, first, in_profit)
    assert [] == locks(STOPS, first, closed(20, "-0.1", reason="exit_signal"))
    assert [("*", "*", 2)] == locks(STOPS, first, second)


def test_stoploss_guard_locks_the_pair_too_when_it_is_the_pairs_own() -> None:
    """The per-pair check runs besides the global one, alone with only_per_pair."""
    both = [closed(10, "-0.1", reason="stop_loss"), closed(20, "-0.1", reason="liquidation")]

    assert [("*", "*", 2), ("A/U", "*", 2)] == locks(STOPS, *both)
    assert [("A/U", "*", 2)] == locks({**STOPS, "only_per_pair": True}, *both)


def test_stoploss_guard_of_one_side() -> None:
    """With only_per_side only stops of the closed trade's side count, and only that side is locked."""
    short = closed(10, "-0.1", reason="stop_loss", side=Side.SHORT)
    longs = [closed(20, "-0.1", reason="stop_loss"), closed(30, "-0.1", "B/U", "stop_loss")]

    assert [] == locks({**STOPS, "only_per_side": True}, short, longs[0])
    assert [("*", "long", 2)] == locks({**STOPS, "only_per_side": True}, short, *longs)


def test_what_is_older_than_the_lookback_does_not_count() -> None:
    """A trade exactly as old as the lookback is out."""
    old, new = closed(10, "-0.1", reason="stop_loss"), closed(130, "-0.1", reason="stop_loss")

    assert [] == locks(STOPS, old, new)
    assert [("*", "*", 4), ("A/U", "*", 4)] == locks({**STOPS, "lookback_period": 121}, old, new)


LOW = {"method": "LowProfitPairs", "lookback_period_candles": 6, "trade_limit": 2, "required_profit": 0.02}


def test_low_profit_pairs() -> None:
    """A pair whose trades together earned less than required is locked, and no other."""
    assert [] == locks(LOW, closed(10))
    assert [] == locks(LOW, closed(10), closed(20, pair="B/U"))
    assert [("A/U", "*", 2)] == locks(LOW, closed(10), closed(20, "0.005"))
    assert [] == locks(LOW, closed(10), closed(20))  # 0.02 is not less


def test_low_profit_of_one_side() -> None:
    """The limit counts all of the pair's trades, the profit those of the side."""
    short = closed(10, "0.5", side=Side.SHORT)

    assert [] == locks(LOW, short, closed(20, "0.01"))
    assert [("A/U", "long", 2)] == locks({**LOW, "only_per_side": True}, short, closed(20, "0.01"))


DRAWDOWN = {"method": "MaxDrawdown", "lookback_period": 600, "trade_limit": 2, "max_allowed_drawdown": 0.2}


def test_max_drawdown_of_ratios() -> None:
    """The largest fall of the summed ratios from their peak; all pairs are locked when it is over the limit."""
    up, down, more = closed(10, "0.1"), closed(20, "-0.15", "B/U"), closed(30, "-0.1")

    assert [] == locks(DRAWDOWN, up, down)
    assert [("*", "*", 2)] == locks(DRAWDOWN, up, down, more)
    assert [] == locks({**DRAWDOWN, "trade_limit": 4}, up, down, more)
    assert [] == locks({**DRAWDOWN, "max_allowed_drawdown": 0.25}, up, down, more)  # exactly is not over


def test_max_drawdown_of_equity() -> None:
    """The fall of the account, profit before the lookback included."""
    rule = {**DRAWDOWN, "calculation_mode": "equity", "lookback_period": 60}
    before = closed(0, "1", money="1000")
    falls = [closed(100, "-0.1", money="-250"), closed(110, "-0.1", money="-200")]

    assert [("*", "*", 3)] == locks(rule, before, *falls)  # 450 of 2000
    assert [] == locks({**rule, "max_allowed_drawdown": 0.225}, before, *falls)
    assert [] == locks(rule, before, *falls, balance=2_000)


def test_drawdowns_as_formulas() -> None:
    """Both begin at their highest point, which is the start."""
    assert D(3) == largest_drop([D(-1), D(2), D(-3), D(1)])
    assert 0 == largest_drop([])
    assert D("0.5") == relative_drawdown(D(10), [D(10), D(-10), D(5)])


def test_a_lock_covers_its_pair_and_side_until_its_end() -> None:
    """`*` is any; at its end it covers no more."""
    lock = Lock(pair="A/U", side="long", until=100, reason="x")

    assert lock.covers("A/U", "long", 99)
    assert not lock.covers("A/U", "long", 100)
    assert not lock.covers("B/U", "long", 99)
    assert not lock.covers("A/U", "short", 99)
    assert Lock(pair="*", side="*", until=100, reason="x").covers("B/U", "short", 99)
