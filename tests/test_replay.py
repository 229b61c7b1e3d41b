"""Replay through the actors gives what the pure machine gives: trades, and every domain event of every writer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loguru import logger

from actors.batch.backtest import run_backtest
from actors.batch.replay import closed_trades, run_replay
from actors.batch.taping import Taped, rules_of, tape, tape_of, timeframe_of
from actors.batch.verifying import events_of_journal, events_of_run
from actors.journal import MemoryJournal
from actors.judging.bench import FrameBench, answered
from actors.judging.loader import StrategyMaker
from engine.backtest import Backtest
from engine.candles import Candles
from engine.config import make_settings, parse_config
from engine.matching import Exchange
from engine.matching import Rules as VenueRules
from engine.messages import AskStrategy, StrategyAnswered
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.settings import Config
from engine.strategy import facts_of
from engine.strategy_settings import effective_protections
from engine.types import exact, use_money_context

STRATEGIES = Path(__file__).with_name("candle_strategies.py")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PAIRS = ("AAA/USDT", "BBB/USDT", "CCC/USDT", "DDD/USDT")
START_MS = 1_767_225_600_000
PROTECTIONS = [
    {"method": "CooldownPeriod", "stop_duration_candles": 4},
    {"method": "StoplossGuard", "lookback_period_candles": 60, "trade_limit": 2, "stop_duration_candles": 20},
    {
        "method": "MaxDrawdown",
        "lookback_period_candles": 200,
        "trade_limit": 4,
        "max_allowed_drawdown": 0.01,
        "stop_duration_candles": 10,
    },
]


@pytest.fixture(autouse=True)
def _here() -> Any:
    use_money_context()
    logger.disable("actors")
    yield
    logger.enable("actors")


def made_candles(pair: str, seed: int, count: int) -> Candles:
    """A random walk in whole steps; one pair begins later, one ends earlier."""
    rng = np.random.default_rng([seed, PAIRS.index(pair)])
    ticks = np.round(np.cumsum(rng.normal(0, 0.12, (count, 6)).ravel()) * 10).reshape(count, 6) / 10 + 100
    ts = START_MS + 60_000 * np.arange(count)
    columns = {"open": ticks[:, 0], "high": ticks.max(1), "low": ticks.min(1), "close": ticks[:, -1]}
    candles = Candles(pair=pair, timeframe="1m", ts=ts, volume=np.full(count, 5.0), **columns)
    return {PAIRS[1]: candles[30:], PAIRS[2]: candles[: count - 30]}.get(pair, candles)


def made(name: str, seed: int, *, count: int = 700, **sections: Any) -> tuple[Config, Taped]:
    """Tapes of made candles under one of the small strategies."""
    strategy = {"name": f"{STRATEGIES}:{name}", **sections.pop("strategy", {})}
    trading = {"stake_amount": "unlimited", "max_open_trades": 3, **sections.pop("trading", {})}
    config = parse_config({"trading": trading, "strategy": strategy, **sections})
    maker = StrategyMaker(config.strategy.name, config.strategy.parameters, config.strategy.overrides)
    facts = facts_of(maker.make())
    settings = make_settings(config, facts)
    frames = {pair: made_candles(pair, seed, count) for pair in PAIRS}
    tapes = {pair: tape_of(maker, frame, facts.startup_candles, None) for pair, frame in frames.items()}
    rules = {pair: rules_of(config, settings, tapes[pair]) for pair in tapes}
    return config, Taped(tapes, rules, frames, settings, facts, maker, {})


def pure(config: Config, taped: Taped) -> Backtest:
    """The same run without actors."""
    bench = FrameBench(taped.maker, [taped.frames[pair] for pair in taped.tapes])
    places = {pair: place for place, pair in enumerate(taped.tapes)}

    def asked(ask: AskStrategy) -> StrategyAnswered:
        if ask.account is not None:
            bench.hear(ask.account)
        return answered(ask, bench.ask(places[ask.pair], ask.callback, ask.arguments))

    timeframe = timeframe_of(taped)
    protections = protections_from(effective_protections(config, taped.facts), timeframe)
    account = Portfolio(config.trading, config.risk, protections, timeframe, config.paper.wallet)
    exchange = Exchange({pair: rules.market for pair, rules in taped.rules.items()}, VenueRules())
    run = Backtest(taped.rules, account, exchange, asked)
    run.run(taped.tapes, timeframe)
    return run


def replayed(config: Config, taped: Taped, seed: int) -> MemoryJournal:
    """The run through the actors."""
    journal = MemoryJournal(installation="REPLAY")
    runtime = run_replay(config, taped, journal, seed)
    assert runtime.exit_request is not None
    assert 0 == runtime.exit_request.status
    return journal


def check_equal(config: Config, taped: Taped, seed: int = 1) -> dict[str, list[Any]]:
    """Assert that both ways give the same, and return it."""
    expected, actual = events_of_run(pure(config, taped).events), events_of_journal(replayed(config, taped, seed))
    assert expected.keys() == actual.keys()
    for writer, events in expected.items():
        for number, (wanted, given) in enumerate(zip(events, actual[writer], strict=False)):
            assert wanted == given, f"{writer}, event {number}"
        assert len(events) == len(actual[writer])
    return actual


def counted(found: Mapping[str, list[Any]], kind: str, **wanted: Any) -> int:
    """How many events of a kind have these values."""
    return sum(
        kind == event[0] and all(event[2].get(name) == value for name, value in wanted.items())
        for events in found.values()
        for event in events
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_longs(seed: int) -> None:
    """ROI, stops, trailing stops and exit signals, by their tags, on several pairs that share a slot."""
    found = check_equal(*made("Long", seed, trading={"max_open_trades": 1}), seed=seed)

    assert counted(found, "TradeClosed") > 30
    for reason in ("roi", "trailing_stop_loss", "even"):
        assert counted(found, "TradeClosed", exit_reason=reason), reason
    assert counted(found, "SignalDecided", code="NO_FREE_SLOT")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_strategy_that_watches_the_account(seed: int) -> None:
    """Views of trades, orders and the account, custom data and own locks are the same through the actors."""
    config, taped = made("Watching", seed)
    found = check_equal(config, taped, seed=seed)
    walked = run_backtest(config, taped, keep_events=True, every_candle=True)
    reasons = {event[2]["exit_reason"] for events in found.values() for event in events if event[0] == "TradeClosed"}

    assert not counted(found, "SignalDecided", outcome="failed")
    assert min(counted(found, "PairLocked", reason="watched"), counted(found, "PairUnlocked")) > 0
    assert counted(found, "CustomDataSet") > 20
    assert len([reason for reason in reasons if reason[0].isdigit()]) > 5
    assert events_of_run(walked.events) == found


@pytest.mark.parametrize("name", ["Long", "Stubborn", "Reversing"])
def test_every_exit_signal_has_its_row(name: str) -> None:
    """Traded, held back, nothing open, or the trade is being left already: each has a row, and none of these twice."""
    timeouts = {"entry": 2, "exit": 60}
    config, taped = made(name, 5, unfilledtimeout=timeouts, trading={"max_open_trades": 4})
    found = check_equal(config, taped)

    rows = Counter(
        (event[2]["pair"], event[2]["candle_ts"], event[2]["signal"], event[2]["outcome"])
        for events in found.values()
        for event in events
        if event[0] == "SignalDecided" and "exit" in event[2]["signal"]
    )
    told = {row[:2] for row in rows}
    wanted = {
        (pair, ts + 60_000)
        for pair, each in taped.tapes.items()
        for ts, signal in each.signals.items()
        if signal.exit_long and ts < each.candles.ts[-1]
    }
    assert wanted <= told
    assert len(wanted) > 80
    assert [] == [row for row, count in rows.items() if count > 1 and row[3] != "traded"]
    if name == "Stubborn":
        assert counted(found, "SignalDecided", code="ALREADY_LEAVING", signal="exit_long") > 3


def test_orders_that_are_moved() -> None:
    """Entries and exits that rest are moved candle after candle, long after the signal, and filled at the new price."""
    found = check_equal(*made("Moving", 5, unfilledtimeout={"entry": 30, "exit": 30}))

    assert counted(found, "OrderCanceled", reason="replaced") > 30
    assert counted(found, "OrderCanceled", reason="cancelled") > 5
    assert not counted(found, "OrderRejected")
    assert counted(found, "TradeClosed") > 10


@pytest.mark.parametrize("seed", [1, 2])
def test_shorts_and_reversals(seed: int) -> None:
    """Shorts on margin, and a trade that ends where the other side's begins, on the same candle."""
    found = check_equal(*made("Reversing", seed, trading={"leverage": exact("2")}), seed=seed)

    closed = {(e[2]["pair"], e[1]) for events in found.values() for e in events if e[0] == "TradeClosed"}
    begun = {(e[2]["pair"], e[1]) for events in found.values() for e in events if e[0] == "TradeOpened"}
    assert counted(found, "TradeOpened", side="short") > 20
    assert closed & begun


