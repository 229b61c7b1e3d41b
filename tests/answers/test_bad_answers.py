"""An exchange's answers are bad input: whatever is wrong with one, it is read rightly, refused or asked for again."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest

from actors.venues.live.frames import rows_of
from actors.venues.live.market import price_of
from actors.venues.live.markets import MAGNITUDE_MAX
from actors.venues.live.words import balances_of, fill_of, order_of, payment_of, position_of, rows
from engine.types import ZERO
from tests.answers.bending import all_bent
from tests.answers.fixtures import OURS, Entry, entries
from tests.answers.playing import NOW, called, our_market
from tests.answers.test_answers import made_for

NAMES: Final = ("binance", "bybit", "okx", "kraken", "gate")
ALL: Final = [entry for name in NAMES for entry in entries(OURS, "response", name) if entry.said["parsedResponse"]]
MANY: Final = 60


def sane(*values: Decimal | None) -> bool:
    """Whether amounts could be somebody's money."""
    return all(v is None or (v.is_finite() and (not v or abs(v.adjusted()) <= 2 * MAGNITUDE_MAX)) for v in values)


def judged(made: Any, value: Any) -> int:
    """How many values of ours came of an answer, by every reading there is; each must be one that could be."""
    found = 0
    many = list(value.values()) if isinstance(value, dict) else []
    for told in [value, *rows(value), *many]:
        market = our_market(made, told.get("symbol") if isinstance(told, dict) else None)
        assert (price := price_of(told)) is None or (price.is_finite() and price > 0)
        payment_of(told, "BTC/USDT")
        if market is None:
            continue
        order, filled, held = order_of(told, market, str), fill_of(told, "mine", market, NOW), position_of(told, market)
        assert sane(held)
        if order is not None:
            assert sane(order.amount, order.price, order.filled, order.trigger_price)
            assert order.amount > 0
            assert order.filled >= 0
            assert order.price >= 0
            assert 0 <= order.ts < 10**30
            found += 1
        if filled is not None:
            assert sane(filled.fill.price, filled.fill.amount, filled.fill.fee)
            assert filled.fill.price > 0
            assert filled.fill.amount > 0
            assert 0 < filled.fill.ts <= NOW + 60_000
            assert filled.fill.fill_id
            found += 1
    for futures in (False, True):
        for _, free, locked in balances_of(value, futures=futures):
            assert sane(free, locked)
            assert locked >= ZERO
            found += 1
    for candle in rows_of(value):
        assert all(math.isfinite(number) and number >= 0 for number in candle[1:])
    return found


@pytest.mark.parametrize("entry", ALL, ids=[entry.title for entry in ALL])
def test_a_bent_answer_never_becomes_money_that_is_none(entry: Entry) -> None:
    """One value gone, null, of another kind or beyond measure: no exception of ours, no amount that cannot be."""
    chance, read, refused, made = random.Random(entry.title), 0, 0, made_for(entry)
    for what, answer in all_bent(entry.said["httpResponse"], chance, MANY):
        value, why = called(made, replace(entry, said={**entry.said, "httpResponse": answer}))
        if why:
            refused += 1
            continue
        try:
            read += judged(made, value)
        except Exception as error:
            error.add_note(f"{entry.title}: {what}")
            raise

    assert read + refused > 0


def test_what_is_told_twice_is_one() -> None:
    """A doubled row is the same execution again: its id says so, and the books count it once."""
    entry = next(e for e in ALL if e.title.startswith("gate fetchMyTrades"))
    made = made_for(entry)
    value, _ = called(made, replace(entry, said={**entry.said, "httpResponse": 2 * entry.said["httpResponse"]}))
    market = our_market(made, "BTC/USDT")
    assert market is not None
    fills = [fill_of(told, "mine", market, NOW) for told in value]

    assert len({filled.fill.fill_id for filled in fills if filled is not None}) == 1
