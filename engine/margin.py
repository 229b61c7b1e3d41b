"""Isolated margin: how much leverage a position may have, and at which price the venue would close it.

Formulas are those of `semantics.md` 1.10. Levels are computed in doubles, as all levels that come from a
ratio (`engine.exits`), and enter money by the market's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.types import ONE, ZERO, Millis, Side, exact


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginTier:
    """What a venue demands of positions of a size: the higher the notional, the less leverage, the more margin.

    Bounds are in the quote coin; `notional_max` None is none. `rate` is the maintenance margin as a ratio of
    the notional, `amount` what the venue takes off again, so that margins do not jump from tier to tier.
    """

    notional_min: Decimal = ZERO
    notional_max: Decimal | None = None
    rate: Decimal
    leverage_max: Decimal
    amount: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """What positions of a pair pay at `ts`: `rate` × their worth at `price`, the mark price of that moment.

    With a positive rate longs pay and shorts receive.
    """

    pair: str
    ts: Millis
    rate: Decimal
    price: Decimal


def funding_of(side: Side, amount: Decimal, due: FundingRate) -> Decimal:
    """What a position of `amount` receives of this funding; negative is paid."""
    received = amount * due.price * due.rate
    return -received if side is Side.LONG else received


def highest_leverage(tiers: Sequence[MarginTier], stake: Decimal) -> Decimal:
    """The most leverage that a position of `stake` may have: that of the first tier it fits into."""
    for tier in tiers:
        if tier.notional_max is None or stake <= tier.notional_max / tier.leverage_max:
            return tier.leverage_max
    return ONE


def largest_notional(tiers: Sequence[MarginTier], leverage: Decimal) -> Decimal | None:
    """The largest position that may have so much leverage; ZERO where none may, None where any may."""
    bounds = [tier.notional_max for tier in tiers if tier.leverage_max >= leverage]
    if None in bounds:
        return None
    return max((bound for bound in bounds if bound is not None), default=ZERO)


def tier_of(tiers: Sequence[MarginTier], stake: Decimal) -> MarginTier | None:
    """The tier whose margin counts: it is looked up by the stake, as the reference does, not by the notional."""
    return next((tier for tier in reversed(tiers) if stake >= tier.notional_min), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a liquidation price is made of. `taker` is the venue's fee, `sign` 1 for a long, -1 for a short."""

    sign: int
    open_rate: float
    amount: float
    stake: float
    leverage: float
    rate: float
    maintenance: float
    taker: float


def _isolated(held: Held) -> float:
    margin = held.stake / held.amount
    return (held.open_rate - held.sign * margin) / (1 - held.sign * (held.rate + held.taker))


def _binance(held: Held) -> float:
    owed = held.stake + held.maintenance - held.sign * held.amount * held.open_rate
    return owed / (held.amount * held.rate - held.sign * held.amount)


def _bybit(held: Held) -> float:
    return held.open_rate * (1 - held.sign * (1 / held.leverage - held.rate))


LIQUIDATION: Final[Mapping[str, Callable[[Held], float]]] = {
    "isolated": _isolated,
    "binance": _binance,
    "bybit": _bybit,
}
"""The price at which a venue takes an isolated position over, by the name of the formula."""


def liquidation_price(formula: str, held: Held, buffer: Decimal) -> Decimal:
    """Where a position must be left before the venue takes it, not rounded.

    `buffer` is the part of the way from the liquidation price back to the entry that is kept clear of.
    """
    taken = LIQUIDATION[formula](held)
    clear = abs(held.open_rate - taken) * float(buffer)
    return exact(max(taken + held.sign * clear, 0.0))
