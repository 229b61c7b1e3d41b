"""Futures from files, with leverage tiers, liquidation, funding and finer candles: replay = backtest, event for event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from loguru import logger
from pyarrow import feather

from actors.batch.markets import read_markets
from actors.batch.taping import Taped, tape
from actors.venues.paper.choice import market_source, notes_on
from engine.config import parse_config
from engine.errors import DataError
from engine.settings import Config
from engine.types import exact, use_money_context
from tests.test_replay import STRATEGIES, check_equal, counted

START_MS = 1_767_225_600_000
PAIRS = ("AAA/USDT:USDT", "BBB/USDT:USDT")
MINUTE, HOUR = 60_000, 3_600_000
TIERS = [
    {"minNotional": 0, "maxNotional": 5_000, "maintenanceMarginRate": 0.01, "maxLeverage": 25, "maintAmt": 0},
    {"minNotional": 5_000, "maxNotional": 1e9, "maintenanceMarginRate": 0.02, "maxLeverage": 10, "maintAmt": 50},
]


@pytest.fixture(autouse=True)
def _here() -> Any:
    use_money_context()
    logger.disable("actors")
    yield
    logger.enable("actors")


def write(folder: Path, name: str, ts: np.ndarray[Any, Any], columns: list[np.ndarray[Any, Any]]) -> None:
    """A file in Freqtrade's layout."""
    names = ("open", "high", "low", "close", "volume")
    table = {"date": pa.array(ts, pa.timestamp("ms", "UTC")), **dict(zip(names, columns, strict=True))}
    feather.write_feather(pa.table(table), str(folder / f"{name}.feather"))


