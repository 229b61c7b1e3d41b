"""`download`: an exchange's candles and funding rates into our layout."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from actors.commands.common import one_account, print_json, time_text
from actors.commands.parsing import FAILED, INTERRUPTED, OK
from actors.config_file import read_config
from engine.candles import timeframe_ms
from engine.errors import ConfigError, Problem, TradepitError
from engine.settings import Config, ExchangeConfig
from engine.types import Millis

if TYPE_CHECKING:
    from concurrent.futures import Future

    from actors.batch.downloading import Downloaded, Progress, Wish
    from actors.venues.ccxt import Connection
    from engine.quota import Limits

SETTLED_MS: Final = 600_000
"""What an exchange has not told of after this, it will not: it is not asked for again."""


def run(arguments: argparse.Namespace) -> int:
    """Download what is asked for; 1 where something could not be had, 130 after Ctrl-C, which keeps what is there."""
    from actors.batch.taping import span_asked

    start, end = span_asked(arguments.start, arguments.end)
    assert start is not None
    for timeframe in arguments.timeframes:
        try:
            timeframe_ms(timeframe)
        except ValueError as error:
            raise TradepitError(f"{error}.") from None
    exchange, pairs = _wanted(arguments)
    with _connected(exchange, futures=_futures(exchange, pairs)) as connection:
        wish = _checked(connection, arguments, pairs, start, end)
        return _download(connection, wish, as_json=arguments.json)


def _wanted(arguments: argparse.Namespace) -> tuple[ExchangeConfig, tuple[str, ...]]:
    """The exchange and the pairs: of the command line, else of the configuration."""
    given = arguments.config or ("config.toml" if Path("config.toml").exists() else None)
    config = read_config(given) if given else Config()
    if config.accounts and not (arguments.exchange and arguments.pairs):
        config = one_account(config, arguments.account)
    exchange = config.exchange
    if arguments.exchange:
        options = exchange.options if exchange.name == arguments.exchange else {}
        exchange = replace(exchange, name=arguments.exchange, options=options)
    pairs = tuple(dict.fromkeys(arguments.pairs or config.trading.pairs))
    problems = []
    if exchange.name == "paper":
        why, cure = "the simulated exchange has nothing to download", "Name one that ccxt knows: --exchange binance"
        problems.append(Problem("exchange.name", '"paper"', why, cure))
    if not pairs:
        problems.append(Problem("trading.pairs", "[]", "it is not said which", "Name them: --pairs BTC/USDT,ETH/USDT"))
    if problems:
        raise ConfigError(problems)
    return exchange, pairs


def _futures(exchange: ExchangeConfig, pairs: Sequence[str]) -> bool:
    kinds = {":" in pair for pair in pairs}
    if len(kinds) > 1:
        raise TradepitError("Spot pairs (BTC/USDT) and futures (BTC/USDT:USDT) are downloaded one kind at a time.")
    return kinds == {True} or (exchange.market == "futures" and not kinds)


@contextlib.contextmanager
def _connected(exchange: ExchangeConfig, *, futures: bool) -> Iterator[Connection]:
    from actors.venues.ccxt import Connection

    connection = Connection(exchange, futures=futures)
    connection.start()
    try:
        answer = connection.spawn(connection.load()).result()
        if answer.failure is not None:
            raise TradepitError(f"{exchange.name} does not answer: {answer.failure.reason}. Try again later.")
        yield connection
    finally:
        connection.close()


def _checked(
    connection: Connection, arguments: argparse.Namespace, pairs: Sequence[str], start: Millis, end: Millis | None
) -> Wish:
    """What is wished for, when the exchange has it. Raises ConfigError with all that it has not."""
    from actors.batch.downloading import Wish
    from actors.venues.live.download import has, timeframes

    problems = []
    markets = connection.markets()
    for pair in pairs:
        if pair not in markets:
            close = difflib.get_close_matches(pair, markets, n=1)
            cure = (
                f"Did you mean {close[0]}?" if close else f"It has {len(markets)}, such as {', '.join([*markets][:3])}"
            )
            problems.append(Problem("--pairs", f'"{pair}"', f"{connection.name} does not have this pair", cure))
    there = timeframes(connection)
    for timeframe in arguments.timeframes:
        if there and timeframe not in there:
            why = f"{connection.name} has no candles of this length"
            problems.append(Problem("--timeframe", f'"{timeframe}"', why, f"It has {', '.join(there)}"))
    if not has(connection, "fetchOHLCV"):
        problems.append(Problem("exchange.name", f'"{connection.name}"', "it tells no candles", "Name another"))
    if problems:
        raise ConfigError(problems)
    now = connection.now()
    return Wish(
        folder=Path(arguments.data),
        exchange=connection.name,
        pairs=pairs,
        timeframes=arguments.timeframes,
        start=start,
        end=min(now, end or now),
    )


def _limits(connection: Connection) -> Limits:
    """The exchange's own limits where they are known, else what ccxt goes by: one request in so many ms."""
    from actors.venues.capabilities import CannotTrade, capability
    from engine.quota import Limits, Pool

    try:
        return capability(connection.name, futures=connection.futures).limits(connection.reported)
    except CannotTrade:
        pace_ms = max(1, int(connection.data.rateLimit))
        costs = {kind: {"requests_10s": 1} for kind in ("candles", "candles_few", "funding_rates")}
        return Limits(pools=(Pool("requests_10s", max(1, 10_000 // pace_ms), 10_000),), costs=costs)


def _download(connection: Connection, wish: Wish, *, as_json: bool) -> int:
    from actors.batch.downloading import follow, missing, outcome_of, targets_of, write_markets
    from actors.venues.live.download import Downloader, Run, has

    assert wish.end is not None
    funding = connection.futures and has(connection, "fetchFundingRateHistory")
    targets = targets_of(wish, funding=funding)
    runs: dict[int, Run] = {}
    for number, target in enumerate(targets):
        target.settled = wish.end - max(SETTLED_MS, 3 * target.step_ms)
        step = target.step_ms or 1
        spans = missing(target, wish.start, wish.end // step * step)
        if spans:
            runs[number] = Run(target.pair, target.kind, target.step_ms, spans)
    write_markets(wish.folder, {pair: connection.markets()[pair] for pair in wish.pairs})
    status = OK
    reader: Downloader = connection.spawn(_made(connection, _limits(connection))).result()
    running: Future[None] = connection.spawn(reader.read(list(runs.values())))
    try:
        with _bar() as tell:
            follow([(targets[number], run) for number, run in runs.items()], running, tell, reader)
    except KeyboardInterrupt:
        status = INTERRUPTED
    done = [outcome_of(target, runs.get(number)) for number, target in enumerate(targets)]
    _say(done, as_json=as_json)
    return status or (FAILED if any(one.failed for one in done) else OK)


async def _made(connection: Connection, limits: Limits) -> Any:
    from actors.venues.live.download import Downloader

    return Downloader(connection, limits)


def _say(done: Sequence[Downloaded], *, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "path": str(one.path),
                    "pair": one.pair,
                    "kind": one.kind,
                    "timeframe": one.timeframe,
                    "what": one.what,
                    "why": one.why or None,
                    "rows": one.rows,
                    "added": one.added,
                    "from": time_text(one.first),
                    "to": time_text(one.last),
                }
                for one in done
            ]
        )
        return
    for one in done:
        span = f", {time_text(one.first)} to {time_text(one.last)}" if one.rows else ""
        why = f" ({one.why})" if one.why else ""
        line = f"{one.pair} {one.kind} {one.timeframe}: {one.what}, {one.added} new of {one.rows}{span}{why}"
        print(line, file=sys.stderr if one.failed else sys.stdout)


@contextlib.contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal; else nothing is said before the end, but a wait is."""
    if not sys.stderr.isatty():
        said = [""]

        def tell(done: int, total: int, waiting: str) -> None:
            if waiting and waiting != said[0]:
                print(f"waiting for the exchange ({done} of {total} candles): {waiting}", file=sys.stderr)
            said[0] = waiting

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("downloading", total=1)

        def show(done: int, total: int, waiting: str) -> None:
            text = f"waiting: {waiting[:60]}" if waiting else "downloading"
            progress.update(task, completed=done, total=max(1, total), description=text)

        yield show
