"""A feed on real threads, over ccxt, against the local exchange: what a live bot's market data is made of."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from actors.base import Context, EngineActor
from actors.feed import FeedActor
from actors.rate_limiter import RateLimiterActor
from actors.runtime import ThreadRuntime
from actors.venues.capabilities import capability
from actors.venues.ccxt import Connection
from actors.venues.live.frames import READERS, Reader
from actors.venues.live.market import LiveMarket
from actors.venues.live.times import USUAL, Times
from engine.candles import Candle, timeframe_ms
from engine.messages import (
    CandlesClosed,
    HistoryLoaded,
    LoadHistory,
    MarketRange,
    Message,
    ReportUsage,
    RoundJudged,
    UsageReported,
)
from engine.quota import Limits, Pool
from engine.settings import ExchangeConfig, FeedConfig
from engine.types import Millis
from tests.actors.probes import Disk, MemoryPersistence, Probe, Seen, probe
from tests.exchange.client import Exchange

LIMITS = Limits(
    pools=(Pool("weight_1m", 6_000, 60_000),),
    costs={kind: {"weight_1m": cost.get("weight_1m", 0)} for kind, cost in capability("binance").costs.items()},
)


class LiveClock:
    """The exchange's time, for a runtime."""

    speed = 1.0

    def __init__(self, connection: Connection) -> None:
        self.now = connection.now


class Judge(EngineActor):
    """Keeps what it is sent, and when; reports each round."""

    def __init__(self, ctx: Context, bot: LiveFeed) -> None:
        super().__init__(ctx)
        self.bot = bot

    def on_candles_closed(self, message: CandlesClosed) -> None:
        """Note each candle's delay."""
        now = self.now()
        ts = message.ts + message.timeframe_ms
        for pair, candle in message.candles:
            self.bot.candles.setdefault(pair, []).append(candle)
            self.bot.delays.append((pair, candle.ts, now - ts))
        self.tell("feed", RoundJudged(judge=self.name, ts=ts, wishes=(), judged=len(message.candles)))

    def on_history_loaded(self, message: HistoryLoaded) -> None:
        """Keep the windows."""
        self.bot.windows.update(message.pairs)


class Pair(Probe):
    """Keeps what it is told, and how old prices are when it hears of them."""

    def __init__(self, ctx: Context, bot: LiveFeed) -> None:
        super().__init__(ctx, bot.pairs_told)
        self.bot = bot

    def receive(self, message: Message) -> None:
        """Note a price's age: from the end of its frame's reading to here."""
        if isinstance(message, MarketRange):
            self.bot.ages.append(self.now() - message.ts)
        super().receive(message)


class Gateway(EngineActor):
    """Says what the exchange has counted, which a real gateway reads from its answers."""

    def on_report_usage(self, message: ReportUsage) -> None:
        """Nothing yet."""
        self.tell(message.reply_to, UsageReported(pool="weight_1m", used=0))


class LiveFeed:
    """One feed and its market; `with` starts and ends it."""

    def __init__(
        self,
        exchange: Exchange,
        pairs: Sequence[str] = (),
        *,
        timeframe: str = "1s",
        window: int = 20,
        count: int = 0,
        times: Times = USUAL,
        readers: Mapping[str, Reader] = READERS,
    ) -> None:
        self.candles: dict[str, list[Candle]] = {}
        self.delays: list[tuple[str, Millis, Millis]] = []
        self.ages: list[Millis] = []
        self.windows: dict[str, tuple[Candle, ...]] = {}
        self.disk = Disk()
        self.notices, self.pairs_told, self.portfolio = Seen(), Seen(), Seen()
        self.connection = Connection(
            ExchangeConfig(name="binance", options=exchange.options()), futures=exchange.futures
        )
        self.connection.start()
        loaded = self.connection.spawn(self.connection.load()).result(60)
        assert loaded.failure is None, loaded.failure
        self.pairs = tuple(pairs) or tuple(self.connection.markets())[:count]
        self.market = LiveMarket(self.connection, times=times, readers=readers)
        self.step = timeframe_ms(timeframe)
        self.timeframe = timeframe
        self.window = window
        self.runtime = ThreadRuntime(LiveClock(self.connection))  # type: ignore[arg-type]  # a clock by its interface

    def __enter__(self) -> Self:
        runtime = self.runtime
        runtime.spawn("persistence", lambda ctx: MemoryPersistence(ctx, self.disk))
        runtime.spawn("notifier", probe(self.notices))
        runtime.spawn("portfolio", probe(self.portfolio))
        runtime.spawn("gateway", Gateway)
        runtime.spawn("limiter", lambda ctx: RateLimiterActor(ctx, LIMITS))
        for pair in self.pairs:
            runtime.spawn(f"pair:{pair}", lambda ctx: Pair(ctx, self))
        runtime.spawn("judge:0", lambda ctx: Judge(ctx, self))
        judges = dict.fromkeys(self.pairs, "judge:0")
        runtime.spawn("feed", lambda ctx: FeedActor(ctx, self.market, self.pairs, self.timeframe, judges, FeedConfig()))
        self.wait("the feed", lambda: "lines" in self.market.status())
        runtime.tell("feed", LoadHistory(pairs=self.pairs, count=self.window, reply_to="judge:0"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runtime.close()
        self.connection.close()

    def faults(self) -> list[str]:
        """The kinds of alerts recorded, in order."""
        return [body["kind"] for body in self.disk.bodies("feed")]

    def wait(self, what: str, holds: Any, timeout_s: float = 60.0) -> float:
        """Wait until something holds; how long it took. Fails the test when it does not."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < timeout_s, f"{what} within {timeout_s} s"
            time.sleep(0.02)
        return time.monotonic() - began


def tell(bot: LiveFeed, name: str, message: Message) -> None:
    """Say something to an actor of the bot."""
    bot.runtime.tell(name, message)
