"""From the exchange's tick to our exit order, the bot being the guard: a live bot on the local exchange, over real sockets.

The bot holds a position on every pair, and no stop stands at the exchange. One pair after another jumps beneath its
stop, while all others go on moving. The exchange runs in a process of its own and tells both times by its one clock.

    whole       from the trade there to the exit order's acceptance there: the exchange's own work on both ends is in it
    own         from the moment the exchange writes the frame of that price to the moment it has answered the order: both
                sockets, ccxt, the feed, the pair, the record on disk, the permit, the signature, and the exchange's
                reading of the request, which nobody takes off
    deciding    of that, until the exit is decided: the frame is read, the price told, the stop found to be touched
    sending     from there until its request is written: the record on disk, the permit, the signature
    arriving    from there until the exchange has answered it

The stages are told by the bot in whole milliseconds of the exchange's time as it knows it, which may be some off.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.bots import Failed, ask
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import placed
from tests.showing.common import percentile, wait_until

FALL: Final = 0.95
EVERY_S: Final = 0.2
"""From one stop-out to the next: they come one after another, not in one heap."""

OPENED: Final = "SELECT count(*) FROM entries WHERE kind = 'TradeOpened'"
DECIDED: Final = "SELECT ts FROM entries WHERE kind = 'OrderIntended' AND json_extract(body, '$.client_order_id') = '{id}' ORDER BY seq"
WAITED: Final = (
    "SELECT json_extract(body, '$.waited_ms') FROM entries"
    " WHERE kind = 'RequestSent' AND json_extract(body, '$.client_order_id') = '{id}' ORDER BY seq"
)
ORDERS: Final = {"10S": 100_000, "1D": 10_000_000}
QUIET: Final = {"entry": "market", "exit": "market", "stoploss_on_exchange": False}


@dataclass(frozen=True, slots=True)
class StopOut:
    """One of them, in milliseconds; see the module."""

    whole: float
    own: float
    deciding: float
    sending: float
    arriving: float


def main(arguments: list[str]) -> int:
    """Run the benchmark and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench live_stop", description=__doc__)
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--listed", type=int, default=0, help="pairs that the exchange has, if more")
    parser.add_argument("--rounds", type=int, default=3, help="how often each pair is entered and stopped out")
    parser.add_argument("--rate", type=float, default=2.0, help="ticks a second of each pair beside them")
    parser.add_argument("--timeframe", default="1m")
    parser.add_argument("--json", action="store_true", help="print JSON (always so)")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="tradepit-bench-") as folder:
            found = measure(Path(folder), given)
    except Failed as failed:
        print(f"live_stop: {failed}", file=sys.stderr)
        return 1
    figures = {f"{name}_ms": _percentiles([getattr(one, name) for one in found]) for name in StopOut.__slots__}
    worst = {name: round(value, 1) for name, value in asdict(max(found, key=lambda one: one.own)).items()}
    print(json.dumps({"bench": "live_stop", "pairs": given.pairs, "stop_outs": len(found), **figures, "worst": worst}))
    return 0


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{p:g}": round(percentile(sorted(values), p), 1) for p in (50, 90, 99, 100)}


def measure(folder: Path, given: argparse.Namespace) -> list[StopOut]:
    """Every stop-out of a bot's life."""
    arguments = ("--pairs", str(max(given.pairs, given.listed)), "--seed", "9", "--rate", str(given.rate))
    found: list[StopOut] = []
    with Exchange(*arguments, "--volatility", "0.00002", "--funds", "USDT=20000") as exchange:
        exchange.control("limits", orders=ORDERS)
        names = pairs_of(exchange, given.pairs)
        sections: dict[str, Any] = {
            "live": {"stops_on_exchange": False},
            "strategy_parameters": {"every": 1, "hold": -1, "together": True},
            "strategy_overrides": {"timeframe": given.timeframe, "order_types": QUIET},
            "runtime": {"log_level": "WARNING"},
        }
        with LiveBot(folder, exchange, names, **sections) as bot:
            for number in range(given.rounds):
                bot.wait_for("open trades", OPENED, given.pairs * (number + 1), 180)
                time.sleep(3.0)
                found += _stop_all_out(exchange, bot, names)
    return found


def _stop_all_out(exchange: Exchange, bot: LiveBot, names: list[str]) -> list[StopOut]:
    fell: dict[str, tuple[float, float]] = {}
    prices = exchange.control("state")["markets"]["spot"]["pairs"]
    for name in names:
        symbol = name.replace("/", "")
        began, low = time.time(), float(prices[symbol]["price"]) * FALL
        traded = float(exchange.control("price", symbol=symbol, price=low)["ts"])
        time.sleep(EVERY_S)
        fell[symbol] = traded, _written(exchange, symbol, began, low)
    wait_until("all exits", lambda: len(_exits(exchange, fell)) == len(fell), 30)
    exits = _exits(exchange, fell)
    facts = exchange.control("state")["clock"]
    answers = [row[0] for row in exchange.control("requests")["spot"] if row[1] == "POST /api/v3/order"]
    told = [
        facts["start"] + (at - facts["began"]) * 1_000 for at in answers
    ]  # by the exchange's clock, as `created` is
    time.sleep(1.0)  # what the bot says of its requests is on disk a moment later
    return [_stop_out(bot, exits[symbol], told, facts, *fell[symbol]) for symbol in fell]


def _stop_out(
    bot: LiveBot, order: dict[str, Any], told: list[float], facts: dict[str, float], traded: float, written_s: float
) -> StopOut:
    accepted = float(order["created"])
    answered = min(told, key=lambda at: abs(at - accepted))
    written = facts["start"] + (written_s - facts["began"]) * 1_000
    decided = float(ask(bot.files.journal, DECIDED.format(id=order["client_id"]), default=())[0][0])
    waited = float(ask(bot.files.journal, WAITED.format(id=order["client_id"]), default=())[0][0])
    return StopOut(
        whole=accepted - traded,
        own=answered - written,
        deciding=decided - written,
        sending=waited,
        arriving=answered - decided - waited,
    )


def _written(exchange: Exchange, symbol: str, since: float, low: float) -> float:
    """When the frame of a price that fell was written, in real seconds."""
    for at, text in exchange.control("frames", since=since, text=f'"s":"{symbol}","b":'):
        if float(json.loads(text)["b"]) < low / FALL * (1 + FALL) / 2:
            return float(at)
    raise Failed(f"no socket was told of {symbol} at {low:g}")


def _exits(exchange: Exchange, fell: dict[str, tuple[float, float]]) -> dict[str, dict[str, Any]]:
    """The first exit order of each pair that was accepted after its price fell."""
    found: dict[str, dict[str, Any]] = {}
    for order in placed(exchange.control("ledger")):
        symbol = order["symbol"]
        if order["side"] == "SELL" and symbol in fell and float(order["created"]) >= fell[symbol][0]:
            found.setdefault(symbol, dict(order))
    return found
