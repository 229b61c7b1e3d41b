"""`python -m tests.oracle FILE.jsonl[.gz]`: recorded cases through the pure engine, trade for trade.

A case is one JSON line: `config`, `candles` by pair with the signals of each candle *before* the shift
by one, and the `expected` trades; `callbacks` names the rules (`tests.reference.rules`) by which its strategy
answers, where it has callbacks; with `--compat` the strategy itself is asked that Freqtrade ran. Prints the
first difference of each failing case, last `N passed, M failed`; the status is 1 when one failed, 2 when the
file cannot be read.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from engine.backtest import Backtest
from engine.candles import MINUTE, Candles
from engine.margin import LIQUIDATION, FundingRate, MarginTier
from engine.market import Market, told_stake
from engine.matching import Exchange
from engine.matching import Rules as VenueRules
from engine.messages import AskStrategy, Signal, StrategyAnswered, TradeClosed
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.settings import RiskConfig, Settings, TradingConfig
from engine.strategy import AFTER_FILL
from engine.tape import Tape
from engine.types import exact, use_money_context
from engine.work import Rules
from tests.reference.rules import answer
from tests.reference.through_compat import asked_by, callbacks_of, maker_of

Case = Mapping[str, Any]


def read_cases(path: Path) -> Iterator[Case]:
    """The cases of a file, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def settings_of(case: Case) -> Settings:
    """The trade machine's settings of a case."""
    config = case["config"]
    positive = config["trailing_stop_positive"]
    timeout = config.get("unfilledtimeout", {"entry": 0, "exit": 0})
    return Settings(
        timeframe_ms=config["timeframe_minutes"] * MINUTE,
        detail_ms=config.get("detail_minutes", 0) * MINUTE,
        roi=tuple(sorted((int(k), exact(v)) for k, v in config["roi"].items())),
        stoploss=exact(config["stoploss"]),
        trailing_stop=config["trailing_stop"],
        trailing_stop_positive=None if positive is None else exact(positive),
        trailing_stop_positive_offset=exact(config["trailing_stop_positive_offset"]),
        trailing_only_offset_is_reached=config["trailing_only_offset_is_reached"],
        use_exit_signal=config["use_exit_signal"],
        exit_profit_only=config["exit_profit_only"],
        exit_profit_offset=exact(config["exit_profit_offset"]),
        ignore_roi_if_entry_signal=config["ignore_roi_if_entry_signal"],
        can_short=config["can_short"],
        leverage=exact(config["leverage"]),
        liquidation_buffer=exact(config.get("liquidation_buffer", 0.05)),
        signal_max_age_ms=config.get("ignore_buying_expired_candle_after", 0) * 1_000,
        entry_timeout_ms=timeout["entry"] * MINUTE,
        exit_timeout_ms=timeout["exit"] * MINUTE,
        position_adjustment="adjust_trade_position" in case.get("callbacks", {}),
        max_entry_adjustments=config.get("max_entry_position_adjustment", -1),
        callbacks=_callbacks(case.get("callbacks", {})),
        **{f"{name}_type": kind for name, kind in config.get("order_types", {}).items()},
    )


