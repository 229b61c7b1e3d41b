"""What must fit together before real money is at stake, and what must not be in a configuration at all."""

from __future__ import annotations

from typing import Any, Final

from engine.config_rules import HIDDEN, shown
from engine.errors import Problem
from engine.settings import Config
from engine.types import ONE

PAPER: Final = "paper"

CREDENTIALS: Final = frozenset(
    {"apikey", "secret", "uid", "accountid", "login", "password", "twofa", "privatekey", "walletaddress", "token"}
)
"""What ccxt takes as keys: never from the configuration."""


def check_venue(config: Config, broken: set[str]) -> list[Problem]:
    """The mistakes in `mode`, `[exchange]` and `[live]` that no key shows by itself; those in `broken` are told already."""
    found: list[Problem] = []

    def say(key: str, value: Any, why: str, cure: str) -> None:
        if key not in broken:
            found.append(Problem(key, shown(key, value) if value is not None else "", why, cure))

    exchange = config.exchange
    if "mode" in broken or "exchange.name" in broken:
        return found
    if exchange.name == PAPER:
        if config.mode != PAPER:
            cure = 'Write name = "binance", or mode = "paper"'
            say("exchange.name", exchange.name, "live trading needs a real exchange", cure)
        return found
    if config.mode == PAPER:
        _check_feed(config, say)
        _check_wallet(config, say)
    else:
        _check_confirmation(config, say)
    _check_pairs(config, say)
    for key, value in exchange.options.items():
        if str(key).lower().replace("_", "") in CREDENTIALS:
            cure = "Set TRADEPIT_KEY and TRADEPIT_SECRET, or write keys_file = … under [exchange]"
            found.append(Problem(f"exchange.options.{key}", HIDDEN, "keys do not belong in a configuration", cure))
        elif key == "verbose" and value:
            why = "ccxt would print every request, keys included"
            say("exchange.options.verbose", value, why, 'Leave it out; log_level = "DEBUG" says what is sent')
    return found


def _check_confirmation(config: Config, say: Any) -> None:
    exchange, live, stake = config.exchange, config.live, config.trading.stake_amount
    if live.exchange != exchange.name:
        why = f'mode = "live" trades with real money on {exchange.name}, and nothing here confirms that'
        say("live.exchange", live.exchange or None, why, f'Write exchange = "{exchange.name}" under [live]')
    if live.largest_stake is None:
        why = 'mode = "live" needs to know the most that one trade may tie up'
        say(
            "live.largest_stake", None, why, f"Write largest_stake = … under [live], in {config.trading.stake_currency}"
        )
    elif not isinstance(stake, str) and stake > live.largest_stake:
        why = f"live.largest_stake is {live.largest_stake}"
        say("trading.stake_amount", stake, why, "Lower it, or confirm more under [live]")


def _check_wallet(config: Config, say: Any) -> None:
    """On paper what a stake takes must be there at the start, as in a live account."""
    stake, wallet = config.trading.stake_amount, config.paper.wallet
    if not isinstance(stake, str) and stake > wallet:
        why = f"the paper account begins with {wallet:f} {config.trading.stake_currency}, and an entry takes {stake:f}"
        say("paper.wallet", wallet, why, "Write a larger wallet, or lower trading.stake_amount")


def _check_feed(config: Config, say: Any) -> None:
    """On paper the market data is the exchange's, so no other market may be asked for beside it."""
    exchange, feed = config.exchange, config.feed
    if feed.source != "market":
        why = f"candles and prices are those of exchange.name = {exchange.name}"
        say("feed.source", feed.source, why, 'Leave it out, or write name = "paper" under [exchange]')
    if feed.speed != ONE:
        why = f"{exchange.name} goes at the world's own speed"
        say("feed.speed", feed.speed, why, 'Leave it out, or write name = "paper" under [exchange]')


def _check_pairs(config: Config, say: Any) -> None:
    trading, futures = config.trading, config.exchange.market == "futures"
    wrong = [pair for pair in trading.pairs if (":" in pair) is not futures]
    if wrong:
        right = f"{wrong[0]}:{trading.stake_currency}" if futures else wrong[0].partition(":")[0]
        what = (
            "futures are written with the coin they are settled in" if futures else "it is a future, on a spot market"
        )
        say("trading.pairs", wrong[0], what, f'Write "{right}", or another market under [exchange]')
    if not futures and trading.leverage != ONE:
        say("trading.leverage", trading.leverage, "a spot market has none", 'Leave it out, or write market = "futures"')
