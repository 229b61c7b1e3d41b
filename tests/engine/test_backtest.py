"""The pure backtest: small cases by hand, and money that is neither made nor lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.actions import Emit
from engine.backtest import Backtest
from engine.candles import Candles
from engine.errors import IllegalTransition
from engine.market import Market
from engine.matching import Exchange
from engine.matching import Rules as VenueRules
from engine.messages import AskStrategy, Signal, StrategyAnswered
from engine.portfolio import Portfolio
from engine.settings import RiskConfig, Settings, TradingConfig
from engine.tape import Tape, walk
from engine.types import ZERO, use_money_context
from engine.work import Rules

D = Decimal
FIVE = 300_000
ENTER, EXIT = Signal(enter_long=True), Signal(exit_long=True)


def tape(pair: str, rows: list[tuple[float, float, float, float]], signals: dict[int, Signal]) -> Tape:
    """Candles of 5 minutes; signals by the number of the candle they are judged on."""
    columns = [np.array(c, np.float64) for c in zip(*rows, strict=True)]
    candles = Candles(
        pair=pair,
        timeframe="5m",
        ts=np.arange(len(rows), dtype=np.int64) * FIVE,
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=np.ones(len(rows)),
    )
    return Tape(candles, {n * FIVE: signal for n, signal in signals.items()})


def backtest(tapes: dict[str, Tape], asked: Any = None, start: int = 1_000, **values: Any) -> Backtest:
    """A run over the tapes, with stakes of 100 and no fees unless told otherwise."""
    use_money_context()
    fee = values.pop("fee", D(0))
    trading = {
        "stake_amount": values.pop("stake", D(100)),
        "max_open_trades": values.pop("slots", 2),
        "tradable_balance_ratio": D(1),
    }
    rules = {}
    for number, pair in enumerate(tapes):
        market = Market(
            pair=pair,
            base=pair[0],
            quote="U",
            price_step=D("0.01"),
            amount_step=D("0.001"),
            maker_fee=fee,
            taker_fee=fee,
            leverage_max=D(20),
        )
        rules[pair] = Rules(
            settings=Settings(**{"timeframe_ms": FIVE, "roi": ((0, D(10)),), **values}),
            market=market,
            order_prefix=f"tpABCDEFr1p{number:08x}",
            run=1,
            fee=fee,
        )
    exchange = Exchange({p: r.market for p, r in rules.items()}, VenueRules())
    exchange.clearing.ledger.deposit("U", D(start))
    portfolio = Portfolio(TradingConfig(**trading), RiskConfig(), (), FIVE, D(start))
    run = Backtest(rules, portfolio, exchange, asked)
    run.run(tapes, FIVE)
    return run


def flat(count: int, price: float = 100.0) -> list[tuple[float, float, float, float]]:
    """Candles at one price."""
    return [(price, price, price, price)] * count


def told(run: Backtest) -> list[tuple[int, int, str, str, str]]:
    """(opened in candle, closed in candle, open rate, close rate, reason) of each trade."""
    return [
        (t.open_ts // FIVE, t.close_ts // FIVE, f"{float(t.open_rate):g}", f"{float(t.close_rate):g}", t.exit_reason)
        for t in run.trades
    ]


def test_a_signal_is_acted_on_at_the_next_open() -> None:
    """Judged on candle 0, entered in 1; the exit's judged on 2, left in 3."""
    rows = [*flat(1), (101, 102, 100, 101), (103, 104, 102, 103), (105, 106, 104, 105), (105, 105, 105, 105)]

    assert [(1, 3, "101", "105", "exit_signal")] == told(backtest({"A/U": tape("A/U", rows, {0: ENTER, 2: EXIT})}))


def test_entry_and_stop_in_one_candle() -> None:
    """The stop is looked at in the candle of the entry; what jumped it is left at the open."""
    rows = [*flat(1), (100, 101, 85, 86), (70, 71, 69, 70), *flat(2, 70)]

    assert [(1, 1, "100", "90", "stop_loss")] == told(backtest({"A/U": tape("A/U", rows, {0: ENTER})}))
    rows[1] = (100, 101, 95, 96)
    assert [(1, 2, "100", "70", "stop_loss")] == told(backtest({"A/U": tape("A/U", rows, {0: ENTER})}))


def test_slots_go_to_open_trades_and_then_by_the_order_of_the_pairs() -> None:
    """One slot, two signals: the first of the list has it; the other is counted as rejected."""
    tapes = {p: tape(p, flat(4), {0: ENTER}) for p in ("B/U", "A/U")}
    run = backtest(tapes, slots=1)

    assert ["B/U"] == [t.pair for t in run.trades]
    assert 1 == run.portfolio.rejected


