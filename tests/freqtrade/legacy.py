"""A strategy as they were written before Freqtrade's version 3 of the interface. For the tests."""

import freqtrade.vendor.qtpylib.indicators as qtpylib
import numpy as np  # noqa: F401  (old files import what they do not use)
import talib.abstract as ta
from freqtrade.strategy.interface import IStrategy
from pandas import DataFrame


class Legacy(IStrategy):
    """Crossings of averages, under the old names."""

    INTERFACE_VERSION = 2
    ticker_interval = "5m"
    minimal_roi = {"60": 0.005, "0": 0.02}
    stoploss = -0.03
    use_sell_signal = True
    sell_profit_only = True
    sell_profit_offset = 0.001
    ignore_roi_if_buy_signal = True
    trailing_stop = True
    trailing_stop_positive = 0.004
    trailing_stop_positive_offset = 0.008
    trailing_only_offset_is_reached = True
    order_types = {"buy": "limit", "sell": "market", "stoploss": "market", "stoploss_on_exchange": False}
    order_time_in_force = {"buy": "gtc", "sell": "gtc"}

    def informative_pairs(self):
        return []

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["fast"] = ta.EMA(dataframe, timeperiod=8)
        dataframe["slow"] = ta.EMA(dataframe, timeperiod=21)
        heikin = qtpylib.heikinashi(dataframe)
        dataframe["ha_close"], dataframe["ha_open"] = heikin["close"], heikin["open"]
        return dataframe

    def populate_buy_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[
            qtpylib.crossed_above(dataframe["fast"], dataframe["slow"])
            & (dataframe["ha_close"] > dataframe["ha_open"]),
            "buy",
        ] = 1
        return dataframe

    def populate_sell_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe.loc[qtpylib.crossed_below(dataframe["fast"], dataframe["slow"]), "sell"] = 1
        return dataframe

    def custom_sell(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        minutes = (current_time - trade.open_date_utc).total_seconds() / 60
        return "old_and_red" if minutes > 240 and current_profit < -0.01 else None
