"""The portfolio actor: one an account; it grants capital in rounds, and counts before it grants.

The arithmetic is `engine.portfolio`'s, the order of granting `engine.rounds`'s. A new incarnation
knows nothing of the grants of the old one: it asks every pair what it holds (the census) and grants
nothing before all have answered; an intent on an older grant is refused by the journal. In a replay
it also gives the pairs their turns, since it knows whose trades are open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Final

from actors.accounting import AccountingActor
from actors.base import Context
from engine.account import close_trade, follow_venue, pass_time, turn_switch
from engine.denials import Denial
from engine.messages import (
    BalancesChanged,
    CapitalDenied,
    CensusAnswered,
    Entry,
    EpochAnnounced,
    ExposureChanged,
    PairSettled,
    PassTurn,
    Plain,
    Proceed,
    ReserveCapital,
    RoundEnded,
    RoundJudged,
    SetTradingState,
    Shutdown,
    StartRound,
    TakeCensus,
    TimerFired,
    TradeClosed,
    TradesClosed,
    TradeTold,
    TurnRow,
)
from engine.portfolio import Portfolio
from engine.rounds import Granting, Rounds
from engine.turn import turn_order
from engine.types import Millis, TradingState

CENSUS_MS: Final = 1_000
FIRST_CENSUS_MS: Final = 3_000
"""At the start of the process pairs say by themselves what they hold; whoever has not by then is asked."""
CENSUS_PATIENCE_S: Final = 30.0
"""How long the others wait for a pair that cannot answer."""
TICK_MS: Final = 1_000
ENDING: Final = "shutdown"
"""Who turns the kill switch when the bot ends: from then on pairs may have ended."""

CENSUS_TICKS: Final = 60
"""In so many ticks every pair is asked once more what it holds: a lost message must not tie up capital for ever."""
EQUITY_MS: Final = 60_000
"""How often the account's figures become a row, in market time."""