def test_a_slot_that_is_freed_is_used_in_the_same_candle() -> None:
    """The open trade has its turn first, and what it gives back is there for the next pair."""
    tapes = {"B/U": tape("B/U", flat(5), {1: ENTER}), "A/U": tape("A/U", flat(5), {0: ENTER, 1: EXIT})}

    assert [("A/U", 2), ("B/U", 4)] == [(t.pair, t.close_ts // FIVE) for t in backtest(tapes, slots=1).trades]


def test_the_end_of_the_data() -> None:
    """The last candle takes no entries but does exits; what is open then is left at its pair's last open (2.6)."""
    rows = [*flat(3), (104, 105, 98, 99)]

    assert [(1, 3, "100", "104", "exit_signal")] == told(backtest({"A/U": tape("A/U", rows, {0: ENTER, 2: EXIT})}))
    assert [(1, 3, "100", "104", "force_exit")] == told(backtest({"A/U": tape("A/U", rows, {0: ENTER})}))
    assert [] == told(backtest({"A/U": tape("A/U", rows, {2: ENTER})}))


def test_a_reversal_on_one_candle() -> None:
    """A short's signal closes the long and enters at the same open."""
    turn = Signal(enter_short=True, exit_long=True)
    run = backtest({"A/U": tape("A/U", flat(5), {0: ENTER, 1: turn})}, can_short=True)

    assert [("long", 1, 2), ("short", 2, 4)] == [(t.side, t.open_ts // FIVE, t.close_ts // FIVE) for t in run.trades]


def answers(**values: Any) -> Any:
    """A strategy whose callbacks answer the same always."""
    return lambda ask: StrategyAnswered(request_id=ask.request_id, pair=ask.pair, answer=values[ask.callback])


def test_an_entry_waits_at_its_price_and_times_out() -> None:
    """At 95 it fills only when a candle's range holds 95 (2.3); given up, the same candle's signal may enter."""
    rows = [*flat(2), (90, 91, 89, 90), (96, 97, 94, 96), *flat(3, 96)]
    asked = answers(custom_entry_price=95.0)
    some = {"callbacks": frozenset({"custom_entry_price"}), "entry_timeout_ms": 0}
    run = backtest({"A/U": tape("A/U", rows, {0: ENTER})}, asked, **some)

    assert [(1, 6, "95", "96", "force_exit")] == told(run)
    some["entry_timeout_ms"] = FIVE
    again = backtest({"A/U": tape("A/U", rows, {0: ENTER, 1: ENTER})}, asked, **some)
    assert [(2, 6, "91", "96", "force_exit")] == told(again)  # 95 is cut at candle 2's high
    codes = [e.body["code"] for e in again.events["pair:A/U"] if e.kind == "SignalDecided"]
    assert ["TRADED", "UNFILLED", "TRADED", "TRADED"] == codes


def test_an_entry_price_above_the_candle_is_bounded_by_its_high() -> None:
    """A strategy's own price is cut at the high, and so fills (2.3.2)."""
    rows = [*flat(1), (100, 102, 99, 101), *flat(2)]
    some = {"callbacks": frozenset({"custom_entry_price"})}
    run = backtest({"A/U": tape("A/U", rows, {0: ENTER})}, answers(custom_entry_price=110.0), **some)

    assert [(1, 3, "102", "100", "force_exit")] == told(run)


@pytest.mark.parametrize("wish", [1e-300, 10**400, 0, -1.0, True, float("nan"), "101"])
def test_wishes_that_are_no_prices(wish: object) -> None:
    """A wish under half a step is one step, which nothing fills; what is no number counts as none: the open serves."""
    some: Any = {"callbacks": frozenset({"custom_entry_price"})}
    run = backtest({"A/U": tape("A/U", flat(5), {0: ENTER, 2: EXIT})}, answers(custom_entry_price=wish), **some)

    assert len(run.trades) == (wish != 1e-300)


def test_callbacks_are_asked_with_what_was_known() -> None:
    """The time they are told is the candle's; a strategy without anybody to ask is an error of ours."""
    seen: list[tuple[str, int]] = []

    def asked(ask: AskStrategy) -> StrategyAnswered:
        seen.append((ask.callback, ask.arguments["current_time"] // FIVE))
        return StrategyAnswered(request_id=ask.request_id, pair=ask.pair, answer=True)

    some = {"callbacks": frozenset({"confirm_trade_entry", "confirm_trade_exit"})}
    tapes = {"A/U": tape("A/U", flat(5), {0: ENTER, 2: EXIT})}
    backtest(tapes, asked, **some)

    assert [("confirm_trade_entry", 1), ("confirm_trade_exit", 3)] == seen
    with pytest.raises(IllegalTransition, match="nobody to call them"):
        backtest(tapes, **some)


def test_the_walk_shifts_signals_by_one() -> None:
    """Row t is candle t with the signal of the candle before; the first has none, the last takes no entries."""
    tapes = {"A/U": tape("A/U", flat(3), {0: ENTER, 2: EXIT}), "B/U": tape("B/U", flat(2), {})}
    found = [(ts // FIVE, {p: (r.signal, r.last_entry) for p, r in rows.items()}) for ts, rows in walk(tapes, FIVE)]
    none = Signal()

    assert [
        (1, {"A/U": (ENTER, False), "B/U": (none, False)}),
        (2, {"A/U": (none, True)}),
    ] == found


ROWS = st.lists(st.integers(-400, 400), min_size=12, max_size=30)
CHANCES = st.lists(
    st.sampled_from(["", "", "enter_long", "exit_long", "enter_short", "exit_short"]), min_size=30, max_size=30
)


def tape_of(pair: str, moves: list[int], chances: list[str]) -> Tape:
    """Candles from moves in hundredths of a percent, with a wick on both sides."""
    rows, price, signals = [], 100.0, {}
    for number, move in enumerate(moves):
        end = max(round(price * (1 + move / 10_000), 2), 1.0)
        rows.append((price, round(max(price, end) * 1.004, 2), round(min(price, end) * 0.996, 2), end))
        price = end
        if chances[number]:
            signals[number] = Signal(**{chances[number]: True})  # type: ignore[arg-type]
    return tape(pair, rows, signals)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    moves=st.tuples(ROWS, ROWS, ROWS),
    chances=st.tuples(CHANCES, CHANCES, CHANCES),
    short=st.booleans(),
    stake=st.sampled_from([D(100), D(400), "unlimited"]),
    trailing=st.booleans(),
    fee=st.sampled_from([D(0), D("0.001")]),
)
def test_capital_is_conserved(moves: Any, chances: Any, short: bool, stake: Any, trailing: bool, fee: Decimal) -> None:
    """Start + the profits of all trades = what the exchange says is there; never more tied than there is."""
    count = min(len(m) for m in moves)
    tapes = {p: tape_of(p, m[:count], c) for p, m, c in zip(("A/U", "B/U", "C/U"), moves, chances, strict=True)}
    run = backtest(
        tapes,
        start=500,
        stake=stake,
        slots=2,
        can_short=short,
        leverage=D(3) if short else D(1),
        roi=((0, D("0.03")),),
        stoploss=D("-0.03"),
        trailing_stop=trailing,
        fee=fee,
    )
    profit = sum((t.profit_abs for t in run.trades), ZERO)
    ledger = run.exchange.clearing.ledger

    assert [] == [p for p, t in run.book.items() if t.position.amount or t.working()]
    assert abs(D(500) + profit - ledger.free("U")) <= D("1e-8") * (len(run.trades) + 1)
    assert D(500) + profit == run.portfolio.balance
    assert ZERO == ledger.locked("U") == run.portfolio.tied
    assert [ZERO] * 3 == [ledger.free(coin) + ledger.locked(coin) for coin in "ABC"]
    for trade in run.trades:
        spent = sum((t.stake for t in run.trades if t.open_ts <= trade.open_ts < t.close_ts), ZERO)
        earned = sum((t.profit_abs for t in run.trades if t.close_ts <= trade.open_ts), ZERO)
        assert spent <= D(500) + earned


def test_the_same_candles_twice_give_the_same_events() -> None:
    """Every domain event, in its order."""
    tapes = {
        p: tape_of(p, [50, -80, 120, -300, 90, 10] * 4, ["enter_long", "", "exit_long"] * 10) for p in ("A/U", "B/U")
    }
    runs = [backtest(tapes, roi=((0, D("0.01")),)) for _ in range(2)]

    assert runs[0].events == runs[1].events
    assert runs[0].trades == runs[1].trades != []


def test_changes_are_kept_of_trades_that_changed() -> None:
    """How a trade began is kept when it is added to or reduced, also where events are not; of others nothing is."""
    run = backtest({"A/U": tape("A/U", flat(3), {})})
    run.keeps_events, run.events = False, {}
    told = [
        Emit("TradeOpened", 1, {}),
        Emit("TradeOpened", 2, {}),
        Emit("TradeChanged", 3, {}),
        Emit("TradeChanged", 4, {}),
    ]
    for event in told:
        run._note("pair:A/U", event)
    run._note("pair:B/U", told[0])

    assert told[1:] == run.changes
    assert {} == run.events
