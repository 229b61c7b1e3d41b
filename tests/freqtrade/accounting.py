"""A strategy that looks at the account, keeps data with its trades, and locks pairs. For the tests."""

from datetime import datetime, timedelta

import talib.abstract as ta
from freqtrade.persistence import PairLocks, Trade
from freqtrade.strategy import IStrategy
from pandas import DataFrame


class Accounting(IStrategy):
    """Stakes a part of what is available, adds to losers once, and leaves a pair alone after it has closed a trade."""

    INTERFACE_VERSION = 3
    timeframe = "5m"
    startup_candle_count = 20
    minimal_roi = {"0": 0.012}
    stoploss = -0.03
    position_adjustment_enable = True

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["rsi"] = ta.RSI(dataframe, timeperiod=7)
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[dataframe["rsi"] < 35, "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        return dataframe

    def custom_stake_amount(self, pair: str, **kwargs) -> float:
        return self.wallets.get_available_stake_amount() * 0.2

    def order_filled(self, pair: str, trade: Trade, order, current_time: datetime, **kwargs) -> None:
        trade.set_custom_data("filled", trade.get_custom_data("filled", 0) + 1)
        trade.set_custom_data("last", {"price": order.safe_price, "tags": [order.ft_order_tag or ""]})

    def adjust_trade_position(self, trade: Trade, current_time: datetime, current_profit: float, **kwargs):
        if current_profit < -0.008 and trade.get_custom_data("filled") == 1:
            return trade.stake_amount / 2, "more"
        return None

    def custom_exit(self, pair: str, trade: Trade, current_time: datetime, current_profit: float, **kwargs):
        others = [other for other in Trade.get_trades_proxy(is_open=True) if other.pair != pair]
        if others and others[0].get_custom_data("filled", 0) > 1 and current_profit > 0.002:
            return f"after_{others[0].nr_of_successful_entries}_{len(Trade.get_trades_proxy(is_open=False))}"
        return None

    def confirm_trade_exit(self, pair: str, trade: Trade, current_time: datetime, exit_reason: str, **kwargs) -> bool:
        self.lock_pair(pair, until=current_time + timedelta(minutes=30), reason=f"own {exit_reason}")
        if exit_reason == "stop_loss":
            self.lock_pair("*", until=current_time + timedelta(minutes=10), reason="all")
        elif Trade.get_total_closed_profit() < 0 and PairLocks.is_pair_locked(pair, current_time):
            self.unlock_pair(pair)
        return True
