"""What a user may want of a pair by hand: to enter, to leave."""

from __future__ import annotations

import abc
from typing import Final

from actors.base import Context
from actors.reserving import ReservingActor
from engine.messages import ControlAnswered, ForceEnter, ForceExit, WatchPrice
from engine.types import ZERO, TradeState
from engine.work import Rules

PRICE_MS: Final = 4_000
"""How long an entry by hand waits for a price: the user who asked is told before he is told that nobody answers."""


class CommandedActor(ReservingActor, abc.ABC):
    """A pair that takes a user's word; whoever trades is the subclass."""

    def __init__(self, ctx: Context, rules: Rules) -> None:
        super().__init__(ctx, rules)
        self._forced: ForceEnter | None = None

    def on_force_enter(self, message: ForceEnter) -> None:
        """A user wants in: at the price of now, which a flat pair does not watch.

        Who begins to watch is told the newest price at once; who watches already, the next one, whenever that comes.
        """
        self._forced = message
        if self.trade.position.amount > ZERO:
            self.enter_if_forced()  # which is refused at any price
            return
        self.tell("feed", WatchPrice(pair=self.pair, watch=False))
        self.tell("feed", WatchPrice(pair=self.pair, watch=True))
        self.start_timer("price", PRICE_MS)

    def enter_if_forced(self) -> None:
        """A price has come: enter, if a user waits for that."""
        message, self._forced = self._forced, None
        if message is None:
            return
        self.cancel_timer("price")
        self.tell_trade(message)
        if self.trade.state is TradeState.FLAT:  # an entry that is under way watches for itself once it is filled
            self.tell("feed", WatchPrice(pair=self.pair, watch=False))
        self._reply(message, f"asked for {message.side}; `decisions` says what became of it")

    def on_force_exit(self, message: ForceExit) -> None:
        """A user wants out."""
        held = self.trade.position.amount > ZERO or bool(self.trade.working())
        self.tell_trade(message)
        said = "leaving" if held else "nothing is open"
        self._reply(message, said, ok=held)

    def give_up_force(self) -> None:
        """No price has come in time."""
        if self._forced is not None:
            self._reply(self._forced, "the feed gave no price; nothing was done", ok=False)
            self._forced = None

    def _reply(self, message: ForceEnter | ForceExit, detail: str, *, ok: bool = True) -> None:
        self.tell(message.reply_to, ControlAnswered(request_id=message.request_id, ok=ok, detail=detail))
