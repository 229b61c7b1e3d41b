"""The account of a quick run that reckons with every coin: the portfolio itself, asked and told as pairs do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from engine.account import close_trade
from engine.actions import Emit
from engine.booked import closed_trade, entered
from engine.counters import REFUSED_STAKES
from engine.lanes import SIDES, Lane
from engine.messages import CapitalDenied, ExposureChanged, ReserveCapital
from engine.portfolio import Portfolio
from engine.quick import Held
from engine.sizing import entry_amount, max_stake, min_stake
from engine.types import ZERO, Millis, exact


@dataclass(slots=True)
class Purse:
    """See the module's text. `passes` lets time pass for the portfolio.

    `locks` counts those that came, `refused` the stakes that were not there, or too small.
    """

    portfolio: Portfolio
    passes: Callable[[Millis], Sequence[Emit]]
    locks: int = 0
    refused: int = 0
    earned: dict[str, Decimal] = field(default_factory=dict)

    def pass_time(self, ts: Millis) -> None:
        """Let time pass until `ts`."""
        self.passes(ts)

    def reserve(self, lane: Lane, entry: int, ts: Millis) -> Decimal | None:
        """Ask the portfolio."""
        rules, price = lane.rules, _opening(lane, entry)
        settings, market = rules.settings, rules.market
        answer = self.portfolio.reserve(
            ReserveCapital(
                request_id=f"{lane.pair}?{ts}",
                pair=lane.pair,
                side=SIDES[int(lane.sides[entry])],
                price=price,
                round_ts=ts,
                stake_min=min_stake(market, price, rules.reserve_stop, settings.amount_reserve, settings.leverage),
                stake_max=max_stake(market, price, settings.leverage),
                leverage=settings.leverage,
            ),
            ts,
        )
        if isinstance(answer, CapitalDenied):
            self.refused += answer.code in REFUSED_STAKES
            return None
        return answer.stake

    def enter(self, held: Held, stake: Decimal, ts: Millis) -> bool:
        """Buy; False where that is refused, as by the machine."""
        lane = held.lane
        market, leverage = lane.rules.market, lane.rules.settings.leverage
        if held.amount is None:
            price = _opening(lane, held.entry)
            held.amount = entry_amount(market, stake, price, leverage)
            if market.refusal(held.amount, market.round_price(price)) is not None:
                return False
        position = entered(lane, held.entry, held.amount)
        self.portfolio.exposure_changed(
            ExposureChanged(
                pair=lane.pair,
                trade_id=f"{lane.pair}#{held.number}",
                stake=position.stake,
                opened_at=ts,
                side=position.side,
                amount=position.amount,
                open_rate=position.open_rate,
                earned=self.earned.get(lane.pair, ZERO),
                leverage=leverage,
            )
        )
        return True

    def leave(self, held: Held, ts: Millis) -> None:
        """Book its profit, and the locks and halts that it brings."""
        lane = held.lane
        if held.closed is None:
            assert held.amount is not None
            held.closed = closed_trade(lane, held.entry, held.number, held.amount)
        self.earned[lane.pair] = self.earned.get(lane.pair, ZERO) + held.closed.profit_abs
        self.release(lane)
        events = close_trade(self.portfolio, held.closed, ts)
        self.locks += sum(event.kind == "PairLocked" for event in events)

    def release(self, lane: Lane) -> None:
        """The pair ties up nothing."""
        flat = ExposureChanged(pair=lane.pair, trade_id="", stake=ZERO, earned=self.earned.get(lane.pair, ZERO))
        self.portfolio.exposure_changed(flat)


def _opening(lane: Lane, entry: int) -> Decimal:
    return exact(float(lane.tape.candles.open[lane.rows[entry]]))
