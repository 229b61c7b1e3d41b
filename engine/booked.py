"""Plain trades' books: the same arithmetic of positions that every other trade has, for one entry and one exit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from engine.candles import Floats
from engine.ended import summed_up
from engine.lanes import SIDES, Lane
from engine.ledger import to_places
from engine.messages import TradeClosed
from engine.order import Fill
from engine.position import Position
from engine.straight import Rows
from engine.types import exact, exact_all


def entered(lane: Lane, entry: int, amount: Decimal) -> Position:
    """The position after the entry has filled."""
    rules = lane.rules
    flat = Position(side=SIDES[int(lane.sides[entry])], leverage=rules.settings.leverage)
    fill = _fill(lane, amount, exact(float(lane.open_rate[entry])))
    return flat.entered(fill, rules.market.base, rules.market.quote, rules.fee)


def closed_trade(lane: Lane, entry: int, number: int, amount: Decimal) -> TradeClosed:
    """What a plain trade came to."""
    return closed_trades(lane, np.array([entry]), [number], [amount])[0]


def closed_trades(lane: Lane, entries: Rows, numbers: Sequence[int], amounts: Sequence[Decimal]) -> list[TradeClosed]:
    """What plain trades of one pair came to, in the order given: what can be looked up at once is."""
    rules, market, candles = lane.rules, lane.rules.market, lane.tape.candles
    rows, exits = lane.rows[entries], lane.exit[entries]
    flats = {side: Position(side=name, leverage=rules.settings.leverage) for side, name in SIDES.items()}
    columns = zip(
        numbers,
        amounts,
        lane.sides[entries].tolist(),
        *(exact_all(getattr(lane, name)[entries].tolist()) for name in ("open_rate", "close_rate")),
        zip(lane.times[rows].tolist(), lane.times[exits].tolist(), strict=True),
        zip(lane.tags(rows), lane.reasons(entries), strict=True),
        exact_all(_within(np.maximum, candles.high, rows, exits)),
        exact_all(_within(np.minimum, candles.low, rows, exits)),
        *(exact_all(getattr(lane, name)[entries].tolist()) for name in ("first_stop", "stop")),
        strict=True,
    )
    closed = []
    for number, amount, side, open_rate, close_rate, span, why, highest, lowest, first_stop, stop in columns:
        position = flats[side].entered(_fill(lane, amount, open_rate), market.base, market.quote, rules.fee)
        position = position.exited(_fill(lane, amount, close_rate), market.base, market.quote, rules.fee).exit_done()
        mean = position.open_rate
        closed.append(
            summed_up(
                lane.pair,
                f"{lane.pair}#{rules.run}-{number}",
                position,
                span=span,
                why=why,
                extremes=(max(highest, mean), min(lowest, mean)),
                stops=(first_stop, stop),
            )
        )
    return closed


def _within(how: np.ufunc, prices: Floats, first: Rows, last: Rows) -> list[float]:
    """The extreme of the prices from each row to its last, both included."""
    bounds = np.column_stack([first, last + 1]).ravel()
    # `reduceat` takes every second slice here; a bound behind the last price would be no place.
    found: list[float] = how.reduceat(np.append(prices, prices[-1]), bounds)[::2].tolist()
    return found


def _fill(lane: Lane, amount: Decimal, price: Decimal) -> Fill:
    fee = to_places(amount * price * lane.rules.fee)
    quote = lane.rules.market.quote
    return Fill(fill_id="", client_order_id="", ts=0, price=price, amount=amount, fee=fee, fee_currency=quote)
