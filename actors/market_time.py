"""The market clock of a paper exchange: it goes on while the bot is down, and is kept with the exchange.

The venue's record holds where market time stood at which moment of ours, and how fast it ran. The next
start goes on from there, so a stop at the venue meets the prices of the downtime too. Another speed
begins a new line from the present market time; another market is refused, since balances and open
orders there would meet prices of a world they do not belong to.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from actors.runtime import MarketClock
from actors.venues.paper.record import VenueRecord
from actors.venues.ports import MarketSource
from engine.errors import StorageError
from engine.settings import Config
from engine.types import Millis


def market_clock(path: Path, config: Config, source: MarketSource, warm_up_ms: Millis) -> MarketClock:
    """The clock of the venue kept at `path`; begun there when it is new.

    A market of stored candles begins `warm_up_ms` after its first candle, so that windows can fill.

    Raises:
        StorageError: the record belongs to another market, or cannot be read.
    """
    record = VenueRecord(path)
    try:
        feed = config.feed
        market = f"files {feed.data}" if feed.source == "files" else f"market seed {feed.seed}"
        _check_market(record, market, path)
        speed = float(config.feed.speed)
        kept = record.meta("clock")
        wall = time.time()
        if kept is None:
            start = _begin(config, source, warm_up_ms)
        else:
            market_ms, wall_s, before = (float(part) for part in kept.split())
            if before == speed:
                return MarketClock(int(market_ms), wall_s, speed)
            start = int(market_ms + (wall - wall_s) * 1_000 * before)
        record.set_meta("clock", f"{start} {wall} {speed}")
        record.commit()
        return MarketClock(start, wall, speed)
    finally:
        record.close()


def claim_record(path: Path, market: str) -> None:
    """Have the venue kept at `path` be one of `market`, whose time is its own.

    Raises:
        StorageError: the record belongs to another market, or cannot be read.
    """
    record = VenueRecord(path)
    try:
        _check_market(record, market, path)
        record.commit()
    finally:
        record.close()


def _check_market(record: VenueRecord, market: str, path: Path) -> None:
    kept = record.meta("market")
    if kept is None:
        record.set_meta("market", market)
    elif kept != market:
        raise StorageError(
            f"{path.name} holds balances and orders of another market ({kept}; the config has {market}). "
            "Use another --db, or put the old settings back."
        )


def _begin(config: Config, source: MarketSource, warm_up_ms: Millis) -> Millis:
    if config.feed.source == "files":
        return source.span()[0] + warm_up_ms
    return int(datetime.fromisoformat(config.feed.start).replace(tzinfo=UTC).timestamp() * 1_000)
