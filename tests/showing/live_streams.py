"""Everything that can go silent, break or die around a bot that holds positions: when it was noticed, and when healed.

Both times are the bot's own: what `alerts`, `restarts` and `orders` say in SQL. So that something happens on
the account's stream, the exchange ends one of the bot's stops now and then, unasked: its position is then without
one until the bot has heard of that, and has placed another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bots import Failed, command
from tests.exchange.client import Exchange
from tests.live.bots import LiveBot, pairs_of
from tests.live.ledger import differences, placed
from tests.showing.common import sql, wait_until

PAIRS: Final = 6
PATIENCE_S: Final = 60.0
"""Longer than every bound: what has not come by then is not waited for."""

CANDLES, PRICES, ORDERS = "candles of", "prices of", "the stream of our orders"
KLINES, TOPS, USER = "*@kline_*", "*@bookTicker", "user*"

HOLES: Final = (
    "SELECT pair, (epoch_ms(max(ts)) - epoch_ms(min(ts))) // 1000 + 1 - count(DISTINCT ts) AS missing"
    " FROM candles GROUP BY pair HAVING missing > 0"
)


@dataclass(frozen=True, slots=True)
class Sight:
    """A row that shows something: of `alerts` by kind and the beginning of its detail, of `restarts` or of `orders`."""

    kind: str
    detail: str = ""

    def among(self, rows: Sequence[dict[str, Any]]) -> float | None:
        """When it was seen first."""
        times = [row["ts"] for row in rows if row["kind"] == self.kind and self.detail in str(row["detail"])]
        return min(times, default=None)


STOP: Final = Sight("order", "stop")
"""A stop was placed after the trouble began: the position that had lost its own is guarded again."""


@dataclass(frozen=True, slots=True)
class Case:
    """One trouble. Bounds in seconds: until it is noticed after it began, until it is healed after it was over.

    `lasts` is how long whatever the exchange does goes on; the rest is over at once. With `loses` a stop is ended
    beneath the trouble (`"first"`: before it, so that the event of it is what is broken).
    """

    name: str
    begin: Callable[[LiveBot, Exchange], object]
    noticed: Sight
    healed: Sight
    notice_s: float
    heal_s: float
    lasts: float = 0.0
    loses: bool = False
    also: Sight | None = None


def _fault(kind: str, stream: str, **more: Any) -> Callable[[LiveBot, Exchange], object]:
    return lambda bot, exchange: exchange.control("fault", kind=kind, stream=stream, **{"count": 1, **more})


def _kill(name: str) -> Callable[[LiveBot, Exchange], object]:
    def kill(bot: LiveBot, exchange: Exchange) -> None:
        del exchange
        done = command("kill", name, "--db", bot.files.db)
        if done.returncode:
            raise Failed(f"`tradepit kill {name}` says: {(done.stderr or done.stdout).strip()}")

    return kill


def _cut_off(bot: LiveBot, exchange: Exchange) -> None:
    """The account's socket is closed, and none is accepted for a while: what happens meanwhile is told to nobody."""
    del bot
    exchange.control("fault", kind="refuse_stream", stream="connect:user")
    exchange.control("kick", which="user", market="futures" if exchange.futures else "spot")


def _rest_outage(bot: LiveBot, exchange: Exchange) -> None:
    """Every request is reset; the streams go on."""
    del bot
    for method in ("GET", "POST", "DELETE", "PUT"):
        exchange.control("fault", kind="reset_before", endpoint=f"{method} *")


def _line(name: str, what: str, stream: str) -> list[Case]:
    """What can happen to a stream of market data."""
    gone, back = Sight("data_stalled", what), Sight("restarted", what)
    silent_s = 14.0 if what == CANDLES else 13.0
    return [
        Case(f"{name} stalled", _fault("stall", stream), gone, back, silent_s, 5.0),
        *(
            Case(f"{name} {told}", _fault(kind, stream), gone, back, 2.0, 5.0)
            for kind, told in (("garbage", "no JSON"), ("close", "closed"), ("reset_stream", "reset"))
        ),
    ]


def _account() -> list[Case]:
    gone, back = Sight("stream", f"{ORDERS} at binance broke"), Sight("stream", f"{ORDERS} at binance is open")
    return [
        Case("orders stalled, idle", _fault("stall", USER), gone, back, 35.0, 6.0, loses=True, also=STOP),
        *(
            Case(f"orders {told}", _fault(kind, USER), gone, back, 2.0, 6.0, loses=True, also=STOP)
            for kind, told in (("garbage", "no JSON"), ("close", "closed"), ("reset_stream", "reset"))
        ),
        Case("orders cut off, events lost", _cut_off, gone, back, 2.0, 12.0, lasts=6.0, loses=True, also=STOP),
    ]


CASES: Final[Sequence[Case]] = (
    *_account(),  # first: every 180 s the bot compares by itself, and would be faster
    *_line("candles", CANDLES, KLINES),
    *_line("prices", PRICES, TOPS),
    *(
        Case(f"{name} killed", _kill(name), Sight("restart", name), STOP, 1.5, 8.0, loses=True)
        for name in ("gateway", "limiter")
    ),
    Case("feed killed", _kill("feed"), Sight("restart", "feed"), Sight("judged"), 1.5, 5.0),
    Case(
        "REST away",
        _rest_outage,
        Sight("data_outage"),
        Sight("data_reachable"),
        15.0,
        25.0,
        lasts=20.0,
        loses=True,
        also=STOP,
    ),
)
QUICK_SLACK: Final = 4.0
QUICK: Final = ("orders cut off, events lost", "prices closed", "gateway killed", "feed killed")


