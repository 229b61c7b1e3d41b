"""What the account's keeper does besides granting: it records, acknowledges, locks, and shows the account to strategies.

Which of this is a rule is the engine's (`engine.account`, `engine.wishes`, `engine.onlook`). A strategy that
looks at the account is asked by way of here: what a pair has told before its question is in what the answer
is made of, whoever is slow.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from actors.base import Context
from actors.recovering import RecoveringActor
from engine.actions import Emit
from engine.codec import to_plain
from engine.messages import (
    AccountTold,
    AskStrategy,
    Entry,
    EpochAnnounced,
    LockPair,
    Recorded,
    StrategyAnswered,
    TradesHeard,
    TradeTold,
    TradingStateChanged,
    UnlockPair,
    WishHeard,
)
from engine.onlook import account_facts, with_account
from engine.portfolio import Portfolio
from engine.types import Millis, TradingState
from engine.wishes import grant


class AccountingActor(RecoveringActor, abc.ABC):
    """The account's records; whoever grants capital of it is the subclass.

    `judges` are told of the account where their strategies look at it while they judge candles.
    """

    def __init__(self, ctx: Context, account: Portfolio, pairs: Sequence[str], judges: Sequence[str]) -> None:
        super().__init__(ctx)
        self.account = account
        self.pairs = tuple(pairs)
        self._judges = tuple(judges)
        self._told: Mapping[str, Any] | None = None
        self._heard: dict[str, tuple[int, str]] = {}
        self._wished: dict[str, tuple[int, str]] = {}

    @property
    @abc.abstractmethod
    def is_counted(self) -> bool:
        """Whether all pairs have said what they hold."""

    @abc.abstractmethod
    def moment(self) -> Millis:
        """The market's time: in a replay the candle's."""

    # ------------------------------------------------------------ the journal

    def record(self, events: Sequence[Emit], before: TradingState) -> None:
        """Keep the account with what has happened to it; tell whom a turn of the switch, which stood at `before`, concerns."""
        entries = [Entry(kind=e.kind, ts=e.ts, body=to_plain(e.body)) for e in events]
        self.outbox.record(entries, self.account.to_plain())
        if any(e.kind == "TradingStateChanged" for e in events):
            self._notify_state()
        if self.account.state is not before:
            for pair in self.pairs:
                self.say_state_to(pair)

    def heard(self, pair: str, trade_id: str) -> None:
        """A pair's closed trades up to this one are in the books: say so when they are on disk."""
        self._heard[pair] = (self.outbox.seq, trade_id)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Tell the pairs what of theirs is on disk: they need not repeat it."""
        recorded = self.outbox.recorded
        for pair in [pair for pair, (seq, _) in self._heard.items() if seq <= recorded]:
            _, trade_id = self._heard.pop(pair)
            self.tell(f"pair:{pair}", TradesHeard(pair=pair, trade_id=trade_id))
        for request_id in [request_id for request_id, (seq, _) in self._wished.items() if seq <= recorded]:
            _, reply_to = self._wished.pop(request_id)
            self.tell(reply_to, WishHeard(request_id=request_id))

    def on_recorded(self, message: Recorded) -> None:
        """Our records are on disk."""
        super().on_recorded(message)
        self._acknowledge()

    # ------------------------------------------------------------ the kill switch

    def _notify_state(self) -> None:
        state = self.account.state
        calm = state is TradingState.ACTIVE or set(self.account.holds) <= {"user", "shutdown"}
        severity = "info" if calm else "alarm"
        text = f"trading is {state}: {self._reason()}"
        self.notify(severity, "trading_state", text)

    def _reason(self) -> str:
        return "; ".join(why for _, why in self.account.holds.values()) or "entries are on again"

    def say_state_to(self, pair: str) -> None:
        """Tell a pair how the switch stands."""
        self.tell(f"pair:{pair}", TradingStateChanged(state=self.account.state, reason=self._reason()))

    # ------------------------------------------------------------ locks by strategies and users

    def on_lock_pair(self, message: LockPair) -> None:
        """A strategy or a user locks a pair."""
        self._do_wish(message)

    def on_unlock_pair(self, message: UnlockPair) -> None:
        """A strategy lifts locks."""
        self._do_wish(message)

    def _do_wish(self, wish: LockPair | UnlockPair) -> None:
        events = grant(self.account, wish, self.moment())
        if events:
            self.record(events, self.account.state)
        if wish.request_id:
            self._wished[wish.request_id] = (self.outbox.seq, wish.reply_to)
            self._acknowledge()

    # ------------------------------------------------------------ shown to strategies

    def on_ask_strategy(self, message: AskStrategy) -> None:
        """A question of a strategy that looks at the account: add it, and pass the question on."""
        if self.is_counted:
            self.tell(message.judge, with_account(self.account, message))
            return
        failed = "not all pairs have said what they hold: the account cannot be shown"
        excused = StrategyAnswered(request_id=message.request_id, pair=message.pair, failed=failed, excused=True)
        self.tell(message.reply_to, excused)

    def on_trade_told(self, message: TradeTold) -> None:
        """How a pair's open trade looks."""
        if self.account.chronicle is not None:
            self.account.chronicle.told(message.pair, message.view)

    def tell_judges(self) -> None:
        """Tell of the account, where it has changed since."""
        if not self._judges or not self.is_counted:
            return
        facts = account_facts(self.account)
        if facts != self._told:
            self._told = facts
            for judge in self._judges:
                self.tell(judge, AccountTold(account=facts))

    def on_epoch_announced(self, message: EpochAnnounced) -> None:
        """A new judge has not been told of the account."""
        super().on_epoch_announced(message)
        if message.name in self._judges:
            self._told = None
