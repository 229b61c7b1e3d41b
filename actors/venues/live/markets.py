"""A market as ccxt tells it, in the engine's words: steps, limits, fees, contracts.

What ccxt tells is an exchange's answer, and answers have holes: a market without a price or an amount
step, or with one that is no step (significant digits), cannot be traded exactly and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal, InvalidOperation
from typing import Any, Final

from actors.venues.live.rereading import beside
from engine.margin import MarginTier
from engine.market import Market
from engine.types import ONE, ZERO

TICK_SIZE: Final = 4
DECIMAL_PLACES: Final = 2
"""ccxt's precision modes; the third, 3, counts significant digits, which is no step."""

DIGITS_MAX: Final = 60
MAGNITUDE_MAX: Final = 30
"""Nobody has an amount of more digits, or of more places before or behind the point: it is no number then."""

GONE_AFTER: Final = 3
"""A market that so many readings in a row do not list is gone; fewer may be a page that is missing in an answer."""

FEE: Final = Decimal("0.001")
"""A spot exchange's usual fee, where ccxt knows none."""


class Listed:
    """Which pairs an exchange lists, over several readings of its markets: one that misses a pair may be a faulty one."""

    def __init__(self) -> None:
        self._readings = 0
        self._listed_at: dict[str, int] = {}

    def read(self, pairs: Collection[str], known: Collection[str]) -> list[str]:
        """A reading has listed these; which of those `known` before it misses, and are not gone for sure."""
        self._readings += 1
        self._listed_at.update(dict.fromkeys(pairs, self._readings))
        return [pair for pair in known if pair not in pairs and not self.is_gone(pair)]

    def is_gone(self, pair: str) -> bool:
        """Whether readings enough in a row have not listed it."""
        return self._readings - self._listed_at.get(pair, 0) >= GONE_AFTER


class Made:
    """The markets of ccxt's last list; the same list is not gone through again: in that time no order could leave."""

    def __init__(self) -> None:
        self._last: tuple[Any, dict[str, Market]] = (None, {})

    async def of(self, told: Mapping[str, Any], mode: int, is_ours: Callable[[Any], bool]) -> dict[str, Market]:
        """The markets that can be traded, by pair, made beside the loop; `mode` as in `market_of`."""
        known, markets = self._last
        if told is not known:
            markets = await beside(lambda pauses: _made(told, mode, is_ours, pauses))
            self._last = told, markets
        return dict(markets)


def _made(
    told: Mapping[str, Any], mode: int, is_ours: Callable[[Any], bool], pauses: Callable[[], None]
) -> dict[str, Market]:
    markets = {}
    for one in told.values():
        pauses()
        market = market_of(one, mode) if is_ours(one) else None
        if market is not None:
            markets[market.pair] = market
    return markets


def number(value: Any) -> Decimal | None:
    """The finite number that an answer means: a number, or the text of one; None for all else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    written = repr(value) if isinstance(value, float) else str(value).strip()
    if len(written) > DIGITS_MAX:
        return None
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    return found if found.is_finite() and (not found or abs(found.adjusted()) <= MAGNITUDE_MAX) else None


def positive(value: Any) -> Decimal | None:
    """As `number`; None for what is not above zero, which exchanges write where they mean nothing."""
    found = number(value)
    return found if found is not None and found > 0 else None


def _step(value: Any, mode: int) -> Decimal | None:
    if mode == TICK_SIZE:
        return positive(value)
    places = number(value)
    return None if places is None or mode != DECIMAL_PLACES else Decimal(1).scaleb(-int(places))


def market_of(told: Mapping[str, Any], mode: int) -> Market | None:
    """The market that ccxt tells of, `mode` being the exchange's way to write precision; None if it cannot be traded."""
    precision, limits = _part(told, "precision"), _part(told, "limits")
    price_step, amount_step = _step(precision.get("price"), mode), _step(precision.get("amount"), mode)
    pair, base, quote = (told.get(name) for name in ("symbol", "base", "quote"))
    if price_step is None or amount_step is None or not (pair and base and quote):
        return None
    size = (positive(told.get("contractSize")) or ONE) if told.get("contract") else ONE
    amount, cost = _part(limits, "amount"), _part(limits, "cost")
    most = [found for name in ("amount", "market") if (found := positive(_part(limits, name).get("max"))) is not None]
    least = positive(amount.get("min"))
    fees = {side: number(told.get(side)) for side in ("maker", "taker")}
    return Market(
        pair=str(pair),
        base=str(base),
        quote=str(quote),
        price_step=price_step,
        amount_step=amount_step * size,
        amount_min=None if least is None else least * size,
        amount_max=min(most) * size if most else None,  # whatever is bought must be sold at market price too
        cost_min=positive(cost.get("min")),
        cost_max=positive(cost.get("max")),
        maker_fee=FEE if fees["maker"] is None else fees["maker"],
        taker_fee=FEE if fees["taker"] is None else fees["taker"],
        leverage_max=positive(_part(limits, "leverage").get("max")) or ONE,
        active=told.get("active") is not False,
        contract_size=size,
    )


def with_tiers(market: Market, told: Any, exchange: str) -> Market:
    """A futures market with the margin tiers that ccxt tells of it; as it is where they say nothing."""
    tiers = tuple(tier for row in told if (tier := _tier(row)) is not None) if isinstance(told, Sequence) else ()
    if not tiers:
        return market
    return replace(
        market,
        tiers=tuple(sorted(tiers, key=lambda tier: tier.notional_min)),
        leverage_max=max(tier.leverage_max for tier in tiers),
        liquidation=_formula(market, exchange),
    )


def with_rate(market: Market, rate: Decimal, leverage_max: Decimal, exchange: str) -> Market:
    """A futures market with one tier for positions of all sizes, where the exchange does not tell the tiers.

    Its maintenance margin is `rate` of what is held. Leverage goes up to `leverage_max`, and only so far that a
    position begins with twice that margin, as on Binance a tier's largest one does: more would be liquidated by a breath.
    """
    most = max(ONE, min(leverage_max, (ONE / (2 * rate)).to_integral_value(ROUND_FLOOR)))
    tier = MarginTier(rate=rate, leverage_max=most)
    return replace(market, tiers=(tier,), leverage_max=most, liquidation=_formula(market, exchange))


def _formula(market: Market, exchange: str) -> str:
    return "binance" if exchange.startswith("binance") else market.liquidation


def _tier(told: Any) -> MarginTier | None:
    if not isinstance(told, Mapping):
        return None
    rate, leverage = number(told.get("maintenanceMarginRate")), positive(told.get("maxLeverage"))
    if rate is None or leverage is None:
        return None
    return MarginTier(
        notional_min=number(told.get("minNotional")) or ZERO,
        notional_max=positive(told.get("maxNotional")),
        rate=rate,
        leverage_max=leverage,
        amount=number(_part(told, "info").get("cum")) or ZERO,
    )


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    return part if isinstance(part, Mapping) else {}
