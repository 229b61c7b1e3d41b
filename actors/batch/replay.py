"""`tradepit replay`: stored candles through the real actors, on virtual time.

The same pair and portfolio actors, gateway and limiter as live, on the simulated runtime; the pairs take
their turns on each candle in the stated order, so the trades do not depend on the seed, which draws the
order of all other messages. The journal is in memory and written at the end (`--durable`: as it goes).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from actors.base import Context, EngineActor
from actors.batch.exporting import check_target, exported, write_trades
from actors.batch.taping import Taped, named, span_asked, tape, tell_left_out, timeframe_of
from actors.commands.common import print_json, with_arguments
from actors.config_file import read_config
from actors.files import Files, RunLock
from actors.follower import Follower
from actors.gateway import GatewayActor
from actors.history.sql import run_query
from actors.journal import Journal, MemoryJournal, decoded
from actors.judge import JudgeActor
from actors.judging.bench import FrameBench
from actors.opening import open_journal
from actors.pair import PairActor
from actors.persistence import PersistenceActor
from actors.portfolio import PortfolioActor
from actors.rate_limiter import RateLimiterActor
from actors.segment import Row
from actors.sim import SimRuntime
from actors.supervisor import ChildSpec, RootActor
from actors.venues.paper.tape_market import TapeMarket
from actors.venues.paper.venue import PaperVenue
from engine.chronicle import Chronicle
from engine.errors import DataError, StorageError
from engine.messages import ControlAnswered, Entry, Record, ReportStatus, RoundEnded, Shutdown, StartRound, TimerFired
from engine.portfolio import Portfolio
from engine.protections import protections_from
from engine.quota import paper_limits
from engine.settings import Config
from engine.strategy import TRADES
from engine.strategy_settings import effective_protections
from engine.tape import last_rows, walk
from engine.types import use_money_context

LOOK_MS: Final = 10


class ReplayActor(EngineActor):
    """Gives the portfolio one candle after the other, when its time has come and the last one is over."""

    def __init__(self, ctx: Context, taped: Taped) -> None:
        super().__init__(ctx)
        self._rounds = _rounds(taped)
        self._next: StartRound | None = None
        self.done = False

    def on_start(self) -> None:
        """Wait until everybody has found out what is true."""
        self.start_timer("look", LOOK_MS)

    def on_control_answered(self, message: ControlAnswered) -> None:
        """Begin when the portfolio has counted all pairs."""
        if message.data.get("uncounted") == 0:
            self._go_on()
        else:
            self.start_timer("look", LOOK_MS)

    def on_timer_fired(self, message: TimerFired) -> None:
        """It is time for the next candle, or for another look at the portfolio."""
        if message.name == "look":
            self.tell("portfolio", ReportStatus(request_id="look", reply_to=self.name))
        elif self._next is not None:
            self.tell("portfolio", self._next)

    def on_round_ended(self, message: RoundEnded) -> None:
        """All have had their turn."""
        del message
        self._go_on()

    def _go_on(self) -> None:
        self._next = next(self._rounds, None)
        if self._next is None:
            self.done = True
        else:
            self.start_timer("candle", max(self._next.ts - self.now(), 0), market=True)


def _rounds(taped: Taped) -> Iterator[StartRound]:
    ts = 0
    for ts, rows in walk(taped.tapes, timeframe_of(taped)):
        yield StartRound(ts=ts, rows=tuple(rows.values()))
    yield StartRound(ts=ts, rows=tuple(last_rows(taped.tapes).values()))


def run_replay(
    config: Config, taped: Taped, journal: Journal, seed: int, venue_record: Path | None = None
) -> SimRuntime:
    """Drive the tapes through the actors; the journal has everything afterwards, `venue_record` what the venue knows."""
    pairs = tuple(taped.tapes)
    markets = {pair: taped.rules[pair].market for pair in pairs}
    fee = max(rules.fee for rules in taped.rules.values())  # for both ways (2.1.5)
    paper = replace(config.paper, fills="candle", latency_ms=0, maker_fee=fee, taker_fee=fee)
    first = min(int(t.candles.ts[0]) for t in taped.tapes.values() if len(t.candles))
    runtime = SimRuntime(seed, start_ms=first - 60_000)
    venue = PaperVenue(None, paper, TapeMarket(markets), currency=config.trading.stake_currency, by_turns=True)
    timeframe = timeframe_of(taped)
    protections = protections_from(effective_protections(config, taped.facts), timeframe)

    def account(epoch: int) -> Portfolio:
        chronicle = Chronicle() if TRADES in taped.facts.callbacks else None
        return Portfolio(
            config.trading, config.risk, protections, timeframe, paper.wallet, epoch=epoch, chronicle=chronicle
        )

    replays: list[ReplayActor] = []

    def conductor(ctx: Context) -> ReplayActor:
        replays.append(ReplayActor(ctx, taped))
        return replays[-1]

    shared = [
        ChildSpec("persistence", lambda ctx: PersistenceActor(ctx, journal=journal), shared=True),
        ChildSpec("limiter", lambda ctx: RateLimiterActor(ctx, paper_limits(paper)), shared=True),
        ChildSpec("gateway", lambda ctx: GatewayActor(ctx, venue, tick_ms=0), shared=True),
        ChildSpec(
            "portfolio",
            lambda ctx: PortfolioActor(ctx, portfolio=account, pairs=pairs, conductor="replay"),
            shared=True,
        ),
    ]
    if taped.facts.callbacks:
        shared.append(ChildSpec("judge:0", lambda ctx: _judge(ctx, config, taped)))
    own = [ChildSpec(f"pair:{pair}", _pair_factory(taped, pair)) for pair in pairs]
    specs = [*shared, *own, ChildSpec("replay", conductor)]
    runtime.spawn("root", lambda ctx: RootActor(ctx, specs))
    runtime.run_until(lambda: bool(replays) and replays[-1].done, limit_ms=None)
    runtime.tell("root", Shutdown(reply_to=""))
    runtime.run_until_idle(limit_ms=600_000)
    if venue_record is not None:
        venue.save(venue_record)
    return runtime


def _pair_factory(taped: Taped, pair: str) -> Any:
    return lambda ctx: PairActor(ctx, rules=taped.rules[pair], judge="judge:0", by_turns=True)


def _judge(ctx: Context, config: Config, taped: Taped) -> JudgeActor:
    inline = replace(config.strategy, workers=0)
    frames = [taped.frames[pair] for pair in taped.tapes]
    return JudgeActor(
        ctx,
        pairs=tuple(taped.tapes),
        config=inline,
        facts=taped.facts,
        bench=lambda *_unused: FrameBench(taped.maker, frames),
    )


# ---------------------------------------------------------------- the command


def replay(arguments: argparse.Namespace) -> int:
    """Run the command; its status."""
    use_money_context()
    config = with_arguments(read_config(arguments.config), arguments)
    folder = arguments.data or config.feed.data
    if not folder:
        raise DataError("There are no candles to replay: give --data DIR, or set feed.data in the config.")
    start, end = span_asked(arguments.start, arguments.end)
    if arguments.export:
        check_target(Path(arguments.export), (".json",))
    taped = tape(config, folder, config.trading.pairs, start, end)
    tell_left_out(taped)
    if not (arguments.db or arguments.durable):
        memory = MemoryJournal(installation="REPLAY")
        _replay(config, taped, memory, arguments.seed, None)
        return _tell(arguments, config, taped, memory.rows)
    files = Files.beside(config.history.db)
    lock = RunLock(files.lock)
    try:
        _replay_into(files, arguments, config, taped)
    finally:
        lock.release()
    run_query(files.db, "SELECT count(*) FROM trades")  # opening it makes the history from the journal
    return _tell(arguments, config, taped, _rows_after(files, 0))


def _replay_into(files: Files, arguments: argparse.Namespace, config: Config, taped: Taped) -> None:
    for path in (files.journal, files.venue, files.db):
        if path.exists():
            raise StorageError(f"{path} exists; a replay begins files of its own: give another --db.")
    journal: Journal = MemoryJournal(installation="REPLAY")
    if arguments.durable:
        journal = open_journal(files, now=min(int(t.candles.ts[0]) for t in taped.tapes.values())).journal
        taped = named(taped, journal.installation)
    _replay(config, taped, journal, arguments.seed, files.venue)
    if isinstance(journal, MemoryJournal):
        journal.dump(files)
    else:
        journal.close()


def _replay(config: Config, taped: Taped, journal: Journal, seed: int, venue_record: Path | None) -> None:
    began = Entry(
        kind="RunStarted",
        ts=min(int(t.candles.ts[0]) for t in taped.tapes.values()),
        body={"run": journal.run, "strategy": taped.facts.name, "fills": "candle", "mode": "replay", "seed": seed},
        stream="ops",
    )
    journal.append([Record(writer="run", seq=journal.last("run") + 1, entries=(began,))])
    runtime = run_replay(config, taped, journal, seed, venue_record)
    wish = runtime.exit_request
    if wish is not None and wish.status:
        raise StorageError(f"The replay ended early: {wish.reason}")
    body = {"run": journal.run, "status": 0, "reason": "the data ended"}
    ended = Entry(kind="RunEnded", ts=runtime.now(), body=body, stream="ops")
    journal.append([Record(writer="run", seq=journal.last("run") + 1, entries=(ended,))])


def _tell(arguments: argparse.Namespace, config: Config, taped: Taped, rows: Iterable[Row]) -> int:
    trades = closed_trades(rows)
    if arguments.export:
        write_trades(Path(arguments.export), trades)
    profit = sum((Decimal(repr(t["profit_abs"])) for t in trades), Decimal(0))
    if arguments.json:
        left = {"failed": dict(taped.failed), "left_out": dict(taped.left_out)}
        print_json({"trades": len(trades), "pairs": len(taped.tapes), "profit": profit, **left})
    else:
        print(f"{len(trades)} trades on {len(taped.tapes)} pairs, profit {profit:f} {config.trading.stake_currency}")
    return 1 if taped.failed else 0


def _rows_after(files: Files, seq: int) -> Iterator[Row]:
    follower = Follower(files)
    while rows := follower.read(seq):
        yield from rows
        seq = rows[-1][0]


def closed_trades(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The closed trades among a journal's rows, in the order of their ends, in the form of `--export`."""
    return [exported(decoded(row)) for row in rows if row[7] == "TradeClosed"]