class PortfolioActor(AccountingActor):
    """The account. `rounds` of None grants at once: in a replay turns make the order."""

    def __init__(
        self,
        ctx: Context,
        *,
        portfolio: Callable[[int], Portfolio],
        pairs: Sequence[str],
        rounds: Callable[[], Rounds] | None = None,
        round_deadline_ms: int = 300,
        conductor: str = "",
        judges: Sequence[str] = (),
    ) -> None:
        super().__init__(ctx, portfolio(ctx.epoch), pairs, judges)
        self._rounds = rounds() if rounds is not None else None
        self._deadline_ms = round_deadline_ms
        self._conductor = conductor
        self._uncounted = set(self.pairs)
        self._census_from = 0.0
        self._held: dict[str, ReserveCapital] = {}
        self._turns: deque[TurnRow] = deque()
        self._turn_ts = 0
        self._on_turn = ""
        self._equity_at = 0
        self._balances: tuple[tuple[str, Any, Any], ...] = ()
        self._started_rounds: dict[Millis, float] = {}
        self._recount = cycle(self.pairs)

    @property
    def is_counted(self) -> bool:
        """Whether the census is over."""
        return not self._uncounted

    def moment(self) -> Millis:
        """The candle's time in a replay, else the market's now."""
        return self._turn_ts or self.now()

    def begin(self, state: Mapping[str, Plain] | None) -> None:
        """Go on from the kept figures, then count what everybody holds."""
        if state is not None:
            self.account.restore(state)
        self._census_from = self.monotonic()
        announced = EpochAnnounced(name=self.name, epoch=self.epoch)
        self.tell("persistence", announced)
        self.tell("gateway", announced)
        if self.epoch == 1:
            self.start_timer("census", FIRST_CENSUS_MS)
        else:
            self._take_census()
        if self._rounds is not None:
            self.start_timer("tick", TICK_MS)

    # ------------------------------------------------------------ census

    def _take_census(self) -> None:
        if ENDING in self.account.holds:
            return  # pairs may have ended
        if self.monotonic() - self._census_from > CENSUS_PATIENCE_S:
            self._assume()
        for pair in sorted(self._uncounted):
            self.tell(f"pair:{pair}", TakeCensus(epoch=self.epoch))
        if self._uncounted:
            self.start_timer("census", CENSUS_MS)

    def _assume(self) -> None:
        """Count pairs that cannot answer as holding a whole stake: one that keeps crashing must not stop the others."""
        missing = sorted(self._uncounted)
        if not missing:
            return
        text = f"{', '.join(missing)} cannot say what they hold; each is counted with a full stake until it does"
        self.notify("alarm", "census", text)
        for pair in missing:
            self.account.assume(pair, self.now())
            self._counted(pair)

    def _deny_held(self) -> None:
        """Answer who has waited for the count: its signal grows old, and its row should say for whom it waited."""
        missing = sorted(self._uncounted)
        detail = f"{len(missing)} pairs are not counted yet: {', '.join(missing[:3])}{' …' * (len(missing) > 3)}"
        for ask in self._held.values():
            denied = CapitalDenied(request_id=ask.request_id, pair=ask.pair, code=Denial.CENSUS, detail=detail)
            self.tell(f"pair:{ask.pair}", denied)
        self._held = {}

    def on_census_answered(self, message: CensusAnswered) -> None:
        """A pair is counted; with the last one granting begins."""
        if message.epoch != self.epoch:
            return
        pair = message.exposure.pair
        held = self.account.reserved.get(pair)
        self.account.exposure_changed(message.exposure)
        if held is not None and message.asking:
            self.account.reserved[pair] = held
        if message.view is not None:
            self.on_trade_told(TradeTold(pair=pair, view=message.view))
        self._close(message.closed)
        self._counted(message.exposure.pair)

    def _counted(self, pair: str) -> None:
        if pair not in self._uncounted:
            return
        self._uncounted.discard(pair)
        if not self._uncounted:
            self.cancel_timer("census")
            held, self._held = self._held, {}
            for ask in held.values():
                self.on_reserve_capital(ask)

    # ------------------------------------------------------------ granting

    def on_reserve_capital(self, message: ReserveCapital) -> None:
        """A pair asks: now, in its round, or when all are counted."""
        if self._uncounted:
            self._held[message.pair] = message
        elif self._rounds is None:
            self._grant(Granting(message.round_ts, (message,)))
        else:
            self._watch_round(message.round_ts)
            self._grant(self._rounds.asked(message))

    def on_pass_turn(self, message: PassTurn) -> None:
        """A pair that was expected does not ask."""
        if self._rounds is not None:
            self._grant(self._rounds.passed(message))

    def on_round_judged(self, message: RoundJudged) -> None:
        """A judge has reported whom to expect."""
        if self._rounds is None:
            return
        if message.wishes:
            self._watch_round(message.ts)
        self._grant(self._rounds.judged(message))

    def _watch_round(self, ts: Millis) -> None:
        if ts not in self._started_rounds:
            self._started_rounds[ts] = self.monotonic()
            if len(self._started_rounds) > 8:
                del self._started_rounds[min(self._started_rounds)]
            self.start_timer(f"round:{ts}", self._deadline_ms)

    def _grant(self, granting: Granting | None) -> None:
        if granting is None:
            return
        now = self._turn_ts or self.now()
        granted: list[str] = []
        denied: list[str] = []
        for ask in granting.asks:
            answer = self.account.reserve(ask, now)
            self.tell(f"pair:{ask.pair}", answer)
            (granted if hasattr(answer, "stake") else denied).append(ask.pair)
        self.cancel_timer(f"round:{granting.ts}")
        if self._rounds is not None and (granting.asks or granting.missing):
            started = self._started_rounds.get(granting.ts)
            took = int((self.monotonic() - started) * 1_000) if started is not None else 0
            body = {
                "round_ts": granting.ts,
                "present": [ask.pair for ask in granting.asks],
                "granted": granted,
                "denied": denied,
                "late": list(granting.missing),
                "took_ms": took,
            }
            self.outbox.record([Entry(kind="RoundGranted", ts=now, body=body, stream="ops")])

    # ------------------------------------------------------------ what the pairs hold

    def on_exposure_changed(self, message: ExposureChanged) -> None:
        """A pair says what it ties up: as good as an answer to the census. It may be new, and not know of a halt."""
        self.account.exposure_changed(message)
        if self.account.state is not TradingState.ACTIVE:
            self.say_state_to(message.pair)
        self._counted(message.pair)

    def on_trades_closed(self, message: TradesClosed) -> None:
        """Trades have closed: what they bring."""
        self._close(message.trades)

    def _close(self, trades: Sequence[TradeClosed]) -> None:
        for trade in trades:
            if not self.account.has_heard(trade):
                before = self.account.state
                self.record(close_trade(self.account, trade, self._turn_ts or self.now()), before)
        if trades:
            self.heard(trades[-1].pair, trades[-1].trade_id)

    def on_balances_changed(self, message: BalancesChanged) -> None:
        """What the venue says: the capital where it decides about that, and reported beside our own figures."""
        self._balances = message.balances
        self.account.balances_changed(message.balances, self.now())
        self._follow_venue()

    def _follow_venue(self) -> None:
        for event in () if self._uncounted else follow_venue(self.account, self.now()):
            text = "the exchange's balance: {why} {by:+f}, now {total:f}".format_map(event.body)
            self.notify("info", "capital", text, event.ts)
            self.record([event], self.account.state)

    # ------------------------------------------------------------ the kill switch

    def on_set_trading_state(self, message: SetTradingState) -> None:
        """Turn one hand of the switch."""
        before = self.account.state
        events = turn_switch(self.account, message, self.now())
        if events:
            self.record(events, before)

    # ------------------------------------------------------------ turns (replay)

    def on_start_round(self, message: StartRound) -> None:
        """Give the pairs of this candle their turns, one after the other."""
        self._turn_ts = message.ts
        self._pass_time(message.ts)
        rows = {row.pair: row for row in message.rows if row.signal or row.pair in self.account.exposures}
        self._turns = deque(rows[pair] for pair in turn_order(self.account.open_order, rows))
        self._next_turn()

    def on_pair_settled(self, message: PairSettled) -> None:
        """The pair is done: the next one."""
        if message.pair == self._on_turn:
            self._next_turn()

    def _next_turn(self) -> None:
        if self._turns:
            row = self._turns.popleft()
            self._on_turn, self._turn_ts = row.pair, row.ts
            self.tell(f"pair:{row.pair}", Proceed(row=row))
        else:
            self._on_turn = ""
            self.tell(self._conductor, RoundEnded(ts=self._turn_ts))

    # ------------------------------------------------------------ timers, journal, the end

    def on_timer_fired(self, message: TimerFired) -> None:
        """Rounds whose time is over, pairs that were not counted yet, the account's minute."""
        what, _, ts = message.name.partition(":")
        if what == "round":
            if self._rounds is not None:
                self._grant(self._rounds.over(int(ts)))
        elif what == "census":
            self._deny_held()
            self._take_census()
        elif what == "tick":
            self._tick()
        else:
            super().on_timer_fired(message)

    def _tick(self) -> None:
        self.start_timer("tick", TICK_MS)
        now = self.now()
        self._pass_time(now)
        self._follow_venue()
        self.tell_judges()
        for _ in range(0 if ENDING in self.account.holds else -(-len(self.pairs) // CENSUS_TICKS)):
            pair = next(self._recount)
            self.tell(f"pair:{pair}", TakeCensus(epoch=self.epoch))
        if now - self._equity_at >= EQUITY_MS:
            self._equity_at = now
            body = {
                "free": str(self.account.free),
                "tied": str(self.account.tied),
                "total": str(self.account.balance),
                "open_trades": len(self.account.exposures),
                "balances": [[currency, str(free), str(locked)] for currency, free, locked in self._balances],
            }
            entry = Entry(kind="Equity", ts=now, body=body, stream="ops")
            self.outbox.record([entry], self.account.to_plain())

    def _pass_time(self, now: Millis) -> None:
        before = self.account.state
        events = pass_time(self.account, now)
        if events:
            self.record(events, before)

    def on_shutdown(self, message: Shutdown) -> None:
        """Keep the last figures; it is over when they are on disk."""
        self.outbox.record([], self.account.to_plain())
        self.end_when_recorded(message.reply_to)

    def status(self) -> Mapping[str, Plain]:
        """The account in figures."""
        account = self.account
        return {
            "state": account.state.value,
            "reasons": [why for _, why in account.holds.values()],
            "balance": str(account.balance),
            "free": str(account.free),
            "tied": str(account.tied),
            "profit": str(account.closed_profit),
            "start": str(account.start),
            "open_trades": len(account.exposures),
            "pairs": account.open_order,
            "all_pairs": len(self.pairs),
            "slots": account.trading.max_open_trades,
            "uncounted": len(self._uncounted),
            "locks": [[k.pair, k.side, k.until, k.reason] for k in account.locks],
        }
