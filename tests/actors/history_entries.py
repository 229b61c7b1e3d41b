"""Journal entries of every kind, as a bot would record them, for tests of the history."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from actors.journal import Journal
from engine.codec import to_plain
from engine.messages import Entry, Record, TradeClosed
from engine.types import Side

T0 = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""

D = Decimal


class Bot:
    """Records what a bot would, one record each, into a journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.ts = T0

    def say(self, kind: str, stream: str = "domain", /, **body: Any) -> None:
        """Record one entry."""
        self.ts += 1_000
        entry = Entry(kind=kind, ts=self.ts, body=body, stream=stream)
        self.journal.append([Record(writer="bot", seq=self.journal.last("bot") + 1, entries=(entry,))])

    def start(self) -> None:
        """Begin a run."""
        self.say(
            "RunStarted",
            "ops",
            run=self.journal.run,
            config_sha="c0ffee",
            strategy="ema_cross",
            fills="book",
            mode="paper",
            version="0.1.0",
        )

    def order(self, name: str, trade: str, *, purpose: str, side: str, price: str, amount: str = "2") -> None:
        """An order that is filled in two parts."""
        ids = {"pair": "A/USDT", "trade_id": trade, "client_order_id": name}
        more = {"type": "limit", "trigger_price": None, "time_in_force": "GTC", "reduce_only": purpose != "entry"}
        self.say(
            "OrderIntended",
            **ids,
            **more,
            purpose=purpose,
            side=side,
            amount=D(amount),
            price=D(price),
            leverage=D(1),
            tag="t",
        )
        self.say("OrderAccepted", **ids, order_id=f"v-{name}")
        for part in (1, 2):
            half = D(amount) / 2
            fee = {"fee": half * D(price) / 1000, "fee_currency": "USDT", "maker": False}
            self.say(
                "OrderFilled",
                **ids,
                **fee,
                order_id=f"v-{name}",
                fill_id=f"{name}-{part}",
                price=D(price),
                amount=half,
            )

    def trade(self, n: int, *, close: bool = True) -> None:
        """A trade from its signal to its end."""
        trade, ids = f"t{n}", {"pair": "A/USDT", "trade_id": f"t{n}"}
        self.say(
            "SignalDecided",
            **ids,
            candle_ts=self.ts,
            signal="enter_long",
            outcome="traded",
            code="",
            detail="",
            price=D(100),
            tag="x",
        )
        self.order(f"in{n}", trade, purpose="entry", side="buy", price="100")
        self.say(
            "TradeOpened",
            **ids,
            side="long",
            leverage=D(1),
            enter_tag="x",
            open_rate=D(100),
            amount=D(2),
            stake=D(200),
            stop=D(90),
        )
        self.say("StopMoved", **ids, stop=D("95.5"), why="trailing", rate=D(101))
        if close:
            self.order(f"out{n}", trade, purpose="exit", side="sell", price="110")
            self.say("TradeClosed", **to_plain(self.closed(trade)))

    def closed(self, trade: str) -> TradeClosed:
        """The end of a trade that earned something."""
        return TradeClosed(
            pair="A/USDT",
            trade_id=trade,
            side=Side.LONG,
            open_ts=self.ts - 5_000,
            close_ts=self.ts,
            open_rate=D(100),
            close_rate=D(110),
            amount=D(2),
            stake=D(200),
            leverage=D(1),
            fee_open=D("0.001"),
            fee_close=D("0.001"),
            profit_abs=D("19.58"),
            profit_ratio=D("0.0978"),
            exit_reason="roi",
            enter_tag="x",
            max_rate=D(110),
            min_rate=D(99),
            initial_stop=D(90),
            stop=D("95.5"),
            fees=(("USDT", D("0.42")),),
        )

    def deny(self, code: str, pair: str = "B/USDT") -> None:
        """A signal that came to nothing."""
        self.say(
            "SignalDecided",
            pair=pair,
            candle_ts=self.ts,
            signal="enter_long",
            outcome="denied",
            code=code,
            detail=f"because of {code}",
            trade_id="",
            price=D("1.5"),
            tag="",
        )

    def operate(self) -> None:
        """One of each operational event."""
        self.say("ActorRestarted", "ops", name="gateway", epoch=2, reason="killed by hand", trace="…")
        self.say("WorkerReplaced", "ops", judge="judge:0", reason="past its deadline", pair="A/USDT")
        self.say(
            "RequestSent",
            "ops",
            request="order",
            pair="A/USDT",
            client_order_id="in1",
            waited_ms=1.5,
            outcome="ok",
        )
        self.say("RoundGranted", "ops", ts=self.ts, present=["A/USDT"], granted=1, denied=0, late=[], took_ms=3.2)
        self.say("Judged", "ops", ts=self.ts, judged=50, with_signal=2, failed=0, took_ms=12.0)
        self.say(
            "Equity", "ops", free=D("9800.5"), tied=D(200), total=D("10000.5"), open_trades=1, balances={"USDT": "1"}
        )
        self.say("DataAlert", "ops", pair="A/USDT", kind="gap", detail="3 candles", count=3)
        self.say("Notified", "ops", severity="info", event="start", text="running", outcome="ok")
        self.say("PairLocked", pair="A/USDT", side="*", until=self.ts, reason="cooldown")
        self.say("RunEnded", "ops", run=self.journal.run, status="in order")


def fill_journal(journal: Journal) -> Bot:
    """A short life: two trades, one still open, denials, and operations."""
    bot = Bot(journal)
    bot.start()
    bot.trade(1)
    bot.trade(2, close=False)
    bot.deny("NO_FREE_SLOT")
    bot.operate()
    return bot