def test_unfilled_orders() -> None:
    """Entries and exits that nobody fills in time are given up, by the same candle on both ways."""
    timeouts = {"entry": 2, "exit": 3, "exit_timeout_count": 2}
    found = check_equal(*made("Patient", 5, unfilledtimeout=timeouts))

    assert counted(found, "OrderCanceled") > 5
    assert counted(found, "SignalDecided", code="UNFILLED") > 3
    assert counted(found, "TradeClosed") > 10


def test_callbacks() -> None:
    """Whatever a strategy is asked it is asked at the same moment, with the same values, and failures count alike."""
    found = check_equal(*made("Asked", 7, count=320, trading={"max_open_trades": 4}))

    assert counted(found, "SignalDecided", code="DENIED_BY_STRATEGY")
    assert counted(found, "SignalDecided", code="STRATEGY_FAILED")
    assert counted(found, "StopMoved", why="custom")
    assert counted(found, "TradeClosed", exit_reason="long enough")
    assert len({e[2]["leverage"] for events in found.values() for e in events if e[0] == "TradeOpened"}) > 1


def test_failed_callbacks_quarantine_their_pair() -> None:
    """Three in a row: no more entries and no more questions on that pair, at the same candle on both ways."""
    found = check_equal(*made("Failing", 7, count=400, trading={"max_open_trades": 4}))

    quarantined = [
        (e[2]["pair"], e[1]) for events in found.values() for e in events if e[2].get("code") == "STRATEGY_QUARANTINED"
    ]
    (first,) = {pair for pair, _ in quarantined}
    assert PAIRS[1] == first
    after = [e for e in found[f"pair:{first}"] if e[1] > quarantined[0][1]]
    assert {"TradeClosed"} <= {e[0] for e in after}
    assert not any("TradeOpened" == e[0] or e[2].get("code") == "STRATEGY_FAILED" for e in after)
    assert counted(found, "SignalDecided", code="STRATEGY_FAILED", pair=PAIRS[2]) > 5


