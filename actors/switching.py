"""The kill switches as a user turns them: of accounts that are there at once, of the others when they join.

Rules
    A switch that is turned for an account that is not there is kept, in the journal too, so a bot or a control actor
    that starts again does not forget it. The account is told once, when it joins; a later turn replaces an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from actors.base import Context, EngineActor, Outbox
from engine.messages import AccountJoined, Plain, RecordRefused, SetTradingState, StateLoaded
from engine.naming import named
from engine.types import TradingState


class SwitchingActor(EngineActor):
    """The control actor's side towards the portfolios; the subclass has the requests.

    `_accounts` are those that are there, `_away` says why each other one is not.
    """

    def __init__(self, ctx: Context, away: Mapping[str, str]) -> None:
        super().__init__(ctx)
        self.outbox = Outbox(self)
        self._accounts: dict[str, AccountJoined] = {}
        self._away = dict(away)
        self._kept: dict[str, SetTradingState] = {}
        self._turned: set[str] = set()

    def on_start(self) -> None:
        """Ask which switches were kept."""
        self.outbox.load()

    def on_state_loaded(self, message: StateLoaded) -> None:
        """Take over what was kept, but for what the user has said since; tell whoever is there by now."""
        if not self.outbox.on_state_loaded(message):
            return
        known = {*self._accounts, *self._away} - self._turned
        kept: Mapping[str, Sequence[str]] = (message.state or {}).get("kept", {})
        for account, (state, reason) in kept.items():
            if account in known:
                self._kept.setdefault(account, _switch(TradingState(state), reason))
        for account in self._accounts:
            self._tell_kept(account)
        if _plain(self._kept) != kept:
            self._record()

    def on_record_refused(self, message: RecordRefused) -> None:
        """The disk may be full: the outbox tries again where that has a point."""
        self.outbox.on_record_refused(message)

    def joined(self, message: AccountJoined) -> None:
        """An account is there: its switch is turned as the user has said meanwhile."""
        self._away.pop(message.account, None)
        self._accounts[message.account] = message
        if self._tell_kept(message.account):
            self._record()

    def turn(self, accounts: Sequence[str], absent: Sequence[str], state: TradingState, reason: str) -> None:
        """Turn the switches of `accounts`, and keep it for the `absent`."""
        switch = _switch(state, reason)
        for account in accounts:
            self.tell(named("portfolio", account), switch)
        self._kept |= dict.fromkeys(absent, switch)
        self._turned |= {*accounts, *absent}
        if absent:
            self._record()

    def _tell_kept(self, account: str) -> bool:
        switch = self._kept.pop(account, None)
        if switch is not None:
            self.tell(named("portfolio", account), switch)
        return switch is not None

    def _record(self) -> None:
        if self.outbox.loaded:  # until then nobody knows what else was kept
            self.outbox.record((), {"kept": _plain(self._kept)})


def kept_in_words(account: str, wanted: TradingState) -> str:
    """What becomes of an account that is not there."""
    entries = "entries are made as ever" if wanted is TradingState.ACTIVE else "no entries are made"
    return f"{account}: it is not there; {entries} when it joins."


def _switch(state: TradingState, reason: str) -> SetTradingState:
    return SetTradingState(state=state, reason=reason, source="user")


def _plain(kept: Mapping[str, SetTradingState]) -> dict[str, Plain]:
    return {account: [switch.state.value, switch.reason] for account, switch in kept.items()}
