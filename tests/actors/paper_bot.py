"""A whole bot on virtual time: real journal, paper venue, history and actors; the test is its strategy."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from actors.base import Context
from actors.feed import FeedActor
from actors.files import Files
from actors.gateway import GatewayActor
from actors.history.store import open_store
from actors.opening import open_journal
from actors.pair import PairActor
from actors.persistence import PersistenceActor
from actors.portfolio import PortfolioActor
from actors.rate_limiter import RateLimiterActor
from actors.sim import SimRuntime
from actors.supervisor import ChildSpec, RootActor
from actors.venues.paper.built_in import BuiltInMarket
from actors.venues.paper.prompt import PromptMarket
from actors.venues.paper.reading import rules_of
from actors.venues.paper.venue import PaperVenue
from actors.venues.ports import MarketSource
from engine.depth import ENDLESS
from engine.messages import Entry, ForceEnter, ForceExit, Record, Shutdown
from engine.order import prefix_of
from engine.portfolio import Portfolio
from engine.quota import paper_limits
from engine.settings import FeedConfig, PaperConfig, RiskConfig, Settings, TradingConfig
from engine.types import Side
from engine.work import Rules

D = Decimal
START_MS = 1_767_225_600_000
PAPER = PaperConfig(latency_ms=0, leverage_max=Decimal(5), fee_coin="", wallet=Decimal(10_000))
SETTINGS = Settings(timeframe_ms=60_000, stoploss=Decimal("-0.1"), entry_type="market", stop_on_venue=True)


class PaperBot:
    """One run of a bot on `files`; several in turn make several runs. Ended in order unless it was `killed`."""

    def __init__(
        self,
        files: Files,
        *,
        pairs: int = 4,
        seed: int = 1,
        start_ms: int = START_MS,
        settings: Settings = SETTINGS,
        paper: PaperConfig = PAPER,
        market: Callable[[], MarketSource] | None = None,
        tick_ms: int = 250,
    ) -> None:
        self.files = files
        feed = FeedConfig(pairs=pairs)
        self._feed = replace(feed, tick_ms=tick_ms)
        source = BuiltInMarket.of(feed) if market is None else market()
        self.pairs = source.pairs
        self.runtime = SimRuntime(seed, start_ms=start_ms)
        self.opening = open_journal(files, now=start_ms)
        self.journal = self.opening.journal
        self.venue = PaperVenue(files.venue, paper, source)
        self._source = BuiltInMarket.of(feed) if market is None else market()
        self._settings = settings
        self._requests = 0
        self._killed = False
        self._note("RunStarted", run=self.journal.run)
        self.runtime.spawn("root", lambda ctx: RootActor(ctx, self._specs(paper)))
        self.runtime.run(2_000)

    def _specs(self, paper: PaperConfig) -> list[ChildSpec]:
        trading = TradingConfig(max_open_trades=-1, stake_amount=Decimal(500))

        def account(epoch: int) -> Portfolio:
            return Portfolio(trading, RiskConfig(), (), 60_000, paper.wallet, epoch=epoch)

        return [
            ChildSpec("persistence", lambda ctx: PersistenceActor(ctx, journal=self.journal), shared=True),
            ChildSpec("limiter", lambda ctx: RateLimiterActor(ctx, paper_limits(paper)), shared=True),
            ChildSpec("gateway", lambda ctx: GatewayActor(ctx, self.venue, tick_ms=1_000), shared=True),
            ChildSpec("portfolio", lambda ctx: PortfolioActor(ctx, portfolio=account, pairs=self.pairs), shared=True),
            ChildSpec(
                "feed",
                lambda ctx: FeedActor(
                    ctx, self._stream(paper), self.pairs, "1m", dict.fromkeys(self.pairs, "judge:0"), self._feed
                ),
                shared=True,
            ),
            *(ChildSpec(f"pair:{pair}", self._pair(pair, paper)) for pair in self.pairs),
        ]

    def _stream(self, paper: PaperConfig) -> PromptMarket:
        return PromptMarket(self._source, rules_of(paper).depth or ENDLESS)

    def _pair(self, pair: str, paper: PaperConfig) -> Any:
        market = replace(self.venue.markets()[pair], leverage_max=paper.leverage_max)
        prefix = prefix_of(self.journal.installation, self.journal.run, zlib.crc32(pair.encode()))
        rules = Rules(
            settings=self._settings, market=market, order_prefix=prefix, run=self.journal.run, fee=paper.taker_fee
        )

        def factory(ctx: Context) -> PairActor:
            return PairActor(ctx, rules=rules, judge="judge:0")

        return factory

    def _note(self, kind: str, **body: Any) -> None:
        entry = Entry(kind=kind, ts=self.runtime.now(), body=body, stream="ops")
        self.journal.append([Record(writer="run", seq=self.journal.last("run") + 1, entries=(entry,))])

    def enter(self, pairs: Sequence[str], side: Side = Side.LONG) -> None:
        """Have pairs enter at the market's price, and wait a while."""
        for pair in pairs:
            self.runtime.tell(
                f"pair:{pair}",
                ForceEnter(request_id=self._request(), pair=pair, side=side, tag="by hand", reply_to="test"),
            )
        self.runtime.run(20_000)

    def leave(self, pairs: Sequence[str]) -> None:
        """Have pairs leave, and wait a while."""
        for pair in pairs:
            self.runtime.tell(f"pair:{pair}", ForceExit(request_id=self._request(), pair=pair, reply_to="test"))
        self.runtime.run(20_000)

    def _request(self) -> str:
        self._requests += 1
        return f"test-{self._requests}"

    def write_history(self) -> None:
        """Let the history catch up."""
        store = open_store(self.files)
        store.catch_up()
        store.close()

    def kill(self) -> None:
        """End it as kill -9 does: what is on disk is all there is."""
        self._killed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._killed:
            self.runtime.tell("root", Shutdown(reply_to=""))
            self.runtime.run_until_idle(limit_ms=60_000)
            self._note("RunEnded", run=self.journal.run, status=0)
        self.journal.close()
        self.venue.close()
        if not self._killed:
            self.write_history()
