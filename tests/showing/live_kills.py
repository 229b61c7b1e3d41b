"""The whole bot on the local exchange, which is made to fail in every way while the bot is killed again and again."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tests.bots import Failed, ask
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, is_exit, naked, placed
from tests.showing.common import JUDGED, last_seq, sql

FAULTS: Final[Sequence[Mapping[str, Any]]] = (
    {"kind": "lost", "endpoint": "POST *rder*", "probability": 0.03},
    {"kind": "hang", "endpoint": "POST *rder*", "probability": 0.01, "seconds": 3},
    {"kind": "cut", "endpoint": "POST *rder*", "probability": 0.02},
    {"kind": "broken_json", "endpoint": "POST *rder*", "probability": 0.02},
    {"kind": "done_unavailable", "endpoint": "POST *rder*", "probability": 0.02},
    {"kind": "done_unavailable_code", "endpoint": "POST *rder*", "probability": 0.02, "code": -1007},
    {"kind": "reset_before", "endpoint": "POST *rder*", "probability": 0.02},
    {"kind": "unavailable", "endpoint": "POST *rder*", "probability": 0.01},
    {"kind": "late", "endpoint": "POST *rder*", "probability": 0.01, "seconds": 2},
    {"kind": "slow", "endpoint": "POST *rder*", "probability": 0.3, "seconds": 0.15},
    {"kind": "lost", "endpoint": "DELETE *rder", "probability": 0.04},
    {"kind": "reset_before", "endpoint": "DELETE *rder", "probability": 0.03},
    {"kind": "unavailable", "endpoint": "GET *", "probability": 0.02},
    {"kind": "cut", "endpoint": "GET *", "probability": 0.01},
    {"kind": "drop", "stream": "user*", "probability": 0.04},
    {"kind": "duplicate", "stream": "user*", "probability": 0.05},
    {"kind": "reorder", "stream": "user*", "probability": 0.05},
    {"kind": "delay", "stream": "user*", "probability": 0.05, "seconds": 0.5},
    {"kind": "garbage", "stream": "user*", "probability": 0.005},
    {"kind": "close", "stream": "user*", "probability": 0.005},
    {"kind": "drop", "stream": "*@kline_*", "probability": 0.01},
    {"kind": "duplicate", "stream": "*@kline_*", "probability": 0.01},
    {"kind": "close", "stream": "*@kline_*", "probability": 0.0002},
)
"""All at once; probabilities are of each request or event."""

TRAILED: Final[Mapping[str, Any]] = {
    "entry": "market",
    "exit": "market",
    "stoploss_on_exchange": True,
    "stoploss_on_exchange_interval": 1,
    "stoploss_on_exchange_step": 0.0005,
}
"""A stop is replaced while its answers are lost, too."""

BOUND_S: Final = 20.0
"""The longest that a position may be without a stop or an exit at the exchange while a bot runs, its recovery included."""


LEAST: Final = 200
"""A run with fewer orders shows nothing: a bot that is killed again and again must trade in between."""


def chaos(folder: Path, *, quick: bool, futures: bool = False) -> str:
    """Every fault at once and kill -9 every few seconds; then quiet, and the books are compared."""
    pairs, lasts_s = (12, 60.0) if quick else (50, 600.0)
    arguments = ("--pairs", str(pairs), "--seed", "11", "--funds", "USDT=20000", "--rate", "2")
    chance = random.Random(5)  # moments to kill at
    with Exchange(*arguments, futures=futures) as exchange:
        bot = bot_of(folder, exchange, pairs, every=40 if pairs > 20 else 20)
        for number, fault in enumerate(FAULTS):
            exchange.control("fault", seed=number, **fault)
        until = time.monotonic() + lasts_s
        kills = 0
        while time.monotonic() < until:
            bot.start()
            mark = last_seq(bot.files)
            bot.wait_for("candles after a restart", f"{JUDGED} AND seq > {mark}", 1, 120)
            time.sleep(chance.uniform(0.5, 8.0))
            _disturb(exchange, chance)
            bot.check_alive()
            bot.kill()
            kills += 1
        exchange.control("clear")
        told = settled(bot, exchange, least=2 * kills if quick else LEAST)
        return f"{kills} kills with {len(FAULTS)} kinds of faults; {told}"


def windows(folder: Path, *, quick: bool, futures: bool = False) -> str:
    """Killed between the exchange's acceptance of an order and its answer, 150 ms later: entries, exits, stops each."""
    times = 2 if quick else 8
    shown = []
    for what in ("entry", "exit", "stop"):
        (folder / what).mkdir()
        with Exchange("--pairs", "6", "--seed", "4", "--funds", "USDT=5000", futures=futures) as exchange:
            bot = bot_of(folder / what, exchange, 6, every=12)
            endpoint = "POST *rder*"
            exchange.control("fault", kind="slow", endpoint=endpoint, probability=1, seconds=0.15)
            exchange.control("fault", kind="delay", stream="user*", probability=1, seconds=0.2)
            before = 0
            for _ in range(times):
                seen = {order["id"] for order in our_orders(exchange)}
                bot.start()
                client_id = await_order(bot, exchange, what, seen)
                bot.kill()
                before += not is_heard(bot, client_id)
            exchange.control("clear")
            if before < times / 2:
                raise Failed(f"{what}: only {before} of {times} kills came before the answer, which shows too little")
            shown.append(f"{what}: {times} kills, {before} of them before the answer, {settled(bot, exchange)}")
    return "; ".join(shown)


