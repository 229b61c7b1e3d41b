"""A strategy as one is written for Freqtrade: informative pairs, parameters, callbacks. For the tests."""

from datetime import datetime
from functools import reduce

import freqtrade.vendor.qtpylib.indicators as qtpylib
import talib.abstract as ta
from freqtrade.persistence import Trade
from freqtrade.strategy import DecimalParameter, IntParameter, IStrategy, informative, stoploss_from_open
from pandas import DataFrame


class Modern(IStrategy):
    """Buys dips below a Bollinger band while the hour's average rises; a stop that follows in steps."""

    INTERFACE_VERSION = 3
    timeframe = "5m"
    startup_candle_count = 60
    minimal_roi = {"0": 0.03, "45": 0.012, "150": 0.002}
    stoploss = -0.04
    use_custom_stoploss = True
    can_short = False

    buy_rsi = IntParameter(10, 60, default=30, space="buy")
    buy_width = DecimalParameter(1.0, 3.0, default=1.8, decimals=1, space="buy")
    buy_params = {"buy_rsi": 45}

    @informative("1h")
    def populate_hour(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["mean"] = ta.SMA(dataframe, timeperiod=5)
        return dataframe

    @informative("1h", "BBB/{stake}")
    def populate_other(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["up"] = (dataframe["close"] > dataframe["open"]).astype(int)
        return dataframe

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        dataframe["rsi"] = ta.RSI(dataframe, timeperiod=14)
        bands = qtpylib.bollinger_bands(qtpylib.typical_price(dataframe), window=20, stds=float(self.buy_width.value))
        dataframe["lower"], dataframe["middle"] = bands["lower"], bands["mid"]
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        conditions = [
            dataframe["rsi"] < self.buy_rsi.value,
            dataframe["close"] < dataframe["lower"],
            dataframe["close"] < dataframe["mean_1h"] * 1.01,
        ]
        dip = reduce(lambda x, y: x & y, conditions)
        dataframe.loc[dip, ["enter_long", "enter_tag"]] = (1, "dip")
        dataframe.loc[dip & (dataframe["bbb_usdt_up_1h"] == 1), "enter_tag"] = "dip_in_upturn"
        return dataframe

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        over = qtpylib.crossed_above(dataframe["rsi"], 70)
        dataframe.loc[over, ["exit_long", "exit_tag"]] = (1, "overbought")
        return dataframe

    def confirm_trade_entry(
        self,
        pair: str,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        current_time: datetime,
        entry_tag: str | None,
        side: str,
        **kwargs,
    ) -> bool:
        return current_time.hour != 13

    def custom_stoploss(
        self,
        pair: str,
        trade: Trade,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        after_fill: bool,
        **kwargs,
    ) -> float | None:
        if current_profit > 0.015:
            return stoploss_from_open(0.005, current_profit, is_short=trade.is_short, leverage=trade.leverage)
        return None

    def custom_exit(
        self, pair: str, trade: Trade, current_time: datetime, current_rate: float, current_profit: float, **kwargs
    ) -> str | None:
        frame, _ = self.dp.get_analyzed_dataframe(pair, self.timeframe)
        hours = (current_time - trade.open_date_utc).total_seconds() / 3600
        if hours > 3 and current_profit < 0 and frame["rsi"].iloc[-1] > 55:
            return f"late_{trade.nr_of_successful_entries}"
        return None
