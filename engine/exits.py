"""When and at what price a position is left: ROI, stop, trailing, signals, and which of them wins.

One rule for every mode: the machine hands a `MarketRange`, which is a candle in a backtest and the
ticks since the last look when live. What may have happened *inside* a range is `semantics.md` 2.4: the
high came before the low for a long (so trailing moves first), a stop is hit before a ROI target. A
range of one price leaves nothing to guess, and the same formulas then say what a live bot does.
All ratios are leveraged profits.

Levels that come from a ratio (stops, ROI targets) are computed in doubles, in the reference's order of
operations, and enter money through the market's rounding: on exact half-step ties it is the binary noise
that decides there, and equal trades are worth more than a rule of our own. Amounts, values and profits
are decimals throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from engine.levels import against, armed_by_offset
from engine.margin import Held, liquidation_price, tier_of
from engine.market import Market
from engine.messages import MarketRange, Signal
from engine.position import Position
from engine.quotes import Priced
from engine.settings import Settings
from engine.types import ONE, Millis, Side, exact

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Stop:
    """The guarding stop: its level, its distance as a ratio, and whether it ever moved."""

    level: Decimal
    ratio: Decimal
    initial: Decimal
    initial_ratio: Decimal
    moved: bool = False


@dataclass(frozen=True, slots=True)
class ExitWish:
    """A reason to leave and the price it is left at; `priced` says why it is that, where a quote was asked for."""

    reason: str
    price: Decimal
    tag: str = ""
    priced: Priced | None = None


def first_stop(rate: Decimal, ratio: Decimal, side: Side, leverage: Decimal, market: Market) -> Stop:
    """The stop a position begins with: `rate` × (1 ∓ |ratio| / leverage), rounded towards the rate."""
    level = stop_level(rate, ratio, side, leverage, market)
    return Stop(level, -abs(ratio), level, -abs(ratio))


def stop_level(rate: Decimal, ratio: Decimal, side: Side, leverage: Decimal, market: Market) -> Decimal:
    """A stop `ratio` (leveraged) away from `rate`: up to the next step for a long, down for a short."""
    distance = abs(float(ratio) / float(leverage))
    if side is Side.LONG:
        return market.round_price_up(exact(against(float(rate), distance, 1.0)))
    return market.round_price_down(exact(against(float(rate), distance, -1.0)))


def tightened(
    stop: Stop, rate: Decimal, ratio: Decimal, side: Side, leverage: Decimal, market: Market, *, loosen: bool = False
) -> Stop:
    """`stop` moved to `ratio` away from `rate` if that is tighter; else `stop` itself.

    `loosen` lets it move either way: only a callback after a fill may (`semantics.md` 1.7), and that is no trailing.
    """
    level = stop_level(rate, ratio, side, leverage, market)
    if loosen and level != stop.level:
        return Stop(level, -abs(ratio), stop.initial, stop.initial_ratio, moved=stop.moved)
    better = level > stop.level if side is Side.LONG else level < stop.level
    if not better:
        return stop
    return Stop(level, -abs(ratio), stop.initial, stop.initial_ratio, moved=True)


def is_hit(stop: Stop, rng: MarketRange, side: Side) -> bool:
    """Whether the range reaches the stop."""
    return reaches(rng, stop.level, side)


def reaches(rng: MarketRange, level: Decimal, side: Side) -> bool:
    """Whether the range goes against a position as far as `level`."""
    return level >= rng.low if side is Side.LONG else level <= rng.high


def liquidation_level(position: Position, market: Market, buffer: Decimal) -> Decimal | None:
    """The price at which a position must be left before the venue takes it.

    None where there is no such price: no futures market, or one whose tiers are not known.
    """
    tier = tier_of(market.tiers, position.stake)
    if tier is None or not market.is_futures or not position.amount:
        return None
    held = Held(
        sign=1 if position.side is Side.LONG else -1,
        open_rate=float(position.open_rate),
        amount=float(position.amount),
        stake=float(position.stake),
        leverage=float(position.leverage),
        rate=float(tier.rate),
        maintenance=float(tier.amount),
        taker=float(market.taker_fee),
    )
    return market.round_price(liquidation_price(market.liquidation, held, buffer))


def tighter(stop: Decimal, liquidation: Decimal | None, side: Side) -> Decimal:
    """The one of a stop and a liquidation price that the market would reach first."""
    if liquidation is None:
        return stop
    return max(stop, liquidation) if side is Side.LONG else min(stop, liquidation)


def best_price(rng: MarketRange, side: Side) -> Decimal:
    """The range's price that is best for the position."""
    return rng.high if side is Side.LONG else rng.low