def made_files(folder: Path, *, funding: bool = True, hours: int = 30) -> None:
    """Minutes of a walk, the candles they make, hourly mark prices, funding every four hours."""
    (folder / "futures").mkdir(parents=True)
    for number, pair in enumerate(PAIRS):
        rng = np.random.default_rng(number + 5)
        walk = np.round(np.cumsum(rng.normal(0, 0.12, (hours * 60, 4)).ravel()) * 10).reshape(-1, 4) / 10 + 150
        ts, name = START_MS + MINUTE * np.arange(len(walk)), pair.replace("/", "_").replace(":", "_")
        columns = [walk[:, 0], walk.max(1), walk.min(1), walk[:, -1], np.full(len(walk), 5.0)]
        write(folder / "futures", f"{name}-1m-futures", ts, columns)
        five = [walk[::5, 0], *(f(columns[i].reshape(-1, 5), axis=1) for i, f in ((1, np.max), (2, np.min)))]
        write(folder / "futures", f"{name}-5m-futures", ts[::5], [*five, walk[4::5, -1], np.full(len(walk) // 5, 5.0)])
        if funding:
            flat = [walk[::60, 0]] * 4 + [np.zeros(hours)]
            write(folder / "futures", f"{name}-1h-mark", ts[::60], flat)
            rates = rng.normal(0, 0.003, hours)[::4]
            zero = np.zeros(len(rates))
            write(folder / "futures", f"{name}-1h-funding_rate", ts[::240] + 7, [rates, zero, zero, zero, zero])
    facts = {"price": 0.1, "amount": 0.01, "contract_size": 10, "liquidation": "binance", "tiers": TIERS}
    (folder / "markets.json").write_text(json.dumps(dict.fromkeys(PAIRS, facts)))


def made(folder: Path, **feed: Any) -> tuple[Config, Taped]:
    """Tapes of these files under a strategy with leverage."""
    trading = {"stake_amount": exact(200), "max_open_trades": 2, "leverage": exact(25), "pairs": list(PAIRS)}
    strategy = {"name": f"{STRATEGIES}:Leveraged"}
    config = parse_config({"trading": trading, "strategy": strategy, "feed": feed})
    return config, tape(config, str(folder), PAIRS, None, None)


@pytest.mark.parametrize("detail", ["", "1m"])
def test_futures(tmp_path: Path, detail: str) -> None:
    """Funding, liquidations and the leverage that the tiers allow, on candles and on finer ones, both ways equal."""
    made_files(tmp_path)
    config, taped = made(tmp_path, timeframe_detail=detail)
    found = check_equal(config, taped)

    assert () == taped.notes
    assert counted(found, "TradeClosed", exit_reason="liquidation")
    assert counted(found, "FundingPaid") > 5
    closed = [event[2] for events in found.values() for event in events if event[0] == "TradeClosed"]
    assert any(trade["funding_fees"] not in ("0", 0) for trade in closed)
    assert {"25"} == {trade["leverage"] for trade in closed}
    assert all((float(trade["amount"]) * 10).is_integer() for trade in closed)  # whole contracts
    moments = {event[1] % (5 * MINUTE) for events in found.values() for event in events if event[0] == "TradeOpened"}
    assert bool(detail) == (len(moments) > 1)


def test_what_is_missing_counts_as_nothing_and_is_said(tmp_path: Path) -> None:
    """Without funding rates or tiers the run goes on, and a sentence says of which pairs they are missing."""
    made_files(tmp_path, funding=False)
    (tmp_path / "markets.json").unlink()
    _, taped = made(tmp_path)

    assert all(not own.funding for own in taped.tapes.values())
    assert ["funding counts as zero", "nothing is liquidated"] == [
        note[:-1].rpartition("; ")[2] for note in taped.notes
    ]
    assert all(PAIRS[1] in note for note in taped.notes)


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("5m", "timeframe_detail is 5m; it must be finer than the strategy's 5m"),
        ("2m", "timeframe_detail is 2m; it must be finer than the strategy's 5m, and fit into it"),
        ("30s", "has no candles of 30s"),
    ],
)
def test_a_detail_that_cannot_be_is_refused(tmp_path: Path, detail: str, said: str) -> None:
    """It must be finer, fit into a candle, and be there."""
    made_files(tmp_path, hours=2)

    with pytest.raises(DataError, match=said):
        made(tmp_path, timeframe_detail=detail)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"liquidation": "cross"}, "liquidation of A/U:U is 'cross'; it must be one of isolated, binance, bybit"),
        ({"tiers": []}, "tiers of A/U:U must be a list of objects"),
        ({"tiers": [{"maxLeverage": 5}]}, "tier 1: maintenanceMarginRate is None; it must be a number from 0 on"),
        ({"contract_size": 0}, "contract_size of A/U:U is 0; it must be a number above 0"),
    ],
)
def test_bad_markets_are_refused(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    """The file, the pair and the key are named, and what would do."""
    (tmp_path / "markets.json").write_text(json.dumps({"A/U:U": facts}))

    with pytest.raises(DataError, match=said):
        read_markets(tmp_path)


def test_a_paper_run_on_files_knows_them_too(tmp_path: Path) -> None:
    """Tiers, whole contracts and funding of the same folder; what is missing is said in the same sentences."""
    made_files(tmp_path)
    feed = {"source": "files", "data": str(tmp_path)}
    config = parse_config({"feed": feed, "trading": {"pairs": list(PAIRS)}})
    source = market_source(config, "5m")
    market = source.markets()[PAIRS[0]]

    assert () == notes_on(source)
    assert (25, exact("0.1"), "binance") == (market.tiers[0].leverage_max, market.amount_step, market.liquidation)
    assert [4] == [(rate.ts - START_MS) // HOUR for rate in source.funding(PAIRS[:1], START_MS, START_MS + 4 * HOUR)]
    for path in (tmp_path / "futures").glob("*funding_rate*"):
        path.unlink()
    (tmp_path / "markets.json").unlink()
    said = notes_on(market_source(config, "5m"))
    assert ["funding counts as zero", "nothing is liquidated"] == [note[:-1].rpartition("; ")[2] for note in said]
