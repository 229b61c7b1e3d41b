"""Small strategies for replays of made candles: each makes the machine do something particular."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import numpy as np

from engine.candles import Candles
from engine.strategy import OrderView, Signals, Strategy, TradeView


class Long(Strategy):
    """Buys and sells by the candle's own number, with ROI, a stop and a trailing stop."""

    timeframe = "1m"
    startup_candles = 3
    minimal_roi: ClassVar = {"0": 0.02, "10": 0.008, "40": 0.0}
    stoploss = -0.02
    trailing_stop = True
    trailing_stop_positive = 0.004
    trailing_stop_positive_offset = 0.008

    def signals(self, candles: Candles) -> Signals:
        """The same for equal candles; shorts only count where they are allowed."""
        drawn = ((candles.ts // 60_000) * 2_654_435_761 + zlib.crc32(candles.pair.encode())) >> 9
        tags = np.where(drawn % 2 == 0, "even", "odd")
        return Signals(
            enter_long=drawn % 7 == 0,
            exit_long=drawn % 23 == 1,
            enter_short=drawn % 7 == 2,
            exit_short=drawn % 23 == 3,
            enter_tag=tags,
            exit_tag=tags,
        )


class Holding(Long):
    """Buys and never sells: what it holds is left where the data end."""

    trailing_stop = False
    minimal_roi: ClassVar = {}
    stoploss = -0.5
    use_exit_signal = False


class Reversing(Long):
    """Long and short, and from one into the other."""

    can_short = True
    trailing_stop = False
    minimal_roi: ClassVar = {"0": 0.03}

    def signals(self, candles: Candles) -> Signals:
        """Each side's entry is the other's exit."""
        drawn = ((candles.ts // 60_000) * 2_654_435_761 + zlib.crc32(candles.pair.encode())) >> 9
        long, short = drawn % 5 == 0, drawn % 5 == 1
        return Signals(enter_long=long, exit_long=short, enter_short=short, exit_short=long)


class Patient(Long):
    """Asks for prices that are seldom reached, so that entries and exits are not filled in time."""

    use_exit_signal = True

    def custom_entry_price(self, proposed_rate: float, side: str, **_: Any) -> float:
        """A little better than the market."""
        return proposed_rate * (0.997 if side == "long" else 1.003)

    def custom_exit_price(self, proposed_rate: float, **_: Any) -> float:
        """As above."""
        return proposed_rate * 1.004


class Moving(Patient):
    """Moves what is not filled: an entry that rests comes closer, candle by candle, and is given up in between."""

    def adjust_order_price(
        self, proposed_rate: float, current_order_rate: float, current_time: int, is_entry: bool, side: str, **_: Any
    ) -> float | None:
        """Nearer to the market on most candles, given up on some, as it is on others."""
        drawn = current_time // 60_000 % 5
        if drawn == 0:
            return None
        towards = -1 if is_entry == (side == "long") else 1
        return current_order_rate if drawn == 1 else proposed_rate * (1 + towards * 0.001)


class Stubborn(Holding):
    """Wants one price for what it holds, whatever the market says, and asks for it again and again."""

    use_exit_signal = True

    def custom_exit_price(self, **_: Any) -> float:
        """As a limit order that rests."""
        return 103.0


class Asked(Reversing):
    """Has a callback for everything the machine asks, and raises in one at times."""

    use_custom_stoploss = True
    use_custom_roi = True

    def leverage(self, pair: str, max_leverage: float, **_: Any) -> float:
        """Pairs differ."""
        return 1.0 + zlib.crc32(pair.encode()) % 3

    def custom_stake_amount(self, proposed_stake: float, current_time: int, **_: Any) -> float:
        """Half of it at times."""
        return proposed_stake / 2 if current_time % 180_000 else proposed_stake

    def confirm_trade_entry(self, current_time: int, **_: Any) -> bool:
        """Deny a third, and stumble at times."""
        if current_time % 420_000 == 0:
            raise ValueError("a bug in a strategy")
        return current_time // 60_000 % 3 != 0

    def confirm_trade_exit(self, exit_reason: str, current_time: int, **_: Any) -> bool:
        """Deny some that are not stops."""
        return "stop" in exit_reason or current_time // 60_000 % 4 != 0

    def custom_stoploss(self, current_profit: float, **_: Any) -> float | None:
        """Closer, the more there is to lose."""
        return -0.005 if current_profit > 0.005 else None

    def custom_exit(self, trade: TradeView, current_time: int, current_profit: float, **_: Any) -> str | None:
        """In words of its own."""
        return "long enough" if current_time - trade.open_ts > 240_000 and current_profit > -0.01 else None

    def custom_roi(self, trade_duration: int, **_: Any) -> float:
        """Less with time."""
        return 0.02 / (1 + trade_duration)


class Failing(Long):
    """Has a bug in a callback that meets one pair for good, and another one now and then."""

    def custom_exit(self, pair: str, current_time: int, **_: Any) -> str | None:
        """Raise for the second pair always, for the third every other minute."""
        if pair.startswith("BBB") or (pair.startswith("CCC") and current_time % 120_000):
            raise ValueError("a bug in a strategy")
        return None


class Leveraged(Reversing):
    """Both sides on candles of five minutes, with a stop so far away that the liquidation price comes first."""

    timeframe = "5m"
    stoploss = -0.99
    minimal_roi: ClassVar = {"0": 0.4, "60": 0.2}
    use_exit_signal = False

    def signals(self, candles: Candles) -> Signals:
        """Now and then, by the candle's number."""
        drawn = ((candles.ts // 300_000) * 2_654_435_761 + zlib.crc32(candles.pair.encode())) >> 9
        return Signals(enter_long=drawn % 7 == 0, enter_short=drawn % 7 == 2)


class Watching(Long):
    """Looks at the account and at all trades, locks pairs, and keeps data with its trade: for the account's views."""

    minimal_roi: ClassVar = {"0": 0.01}
    looks_at = ("trades",)

    def order_filled(self, trade: TradeView, order: OrderView, **_: Any) -> None:
        """Count the fills, by the order's own view."""
        assert trade.orders[-1] == order
        trade.custom_data["fills"] = trade.custom_data.get("fills", 0) + 1

    def custom_exit(self, pair: str, trade: TradeView, current_time: int, **_: Any) -> str | None:
        """Leave when another trade has been open for longer; the reason says what the account looked like."""
        account = self.account
        assert account is not None
        assert trade.custom_data["fills"] == 1
        older = [other for other in account.trades if other.pair != pair and other.open_ts < trade.open_ts]
        if not older or current_time % 420_000:
            return None
        self.lock_pair(pair, current_time + 120_000, "watched")
        if len(account.closed) % 5 == 0:
            self.unlock_reason("watched")
        return (
            f"{account.open_trades} {len(account.closed)} {account.free:.4f} {len(account.locks)} {older[0].amount:.6f}"
        )
