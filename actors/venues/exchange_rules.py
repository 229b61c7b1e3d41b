"""How an exchange takes guarding stops, and how it lists what happened, what it counts: parts of a `Capability`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from engine.order import Order
from engine.quota import Pool
from engine.types import Millis

DAY_MS: Final = 86_400_000

PAGE: Final = 500
"""Rows of a list that most exchanges give at once."""


ORDERS: Final = ("order", "stop", "replace", "amend", "cancel", "cancel_stop")
READS: Final = (
    "fetch_order", "fetch_stop", "open_orders", "open_stops", "open_orders_all", "open_stops_all", "my_trades",
    "balances", "positions", "leverage", "margin_mode", "position_mode", "leverage_tiers", "funding_history",
    "order_usage", "user_stream",
)  # fmt: skip
PUBLIC: Final = (
    "candles", "candles_few", "book", "deep_book", "ticker", "tickers", "book_tops", "markets", "funding_rates", "time",
)  # fmt: skip


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
    """How an exchange lists what happened in a time; see `exchanges.toml`. `window_ms`: the longest time; None: any.

    `taken`: with each of these parameters it lists executions by which it took of a position itself.
    """

    page: int = PAGE
    orders_page: int | None = None
    newest_first: bool = False
    window_ms: Millis | None = None
    whole_account: bool = False
    taken: tuple[Mapping[str, Any], ...] = ()

    @property
    def of_orders(self) -> ListRule:
        """The rule for orders, where a page of them is shorter than one of executions."""
        return self if self.orders_page is None else replace(self, page=self.orders_page)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRule:
    """How a list of what is there now is read past its first page; see `exchanges.toml`."""

    rows: int
    size: str = ""
    by: str = ""
    next: str = ""
    told: str = ""

    def after(self, page: Sequence[Mapping[str, Any]], number: int, seen: int) -> dict[str, Any] | None:
        """The parameters of the page behind this one, the `number`th, with which `seen` rows were told; None: there is none.

        A cursor is followed for as long as there is one; else a page that is not full is the last, or what there is to have.
        """
        if self.by == "cursor":
            infos = [told["info"] for told in page if isinstance(told.get("info"), Mapping)]
            cursor = next((found for info in infos if (found := info.get(self.told))), None)
            return None if cursor is None else {self.next: cursor}
        if len(page) < self.rows or not self.next:
            return None
        if self.by == "time":
            return {self.next: max(int(told.get("timestamp") or 0) for told in page)}
        if self.by == "id":
            return {self.next: min((str(told.get("id")) for told in page), key=lambda one: (len(one), one))}
        return {self.next: number + 1 if self.by == "page" else seen}


@dataclass(frozen=True, slots=True)
class PositionRule:
    """How an exchange lists positions: parameters, and pages where one does not hold them all."""

    params: Mapping[str, Any] = field(default_factory=dict)
    pages: PageRule | None = None


@dataclass(frozen=True, slots=True)
class SettleRule:
    """The one coin of which an account's lists of futures tell, where they tell of one only, and the parameters that say so.

    That a contract settled in another is in none of them says nothing: there may be a position.
    """

    coin: str = ""
    ask: Mapping[str, Any] = field(default_factory=dict)

    def tells_of(self, pair: str) -> bool:
        """Whether what there is of this pair would be in the lists of the whole account."""
        return not self.coin or pair.partition(":")[2] == self.coin


@dataclass(frozen=True, slots=True)
class FundingRule:
    """How an exchange lists funding that was paid: in what pages, of how long a time at once (None: any), and whose.

    `of`: "account", all pairs' together only; "pair", one pair's at a time only; empty: either.
    """

    pages: PageRule = PageRule(rows=PAGE)
    window_ms: Millis | None = None
    of: str = ""


def funding_of(given: Mapping[str, Any]) -> FundingRule:
    """The rule as the file of facts has it; without one nothing is told past the first page."""
    window_ms = given["days"] * DAY_MS if "days" in given else None
    return FundingRule(pages_of(given) or PageRule(rows=PAGE), window_ms, given.get("of", ""))


def pages_of(given: Mapping[str, Any]) -> PageRule | None:
    """The rule of a market's open orders, of its positions or of its funding, as the file of facts has it."""
    return PageRule(**given["pages"]) if "pages" in given else None


def sized(params: Mapping[str, Any], rule: PageRule | None) -> dict[str, Any]:
    """Parameters with how many rows are wanted at once, where that is said."""
    return {**params, **({rule.size: rule.rows} if rule is not None and rule.size else {})}


def trigger_of(order: Order) -> Decimal:
    """At which price a stop is triggered."""
    return order.trigger_price if order.trigger_price is not None else order.price


def lists_of(given: Mapping[str, Any]) -> ListRule:
    """The rule as the file of facts has it."""
    return ListRule(
        page=given.get("page", PAGE),
        orders_page=given.get("orders"),
        newest_first=given.get("newest", False),
        window_ms=given["days"] * DAY_MS if "days" in given else None,
        whole_account=given.get("account", False),
        taken=tuple(given.get("taken", ())),
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


def costs_of(given: Mapping[str, Mapping[str, int]], separate_stops: bool) -> dict[str, Mapping[str, int]]:
    """Every kind's cost: its own, else that of its group, and what every request costs."""
    costs: dict[str, Mapping[str, int]] = {}
    for cheap, dear in (("candles_few", "candles"), ("book_tops", "tickers")):
        given = {cheap: given[dear], **given} if dear in given else given
    for kinds, group in ((ORDERS, "order"), (READS, "reads"), (PUBLIC, "public")):
        for kind in kinds:
            own = given.get(kind, given.get(group, given.get("reads", {})))
            costs[kind] = _sum(own, given.get("every", {}))
    costs["amend"] = costs["amend"] if "amend" in given else costs["stop"]
    costs["replace"] = _sum(given.get("replace", _sum(costs["stop"], costs["cancel_stop"])))
    if not separate_stops:
        costs["open_stops"] = costs["open_stops_all"] = {}
    costs["snapshot"] = _sum(costs["open_orders"], costs["open_stops"], costs["my_trades"])
    return costs


def _sum(*costs: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for cost in costs:
        for pool, weight in cost.items():
            total[pool] = total.get(pool, 0) + weight
    return total
