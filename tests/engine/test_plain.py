"""Plain trades followed on arrays are the machine's, field for field; their columns are their nearest doubles."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.candles import MINUTE
from engine.columns import TradeColumns
from engine.counters import Counters
from engine.plain import is_plain, run_plain
from engine.settings import RiskConfig, Settings
from engine.taken import PlainTrades
from engine.types import exact, use_money_context
from tests.oracle import Case, difference, prepared, read_cases, run_case
from tests.own_cases import OWN_CASES
from tests.random_cases import random_case
from tests.test_reference import FILES

SEEDS = range(200, 260)
RESTING: list[dict[str, Any]] = [
    {},
    {"unfilledtimeout": {"entry": 10, "exit": 10}},
    {"unfilledtimeout": {"entry": 10, "exit": 45}, "order_types": {"entry": "limit", "exit": "limit", "stop": "limit"}},
]
"""How long exits wait: without a word, as long as it takes."""


def plain(case: Case) -> tuple[PlainTrades, Counters]:
    """A case as a plain run."""
    backtest, tapes = prepared(case)
    assert is_plain(backtest.rules, tapes)
    trades, counters, interrupted = run_plain(backtest.rules, tapes, backtest.portfolio)
    assert interrupted is None
    return trades, counters


def check(case: Case) -> Counters:
    """Run a case both ways and assert that everything is equal; what was counted."""
    machine, (trades, counters) = run_case(case), plain(case)

    assert machine.trades == list(trades), f"seed {case['seed']}"
    assert machine.portfolio.rejected == counters.rejected_signals
    assert machine.counters == counters
    expected = TradeColumns.of(machine.trades)
    for name in TradeColumns.__slots__:
        mine, theirs = getattr(trades.columns, name), getattr(expected, name)
        if hasattr(mine, "texts"):
            assert theirs.texts() == mine.texts()
        else:
            assert np.array_equal(theirs, mine), f"seed {case['seed']}: {name}"
    return counters


@pytest.mark.parametrize("seeds", [SEEDS[at : at + 10] for at in range(0, len(SEEDS), 10)], ids=lambda r: f"{r[0]}-")
def test_random_cases(seeds: range) -> None:
    """All ways to leave, longs and shorts, few slots or many, fixed stakes and shared ones: equal in every field."""
    use_money_context()
    for seed in seeds:
        check(random_case(seed))


def test_exits_that_their_candles_do_not_fill() -> None:
    """Prices a hair above their own step make exits rest, move, and be given up: equal."""
    use_money_context()
    given_up = 0
    for seed in range(300, 318):
        case = random_case(seed, 200)
        case["config"] |= RESTING[seed % len(RESTING)]
        for rows in case["candles"].values():
            for row in rows[:-1]:
                row[1:5] = [price * (1 + 3e-16) if round(price * 100) % 3 else price for price in row[1:5]]
        check(case)
        given_up += plain(case)[1].timedout_exit_orders

    assert given_up > 2


def test_the_random_cases_have_odd_paths() -> None:
    """What doubles cannot decide does happen in them, and is left to the machine."""
    use_money_context()
    taken = [plain(random_case(seed))[0]._taken for seed in SEEDS]

    assert any(own.lanes[lane].odd[entry] for own in taken for lane, entry in zip(own.lane, own.entry, strict=True))


def test_recorded_cases() -> None:
    """Our own cases, and a sample of those recorded from the reference, come out as recorded."""
    use_money_context()
    cases = list(read_cases(OWN_CASES))
    for path in FILES:
        if "plain" in path.name or "protections" in path.name:
            cases += list(read_cases(path))[::12]
    for case in cases:
        backtest, tapes = prepared(case)
        if not is_plain(backtest.rules, tapes):
            continue
        trades, counters, _ = run_plain(backtest.rules, tapes, backtest.portfolio)
        backtest.trades, backtest.portfolio.rejected = list(trades), counters.rejected_signals
        assert "" == difference(case, backtest), f"seed {case['seed']}"


@pytest.mark.parametrize("wallet", [90.0, 150.0, 205.0, 320.0])
def test_money_that_is_not_there(wallet: float) -> None:
    """A wallet for fewer stakes than slots refuses entries at the same time, and losses may make it refuse more."""
    use_money_context()
    refused = 0
    for seed in (3, 5, 8):
        case = json.loads(json.dumps(random_case(seed)))
        case["config"].update({"wallet": wallet, "stake": 100.0, "max_open_trades": 5})
        refused += check(case).refused_stakes
    assert (refused > 0) == (wallet < 300)


def test_limits_of_risk() -> None:
    """Entries over a limit of all positions, or of one, are refused alike, and counted."""
    use_money_context()
    case = random_case(3)
    for limit in ("max_exposure", "max_exposure_per_pair"):
        risk = RiskConfig(**{limit: exact("120.0" if limit == "max_exposure" else "1.0")})
        machine, tapes = prepared(case)
        machine.portfolio.risk = risk
        machine.run(tapes, case["config"]["timeframe_minutes"] * MINUTE)
        quick, _ = prepared(case)
        quick.portfolio.risk = risk
        trades, counters, _ = run_plain(quick.rules, tapes, quick.portfolio)

        assert machine.trades == list(trades)
        assert machine.counters == counters
        assert counters.refused_stakes > 0


@pytest.mark.parametrize("bounds", [{"amount_min": 1.0}, {"cost_min": 80.0}, {"cost_min": 95.24}, {"amount_lot": 1.0}])
def test_bounds_of_the_market(bounds: dict[str, Any]) -> None:
    """Least amounts and costs, and steps as large as a stake, raise stakes and refuse entries alike."""
    use_money_context()
    refused = 0
    for seed in (1, 2, 7):
        case = json.loads(json.dumps(random_case(seed)))
        case["config"].update({"stake": 100.0, **bounds})
        refused += check(case).refused_stakes
    assert refused > 0 or "cost_min" in bounds


def test_prices_of_many_digits() -> None:
    """Fees of more digits than the books keep are rounded to 18 as they are there: ratios are equal to the last bit."""
    use_money_context()
    for seed in (1, 3, 4, 8):
        case = json.loads(json.dumps(random_case(seed)))
        case["config"].update({"stake": 0.05, "wallet": 10.0, "price_tick": 1e-8, "amount_lot": 1e-8, "fee": 0.001})
        for pair, rows in case["candles"].items():
            case["candles"][pair] = [[r[0], *(round(p / 1e6 + 1.3e-6, 8) for p in r[1:5]), *r[5:]] for r in rows]
        check(case)


@pytest.mark.parametrize("noise", [0.0, -1e-20, 1e-20])
def test_a_last_open_beside_its_step(noise: float) -> None:
    """A trade that not even the data's end closes keeps its slot and its pair, and is in no list."""
    use_money_context()
    case = json.loads(json.dumps(random_case(6)))
    case["config"].update({"pairs": ["P0/USDT"], "stoploss": -0.9, "roi": {}, "trailing_stop": False,
                           "use_exit_signal": False, "can_short": False, "price_tick": 1e-8, "stake": 100.0})  # fmt: skip
    rows = [[60 * n, *([2.95e-05] * 4), int(n in (3, 9)), 0, 0, 0] for n in range(20)]
    rows[-1][1:5] = [2.95e-05 + noise, 2.96e-05, 2.95e-05 + noise, 2.95e-05 + noise]
    case["candles"] = {"P0/USDT": rows}
    case["config"]["timeframe_minutes"] = 60
    check(case)


@pytest.mark.parametrize(
    "change",
    [
        {"callbacks": frozenset({"confirm_trade_exit"})},
        {"stop_on_venue": True},
        {"position_adjustment": True},
        {"timeframe_ms": 15_000},
        {"leverage": exact("0.5")},
        {"stoploss": exact("-1")},
    ],
)
def test_what_is_not_plain(change: dict[str, Any]) -> None:
    """Callbacks, adjustment and settings that the straight line does not know are left to the machine as a whole."""
    use_money_context()
    backtest, tapes = prepared(random_case(1))
    rules = {pair: replace(own, settings=replace(own.settings, **change)) for pair, own in backtest.rules.items()}

    assert is_plain(backtest.rules, tapes)
    assert not is_plain(rules, tapes)
    assert isinstance(next(iter(rules.values())).settings, Settings)
