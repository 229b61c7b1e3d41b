"""The strategy that Freqtrade runs for a case: its signals are the case's columns, its callbacks the case's rules.

Loaded by Freqtrade only. The case lies in `tests.reference.inside_freqtrade.CURRENT` when the file is imported, and
the class has just those methods that the case has rules for: Freqtrade looks at which ones a class overrides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

from tests.reference.inside_freqtrade import CURRENT, minute_of
from tests.reference.rules import answer, draw

CASE = CURRENT[0]
RULES = CASE.get("callbacks", {})
CONFIG = CASE["config"]
TRADE_SEEN = (
    "is_short", "leverage", "open_rate", "amount", "stake_amount", "max_stake_amount", "stop_loss",
    "initial_stop_loss", "stop_loss_pct", "initial_stop_loss_pct", "nr_of_successful_entries",
    "nr_of_successful_exits", "realized_profit", "open_date_utc", "date_last_filled_utc", "has_open_orders",
    "enter_tag", "is_open", "fee_open", "fee_close", "entry_side", "exit_side",
)  # fmt: skip
NOT_ALIKE = {
    "confirm_trade_exit": ("order_type", "rate"),
    "leverage": ("current_rate", "proposed_leverage"),
    "adjust_trade_position": ("min_stake",),
}
"""What Freqtrade tells otherwise in a backtest than live; here it is told as live."""
ORDER_SEEN = (
    "ft_order_side", "ft_is_open", "price", "amount", "filled", "remaining", "safe_price", "stake_amount",
    "ft_order_tag", "order_date_utc", "status",
)  # fmt: skip
"""What a case with `views` looks at of trades and orders."""


def account_of(strategy: Any, pair: str, now: Any) -> dict[str, Any]:
    """What the strategy sees of the account at a question about a pair."""
    coin, wallets, closed = pair.partition("/")[2], strategy.wallets, Trade.get_trades_proxy(is_open=False)
    open_trades = Trade.get_trades_proxy(is_open=True)
    before = now - timedelta(minutes=CONFIG["timeframe_minutes"])
    return {
        "free": wallets.get_free(coin),
        "pool": wallets.get_total_stake_amount(),
        "available": wallets.get_available_stake_amount(),
        "open": Trade.get_open_trade_count(),
        "stakes": float(Trade.total_open_trades_stakes()),
        "pairs": ",".join(sorted(f"{trade.pair}@{trade.open_rate}" for trade in open_trades)),
        "tags": ",".join(str(trade.enter_tag) for trade in open_trades),
        "closed": len(closed),
        "of_pair": len(Trade.get_trades_proxy(pair=pair, is_open=False, close_date=now - timedelta(hours=12))),
        "earned": float(Trade.get_total_closed_profit()),
        "last": closed[-1].exit_reason.partition(" ")[0] if closed else "none",
        "ratio": float(closed[-1].close_profit) if closed else 0.0,
        "locked": strategy.is_pair_locked(pair, candle_date=before),
    }


def seen_in(callback: str, arguments: dict[str, Any]) -> str:
    """What a callback is handed, as a text: the numbers, the trade, its orders."""
    left_out = {"trade", "order", "current_time", "pair", *NOT_ALIKE.get(callback, ())}
    named = {name: value for name, value in arguments.items() if name not in left_out}
    parts = [callback, *(f"{name}={_text(named[name])}" for name in sorted(named))]
    trade, order = arguments.get("trade"), arguments.get("order")
    if trade is not None:
        filled = callback == "order_filled" or arguments.get("after_fill")
        sold = filled and trade.orders[-1].ft_order_side == trade.exit_side
        # Of an exit that has filled Freqtrade's backtest says what there was before it.
        unlike = ("amount", "stake_amount", "realized_profit") if sold else ()
        parts += [f"{name}={_text(getattr(trade, name))}" for name in TRADE_SEEN if name not in unlike]
        parts += [_order(each) for each in trade.orders]
    return " ".join([*parts, f"of {_order(order)}" if order is not None else ""])


def _order(order: Any) -> str:
    return "[" + " ".join(f"{name}={_text(getattr(order, name))}" for name in ORDER_SEEN) + "]"


def _text(value: Any) -> str:
    if isinstance(value, bool | str) or value is None:
        return str(value)
    # Seven digits, with a little added: money of fewer decimals must not be a tie that the doubles' error decides.
    return f"{value * (1 + 3e-11):.7g}" if isinstance(value, int | float) else str(minute_of(value))


SEEN: list[str] = []
"""What the callbacks of the case under way have been handed, for whoever looks for a difference."""


def ask(callback: str, arguments: dict[str, Any], strategy: Any = None) -> Any:
    """The rule's answer to a callback of these arguments."""
    plain = {name: getattr(value, "value", value) for name, value in arguments.items()}
    facts = {k: v for k, v in plain.items() if isinstance(v, str | int | float | bool) or v is None}
    trade, order = arguments.get("trade"), arguments.get("order")
    facts["minute"] = minute_of(arguments["current_time"])
    if trade is not None:
        facts["pair"] = trade.pair
        facts["sign"] = -1 if trade.is_short else 1
        facts["entries"], facts["exits"] = trade.nr_of_successful_entries, trade.nr_of_successful_exits
        facts["stake"] = trade.stake_amount
        facts["fills"] = trade.get_custom_data("fills") if "order_filled" in RULES else None
    else:
        facts["sign"] = -1 if arguments["side"] == "short" else 1
    facts["pair"] = facts["pair"].partition(":")[0]  # futures name their pairs with the coin they settle in
    if CASE.get("views"):
        facts["seen"] = seen_in(callback, arguments)
        SEEN.append(f"{facts['pair']}@{facts['minute']} {facts['seen']}")
    if CASE.get("looks"):
        facts["account"] = account_of(strategy, facts["pair"], arguments["current_time"])
        if "lock" in RULES[callback]:
            lock(strategy, RULES[callback]["lock"], facts, arguments["current_time"])
    if order is not None:
        facts["age"] = facts["minute"] - minute_of(order.order_date_utc)
    return answer(CASE["seed"], callback, RULES[callback], facts)