def trailed(
    stop: Stop,
    position: Position,
    rng: MarketRange,
    settings: Settings,
    market: Market,
    fee: Decimal,
    ratio: Decimal | None = None,
) -> Stop:
    """`stop` after the range's best price; not asked where the range had reached it before anything moved it.

    The distance `ratio`, the configured one where none is given, follows the price; beyond the offset the
    closer `trailing_stop_positive` does; with `trailing_only_offset_is_reached` nothing moves before the offset.
    """
    if not settings.trailing_stop:
        return stop
    best = best_price(rng, position.side)
    profit = position.profit_ratio_at(best, fee)
    offset = settings.trailing_stop_positive_offset
    if settings.trailing_only_offset_is_reached and profit < offset:
        return stop
    distance = settings.stoploss if ratio is None else ratio
    if settings.trailing_stop_positive is not None and profit > offset:
        distance = settings.trailing_stop_positive
    return tightened(stop, best, distance, position.side, position.leverage, market)


def roi_at(table: tuple[tuple[int, Decimal], ...], minutes: int) -> tuple[int, Decimal] | None:
    """The entry of the ROI table in force after `minutes`: that of the largest key not above it."""
    found = None
    for key, ratio in table:
        if key > minutes:
            break
        found = (key, ratio)
    return found


def minutes_open(opened_at: Millis, now: Millis) -> int:
    """Whole minutes since the entry was placed; ROI and the entry candle's rules count in these."""
    return (now - opened_at) // MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything one look at a position needs: pure input of `wishes`."""

    position: Position
    stop: Stop
    rng: MarketRange
    signal: Signal
    settings: Settings
    market: Market
    fee: Decimal
    opened_at: Millis
    open_rate: Decimal
    liquidation: Decimal | None = None
    custom_exit: str = ""
    custom_roi: Decimal | None = None

    @property
    def is_long(self) -> bool:
        """Whether the position earns when the price rises."""
        return self.position.side is Side.LONG

    @property
    def minutes(self) -> int:
        """Whole minutes the trade is open at this look."""
        return minutes_open(self.opened_at, self.rng.ts)


def exit_signalled(look: Look) -> bool:
    """Whether the strategy's exit signal counts: it is wanted, and the profit is as it must be."""
    return exit_wanted(look) and _profit_allows(look)


def exit_wanted(look: Look) -> bool:
    """Whether there is a signal to leave: its own side's, without an entry on the same candle."""
    signal = look.signal
    return look.settings.use_exit_signal and (
        signal.exit_long and not signal.enter_long if look.is_long else signal.exit_short and not signal.enter_short
    )


def _profit_allows(look: Look) -> bool:
    settings = look.settings
    if not settings.exit_profit_only:
        return True
    return look.position.profit_ratio_at(look.rng.open, look.fee) > settings.exit_profit_offset


