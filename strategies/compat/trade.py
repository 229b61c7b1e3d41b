"""`Trade` as Freqtrade's callbacks get it: a copy of the machine's facts, in floats.

Changing one changes nothing; what a callback wants it returns. Custom data is the exception: it goes back with
the answer, and is kept with the trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Self

from strategies.compat.all_trades import AllTrades
from strategies.compat.order import Order, moment_of


class CustomData(NamedTuple):
    """One value that a strategy keeps with a trade."""

    cd_key: str
    cd_value: Any

    @property
    def value(self) -> Any:
        """The value itself."""
        return self.cd_value


class Trade(AllTrades):
    """A position with its orders."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.trade_id = str(facts["trade_id"])
        self.id = Trade.book.number_of(self.trade_id)
        self.pair = str(facts["pair"])
        self.base_currency, _, quote = self.pair.partition("/")
        self.stake_currency = quote.partition(":")[0]
        self.is_short = bool(facts["is_short"])
        self.is_open = bool(facts.get("is_open", True))
        self.open_rate = self.open_rate_requested = float(facts["open_rate"])
        self.amount = self.amount_requested = float(facts["amount"])
        self.stake_amount = float(facts["stake_amount"])
        self.max_stake_amount = float(facts.get("max_stake_amount", self.stake_amount))
        self.leverage = float(facts["leverage"])
        self.enter_tag = self.buy_tag = facts["enter_tag"]
        self.stop_loss, self.initial_stop_loss = float(facts["stop_loss"]), float(facts["initial_stop_loss"])
        self.stop_loss_pct = float(facts.get("stop_loss_ratio", 0.0))
        """The stop's distance as it was last set, a leveraged ratio below 0."""
        self.initial_stop_loss_pct = float(facts.get("initial_stop_loss_ratio", 0.0))
        self.max_rate, self.min_rate = float(facts["max_rate"]), float(facts["min_rate"])
        self.fee_open, self.fee_close = float(facts.get("fee_open") or 0.0), float(facts.get("fee_close") or 0.0)
        self.realized_profit = float(facts.get("realized_profit", 0.0))
        self.funding_fees = float(facts.get("funding_fees", 0.0))
        self.liquidation_price = facts.get("liquidation_price")
        self.open_date = self.open_date_utc = moment_of(facts["open_ts"])
        self.close_date = self.close_date_utc = moment_of(facts.get("close_ts"))
        self.close_rate = self.close_rate_requested = facts.get("close_rate")
        self.close_profit, self.close_profit_abs = facts.get("profit_ratio"), facts.get("profit_abs")
        self.exit_reason = self.sell_reason = facts.get("exit_reason") or ""
        self.exit_order_status = ""
        self.strategy = ""
        self.timeframe = 0
        self.exchange = ""
        self.trading_mode: Any = "spot"
        self.interest_rate = 0.0
        self.contract_size = 1.0
        self._entries, self._exits = int(facts.get("entries", 1)), int(facts.get("exits", 0))
        self.orders = [Order(order, self) for order in facts.get("orders", ())]
        self._custom = Trade.book.custom_of({"custom_data": {}, **facts})

    @classmethod
    def of(cls, facts: Mapping[str, Any], strategy: Any) -> Self:
        """A trade of the machine's facts, as `strategy` sees it; the book knows it as the pair's open one."""
        trade = cls(facts)
        trade.fee_open = trade.fee_open or strategy.config.get("fee", 0.0)
        trade.fee_close = trade.fee_close or strategy.config.get("fee", 0.0)
        trade.strategy = type(strategy).__name__
        trade.timeframe = strategy.config.get("timeframe", "")
        trade.trading_mode = strategy.config.get("trading_mode", "spot")
        trade.exchange = strategy.config.get("exchange", {}).get("name", "")
        cls.book.asked_about(facts)
        return trade

    def __repr__(self) -> str:
        since = self.open_date.strftime("%Y-%m-%d %H:%M:%S") if self.is_open and self.open_date else "closed"
        return (
            f"Trade(id={self.id}, pair={self.pair}, amount={self.amount:.8f}, is_short={self.is_short}, "
            f"leverage={self.leverage}, open_rate={self.open_rate:.8f}, open_since={since})"
        )

    # ------------------------------------------------------------ words

    @property
    def entry_side(self) -> str:
        """What entering is: buy, or for a short sell."""
        return "sell" if self.is_short else "buy"

    @property
    def exit_side(self) -> str:
        """What leaving is."""
        return "buy" if self.is_short else "sell"

    @property
    def trade_direction(self) -> str:
        """Long or short."""
        return "short" if self.is_short else "long"

    @property
    def safe_base_currency(self) -> str:
        """The coin that is traded."""
        return self.base_currency

    @property
    def safe_quote_currency(self) -> str:
        """The coin it is paid in."""
        return self.stake_currency

    @property
    def has_no_leverage(self) -> bool:
        """Whether it is a plain purchase."""
        return self.leverage == 1.0 and not self.is_short

    @property
    def is_stop_loss_trailing(self) -> bool:
        """Whether the stop has moved."""
        return self.stop_loss != self.initial_stop_loss

    @property
    def stoploss_or_liquidation(self) -> float:
        """The price that ends it first."""
        if self.liquidation_price is None:
            return self.stop_loss
        return (min if self.is_short else max)(self.stop_loss, float(self.liquidation_price))

    # ------------------------------------------------------------ orders

    @property
    def nr_of_successful_entries(self) -> int:
        """How many entries were filled."""
        return len(self.select_filled_orders(self.entry_side)) or self._entries

    @property
    def nr_of_successful_exits(self) -> int:
        """How many exits were filled."""
        return len(self.select_filled_orders(self.exit_side)) or self._exits

    nr_of_successful_buys, nr_of_successful_sells = nr_of_successful_entries, nr_of_successful_exits

    @property
    def open_orders(self) -> list[Order]:
        """The orders that wait, stops left out."""
        return [order for order in self.orders if order.ft_is_open and order.ft_order_side != "stoploss"]

    @property
    def has_open_orders(self) -> bool:
        """Whether any waits."""
        return bool(self.open_orders)

    @property
    def has_open_position(self) -> bool:
        """Whether anything is held."""
        return self.amount > 0

    def select_filled_orders(self, order_side: str | None = None) -> list[Order]:
        """The orders that are done and have filled something."""
        return [o for o in self.orders if order_side in (None, o.ft_order_side) and not o.ft_is_open and o.filled]

    def select_filled_or_open_orders(self) -> list[Order]:
        """The orders that wait or have filled something."""
        return [order for order in self.orders if order.ft_is_open or order.filled]

    def select_order(self, order_side: str | None = None, is_open: bool | None = None) -> Order | None:
        """The newest order of a side, open or not."""
        found = [
            order
            for order in self.orders
            if order_side in (None, order.ft_order_side) and is_open in (None, order.ft_is_open)
        ]
        return found[-1] if found else None

    @property
    def date_last_filled_utc(self) -> datetime | None:
        """When an order was last filled; before that the open date."""
        dates = [order.order_filled_utc for order in self.select_filled_orders() if order.order_filled_utc]
        found: datetime | None = max(dates, default=self.open_date)
        return found

    @property
    def date_entry_fill_utc(self) -> datetime | None:
        """When the first entry was filled."""
        filled = self.select_filled_orders(self.entry_side)
        return min((order.order_filled_utc for order in filled if order.order_filled_utc), default=None)

    # ------------------------------------------------------------ money

    @property
    def open_trade_value(self) -> float:
        """What was paid, fees included; of a short what was got."""
        fee = -self.fee_open if self.is_short else self.fee_open
        return self.amount * self.open_rate * (1 + fee)

    def calc_close_trade_value(self, rate: float, amount: float | None = None) -> float:
        """What leaving at `rate` brings, fees included; of a short what it costs."""
        fee = self.fee_close if self.is_short else -self.fee_close
        return (self.amount if amount is None else amount) * rate * (1 + fee)

    def calc_profit(self, rate: float, amount: float | None = None, open_rate: float | None = None) -> float:
        """The profit in the stake currency if it were left at `rate`."""
        return float(self.calculate_profit(rate, amount, open_rate).profit_abs)

    def calc_profit_ratio(self, rate: float, amount: float | None = None, open_rate: float | None = None) -> float:
        """The same as a leveraged ratio of what was paid."""
        return float(self.calculate_profit(rate, amount, open_rate).profit_ratio)

    def calculate_profit(
        self, rate: float, amount: float | None = None, open_rate: float | None = None
    ) -> ProfitStruct:
        """Both, alone and with what partial exits have booked."""
        held = self.amount if amount is None else amount
        fee = -self.fee_open if self.is_short else self.fee_open
        paid = held * (self.open_rate if open_rate is None else open_rate) * (1 + fee)
        got = self.calc_close_trade_value(rate, held)
        profit = round(paid - got if self.is_short else got - paid, 8)
        ratio = round((1 - got / paid if self.is_short else got / paid - 1) * self.leverage, 8) if paid else 0.0
        total = profit + self.realized_profit
        stake = self.max_stake_amount * (1 + fee)
        return ProfitStruct(profit, ratio, total, total / stake if stake else 0.0)

    # ------------------------------------------------------------ custom data

    def set_custom_data(self, key: str, value: Any) -> None:
        """Keep a value with the trade, over restarts too: numbers, texts, lists and dicts of such."""
        Trade.book.keep(self.trade_id, self.pair, str(key), value)
        self._custom[str(key)] = value

    def delete_custom_data(self, key: str | None = None) -> None:
        """Forget a value that was kept; without a key all."""
        for each in [key] if key is not None else list(self._custom):
            if each in self._custom:
                self.set_custom_data(each, None)

    def get_custom_data(self, key: str, default: Any = None) -> Any:
        """A value that was kept; None is none."""
        value = self._custom.get(key)
        return default if value is None else value

    def get_custom_data_entry(self, key: str) -> CustomData | None:
        """A value that was kept, with its key."""
        value = self._custom.get(key)
        return None if value is None else CustomData(key, value)

    def get_all_custom_data(self) -> list[CustomData]:
        """All that was kept."""
        return [CustomData(key, value) for key, value in self._custom.items() if value is not None]


LocalTrade = Trade


class ProfitStruct(NamedTuple):
    """A profit in the stake currency and as a ratio; the totals have what partial exits booked."""

    profit_abs: float
    profit_ratio: float
    total_profit: float
    total_profit_ratio: float
