"""A plain trade's books: the same arithmetic of positions that every other trade has, for one entry and one exit."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from engine.closing import summed_up
from engine.lanes import SIDES, Lane
from engine.ledger import to_places
from engine.messages import TradeClosed
from engine.order import Fill
from engine.position import Position
from engine.types import exact


def entered(lane: Lane, entry: int, amount: Decimal) -> Position:
    """The position after the entry has filled."""
    position = Position(side=SIDES[int(lane.sides[entry])], leverage=lane.rules.settings.leverage)
    fill = _fill(lane, amount, lane.open_rate[entry])
    market = lane.rules.market
    return position.entered(fill, market.base, market.quote, lane.rules.fee)


def closed_trade(lane: Lane, entry: int, number: int, amount: Decimal) -> TradeClosed:
    """What a plain trade came to."""
    market, candles = lane.rules.market, lane.tape.candles
    fill = _fill(lane, amount, lane.close_rate[entry])
    position = entered(lane, entry, amount).exited(fill, market.base, market.quote, lane.rules.fee).exit_done()
    first, last = int(lane.rows[entry]), int(lane.exit[entry])
    seen = slice(first, last + 1)
    highest, lowest = float(candles.high[seen].max()), float(candles.low[seen].min())
    return summed_up(
        lane.pair,
        f"{lane.pair}#{lane.rules.run}-{number}",
        position,
        span=(int(lane.times[first]), int(lane.times[last])),
        why=(lane.tags(lane.rows[entry : entry + 1])[0], lane.reasons(np.array([entry]))[0]),
        extremes=(max(exact(highest), position.open_rate), min(exact(lowest), position.open_rate)),
        stops=(exact(float(lane.first_stop[entry])), exact(float(lane.stop[entry]))),
    )


def _fill(lane: Lane, amount: Decimal, rate: float) -> Fill:
    price = exact(float(rate))
    fee = to_places(amount * price * lane.rules.fee)
    quote = lane.rules.market.quote
    return Fill(fill_id="", client_order_id="", ts=0, price=price, amount=amount, fee=fee, fee_currency=quote)
