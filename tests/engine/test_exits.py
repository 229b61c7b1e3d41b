"""Leaving: stops, trailing, ROI, and what may have happened inside a candle (`semantics.md` 1.7 and 2.4)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.exits import (
    ExitWish,
    Look,
    Stop,
    first_stop,
    is_hit,
    roi_at,
    roi_price,
    rounded_exit,
    stop_price,
    tightened,
    trailed,
    wishes,
)
from engine.market import Market
from engine.messages import NO_SIGNAL, MarketRange, Signal
from engine.order import Fill
from engine.position import Position
from engine.settings import Settings
from engine.types import ONE, Side

D = Decimal
MINUTE = 60_000
MARKET = Market(pair="A/U", base="A", quote="U", price_step=D("0.01"), amount_step=D("0.001"))
TABLE = ((0, D("0.1")), (10, D("0.05")), (12, D("0.02")))


def held(side: Side = Side.LONG, leverage: str = "1", fee: str = "0") -> Position:
    """One coin at 100."""
    fill = Fill(fill_id="f", client_order_id="c", ts=0, price=D(100), amount=ONE, fee=D(100) * D(fee), fee_currency="U")
    return Position(side=side, leverage=D(leverage)).entered(fill, "A", "U", D(fee))


def rng(o: Any, h: Any, l: Any, c: Any, minute: int = 30) -> MarketRange:  # noqa: E741
    """A candle."""
    return MarketRange(pair="A/U", ts=minute * MINUTE, open=D(o), high=D(h), low=D(l), close=D(c))


def settings(**values: Any) -> Settings:
    """Candles of 5 minutes, a target far away."""
    return Settings(**{"timeframe_ms": 5 * MINUTE, "roi": ((0, D(10)),), "stoploss": D("-0.1"), **values})


def look(candle: MarketRange, side: Side = Side.LONG, stop: Stop | None = None, **more: Any) -> Look:
    """A look at one coin held from 100."""
    values = {
        "position": held(side, fee=more.pop("fee", "0")),
        "stop": stop or first_stop(D(100), D("-0.1"), side, ONE, MARKET),
        "rng": candle,
        "signal": NO_SIGNAL,
        "settings": settings(),
        "market": MARKET,
        "fee": D(0),
        "opened_at": 0,
        "open_rate": D(100),
    }
    return Look(**{**values, **more})  # type: ignore[arg-type]


def mirrored(candle: MarketRange) -> MarketRange:
    """The candle seen from the other side of 100."""
    o, h, l, c = (D(200) - p for p in (candle.open, candle.low, candle.high, candle.close))  # noqa: E741
    return replace(candle, open=o, high=h, low=l, close=c)


@pytest.mark.parametrize(
    ("side", "leverage", "level"),
    [(Side.LONG, 1, "93.34"), (Side.SHORT, 1, "106.66"), (Side.LONG, 3, "97.78"), (Side.SHORT, 3, "102.22")],
)
def test_first_stop_is_rounded_towards_the_rate(side: Side, leverage: int, level: str) -> None:
    """Up for a long, down for a short; the ratio is leveraged."""
    stop = first_stop(D(100), D("-0.06665"), side, D(leverage), MARKET)

    assert (D(level), False) == (stop.level, stop.moved)


def test_a_stop_only_tightens() -> None:
    """Further away is no move, unless loosening was asked for."""
    stop = first_stop(D(100), D("-0.1"), Side.LONG, ONE, MARKET)

    assert tightened(stop, D(95), D("-0.1"), Side.LONG, ONE, MARKET) is stop
    assert D("85.5") == tightened(stop, D(95), D("-0.1"), Side.LONG, ONE, MARKET, loosen=True).level
    moved = tightened(stop, D(110), D("-0.05"), Side.LONG, ONE, MARKET)
    assert (D("104.5"), D("-0.05"), D(90), D("-0.1"), True) == (
        moved.level,
        moved.ratio,
        moved.initial,
        moved.initial_ratio,
        moved.moved,
    )


@pytest.mark.parametrize(
    ("values", "high", "level"),
    [
        ({}, "110", "90"),  # no trailing
        ({"trailing_stop": True}, "110", "99"),
        ({"trailing_stop": True}, "99.9", "90"),  # not above where it began
        ({"trailing_stop": True, "trailing_stop_positive": D("0.02")}, "110", "107.8"),
        (
            {"trailing_stop": True, "trailing_stop_positive": D("0.02"), "trailing_stop_positive_offset": D("0.15")},
            "110",
            "99",
        ),
        (
            {"trailing_stop": True, "trailing_stop_positive": D("0.02"), "trailing_stop_positive_offset": D("0.1")},
            "110",
            "99",
        ),
        (
            {"trailing_stop": True, "trailing_stop_positive": D("0.02"), "trailing_stop_positive_offset": D("0.09")},
            "110",
            "107.8",
        ),
        (
            {
                "trailing_stop": True,
                "trailing_stop_positive": D("0.02"),
                "trailing_stop_positive_offset": D("0.15"),
                "trailing_only_offset_is_reached": True,
            },
            "110",
            "90",
        ),
        (
            {
                "trailing_stop": True,
                "trailing_stop_positive": D("0.02"),
                "trailing_stop_positive_offset": D("0.1"),
                "trailing_only_offset_is_reached": True,
            },
            "110",
            "99",  # reached, and not above it: the plain distance
        ),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_trailing(values: dict[str, Any], high: str, level: str, side: Side) -> None:
    """Every setting, as it is for a long, and mirrored for a short."""
    candle = rng(100, high, "98", "99")
    rules = settings(**values)
    long = trailed(first_stop(D(100), D("-0.1"), Side.LONG, ONE, MARKET), held(), candle, rules, MARKET, D(0))
    assert D(level) == long.level
    if side is Side.SHORT:
        stop = first_stop(D(100), D("-0.1"), side, ONE, MARKET)
        short = trailed(stop, held(side), mirrored(candle), rules, MARKET, D(0))
        assert (long.moved, long.ratio) == (short.moved, short.ratio)
        # A distance is a part of the price, and the mirror's prices are lower.
        best = D(200) - D(high)
        assert (MARKET.round_price_down(best * (1 - short.ratio)) if short.moved else D(110)) == short.level


def test_trailing_with_leverage() -> None:
    """Offsets are leveraged profits, and the distance is divided by the leverage."""
    values = settings(
        stoploss=D("-0.3"),
        trailing_stop=True,
        trailing_stop_positive=D("0.06"),
        trailing_stop_positive_offset=D("0.25"),
    )
    stop = first_stop(D(100), D("-0.3"), Side.LONG, D(3), MARKET)

    assert D("97.20") == trailed(stop, held(leverage="3"), rng(100, 108, 99, 100), values, MARKET, D(0)).level
    assert D("106.82") == trailed(stop, held(leverage="3"), rng(100, 109, 99, 100), values, MARKET, D(0)).level


def test_the_strategys_own_distance_is_trailed_too() -> None:
    """Where it named one, the price is followed by that instead of the configured one."""
    stop = first_stop(D(100), D("-0.1"), Side.LONG, ONE, MARKET)
    trailing = settings(trailing_stop=True)

    assert is_hit(stop, rng(100, 130, 90, 100), Side.LONG)
    moved = trailed(stop, held(), rng(100, 130, 95, 100), trailing, MARKET, D(0), D("-0.02"))
    assert D("127.4") == moved.level


@pytest.mark.parametrize(("minutes", "key"), [(0, 0), (9, 0), (10, 10), (11, 10), (12, 12), (999, 12)])
def test_roi_table(minutes: int, key: int) -> None:
    """The entry of the largest key that is not above the minutes."""
    found = roi_at(TABLE, minutes)

    assert found is not None
    assert key == found[0]
    assert roi_at(((5, D(1)),), 4) is None


@pytest.mark.parametrize(
    ("candle", "price"),
    [
        (rng(101, 106, 100, 104, 60), "102"),  # reached inside the candle
        (rng(101, "101.9", 100, 101, 60), None),  # not reached
        (rng(101, 102, 100, 101, 60), None),  # exactly is not above
        (rng(103, 106, 103, 104, 60), "103"),  # the candle lies above: its nearest price
        (rng(108, 109, 107, 108, 10), "108"),  # the key of 10 minutes is new, and the open past it: the open
        (rng(103, 106, 101, 104, 10), "105"),  # new, and the open not past it
        (rng(108, 109, 104, 108, 11), "105"),  # not new any more
        (rng(103, 106, 101, 104, 12), "102"),  # new, but 12 is no multiple of the candles' 5
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_roi_price(candle: MarketRange, price: str | None, side: Side) -> None:
    """Where a target is left (2.4.6), for a long, and mirrored for a short."""
    rules = settings(roi=TABLE)
    seen = candle if side is Side.LONG else mirrored(candle)
    found = roi_price(look(seen, side, settings=rules))
    expected = None if price is None else D(price) if side is Side.LONG else D(200) - D(price)

    assert expected == (None if found is None else MARKET.round_price(found))


def test_roi_on_the_entry_candle() -> None:
    """A red candle, entered below its open, with the target above the close: its high came first, so no."""
    rules = settings(roi=((0, D("0.02")),))
    red = rng(101, 103, 99, "100.5", 0)

    assert roi_price(look(red, settings=rules)) is None
    assert D(102) == MARKET.round_price(roi_price(look(replace(red, close=D(102)), settings=rules)) or D(0))
    assert D(102) == MARKET.round_price(roi_price(look(red, settings=rules, open_rate=D(101))) or D(0))
    green = replace(red, open=D(100))
    assert D(102) == MARKET.round_price(roi_price(look(green, settings=rules)) or D(0))
    assert roi_price(look(mirrored(red), Side.SHORT, settings=rules)) is None


def test_roi_of_minus_one_leaves_at_once() -> None:
    """At the open where its minutes are a whole number of candles, else as low as it goes."""
    assert D(97) == roi_price(look(rng(97, 98, 96, 97), settings=settings(roi=((0, D(-1)),))))
    assert D(96) == roi_price(look(rng(97, 98, 96, 97), settings=settings(roi=((3, D(-1)),))))


def test_roi_waits_while_the_entry_signal_lasts() -> None:
    """With ignore_roi_if_entry_signal a new entry signal holds the position."""
    rules = settings(roi=((0, D("0.02")),), ignore_roi_if_entry_signal=True)
    signal = Signal(enter_long=True)

    assert roi_price(look(rng(100, 110, 99, 100), settings=rules, signal=signal)) is None
    assert roi_price(look(rng(100, 110, 99, 100), settings=rules)) is not None


def test_own_roi_counts_where_it_is_lower() -> None:
    """A strategy's ratio replaces the table's only downwards."""
    rules = settings(roi=((0, D("0.05")),))
    candle = rng(100, 104, 99, 100)

    assert roi_price(look(candle, settings=rules)) is None
    assert D(103) == MARKET.round_price(roi_price(look(candle, settings=rules, custom_roi=D("0.03"))) or D(0))
    assert roi_price(look(candle, settings=rules, custom_roi=D("0.2"))) is None


@pytest.mark.parametrize("side", list(Side))
def test_stop_price(side: Side) -> None:
    """Its level, or the open where the price jumped it."""
    inside, jumped = rng(95, 96, 85, 90), rng(85, 88, 80, 82)
    if side is Side.SHORT:
        inside, jumped = mirrored(inside), mirrored(jumped)
    sign = 1 if side is Side.LONG else -1

    assert D(100) - sign * 10 == stop_price(look(inside, side))
    assert D(100) - sign * 15 == stop_price(look(jumped, side))


def moved_stop(level: str, ratio: str) -> Stop:
    """A stop that has trailed."""
    return Stop(D(level), D(ratio), D(90), D("-0.1"), moved=True)


def test_a_trailing_stop_on_the_entry_candle() -> None:
    """The pessimistic path from the open: offset less distance, or the distance alone; not below the low."""
    armed = settings(
        trailing_stop=True,
        trailing_only_offset_is_reached=True,
        trailing_stop_positive=D("0.02"),
        trailing_stop_positive_offset=D("0.03"),
    )
    stop = moved_stop("103", "-0.02")

    assert D(101) == stop_price(look(rng(100, 105, 99, 104, 0), stop=stop, settings=armed))
    assert D("101.5") == stop_price(look(rng(100, 105, "101.5", 104, 0), stop=stop, settings=armed))
    plain = settings(trailing_stop=True)
    assert D(98) == stop_price(look(rng(100, 105, 97, 104, 0), stop=stop, settings=plain))
    assert D(103) == stop_price(look(rng(100, 105, 97, 104, 5), stop=stop, settings=plain))


def names(seen: Look) -> list[str]:
    """The reasons in the order they are tried."""
    return [wish.reason for wish in wishes(seen)]


def test_the_order_of_reasons() -> None:
    """Signal, stop, ROI; a stop that moved comes last."""
    rules = settings(roi=((0, D("0.02")),))
    candle = rng(100, 105, 85, 90)
    signal = Signal(exit_long=True, exit_tag="why")

    assert ["exit_signal", "stop_loss", "roi"] == names(look(candle, settings=rules, signal=signal))
    moved = moved_stop("95", "-0.1")
    assert ["exit_signal", "roi", "trailing_stop_loss"] == names(
        look(candle, settings=rules, signal=signal, stop=moved)
    )
    assert ["custom_exit", "stop_loss"] == names(look(rng(100, 101, 85, 90), custom_exit="bored"))
    assert [] == names(look(rng(100, 101, 99, 100)))
    assert ExitWish("exit_signal", D(100), "why") == next(iter(wishes(look(candle, signal=signal))))


@pytest.mark.parametrize(
    ("values", "signal", "opened", "expected"),
    [
        ({}, {"exit_long": True}, "100", True),
        ({"use_exit_signal": False}, {"exit_long": True}, "100", False),
        ({}, {"exit_long": True, "enter_long": True}, "100", False),
        ({}, {"exit_short": True}, "100", False),
        ({"exit_profit_only": True}, {"exit_long": True}, "100", False),
        ({"exit_profit_only": True}, {"exit_long": True}, "101", True),
        ({"exit_profit_only": True, "exit_profit_offset": D("0.01")}, {"exit_long": True}, "101", False),
        ({"exit_profit_only": True, "exit_profit_offset": D("0.01")}, {"exit_long": True}, "101.5", True),
    ],
)
def test_exit_signal(values: dict[str, Any], signal: dict[str, bool], opened: str, expected: bool) -> None:
    """When a signal counts: its own side's, alone on its candle, with the profit that is asked for at the open."""
    seen = look(rng(opened, 102, 99, 100), settings=settings(**values), signal=Signal(**signal))

    assert expected == ("exit_signal" in names(seen))


def test_fees_count_in_targets_and_stops_do_not() -> None:
    """A target of 0 is reached above both fees; a stop is a price."""
    rules = settings(roi=((0, D(0)),))
    seen = look(rng(100, "100.2", 100, 100), settings=rules, fee="0.001", position=held(fee="0.001"))

    assert roi_price(replace(seen, fee=D("0.001"))) is None
    higher = replace(seen, fee=D("0.001"), rng=rng(100, "100.3", 100, 100))
    assert D("100.20") == MARKET.round_price(roi_price(higher) or D(0))


def test_exit_prices_are_on_the_step_and_never_zero() -> None:
    """Rounded half up; what would round to nothing is the smallest price there is."""
    assert D("100.13") == rounded_exit(ExitWish("roi", D("100.125")), MARKET)
    assert D("0.01") == rounded_exit(ExitWish("roi", D("0.001")), MARKET)
