"""Running plain trades from tapes to results: which way fits, and what came of it as columns and as trades."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, overload

import numpy as np

from engine.account import pass_until
from engine.booked import closed_trade
from engine.candles import Floats
from engine.columns import Labels, TradeColumns
from engine.lanes import Lane
from engine.messages import TradeClosed
from engine.plenty import Plenty, fixed_stake, was_plenty
from engine.portfolio import Portfolio
from engine.purse import Purse
from engine.quick import Held, Run
from engine.reckoning import reckon
from engine.steps import scale_of
from engine.straight import Rows, covers
from engine.tape import Calendar, Tape
from engine.types import ZERO, exact
from engine.work import Rules


class PlainTrades(Sequence[TradeClosed]):
    """The closed trades of a run in the order of their ends, each made when it is first looked at.

    `columns` has the same as doubles, at once; `fee` is the rate of all their fees.
    """

    def __init__(self, held: Sequence[Held]) -> None:
        self._held = held
        self.columns = _columns(held)
        self.fee = held[0].lane.rules.fee if held else ZERO

    def __len__(self) -> int:
        return len(self._held)

    @overload
    def __getitem__(self, at: int) -> TradeClosed: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[TradeClosed]: ...
    def __getitem__(self, at: int | slice) -> TradeClosed | Sequence[TradeClosed]:
        """One trade, or some."""
        return [made(held) for held in self._held[at]] if isinstance(at, slice) else made(self._held[at])

    def __iter__(self) -> Iterator[TradeClosed]:
        return map(made, self._held)


def made(held: Held) -> TradeClosed:
    """The trade in decimals."""
    if held.closed is None:
        amount = held.amount
        if amount is None:
            amount = exact(float(held.lane.amount[held.entry]))
        held.closed = closed_trade(held.lane, held.entry, held.number, amount)
    return held.closed


def is_plain(rules: Mapping[str, Rules], tapes: Mapping[str, Tape]) -> bool:
    """Whether `run_plain` is for these rules and tapes."""
    return all(covers(rules[pair], tape) for pair, tape in tapes.items())


def run_plain(rules: Mapping[str, Rules], tapes: Mapping[str, Tape], portfolio: Portfolio) -> tuple[Run, PlainTrades]:
    """Run all pairs under the account of a new portfolio; a run that was interrupted has what was done until then."""
    end = max((int(tape.candles.ts[-1]) for tape in tapes.values() if len(tape.candles)), default=0)
    stake = fixed_stake(portfolio)
    lanes = [Lane(number, tape, rules[pair], end, stake) for number, (pair, tape) in enumerate(tapes.items())]
    until = end
    if stake is not None:
        counting = Plenty(stake, portfolio.trading.max_open_trades)
        run = Run(lanes, counting, end, end)
        apart = not 0 <= counting.slots < len(lanes) and not any(lane.reverses for lane in lanes)
        if apart:
            run.run_apart()
        else:
            run.run()
        trades = PlainTrades(run.trades)
        if was_plenty(portfolio.trading, portfolio.start, stake, trades.columns):
            run.counters.rejected_signals = counting.rejected
            return run, trades
        until = end if run.interrupted is None else run.interrupted
    calendar = Calendar([lane.times for lane in lanes])
    purse = Purse(portfolio, lambda ts: pass_until(portfolio, ts, calendar.first_time))
    run = Run(lanes, purse, end, until)
    run.run()
    run.counters.rejected_signals, run.counters.locks = portfolio.rejected, purse.locks
    return run, PlainTrades(run.trades)


# ---------------------------------------------------------------- columns


def _columns(held: Sequence[Held]) -> TradeColumns:
    """The trades as columns, sorted by their ends."""
    if all(one.closed is not None for one in held):
        return TradeColumns.of([made(one) for one in held])
    ends = np.array([one.lane.times[one.exit] for one in held], np.int64)
    return _Gathered([held[place] for place in np.argsort(ends, kind="stable").tolist()]).columns()


class _Gathered:
    """Columns of the lanes brought together, a row a trade; `there` are the trades that are in decimals already."""

    def __init__(self, held: Sequence[Held]) -> None:
        lanes = {one.lane.number: one.lane for one in held}
        self.held = held
        self.there = [place for place, one in enumerate(held) if one.closed is not None]
        self.lanes = [lanes[number] for number in sorted(lanes)]
        places = {lane.number: place for place, lane in enumerate(self.lanes)}
        self.lane = np.array([places[one.lane.number] for one in held], np.int64)
        self.entry = np.array([one.entry for one in held], np.int64)
        self._at = np.cumsum([0, *(len(lane.rows) for lane in self.lanes)])[self.lane] + self.entry

    def gather(self, values: Callable[[Lane], Any]) -> Any:
        """One column."""
        return np.concatenate([values(lane) for lane in self.lanes])[self._at]

    def of_lane(self, value: Callable[[Lane], float]) -> Floats:
        """A column of what is one for all trades of a lane."""
        return np.array([value(lane) for lane in self.lanes])[self.lane]

    def columns(self) -> TradeColumns:
        """All columns, in the order of the trades."""
        rules = self.lanes[0].rules
        fee, leverage = rules.fee, rules.settings.leverage
        side = self.gather(lambda lane: lane.sides).astype(np.float64)
        values = self._values(side, fee, leverage)
        traded = values["open_rate"] * (1 + float(fee)) + values["close_rate"] * (1 + float(fee))
        return TradeColumns(
            pair=Labels.of(self.lanes[place].pair for place in self.lane.tolist()),
            enter_tag=Labels.of(self._texts(lambda lane, entries: lane.tags(lane.rows[entries]))),
            exit_reason=Labels.of(self._reasons()),
            is_short=side < 0,
            leverage=np.full(len(side), float(leverage)),
            volume=values["amount"] * traded,
            **values,
        )

    def _values(self, side: Floats, fee: Decimal, leverage: Decimal) -> dict[str, Any]:
        lot = self.of_lane(lambda lane: scale_of(lane.rules.market.amount_step) or 1.0)
        tick = self.of_lane(lambda lane: scale_of(lane.rules.market.price_step) or 1.0)
        values = {
            "open_ts": self.gather(lambda lane: lane.times[lane.rows]),
            "close_ts": self.gather(lambda lane: lane.times[lane.exit]),
            "open_rate": self.gather(lambda lane: lane.open_rate),
            "close_rate": self.gather(lambda lane: lane.close_rate),
            "amount": self.gather(lambda lane: lane.amount),
        }
        steps = (np.rint(values["open_rate"] * tick), np.rint(values["close_rate"] * tick))
        lots, scales = np.rint(values["amount"] * lot), lot.astype(np.longdouble) * tick
        money = reckon(side, lots, *steps, scales, fee, leverage)
        values |= {"stake": money.stake, "profit_abs": money.profit_abs, "profit_ratio": money.profit_ratio}
        for place in {*np.flatnonzero(money.unsure).tolist(), *self.there}:
            trade = made(self.held[place])
            for name, column in values.items():
                column[place] = float(getattr(trade, name))
        return values

    def _texts(self, of_lane: Callable[[Lane, Rows], list[str]]) -> list[str]:
        """A text for each trade, told by its lane of its entries."""
        texts = [""] * len(self.held)
        for place, lane in enumerate(self.lanes):
            own = np.flatnonzero(self.lane == place)
            for at, text in zip(own.tolist(), of_lane(lane, self.entry[own]), strict=True):
                texts[at] = text
        return texts

    def _reasons(self) -> list[str]:
        reasons = self._texts(lambda lane, entries: lane.reasons(entries))
        for place in self.there:
            reasons[place] = made(self.held[place]).exit_reason
        return reasons