def _callbacks(rules: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    takes_after_fill = rules.get("custom_stoploss", {}).get("takes_after_fill")
    return frozenset([*rules, AFTER_FILL]) if takes_after_fill else frozenset(rules)


def asked_of(case: Case) -> Callable[[AskStrategy], StrategyAnswered]:
    """Who answers a case's callbacks: its rules."""
    rules = case.get("callbacks", {})

    def asked(ask: AskStrategy) -> StrategyAnswered:
        arguments = ask.arguments
        rule, said, told = rules[ask.callback], None, None
        if rule.get("takes_after_fill") or not arguments.get("after_fill"):
            said = answer(case["seed"], ask.callback, rule, facts_of(arguments, counts="order_filled" in rules))
        if ask.callback == "order_filled":
            told = {"fills": said}
        trade_id = arguments["trade"]["trade_id"] if arguments.get("trade") else ""
        return StrategyAnswered(
            request_id=ask.request_id, pair=ask.pair, answer=said, trade_id=trade_id, custom_data=told
        )

    return asked


def facts_of(arguments: Mapping[str, Any], *, counts: bool) -> dict[str, Any]:
    """A callback's arguments as the facts that rules know; the trade's fills where the case `counts` them."""
    facts = {**arguments, "minute": arguments["current_time"] // MINUTE}
    facts["pair"] = arguments["pair"].partition(":")[0]
    facts["sign"] = -1 if arguments["side"] == "short" else 1
    trade = arguments.get("trade")
    if trade is not None:
        fills = trade["custom_data"].get("fills") if counts else None
        facts.update(entries=trade["entries"], exits=trade["exits"], stake=trade["stake_amount"], fills=fills)
    if arguments.get("order") is not None:
        facts["age"] = facts["minute"] - arguments["order"]["created_ts"] // MINUTE
    return facts


def tape_of(pair: str, rows: list[list[Any]], timeframe: int) -> Tape:
    """A pair's candles and signals."""
    candles = candles_of(pair, rows, timeframe)
    signals = {
        int(t): Signal(enter_long=bool(el), exit_long=bool(xl), enter_short=bool(es), exit_short=bool(xs))
        for t, (el, xl, es, xs) in zip(candles.ts, (row[5:9] for row in rows), strict=True)
        if el or xl or es or xs
    }
    return Tape(candles, signals)


def candles_of(pair: str, rows: list[list[Any]], timeframe: int) -> Candles:
    """Rows of minute and prices as candles."""
    columns = list(zip(*rows, strict=True))
    ts = np.array(columns[0], np.int64) * MINUTE
    prices = [np.array(c, np.float64) for c in columns[1:5]]
    return Candles(
        pair=pair,
        timeframe=f"{timeframe}m",
        ts=ts,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=np.ones(len(ts)),
    )


def tape_in(case: Case, pair: str) -> Tape:
    """A pair's tape with what the case has beside its candles: finer ones, funding."""
    config, name = case["config"], symbol_of(case, pair)
    tape = tape_of(name, case["candles"][pair], config["timeframe_minutes"])
    detail, due = None, ()
    if "detail" in case:
        detail = candles_of(name, case["detail"][pair], config["detail_minutes"])
    if "funding" in case:
        marks = {row[0]: row[1] for row in case["marks"][pair]}
        due = tuple(
            FundingRate(pair=name, ts=minute * MINUTE, rate=exact(rate), price=exact(marks[minute]))
            for minute, rate in case["funding"][pair]
        )
    return replace(tape, detail=detail, funding=due)


def symbol_of(case: Case, pair: str) -> str:
    """A pair's name: where there are leverage tiers it is a future."""
    return f"{pair}:{pair.partition('/')[2]}" if "tiers" in case["config"] else pair


def run_case(case: Case, *, every_candle: bool = False, compat: bool = False) -> Backtest:
    """A case through the engine; with `compat` its callbacks are the strategy's own that Freqtrade ran.

    Those that look at the account, or at all that they are handed, are asked so in any case.
    """
    backtest, tapes = prepared(case, compat=compat or bool(case.get("looks") or case.get("views")))
    backtest.run(tapes, case["config"]["timeframe_minutes"] * MINUTE, every_candle=every_candle)
    return backtest


def prepared(case: Case, *, compat: bool = False) -> tuple[Backtest, dict[str, Tape]]:
    """A case's run before it begins, and its tapes."""
    config = case["config"]
    settings, fee = settings_of(case), exact(config["fee"])
    tapes = {symbol_of(case, pair): tape_in(case, pair) for pair in config["pairs"]}
    asked = asked_of(case)
    if compat:
        maker = maker_of(case)
        settings = replace(settings, callbacks=callbacks_of(maker))
        asked = asked_by(maker, {pair: tape.candles for pair, tape in tapes.items()})
    stake = config["stake"]
    trading = TradingConfig(
        stake_amount=stake if isinstance(stake, str) else exact(stake),
        max_open_trades=config["max_open_trades"],
        tradable_balance_ratio=exact(config["tradable_balance_ratio"]),
    )
    rules = {}
    size = exact(config.get("contract_size", 1))
    tiers = tuple(
        MarginTier(notional_min=low, notional_max=high, rate=rate, leverage_max=leverage, amount=amount)
        for low, high, rate, leverage, amount in (map(exact, row) for row in config.get("tiers", ()))
    )
    formula = config.get("exchange", "isolated")
    for number, name in enumerate(config["pairs"]):
        pair = symbol_of(case, name)
        base, quote = name.split("/")
        market = Market(
            pair=pair,
            base=base,
            quote=quote,
            price_step=exact(config["price_tick"]),
            amount_step=exact(config["amount_lot"]) * size,
            contract_size=size,
            tiers=tiers,
            liquidation=formula if formula in LIQUIDATION else "isolated",
            amount_min=_maybe(config.get("amount_min")),
            cost_min=_maybe(config.get("cost_min")),
            maker_fee=fee,
            taker_fee=fee,
            leverage_max=Decimal(1_000),
        )
        rules[pair] = Rules(settings=settings, market=market, order_prefix=f"tpORACLEr1p{number:08x}", run=1, fee=fee)
    exchange = Exchange({p: r.market for p, r in rules.items()}, VenueRules())
    protections = protections_from(config.get("protections", ()), settings.timeframe_ms)
    portfolio = Portfolio(trading, RiskConfig(), protections, settings.timeframe_ms, exact(config["wallet"]))
    return Backtest(rules, portfolio, exchange, asked), tapes


def _maybe(value: float | None) -> Decimal | None:
    return None if value is None else exact(value)


def as_expected(trade: TradeClosed) -> dict[str, Any]:
    """A trade in the form of the recorded ones."""
    return {
        "pair": trade.pair.partition(":")[0],
        "side": trade.side.value,
        "open_minute": trade.open_ts // MINUTE,
        "close_minute": trade.close_ts // MINUTE,
        "open_rate": float(trade.open_rate),
        "close_rate": float(trade.close_rate),
        "amount": float(trade.amount),
        "stake": float(trade.stake),
        "profit_abs": float(trade.profit_abs),
        "profit_ratio": float(trade.profit_ratio),
        "exit_reason": trade.exit_reason,
        "leverage": float(trade.leverage),
        "max_rate": float(trade.max_rate),
        "min_rate": float(trade.min_rate),
        "initial_stop": float(trade.initial_stop),
        "stop": float(trade.stop),
        "funding_fees": float(trade.funding_fees),
    }


def in_all(trade: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recorded trade of several entries or exits with what they come to in all, by its orders.

    Freqtrade reports what was left last (its amount, its stake, its price) and rounds the average entry; ours
    are the trade's whole amount, its capital, and the mean prices.
    """
    entries = [order for order in trade.get("orders", ()) if order[1] == "entry"]
    exits = [order for order in trade.get("orders", ()) if order[1] == "exit"]
    if len(entries) <= 1 and len(exits) <= 1:
        return trade
    amount, cost = _totals(entries)
    left, brought = _totals(exits)
    return {
        **trade,
        "amount": float(amount),
        "open_rate": float(cost / amount),
        "stake": float(told_stake(cost, exact(trade["leverage"]))),
        "close_rate": float(brought / left),
    }


def _totals(orders: list[list[Any]]) -> tuple[Decimal, Decimal]:
    amounts = [(exact(order[2]), exact(order[3])) for order in orders]
    return sum((a for a, _ in amounts), Decimal(0)), sum((a * p for a, p in amounts), Decimal(0))


def equal(ours: Any, theirs: Any) -> bool:
    """Equal as written; floats to 12 digits, since the recorded ones carry their binary noise."""
    if isinstance(theirs, float) and isinstance(ours, float):
        return abs(ours - theirs) <= 1e-12 * max(1.0, abs(theirs))
    return bool(ours == theirs)


def difference(case: Case, backtest: Backtest) -> str:
    """The first difference of a case, in a sentence; empty when there is none."""
    expected = [in_all(trade) for trade in case["expected"]["trades"]]
    ours = [as_expected(t) for t in backtest.trades]
    order = {(t["pair"], t["open_minute"], t["side"]): i for i, t in enumerate(expected)}
    ours.sort(key=lambda t: order.get((t["pair"], t["open_minute"], t["side"]), len(order)))
    for number, (mine, theirs) in enumerate(zip(ours, expected, strict=False)):
        for name, value in theirs.items():
            if name in mine and not equal(mine[name], value):
                where = f"trade {number} ({theirs['pair']} {theirs['side']} from minute {theirs['open_minute']})"
                return f"{where}: {name} is {mine[name]!r}, expected {value!r}\n    ours {mine}\n    expected {theirs}"
    if len(ours) != len(expected):
        return f"{len(ours)} trades, expected {len(expected)}"
    for name, counted in _counters(backtest).items():
        theirs = case["expected"].get(name, counted)
        if theirs != counted:
            return f"{name} is {counted}, expected {theirs}"
    return ""


def _counters(backtest: Backtest) -> dict[str, int]:
    counters = asdict(backtest.counters)
    del counters["rejected_signals"], counters["locks"]  # Freqtrade keeps no lock that another covers
    return {"rejected_entry_signals": backtest.portfolio.rejected, **counters}


def main(arguments: list[str]) -> int:
    """Run every case of the file; see the module's text."""
    compat = "--compat" in arguments
    arguments = [argument for argument in arguments if argument != "--compat"]
    if len(arguments) != 1:
        print("usage: python -m tests.oracle FILE.jsonl[.gz] [--compat]", file=sys.stderr)
        return 2
    use_money_context()
    passed = failed = 0
    try:
        for number, case in enumerate(read_cases(Path(arguments[0])), 1):
            found = difference(case, run_case(case, compat=compat))
            passed, failed = passed + (not found), failed + bool(found)
            if found:
                print(f"case {number} (seed {case.get('seed')}): {found}")
    except (OSError, json.JSONDecodeError, KeyError) as error:
        print(f"{arguments[0]}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