def test_protections_and_limits() -> None:
    """Locks and the kill switch come from the same trades at the same times, the strategy's own protections too."""
    risk = {"max_drawdown": exact("0.05")}
    own = {"overrides": {"protections": PROTECTIONS[:1]}}
    found = check_equal(*made("Long", 9, protections=PROTECTIONS[1:], risk=risk, strategy=own))

    assert counted(found, "PairLocked") > 5
    assert counted(found, "SignalDecided", code="PROTECTION")


def test_a_halt_for_the_daily_loss_ends_at_midnight() -> None:
    """The limit halts entries, the next UTC day lets them go on though nothing was open any more; both are told alike."""
    risk = {"max_daily_loss": exact("0.002")}
    found = check_equal(*made("Long", 9, count=1_700, risk=risk))

    told = [
        (ts, body["state"], body["source"]) for kind, ts, body in found["portfolio"] if kind == "TradingStateChanged"
    ]
    assert [("EXITS_ONLY", "daily_loss"), ("ACTIVE", "daily_loss")] == [
        (state, source) for _, state, source in told[:2]
    ]
    assert START_MS + 86_400_000 == told[1][0]
    assert counted(found, "SignalDecided", code="EXITS_ONLY") > 10
    assert any(e[0] == "TradeOpened" and e[1] > told[1][0] for events in found.values() for e in events)


def test_what_closes_with_its_pairs_data_is_told_at_that_time() -> None:
    """A pair whose data end early: the lock that its last trade brings is of its own last candle."""
    cooldown = [{"method": "CooldownPeriod", "stop_duration_candles": 4}]
    found = check_equal(*made("Holding", 3, count=200, protections=cooldown, trading={"max_open_trades": 4}))

    ends = {body["pair"]: ts for kind, ts, body in found["portfolio"] if kind == "PairLocked"}
    assert START_MS + 169 * 60_000 == ends[PAIRS[2]]
    assert START_MS + 199 * 60_000 == ends[PAIRS[0]]


def test_the_seed_draws_the_order_only() -> None:
    """The same seed gives the same journal byte for byte; another one gives the same trades and domain events."""
    config, taped = made("Reversing", 4, count=300)
    first, again, other = (replayed(config, taped, seed) for seed in (1, 1, 2))

    assert first.text() == again.text()
    assert events_of_journal(first) == events_of_journal(other)
    assert len(closed_trades(first.rows)) > 10


@pytest.mark.skipif(not DATA.exists(), reason="the ten real pairs are not here")
def test_ten_real_pairs() -> None:
    """The shipped sample strategy on ten real pairs: equal event for event."""
    pairs = sorted(file.name.split("-")[0].replace("_", "/") for file in (DATA / "ohlcv").glob("*-5m.parquet"))
    trading = {"stake_currency": "BTC", "stake_amount": exact("0.05"), "max_open_trades": 3, "pairs": pairs}
    config = parse_config({"trading": trading, "strategy": {"name": "sample"}, "paper": {"wallet": exact(10)}})
    found = check_equal(config, tape(config, str(DATA / "ohlcv"), pairs, None, None))

    assert 102 == counted(found, "TradeClosed")
