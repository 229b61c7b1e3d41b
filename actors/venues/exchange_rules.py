"""How an exchange takes guarding stops, and how it lists what happened, what it counts: parts of a `Capability`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from engine.quota import Pool
from engine.types import Millis

DAY_MS: Final = 86_400_000

PAGE: Final = 500
"""Rows of a list that most exchanges give at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """How an exchange takes guarding stops; see `exchanges.toml`."""

    type: str
    create: Mapping[str, Any]
    read: Mapping[str, Any] = field(default_factory=dict)
    cancel: Mapping[str, Any] | None = None
    open: Mapping[str, Any] = field(default_factory=dict)
    without_id: bool = False
    beside: bool = False
    replace: Mapping[str, Any] = field(default_factory=dict)
    amend: Mapping[str, Any] = field(default_factory=dict)
    amend_type: str = ""

    @property
    def cancels(self) -> Mapping[str, Any]:
        """The parameters to cancel one."""
        return self.read if self.cancel is None else self.cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRule:
    """How an exchange lists what happened in a time; see `exchanges.toml`. `window_ms`: the longest time; None: any."""

    page: int = PAGE
    orders_page: int | None = None
    newest_first: bool = False
    window_ms: Millis | None = None
    whole_account: bool = False

    @property
    def of_orders(self) -> ListRule:
        """The rule for orders, where a page of them is shorter than one of executions."""
        return self if self.orders_page is None else replace(self, page=self.orders_page)


def lists_of(given: Mapping[str, Any]) -> ListRule:
    """The rule as the file of facts has it."""
    return ListRule(
        page=given.get("page", PAGE),
        orders_page=given.get("orders"),
        newest_first=given.get("newest", False),
        window_ms=given["days"] * DAY_MS if "days" in given else None,
        whole_account=given.get("account", False),
    )


def pools_of(given: Mapping[str, Mapping[str, Any]]) -> tuple[Pool, ...]:
    """What an exchange counts, by the file of facts."""
    return tuple(
        Pool(name, p["limit"], p["seconds"] * 1_000, p.get("rolling", False), p.get("restart_percent", _share(p)))
        for name, p in given.items()
    )


def _share(pool: Mapping[str, Any]) -> int | None:
    """A window of seconds is waited for after a restart; of a longer one a share is kept."""
    return 0 if pool["seconds"] <= 10 else None


def as_told(leverage: Decimal) -> int | float:
    """A leverage as exchanges want it told: whole where it is, since some take `3.0` for no number."""
    return int(leverage) if leverage == int(leverage) else float(leverage)