@dataclass(slots=True)
class _Run:
    """A bot with a position and a stop on every pair."""

    bot: LiveBot
    exchange: Exchange
    shown: list[str] = field(default_factory=list)

    @property
    def market(self) -> str:
        return "futures" if self.exchange.futures else "spot"

    def stops(self) -> list[dict[str, Any]]:
        """The bot's stops that work at the exchange."""
        orders = placed(self.exchange.control("ledger", market=self.market))
        ours = [dict(o) for o in orders if o["client_id"].startswith("tp") and "STOP" in o["type"]]
        return [order for order in ours if order["status"] == "NEW"]

    def now(self) -> float:
        return float(self.exchange.control("state")["clock"]["now"])

    def calm(self) -> None:
        """Every position has its one stop, every stream is up, and for a moment nothing happens."""
        wait_until("a stop for each position", lambda: len(self.stops()) == PAIRS, 120)
        wait_until("streams", self._is_up, 90)
        time.sleep(3)

    def _is_up(self) -> bool:
        feed = self.bot.status().get("feed", {})
        return bool(feed) and feed.get("lines_up") == feed.get("lines") and bool(feed.get("prices_up"))

    def rows(self, since: float) -> list[dict[str, Any]]:
        """What the bot has recorded since, by its own words."""
        at = f"epoch_ms({{}}) >= {since:.0f}"
        return sql(
            self.bot.files,
            f"SELECT epoch_ms(ts) AS ts, kind, coalesce(detail, '') AS detail FROM alerts WHERE {at.format('ts')}"
            f" UNION ALL SELECT epoch_ms(ts), 'restart', name FROM restarts WHERE {at.format('ts')}"
            f" UNION ALL SELECT epoch_ms(accepted_at), 'order', purpose FROM orders WHERE {at.format('accepted_at')}"
            f" UNION ALL SELECT epoch_ms(ts), 'judged', '' FROM judgements WHERE {at.format('ts')} AND judged = {PAIRS}",
        )

    def show(self, case: Case, slack: float) -> None:
        """Have it happen; how long it took, or `Failed`: bounds times `slack`, for machines that do other things too."""
        self.calm()
        began = self.now()
        case.begin(self.bot, self.exchange)
        if case.noticed.kind == "restart":  # the command takes a while: the drill's own row says when it began
            began = self._seen(case, Sight("drill"), began)
        if case.loses:
            stop = self.stops()[0]
            algo = {"algo": True} if self.exchange.futures else {}
            self.exchange.control("cancel", market=self.market, id=stop["id"], **algo)
        if case.lasts:
            time.sleep(case.lasts)
        over = self.now() if case.lasts else began
        self.exchange.control("clear") if case.lasts else None
        noticed = self._seen(case, case.noticed, began)
        healed = self._seen(case, case.healed, max(noticed, over) if case.lasts else noticed)
        notice_s, heal_s = (noticed - began) / 1_000, (healed - max(noticed, over)) / 1_000
        text = f"{case.name}: noticed {notice_s:.1f} s (bound {case.notice_s:g}), healed {heal_s:.1f} s (bound {case.heal_s:g})"
        if case.also is not None:
            stopped = self._seen(case, case.also, began)
            text += f", its position guarded again after {(stopped - began) / 1_000:.1f} s"
        if notice_s > case.notice_s * slack or heal_s > case.heal_s * slack:
            raise Failed(f"{text}; before it {'; '.join(self.shown) or 'nothing'}")
        self.shown.append(text)
        self.exchange.control("clear")

    def _seen(self, case: Case, sight: Sight, since: float) -> float:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            self.bot.check_alive()
            found = sight.among(self.rows(since))
            if found is not None:
                return found
            time.sleep(0.5)
        raise Failed(f"{case.name}: nothing in SQL says {sight.kind} {sight.detail} within {PATIENCE_S:.0f} s")


def show(folder: Path, *, quick: bool, futures: bool = False) -> str:
    """One trouble after another; then the books are compared."""
    arguments = ("--pairs", str(PAIRS), "--seed", "8", "--volatility", "0.00002", "--rate", "4", "--funds", "USDT=5000")
    with Exchange(*arguments, futures=futures) as exchange:
        kept = {"strategy_parameters": {"hold": -1}, "history": {"candles": True}}
        bot = LiveBot(folder, exchange, pairs_of(exchange, PAIRS), **kept)
        with bot:
            run = _Run(bot, exchange)
            for case in CASES:
                if not quick or case.name in QUICK:
                    run.show(case, QUICK_SLACK if quick else 1.0)
            run.calm()
        found = differences(exchange, bot.files) or bot.audit()
        if found:
            raise Failed(f"{len(found)} differences: {' · '.join(found[:4])}")
        holes = sql(bot.files, HOLES)
        if holes:
            raise Failed(f"{holes[0]['pair']} lacks {holes[0]['missing']} candles")
        state = exchange.control("state")["markets"]["futures" if futures else "spot"]
        if state["breaches"]["weight_429"] or state["breaches"]["order_429"]:
            raise Failed(f"the limits were passed by our own fault: {state['breaches']}")
    return f"{'; '.join(run.shown)}; no candle is missing, books and audit equal, no 429"


def show_futures(folder: Path, *, quick: bool) -> str:
    """As `show`, on futures, where the account's stream is another one."""
    return show(folder, quick=quick, futures=True)
