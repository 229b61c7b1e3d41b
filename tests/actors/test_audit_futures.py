"""A paper run on futures: funding is paid, a position is left before the venue would take it, and all records agree."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from actors.batch.audit import audit, examine
from actors.files import Files
from actors.venues.paper.built_in import BuiltInMarket
from actors.venues.ports import PriceRange
from engine.candles import Candle, Candles
from engine.margin import FundingRate, MarginTier
from engine.market import Market
from engine.settings import FeedConfig
from engine.types import Millis, Side
from tests.actors.paper_bot import PAPER, SETTINGS, D, PaperBot

HOUR = 3_600_000
TIERS = (MarginTier(notional_max=D(10_000_000), rate=D("0.004"), leverage_max=D(100)),)


class Futures:
    """The built-in market's pairs as futures: with tiers, and funding of large rates every half hour."""

    def __init__(self) -> None:
        self._spot = BuiltInMarket.of(FeedConfig(pairs=4))

    @property
    def pairs(self) -> tuple[str, ...]:
        return tuple(f"{pair}:USDT" for pair in self._spot.pairs)

    def markets(self) -> Mapping[str, Market]:
        return {f"{p}:USDT": replace(m, pair=f"{p}:USDT", tiers=TIERS) for p, m in self._spot.markets().items()}

    def span(self) -> tuple[Millis, Millis | None]:
        return self._spot.span()

    def history(self, pairs: Sequence[str], timeframe_ms: Millis, before: Millis, count: int) -> Mapping[str, Candles]:
        found = self._spot.history(_spot(pairs), timeframe_ms, before, count)
        return {f"{pair}:USDT": replace(candles, pair=f"{pair}:USDT") for pair, candles in found.items()}

    def closed(self, pairs: Sequence[str], timeframe_ms: Millis, ts: Millis) -> Sequence[tuple[str, Candle]]:
        return [(f"{pair}:USDT", candle) for pair, candle in self._spot.closed(_spot(pairs), timeframe_ms, ts)]

    def ranges(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[PriceRange]:
        return [found._replace(pair=f"{found.pair}:USDT") for found in self._spot.ranges(_spot(pairs), after, until)]

    def prices(self, pairs: Sequence[str], at: Millis) -> Sequence[PriceRange]:
        return [found._replace(pair=f"{found.pair}:USDT") for found in self._spot.prices(_spot(pairs), at)]

    def funding(self, pairs: Sequence[str], after: Millis, until: Millis) -> Sequence[FundingRate]:
        times = range(after // (HOUR // 2) * (HOUR // 2) + HOUR // 2, until + 1, HOUR // 2)
        rates = (D("0.0013"), D("-0.00217"))
        return [
            FundingRate(pair=pair, ts=ts, rate=rates[ts // (HOUR // 2) % 2], price=D("97.31"))
            for ts in times
            for pair in pairs
        ]


def _spot(pairs: Sequence[str]) -> list[str]:
    return [pair.removesuffix(":USDT") for pair in pairs]


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of a run with longs and shorts at leverage 80, killed in between and gone on with."""
    files = Files.beside(tmp_path_factory.mktemp("futures") / "x.duckdb")
    settings = replace(
        SETTINGS, can_short=True, leverage=D(80), stoploss=D("-0.95"), roi=((0, D(100)),), stop_on_venue=False
    )
    some = {"settings": settings, "paper": replace(PAPER, leverage_max=D(100)), "market": Futures, "tick_ms": 2_000}
    with PaperBot(files, **some) as bot:
        bot.enter(bot.pairs[:2])
        bot.enter(bot.pairs[2:], Side.SHORT)
        bot.runtime.run(HOUR)
        end = bot.runtime.now()
        bot.kill()
    with PaperBot(files, start_ms=end + HOUR, **some) as bot:
        bot.runtime.run(HOUR)
        bot.leave(bot.pairs)
    return files


def test_all_records_agree(traded: Files) -> None:
    """Ledger, journal, kept states and history, with funding in all of them, and at least one liquidation."""
    assert () == examine(traded).differences
    with duckdb.connect(traded.db, read_only=True) as db:
        closed = db.execute("SELECT exit_reason, funding_fees FROM trades").fetchall()
        paid = db.execute(
            "SELECT count(*), count(DISTINCT payment_id), sum(received) FROM funding WHERE NOT late"
        ).fetchone()
    assert "liquidation" in {reason for reason, _ in closed}
    assert paid is not None
    assert paid[0] == paid[1] > 3
    assert sum(fees for _, fees in closed if fees is not None) == paid[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE payments SET received = '0.5' WHERE number = 1", "its rate and amount give"),
        ("DELETE FROM payments WHERE number = 2", "is in the journal and not at the venue"),
        ("UPDATE payments SET payment_id = 'other' WHERE number = 3", "is at the venue and not in the journal"),
    ],
)
def test_a_wrong_payment_is_found(traded: Files, tmp_path: Path, change: str, said: str) -> None:
    """One that was changed, lost or invented in the venue's record is a difference, each in a sentence."""
    copies = [path for path in traded.db.parent.iterdir() if path.is_file()]
    for path in copies:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    files = Files.beside(tmp_path / traded.db.name)
    with closing(sqlite3.connect(files.venue)) as db:
        db.execute(change)
        db.commit()

    assert any(said in difference.text for difference in audit(files))