def wishes(look: Look) -> Iterator[ExitWish]:
    """The reasons to leave in the order they are tried: signal, stop or liquidation, ROI, trailing stop.

    `look.stop` is the stop after trailing. The first wish that the strategy does not deny wins.
    """
    if exit_signalled(look):
        yield ExitWish("exit_signal", look.rng.open, look.signal.exit_tag)
    elif look.custom_exit:
        yield ExitWish("custom_exit", look.rng.open, look.custom_exit)
    stopped = is_hit(look.stop, look.rng, look.position.side)
    if stopped and not look.stop.moved:
        yield ExitWish("stop_loss", stop_price(look))
    if not stopped and look.liquidation is not None and reaches(look.rng, look.liquidation, look.position.side):
        yield ExitWish("liquidation", _level_or_open(look, look.liquidation))
    price = roi_price(look)
    if price is not None:
        yield ExitWish("roi", price)
    if stopped and look.stop.moved:
        yield ExitWish("trailing_stop_loss", stop_price(look))


def stop_price(look: Look) -> Decimal:
    """Where a stop that was hit is left: its level, the open where the price jumped it.

    On the entry candle a trailing stop may have been armed and hit inside one candle; the pessimistic
    path is assumed (`semantics.md` 2.4.6; the offset is *not* divided by the leverage there).
    """
    rng, stop, settings = look.rng, look.stop, look.settings
    left_at = _level_or_open(look, stop.level)
    if left_at != stop.level or not stop.moved or look.minutes or rng.is_point:
        return left_at
    sign, start, leverage = (1 if look.is_long else -1), float(rng.open), float(look.position.leverage)
    offset, positive = settings.trailing_stop_positive_offset, settings.trailing_stop_positive
    by_offset = settings.trailing_stop and settings.trailing_only_offset_is_reached and offset and positive
    if by_offset and positive and "custom_stoploss" not in settings.callbacks:
        rate = exact(armed_by_offset(start, float(offset), abs(float(positive) / leverage), sign))
    else:
        rate = exact(against(start, abs(float(stop.ratio) / leverage), sign))
    return max(rng.low, rate) if look.is_long else min(rng.high, rate)


def _level_or_open(look: Look, level: Decimal) -> Decimal:
    """A level that was reached, or the open where the price jumped it."""
    jumped = level > look.rng.high if look.is_long else level < look.rng.low
    return look.rng.open if jumped else level


def roi_price(look: Look) -> Decimal | None:
    """Where the ROI target is left, None where it is not reached or could not have been."""
    settings, rng, position = look.settings, look.rng, look.position
    entering = look.signal.enter_long if look.is_long else look.signal.enter_short
    if settings.ignore_roi_if_entry_signal and entering:
        return None
    minutes = look.minutes
    found = roi_at(settings.roi, minutes)
    key, ratio = found if found is not None else (None, None)
    if look.custom_roi is not None and (ratio is None or look.custom_roi < ratio):
        key, ratio = minutes, look.custom_roi  # the strategy's own is new at every look
    if ratio is None or position.profit_ratio_at(best_price(rng, position.side), look.fee) <= ratio:
        return None
    timeframe = settings.timeframe_ms // MINUTE_MS
    on_candle = key is not None and timeframe > 0 and key % timeframe == 0
    if ratio == -ONE and on_candle:
        return rng.open
    target = position.price_at_profit(ratio, look.fee)
    opened_past_it = rng.open > target if look.is_long else rng.open < target
    if minutes > 0 and minutes == key and on_candle and opened_past_it:
        return rng.open
    if minutes == 0 and not rng.is_point and _entry_candle_went_against(look, target):
        return None
    return min(max(target, rng.low), rng.high)


def _entry_candle_went_against(look: Look, target: Decimal) -> bool:
    """On the entry candle: the range fell (a long), and the entry may have come after its high."""
    rng = look.rng
    if look.is_long:
        return rng.open > rng.close and look.open_rate < rng.open and target > rng.close
    return rng.open < rng.close and look.open_rate > rng.open and target < rng.close


def rounded_exit(wish: ExitWish, market: Market) -> Decimal:
    """The price of an exit order: the wish's, to the market's step."""
    return market.price_near(wish.price)
