"""A market's rules: price and amount steps, minima and maxima, and rounding to them.

Floats enter the engine here only: a raw price is read as the decimal it is written as, then rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Final

from engine.margin import MarginTier
from engine.types import ONE, ZERO, exact

EIGHT_PLACES: Final = Decimal("1e-8")
HALF_OF_EIGHT: Final = Decimal("5e-9")
NEARLY: Final = Decimal("1e-18")
"""A share of several entries' cost ends where our digits do: so near a tie is one."""


def round8(value: Decimal) -> Decimal:
    """`value` to 8 digits, ties to even."""
    return value.quantize(EIGHT_PLACES, ROUND_HALF_EVEN)


def booked_profit(got: Decimal, paid: Decimal, at_mean: tuple[Decimal, Decimal] | None = None) -> Decimal:
    """`got` - `paid` to 8 digits: how profits are booked (`semantics.md` 2.2).

    An exact tie goes where the difference of the doubles lies, as in the reference, which books the
    difference of doubles; the two neighbours are equally near, and equal books are worth more than a
    rule of our own. After several entries `at_mean` are the two, with their mean price as a double.
    """
    exact = got - paid
    rounded = round8(exact)
    if abs(exact - rounded) > HALF_OF_EIGHT - NEARLY:
        brought, cost = at_mean or (got, paid)
        return round8(Decimal(float(brought) - float(cost)))
    return rounded


def told_stake(cost: Decimal, leverage: Decimal) -> Decimal:
    """The stake that a trade's result names: `cost` / `leverage` to 8 digits; a tie goes by the doubles, as above."""
    exact = cost / leverage
    rounded = round8(exact)
    return round8(Decimal(float(cost) / float(leverage))) if abs(exact - rounded) == HALF_OF_EIGHT else rounded


def to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """`value` as a whole number of `step`s; a step of 0 leaves it as it is."""
    if not step:
        return value
    return (value / step).to_integral_value(rounding) * step


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What a venue demands of orders on one pair. A limit of None is none.

    Amounts are base coins, also where the venue counts contracts of `contract_size` coins: then steps and
    limits are whole contracts' worth. `tiers` are a futures market's, smallest positions first; without them
    no liquidation price is known. `liquidation` names the venue's formula (`engine.margin.LIQUIDATION`).
    """

    pair: str
    base: str
    quote: str
    price_step: Decimal
    amount_step: Decimal
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    cost_min: Decimal | None = None
    cost_max: Decimal | None = None
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    leverage_max: Decimal = ONE
    active: bool = True
    contract_size: Decimal = ONE
    tiers: tuple[MarginTier, ...] = ()
    liquidation: str = "isolated"

    @property
    def is_futures(self) -> bool:
        """Whether it trades contracts that are settled in a coin, `BTC/USDT:USDT`: positions are on margin."""
        return ":" in self.pair

    def round_price(self, price: Decimal) -> Decimal:
        """To the nearest price step, halves up."""
        return to_step(price, self.price_step, ROUND_HALF_UP)

    def price_near(self, price: Decimal) -> Decimal:
        """To the nearest price step, and one step at least: what a strategy wishes may be under half a step."""
        return self.round_price(price) or self.round_price_up(price)

    def round_price_up(self, price: Decimal) -> Decimal:
        """To the price step at or above: a long's stop."""
        return to_step(price, self.price_step, ROUND_CEILING)

    def round_price_down(self, price: Decimal) -> Decimal:
        """To the price step at or below: a short's stop."""
        return to_step(price, self.price_step, ROUND_FLOOR)

    def truncate_amount(self, amount: Decimal) -> Decimal:
        """To the amount step at or below: never more than asked."""
        return to_step(amount, self.amount_step, ROUND_DOWN)

    def truncate_double(self, amount: float) -> Decimal:
        """`truncate_amount` of a double's own digits; so many contracts are a double, too, as in the reference."""
        coins = exact(amount).normalize()
        if self.contract_size != ONE:
            coins = exact(float(coins / self.contract_size)).normalize() * self.contract_size
        return self.truncate_amount(coins)

    def usual_fee(self, amount: Decimal, price: Decimal, *, maker: bool, in_base: bool) -> tuple[Decimal, str]:
        """What this market's own rate makes of an execution, and in which coin."""
        fee = amount * (self.maker_fee if maker else self.taker_fee)
        return (fee, self.base) if in_base else (fee * price, self.quote)

    def tradable(self, amount: Decimal) -> Decimal:
        """What of `amount` an order can be for: whole steps, and ZERO where that is under the minimum."""
        whole = self.truncate_amount(amount)
        return ZERO if self.amount_min is not None and whole < self.amount_min else whole

    def is_dust(self, amount: Decimal, price: Decimal) -> bool:
        """Whether `amount` is too little, or worth too little at `price`, for an order of its own."""
        whole = self.tradable(amount)
        return not whole or (self.cost_min is not None and whole * price < self.cost_min)

    def refusal(
        self, amount: Decimal, price: Decimal, *, any_price: bool = False, any_cost: bool = False
    ) -> str | None:
        """Why this market would refuse an order of `amount` at `price`; None when it would not.

        `any_price` asks for no whole step of the price, `any_cost` for no least cost.
        """
        if amount <= ZERO or price <= ZERO:
            return f"amount {amount} at price {price} is not positive"
        if self.truncate_amount(amount) != amount:
            return f"amount {amount} is not a multiple of {self.amount_step}"
        if not any_price and self.round_price(price) != price:
            return f"price {price} is not a multiple of {self.price_step}"
        if self.amount_min is not None and amount < self.amount_min:
            return f"amount {amount} is under the minimum of {self.amount_min}"
        if self.amount_max is not None and amount > self.amount_max:
            return f"amount {amount} is over the maximum of {self.amount_max}"
        cost = amount * price
        if self.cost_min is not None and cost < self.cost_min and not any_cost:
            return f"cost {cost} is under the minimum of {self.cost_min}"
        if self.cost_max is not None and cost > self.cost_max:
            return f"cost {cost} is over the maximum of {self.cost_max}"
        return None