def bot_of(folder: Path, exchange: Exchange, pairs: int, *, every: int) -> LiveBot:
    """A bot whose pairs trade all the time, and whose stops follow the price."""
    more: dict[str, Mapping[str, Any]] = {"strategy_parameters": {"every": every, "hold": every // 3}}
    more["strategy_overrides"] = {"trailing_stop": True, "order_types": TRAILED, "can_short": exchange.futures}
    if exchange.futures:
        more["trading"] = {"leverage": 3}
    return LiveBot(folder, exchange, pairs_of(exchange, pairs), runtime={"log_level": "INFO"}, **more)


def our_orders(exchange: Exchange) -> list[dict[str, Any]]:
    """The bot's orders, as the exchange has them."""
    ledger = exchange.control("ledger", market="futures" if exchange.futures else "spot")
    return [dict(order) for order in placed(ledger) if order["client_id"].startswith("tp")]


def settled(bot: LiveBot, exchange: Exchange, *, least: int = 0, rest_s: float = 15.0) -> str:
    """Let the bot end what is under way without faults, and compare; the figures, or `Failed`.

    Prices stand still at last: what happened after the end of the bot would be in one of the books only.
    """
    market = "futures" if exchange.futures else "spot"
    with bot:
        mark = last_seq(bot.files)
        bot.wait_for("candles in the quiet", f"{JUDGED} AND seq > {mark}", 20, 180)
        time.sleep(rest_s)  # longer than the exchange may still accept an order, and than two looks
        exchange.control("play", market=market, rate=0)
        time.sleep(3)
    gap_s, where = naked(exchange, bot.away())
    whole_s, _ = naked(exchange)
    part_s, _ = naked(exchange, bot.away(), partly=True)
    found = differences(exchange, bot.files)
    if found:
        raise Failed(f"{len(found)} differences: {' · '.join(found[:4])}")
    state = exchange.control("state")["markets"][market]
    breaches = {name: state["breaches"][name] for name in ("weight_429", "order_429", "bans_418")}
    if any(breaches.values()):
        raise Failed(f"the limits were passed by our own fault: {breaches}")
    audit = bot.audit()
    if audit:
        raise Failed(f"the audit finds {len(audit)} differences: {' · '.join(audit[:3])}")
    if gap_s > BOUND_S:
        raise Failed(f"{where} was without a stop for {gap_s:.1f} s while a bot ran")
    (row,) = sql(bot.files, "SELECT count(*) AS orders, sum(cost) AS turnover FROM orders")
    (stops,) = sql(bot.files, "SELECT count(*) - count(DISTINCT trade_id) AS again FROM orders WHERE purpose = 'stop'")
    (trades,) = sql(bot.files, "SELECT count(*) AS n FROM closed_trades")
    if row["orders"] < least:
        raise Failed(f"{row['orders']} orders are too few to show anything; at least {least} were to be sent")
    doubts = sql(bot.files, "SELECT client_order_id FROM orders WHERE status IN ('IN_DOUBT', 'PENDING_NEW')")
    if doubts:
        raise Failed(f"{len(doubts)} orders are still in doubt: {doubts[:3]}")
    return (
        f"{row['orders']} orders, {stops['again']} of them stops that followed another, {trades['n']} trades, none still in doubt, turnover {Decimal(str(row['turnover'])):.0f};"
        f" books and audit equal; longest without a stop {gap_s:.1f} s of a running bot ({whole_s:.1f} s with restarts),"
        f" with a stop for less than is held {part_s:.1f} s; no 429"
    )


def _disturb(exchange: Exchange, chance: random.Random) -> None:
    """Something of the world's: a price falls, or the user trades by hand."""
    market = "futures" if exchange.futures else "spot"
    told = exchange.control("state")["markets"][market]["pairs"]
    symbol = chance.choice(sorted(told))
    if chance.random() < 0.5:
        price = Decimal(told[symbol]["price"])
        fallen = (price * Decimal("0.97")).quantize(price)
        exchange.control("price", market=market, symbol=symbol, price=str(fallen))
    else:
        order = {"symbol": symbol, "side": "BUY", "type": "MARKET", "quoteOrderQty": "30"}
        if market == "spot":
            exchange.control("order", params=order)


def await_order(bot: LiveBot, exchange: Exchange, what: str, seen: set[Any]) -> str:
    """Wait until an order of a kind has been accepted, and not longer: its answer is still to come. Its id is told."""
    until = time.monotonic() + 180
    while time.monotonic() < until:
        bot.check_alive()
        for order in our_orders(exchange):
            if order["id"] not in seen and kind_of(order, futures=exchange.futures) == what:
                return str(order["client_id"])
        time.sleep(0.02)
    raise Failed(f"no {what} came within 180 s")


def is_heard(bot: LiveBot, client_id: str) -> bool:
    """Whether the bot that is dead had heard that the exchange has an order."""
    query = f"SELECT count(*) FROM entries WHERE kind = 'OrderAccepted' AND body LIKE '%{client_id}\"%'"
    return bool(ask(bot.files.journal, query, default=((0,),))[0][0])


def kind_of(order: Mapping[str, Any], *, futures: bool) -> str:
    """What an order of the bot's is for."""
    if "STOP" in order["type"]:
        return "stop"
    return "exit" if is_exit(order, futures=futures) else "entry"


def chaos_futures(folder: Path, *, quick: bool) -> str:
    """As `chaos`, with shorts and leverage."""
    return chaos(folder, quick=quick, futures=True)


def windows_futures(folder: Path, *, quick: bool) -> str:
    """As `windows`, with shorts and leverage."""
    return windows(folder, quick=quick, futures=True)


SHOWS: Final = {
    "chaos": chaos,
    "chaos_futures": chaos_futures,
    "windows": windows,
    "windows_futures": windows_futures,
}