def lock(strategy: Any, rule: dict[str, Any], facts: dict[str, Any], now: Any) -> None:
    """Let the strategy lock a pair, or lift what it has locked, where the rule's chance says so."""
    drawn = draw(CASE["seed"], facts, "lock")
    if drawn < rule["chance"]:
        pair = "*" if drawn < rule["all"] else facts["pair"]
        strategy.lock_pair(pair, now + timedelta(minutes=rule["minutes"]), "own", side=rule["side"])


class RuleStrategy(IStrategy):
    """Freqtrade's side of a case."""

    INTERFACE_VERSION = 3
    timeframe = f"{CONFIG['timeframe_minutes']}m" if CONFIG["timeframe_minutes"] < 60 else "1h"
    startup_candle_count = 0
    minimal_roi = CONFIG["roi"]
    stoploss = CONFIG["stoploss"]
    trailing_stop = CONFIG["trailing_stop"]
    trailing_stop_positive = CONFIG["trailing_stop_positive"]
    trailing_stop_positive_offset = CONFIG["trailing_stop_positive_offset"]
    trailing_only_offset_is_reached = CONFIG["trailing_only_offset_is_reached"]
    use_exit_signal = CONFIG["use_exit_signal"]
    exit_profit_only = CONFIG["exit_profit_only"]
    exit_profit_offset = CONFIG["exit_profit_offset"]
    ignore_roi_if_entry_signal = CONFIG["ignore_roi_if_entry_signal"]
    can_short = CONFIG["can_short"]
    use_custom_stoploss = "custom_stoploss" in RULES
    use_custom_roi = "custom_roi" in RULES
    position_adjustment_enable = "adjust_trade_position" in RULES
    max_entry_position_adjustment = CONFIG.get("max_entry_position_adjustment", -1)
    order_types = {  # noqa: RUF012 -- Freqtrade's form
        "entry": "limit",
        "exit": "limit",
        "stoploss": "market",
        "stoploss_on_exchange": False,
        **CONFIG.get("order_types", {}),
    }
    protections = CONFIG.get("protections", [])
    ignore_buying_expired_candle_after = CONFIG.get("ignore_buying_expired_candle_after", 0)

    def populate_indicators(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The case's columns, by candle."""
        rows = CASE["candles"][metadata["pair"].partition(":")[0]]
        columns = CASE["columns"]
        for name in columns[5:9]:
            at = columns.index(name)
            signals = {row[0]: row[at] for row in rows}
            dataframe[f"case_{name}"] = [signals[minute_of(date)] for date in dataframe["date"]]
        return dataframe

    def populate_entry_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The entries."""
        for name in ("enter_long", "enter_short"):
            dataframe[name] = dataframe[f"case_{name}"]
        return dataframe

    def populate_exit_trend(self, dataframe: Any, metadata: dict[str, Any]) -> Any:
        """The exits."""
        for name in ("exit_long", "exit_short"):
            dataframe[name] = dataframe[f"case_{name}"]
        return dataframe

    if "leverage" in RULES or CONFIG["leverage"] != 1.0:

        def leverage(self, **arguments: Any) -> float:
            if "leverage" not in RULES:
                return float(CONFIG["leverage"])
            return float(ask("leverage", arguments))

    if "custom_stoploss" in RULES and RULES["custom_stoploss"].get("takes_after_fill"):

        def custom_stoploss(self, pair: str, trade: Any, current_time: Any, after_fill: bool, **kwargs: Any) -> Any:
            facts = {**kwargs, "pair": pair, "trade": trade, "current_time": current_time, "after_fill": after_fill}
            return ask("custom_stoploss", facts)

    elif "custom_stoploss" in RULES:

        def custom_stoploss(self, pair: str, trade: Any, current_time: Any, **kwargs: Any) -> Any:
            return ask("custom_stoploss", {**kwargs, "pair": pair, "trade": trade, "current_time": current_time})

    if "order_filled" in RULES:

        def order_filled(self, pair: str, trade: Any, order: Any, current_time: Any, **kwargs: Any) -> None:
            facts = {"pair": pair, "trade": trade, "order": order, "current_time": current_time}
            trade.set_custom_data("fills", ask("order_filled", facts))


def _method(callback: str) -> Any:
    def method(self: Any, **arguments: Any) -> Any:
        return ask(callback, arguments, self)

    method.__name__ = callback
    return method


for _name in RULES:
    if _name not in ("leverage", "custom_stoploss", "order_filled"):
        setattr(RuleStrategy, _name, _method(_name))
