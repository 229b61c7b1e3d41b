"""How much a trade may cost: from the balance to a stake, from a stake to an order's amount.

Formulas are those of `semantics.md` 1.5. A stake is the capital a trade ties up, in the stake
currency; the position it buys is leverage times as large.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from engine.margin import largest_notional
from engine.market import Market
from engine.settings import TradingConfig
from engine.types import ONE, ZERO

STOP_RESERVE_MAX: Final = Decimal("1.5")
RAISE_MAX: Final = Decimal("1.3")
"""A stake under the market's minimum is raised to it, but by no more than this factor."""


def min_stake(market: Market, price: Decimal, stoploss: Decimal, reserve: Decimal, leverage: Decimal) -> Decimal:
    """The least stake that can be entered and still be sold at the stop; ZERO when the market has no minimum."""
    least = ZERO
    if market.cost_min is not None:
        distance = ONE - abs(stoploss)
        factor = (ONE + reserve) / distance if distance > ZERO else STOP_RESERVE_MAX
        least = market.cost_min * min(max(factor, ONE), STOP_RESERVE_MAX)
    if market.amount_min is not None:
        least = max(least, market.amount_min * price * (ONE + reserve))
    return least / leverage


def max_stake(market: Market, price: Decimal, leverage: Decimal) -> Decimal | None:
    """The largest stake the market takes in one order at this leverage; None when it has no maximum."""
    bounds = []
    largest = largest_notional(market.tiers, leverage) if market.tiers else None
    if largest is not None:
        bounds.append(largest)
    if market.cost_max is not None:
        bounds.append(market.cost_max)
    if market.amount_max is not None:
        bounds.append(market.amount_max * price)
    return min(bounds) / leverage if bounds else None


def stake_room(config: TradingConfig, *, free: Decimal, tied: Decimal, profit: Decimal) -> tuple[Decimal, Decimal]:
    """(pool, available): what may be traded with, open trades included, and what of it is left."""
    if config.available_capital is not None:
        pool = config.available_capital + profit
    else:
        pool = (tied + free) * config.tradable_balance_ratio
    return pool, max(min(pool - tied, free), ZERO)


def proposed_stake(config: TradingConfig, *, free: Decimal, tied: Decimal, profit: Decimal) -> tuple[Decimal, Decimal]:
    """(stake, available) for the next trade; a stake of ZERO means there is not enough.

    `free` is the balance that is not tied up, `tied` the stakes of all open trades and reservations,
    `profit` what closed trades have earned since the start.
    """
    pool, available = stake_room(config, free=free, tied=tied, profit=profit)
    wanted = config.stake_amount
    if wanted == "unlimited":
        slots = Decimal(config.max_open_trades)
        return min((available + tied) / slots, available), available
    stake = pool * Decimal(wanted.rstrip("% ")) / 100 if isinstance(wanted, str) else wanted
    if config.amend_last_stake_amount:
        if available > stake * config.last_stake_amount_min_ratio:
            return min(stake, available), available
        return ZERO, available
    return (stake if available >= stake else ZERO), available


def validated_stake(stake: Decimal, *, least: Decimal, most: Decimal | None, available: Decimal) -> Decimal:
    """`stake` within the market's bounds and what is available; ZERO where it cannot be.

    Under the minimum it is raised to it, unless that takes more than `RAISE_MAX` times as much.
    """
    cap = available if most is None else min(most, available)
    if least > cap or stake <= ZERO:
        return ZERO
    if stake < least:
        return least if stake * RAISE_MAX >= least else ZERO
    return min(stake, cap)


def entry_amount(market: Market, stake: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
    """Base coins that `stake` buys at `price`, truncated to the market's step.

    The quotient is a double's, as in the reference: where it is a whole number of steps but for binary
    noise, that decides whether the last step is bought, and equal trades are worth more than one step.
    """
    return market.truncate_double(float(stake) / float(price) * float(leverage))


def within_distance(wanted: Decimal, proposed: Decimal, most: Decimal) -> Decimal:
    """A strategy's own price, not further than `most` from the proposed one, as a ratio of it (1.4.3)."""
    return min(max(wanted, proposed * (ONE - most)), proposed * (ONE + most))
