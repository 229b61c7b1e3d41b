"""The trades that a strategy's process knows: as the machine tells them, with the numbers that Freqtrade gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

Facts = Mapping[str, Any]


class TradeBook:
    """Open and closed trades as they were told last; which are looked at become objects then.

    `sees_all` says that the strategy is told of all trades. What a strategy keeps with its trades is told back
    to it; until then it is remembered here.
    """

    def __init__(self, *, sees_all: bool) -> None:
        self.sees_all = sees_all
        self.open_trades = 0
        self.stakes = 0.0
        self._numbers: dict[str, int] = {}
        self._count = count(1)
        self._open: dict[str, Facts] = {}
        self._closed: tuple[Facts, ...] = ()
        self._made: dict[str, Any] = {}
        self._custom: dict[str, tuple[str, dict[str, Any]]] = {}
        self._changed: dict[str, Any] = {}

    def hear(self, account: Facts) -> None:
        """Take the account's trades, as they are from now on."""
        figures = account["figures"]
        self.open_trades, self.stakes = figures["open_trades"], figures["tied"]
        self._open = {facts["trade_id"]: facts for facts in account["open"]}
        self._closed = account["closed"]

    def number_of(self, trade_id: str) -> int:
        """The number by which Freqtrade's strategies know a trade."""
        return self._numbers.get(trade_id) or self._numbered(trade_id)

    def _numbered(self, trade_id: str) -> int:
        self._numbers[trade_id] = next(self._count)
        return self._numbers[trade_id]

    def asked_about(self, facts: Facts) -> None:
        """A question brought this trade: that is newer than what was told of it."""
        if self.sees_all:
            self._open[facts["trade_id"]] = facts

    def all(self, make: Callable[[Facts], Any]) -> list[Any]:
        """All that are known, the closed ones first, as objects; closed ones are made once."""
        found = []
        for facts in self._closed:
            trade_id = facts["trade_id"]
            if trade_id not in self._made:
                self._made[trade_id] = make(facts)
            found.append(self._made[trade_id])
        return [*found, *map(make, self._open.values())]

    # ------------------------------------------------------------ custom data

    def custom_of(self, facts: Facts) -> dict[str, Any]:
        """What is kept with a trade: as told, and what was set here since. A pair's trade before is forgotten."""
        known, data = self._custom.get(facts["pair"], ("", {}))
        if not facts.get("is_open", True):
            return dict(facts["custom_data"])
        if known != facts["trade_id"]:
            data = {}
            self._custom[facts["pair"]] = (facts["trade_id"], data)
        return {**facts["custom_data"], **data}

    def keep(self, trade_id: str, pair: str, key: str, value: Any) -> None:
        """Something was set on a trade."""
        known, data = self._custom.get(pair, ("", {}))
        if known != trade_id:
            raise ValueError(f"custom data is kept with open trades, and {trade_id} is not open any more")
        data[key] = value
        self._changed[key] = value

    def take_changed(self) -> dict[str, Any]:
        """What was set since this was last asked."""
        changed, self._changed = self._changed, {}
        return changed
