"""A position, made of unique fills and of nothing else.

Several entries average by cost; a partial exit takes the current average out; fees count in whichever
coin they were taken. Money is exact: amounts and values are sums of decimals, and what rounding there
is (profits, to 8 digits) is the booked figure, as in `semantics.md` 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from engine.change import changed
from engine.market import booked_profit, round8
from engine.order import Fill
from engine.types import ONE, ZERO, Side, exact


@dataclass(frozen=True)
class Position:
    """What is held, what it cost with fees, and what partial exits have booked.

    `amount` is in base coins. `cost` is amount × price of what is held, `value` what was paid for it:
    with the entry fees (a long's are added, a short's taken off). `entered_value` sums the values of all
    entries: profit ratios are counted on it. `booked` is the sum of the rounded profits of
    finished exit orders. Of the exit order under way, `leaving_value` is what it brought (a short: cost)
    with fees, and `left_value` the entry value of what it took out. `entry_fee` and
    `exit_fee` are worths in the quote coin, `fees` what was taken, by currency. `funding` is what the position
    has received in funding (negative: paid), `funding_booked` how much of it is in `booked`: an exit's profit
    takes in all that came until then.
    `mean` is the mean entry price rounded to the market's step, once there were several entries: stops, targets
    and ratios go by it, money does not.
    """

    side: Side = Side.LONG
    leverage: Decimal = ONE
    amount: Decimal = ZERO
    cost: Decimal = ZERO
    value: Decimal = ZERO
    entered_amount: Decimal = ZERO
    entered_cost: Decimal = ZERO
    entered_value: Decimal = ZERO
    exited_amount: Decimal = ZERO
    exited_cost: Decimal = ZERO
    booked: Decimal = ZERO
    leaving_value: Decimal = ZERO
    left_value: Decimal = ZERO
    entry_fee: Decimal = ZERO
    exit_fee: Decimal = ZERO
    funding: Decimal = ZERO
    funding_booked: Decimal = ZERO
    fees: tuple[tuple[str, Decimal], ...] = ()
    mean: Decimal | None = None
    left_at_mean: Decimal = ZERO

    @property
    def rate(self) -> Decimal:
        """The entry price that decisions go by: after several entries their mean as a price of the market."""
        return self.open_rate if self.mean is None else self.mean

    def _reckoned(self, fee_rate: Decimal) -> Decimal:
        """The entry value that ratios go by: exact, or that of `mean`."""
        if self.mean is None:
            return self.value
        cost = self.amount * self.mean
        return cost + cost * fee_rate if self.side is Side.LONG else cost - cost * fee_rate

    @property
    def open_rate(self) -> Decimal:
        """The cost-weighted mean entry price of what is held; of all entries once nothing is.

        A fee in the bought coin does not change it: it makes `amount` smaller, and `value` per coin larger.
        """
        if self.amount:
            return self.cost / self.amount
        return self.entered_cost / self.entered_amount if self.entered_amount else ZERO

    @property
    def close_rate(self) -> Decimal:
        """The mean price of all exits; 0 before the first."""
        return self.exited_cost / self.exited_amount if self.exited_amount else ZERO

    @property
    def stake(self) -> Decimal:
        """The capital that is tied up: amount × rate / leverage."""
        return self.cost / self.leverage

    @property
    def told_stake(self) -> float:
        """The stake that strategies are told: a quotient of doubles, so that one reckoned from it buys the same steps."""
        return float(self.cost) / float(self.leverage)

    @property
    def entry_fee_rate(self) -> Decimal:
        """The entries' fees over their cost, to 8 digits: a venue's own rounding is not the rate's."""
        return round8(self.entry_fee / self.entered_cost) if self.entered_cost else ZERO

    @property
    def exit_fee_rate(self) -> Decimal:
        """The exits' fees over their cost, likewise."""
        return round8(self.exit_fee / self.exited_cost) if self.exited_cost else ZERO

    @property
    def profit_ratio(self) -> Decimal:
        """Booked profit over the value of all entries, leveraged (not rounded)."""
        return self.booked / self.entered_value * self.leverage if self.entered_value else ZERO

    @property
    def funding_due(self) -> Decimal:
        """Funding that no exit's profit has taken in yet."""
        return self.funding - self.funding_booked

    def funded(self, received: Decimal) -> Position:
        """This position after a funding payment; a negative one was paid."""
        return changed(self, funding=self.funding + received)

    def entered(self, fill: Fill, base: str, quote: str, fee_rate: Decimal) -> Position:
        """This position after an entry fill."""
        cost = fill.amount * fill.price
        fee = fee_in_quote(fill, base, quote, fee_rate)
        got = fill.amount - fill.fee if fill.fee_currency == base else fill.amount
        # A fee taken in the bought coin makes what is held smaller, not what was paid larger.
        paid_fee = ZERO if fill.fee_currency == base else fee
        value = cost + paid_fee if self.side is Side.LONG else cost - paid_fee
        return changed(
            self,
            amount=self.amount + got,
            cost=self.cost + got * fill.price,
            value=self.value + value,
            entered_amount=self.entered_amount + fill.amount,
            entered_cost=self.entered_cost + cost,
            entered_value=self.entered_value + value,
            entry_fee=self.entry_fee + fee,
            fees=_with_fee(self.fees, fill),
        )

    def exited(self, fill: Fill, base: str, quote: str, fee_rate: Decimal) -> Position:
        """This position after an exit fill; its profit is booked by `exit_done`."""
        cost = fill.amount * fill.price
        fee = fee_in_quote(fill, base, quote, fee_rate)
        if fill.amount >= self.amount:
            held_cost, held_value = self.cost, self.value
        else:
            held_cost = self.cost * fill.amount / self.amount
            held_value = self.value * fill.amount / self.amount
        at_mean = self.left_at_mean
        if self.mean is not None:
            left_cost = fill.amount * exact(float(self.cost / self.amount))
            paid_fee = left_cost * fee_rate
            at_mean += left_cost + paid_fee if self.side is Side.LONG else left_cost - paid_fee
        brought = cost - fee if self.side is Side.LONG else cost + fee
        return changed(
            self,
            amount=max(self.amount - fill.amount, ZERO),
            cost=self.cost - held_cost,
            value=self.value - held_value,
            exited_amount=self.exited_amount + fill.amount,
            exited_cost=self.exited_cost + cost,
            leaving_value=self.leaving_value + brought,
            left_value=self.left_value + held_value,
            left_at_mean=at_mean,
            exit_fee=self.exit_fee + fee,
            fees=_with_fee(self.fees, fill),
        )

    def written_off(self) -> Position:
        """This position without its remainder, too small to trade: a long's value is lost, a short's not won."""
        if not self.amount:
            return self
        owed = ZERO if self.side is Side.LONG else self.value
        return changed(
            self,
            amount=ZERO,
            cost=ZERO,
            value=ZERO,
            left_value=self.left_value + self.value,
            leaving_value=self.leaving_value + owed,
        )

    def moved_away(self, amount: Decimal) -> Position:
        """This position without `amount` that was taken out of it without a sale: at what it had cost."""
        if amount >= self.amount:
            return changed(self, amount=ZERO, cost=ZERO, value=ZERO)
        left = (self.amount - amount) / self.amount
        return changed(self, amount=self.amount - amount, cost=self.cost * left, value=self.value * left)

    def exit_done(self) -> Position:
        """This position with the profit of the finished exit order booked, rounded to 8 digits."""
        if not self.left_value:
            return self
        got, paid, due = self.leaving_value, self.left_value, self.funding_due
        is_long = self.side is Side.LONG
        at_mean = None
        if self.left_at_mean:
            at_mean = (got + due, self.left_at_mean) if is_long else (self.left_at_mean, got - due)
        profit = booked_profit(got + due, paid, at_mean) if is_long else booked_profit(paid, got - due, at_mean)
        return changed(
            self,
            booked=self.booked + profit,
            leaving_value=ZERO,
            left_value=ZERO,
            left_at_mean=ZERO,
            funding_booked=self.funding,
        )

    def profit_ratio_at(self, price: Decimal, fee_rate: Decimal) -> Decimal:
        """The leveraged profit ratio of leaving all of it at `price`, round8 (`semantics.md` 2.2).

        As in the reference, all of the trade's funding counts in it, also what parts that were sold have taken in.
        """
        worth, value = self.amount * price, self._reckoned(fee_rate)
        if self.side is Side.LONG:
            return round8(((worth - worth * fee_rate + self.funding) / value - ONE) * self.leverage)
        return round8((ONE - (worth + worth * fee_rate - self.funding) / value) * self.leverage)

    def price_at_profit(self, ratio: Decimal, fee_rate: Decimal) -> Decimal:
        """The price at which leaving gives exactly `ratio`: the inverse of `profit_ratio_at`, not rounded.

        In doubles, see `engine.exits`.
        """
        sign = 1.0 if self.side is Side.LONG else -1.0
        wanted = float(self._reckoned(fee_rate)) * (1.0 + float(ratio) / float(self.leverage) / sign) - sign * float(
            self.funding
        )
        fee = self.amount * fee_rate
        return exact(wanted / float(self.amount - fee if self.side is Side.LONG else self.amount + fee))

    def profit_abs_at(self, price: Decimal, fee_rate: Decimal) -> Decimal:
        """Booked profit and that of leaving the rest at `price`, in the quote coin."""
        worth = self.amount * price
        if self.side is Side.LONG:
            return self.booked + round8(worth - worth * fee_rate + self.funding_due - self.value)
        return self.booked + round8(self.value - worth - worth * fee_rate + self.funding_due)


def fee_in_quote(fill: Fill, base: str, quote: str, fee_rate: Decimal) -> Decimal:
    """What the fee of `fill` is worth in the quote coin.

    A fee in a third coin counts with the worth the gateway gave it (`fee_cost`), else it is estimated
    by the market's rate: an unknown fee must not be counted as none.
    """
    if fill.fee_currency in (quote, ""):
        return fill.fee
    if fill.fee_currency == base:
        return fill.fee * fill.price
    return fill.fee_cost if fill.fee_cost is not None else fill.amount * fill.price * fee_rate


def _with_fee(fees: tuple[tuple[str, Decimal], ...], fill: Fill) -> tuple[tuple[str, Decimal], ...]:
    if not fill.fee:
        return fees
    if not fees:
        return ((fill.fee_currency, fill.fee),)
    totals = dict(fees)
    totals[fill.fee_currency] = totals.get(fill.fee_currency, ZERO) + fill.fee
    return tuple(totals.items())
