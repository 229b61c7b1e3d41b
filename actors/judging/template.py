"""The file that `tradepit new-strategy` writes: works as it is, and says what everything is for."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from engine.errors import StrategyError

_TEXT = '''"""{class_name}: say here what it does, and why that should earn.

Try it:   tradepit check --strategy {path}
Settings and callbacks: engine/strategy.py has all of them, with what they mean.
"""

from __future__ import annotations

from typing import Any

import talib

from engine.candles import Candles
from engine.strategy import Signals, Strategy, TradeView, crossed_above, crossed_below


class {class_name}(Strategy):
    """Buys when a dip in an uptrend is over: the RSI comes back while the price is above its long average."""

    # The length of a candle. You are asked once for every candle that has closed.
    timeframe = "1m"
    # Candles needed before the first signal counts. You always see at least these, and as many again.
    startup_candles = 200

    # Take profit: after so many minutes, with so much. Ratios: 0.02 is 2 %, fees and leverage included.
    minimal_roi = {{"0": 0.03, "60": 0.01, "180": 0.0}}
    # Leave with this loss at the latest.
    stoploss = -0.03

    # Settings of your own. [strategy.parameters] in config.toml may change them: oversold = 40
    oversold = 45
    overbought = 70
    trend = 100

    def signals(self, candles: Candles) -> Signals:
        """Answer for every candle; each array has the length of `candles`, whose newest is the last.

        `candles` has the numpy arrays ts (milliseconds), open, high, low, close and volume. Only what
        was known when a candle closed may decide about it: never look at the next element.
        """
        rsi = talib.RSI(candles.close, 14)
        average = talib.EMA(candles.close, self.trend)
        return Signals(
            enter_long=crossed_above(rsi, self.oversold) & (candles.close > average) & (candles.volume > 0),
            exit_long=crossed_below(rsi, self.overbought),
            # For shorts set can_short = True and give enter_short and exit_short.
            enter_tag=["rsi"] * len(candles),  # you find it in SQL: select enter_tag, avg(profit_ratio) …
        )

    # Callbacks are asked while a trade is open. Delete those you don't need: they cost time.
    # A callback sees the candles closed so far as self.candles. Prices and ratios are floats, times
    # milliseconds. When one raises or is late, what is said as default happens.

    def custom_exit(
        self, *, trade: TradeView, current_time: int, current_profit: float, **others: Any
    ) -> str | None:
        """Leave now? A text is the reason, None stays (the default)."""
        hours = (current_time - trade.open_ts) / 3_600_000
        if hours > 6 and current_profit < 0:
            return "too_long_under_water"
        return None
'''


def strategy_text(class_name: str, path: str) -> str:
    """A working, commented strategy file with a class of that name."""
    return _TEXT.format(class_name=class_name, path=path)


def class_name_for(stem: str) -> str:
    """The class name for a file's name: `my_idea` gives `MyIdea`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", stem))


def write_strategy(name: str, folder: Path = Path("strategies")) -> Path:
    """Write a new strategy called `name` (`my_idea`, or a path ending in .py) and return its file.

    Raises:
        StrategyError: the name cannot be a Python module's, or the file exists: it is never overwritten.
    """
    is_path = name.endswith(".py")
    file = Path(name) if is_path else folder / f"{name}.py"
    stem = file.stem if is_path else name
    if not re.fullmatch(r"[A-Za-z]\w*", stem) or keyword.iskeyword(stem):
        raise StrategyError(f"{stem!r} cannot name a strategy; take letters, digits and _, such as my_idea")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(strategy_text(class_name_for(stem), str(file)))
    except FileExistsError:
        raise StrategyError(f"{file} exists already, and is left as it is") from None
    except OSError as error:
        raise StrategyError(f"{file} cannot be written: {error.strerror}") from error
    return file
