"""A pair's side towards the portfolio: capital is asked for, what is held is told, what closed is kept until it is heard.

What has no answer is asked again: after a while, and when the portfolio is new.
"""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import Any, Final

from actors.base import Context
from actors.sending import RETRY_MS, SendingActor
from engine.closing import heard
from engine.messages import (
    AskQuote,
    AskStrategy,
    CapitalDenied,
    CapitalReserved,
    CensusAnswered,
    LockPair,
    QuoteTold,
    ReserveCapital,
    StrategyAnswered,
    TakeCensus,
    TradesHeard,
    UnlockPair,
    WatchPrice,
    WishHeard,
)
from engine.strategy import ACCOUNT
from engine.types import ZERO
from engine.work import Rules, exposure_of

RESERVE_MS: Final = RETRY_MS * 2
"""How long a wish for capital may be without an answer before it is told again."""


class ReservingActor(SendingActor, abc.ABC):
    """The capital of a pair; whoever trades with it is the subclass."""

    def __init__(self, ctx: Context, rules: Rules) -> None:
        super().__init__(ctx, rules)
        self._reserving: ReserveCapital | None = None
        self._wishes: dict[str, LockPair | UnlockPair] = {}
        self._census = 0

    @abc.abstractmethod
    def act(self, action: Any) -> None:
        """Do one of the machine's wishes that needs no record."""

    def reserve(self, wish: ReserveCapital) -> None:
        """Remember a wish for capital until it is answered."""
        self._reserving = wish
        self.start_timer("reserve", RESERVE_MS)

    def ask_again(self) -> None:
        """Tell the wishes once more that have no answer."""
        for wish in self._wishes.values():
            self.tell("portfolio", wish)
        if self._reserving is not None:
            self.tell("portfolio", self._reserving)
        if self._reserving is not None or self._wishes:
            self.start_timer("reserve", RESERVE_MS)

    def ask(self, question: AskStrategy, judge: str) -> None:
        """Put a question to the strategy: where it looks at the account, by way of the portfolio, which knows it."""
        settings = self.rules.settings
        if ACCOUNT in settings.callbacks:
            self.tell("portfolio", replace(question, judge=judge))
        else:
            self.tell(judge, question)
        self.start_timer(f"ask:{question.request_id}", settings.callback_deadline_ms * 4 + 2_000)

    def ask_quote(self, question: AskQuote) -> None:
        """Put a question for a quote to the feed; no answer in its time is told to the trade as one."""
        self.tell("feed", question)
        self.start_timer(f"quote:{question.request_id}", question.deadline_ms)

    def on_quote_told(self, message: QuoteTold) -> None:
        """The book's prices, or why there are none."""
        self.cancel_timer(f"quote:{message.request_id}")
        self.tell_trade(message)
        self.go_on()

    def give_up_asking(self, timer: str) -> None:
        """A question has had its time: the trade goes on without an answer."""
        kind, _, request_id = timer.partition(":")
        if kind == "quote":
            self.tell_trade(QuoteTold(request_id=request_id, pair=self.pair, failed="no quote came in time"))
        else:
            failed = "no answer in time"
            self.tell_trade(StrategyAnswered(request_id=request_id, pair=self.pair, failed=failed, excused=True))
        self.go_on()

    def wish(self, wish: LockPair | UnlockPair) -> None:
        """Remember a lock that the strategy wants made or lifted until it is on disk."""
        self._wishes[wish.request_id] = wish
        self.start_timer("reserve", RESERVE_MS)

    def on_wish_heard(self, message: WishHeard) -> None:
        """It is."""
        self._wishes.pop(message.request_id, None)

    def on_capital_reserved(self, message: CapitalReserved) -> None:
        """Granted."""
        self._answered(message.request_id)
        self.tell_trade(message)
        self.go_on()

    def on_capital_denied(self, message: CapitalDenied) -> None:
        """Denied."""
        self._answered(message.request_id)
        self.tell_trade(message)
        self.go_on()

    def _answered(self, request_id: str) -> None:
        if self._reserving is not None and self._reserving.request_id == request_id:
            self._reserving = None
            if not self._wishes:
                self.cancel_timer("reserve")

    def on_take_census(self, message: TakeCensus) -> None:
        """Say what this pair holds, as soon as it knows; and to the feed, in case it has not heard, that it watches."""
        self._census = message.epoch
        if self.trade.position.amount > ZERO:
            self.act(WatchPrice(pair=self.pair, watch=True))
        self.answer_census()

    def answer_census(self) -> None:
        """Answer a census that waits for this, as soon as it is known what the venue has."""
        trade = self.trade
        if not self._census or not trade.reconciled:
            return
        asking = trade.pending is not None and trade.pending.kind == "entry"
        answer = CensusAnswered(
            epoch=self._census, exposure=exposure_of(trade), closed=trade.unheard, asking=asking, view=trade.shown
        )
        self._census = 0
        self.tell("portfolio", answer)

    def on_trades_heard(self, message: TradesHeard) -> None:
        """The portfolio has my closed trades in its books."""
        self.trade = heard(self.trade, message.trade_id)
