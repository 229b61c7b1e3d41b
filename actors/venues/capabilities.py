"""What an exchange can do, and how ccxt has to be called for it: facts (`exchanges.toml`) as calls and limits.

Rules
    Every order goes out by `Capability.create`, so that what is tested offline for each exchange's class of
    ccxt is what is sent. ccxt passes parameters that it does not know on to the exchange, which may ignore
    them: a stop written the wrong way is a market order that fills at once. What is not known to work is refused.
    An order's fate can be found by our own id, or the exchange is not traded live.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.venues.exchange_rules import (
    ORDERS,
    PUBLIC,
    READS,
    FundingRule,
    ListRule,
    PageRule,
    PositionRule,
    SettleRule,
    StopRule,
    as_told,
    costs_of,
    funding_of,
    lists_of,
    pages_of,
    pools_of,
    sized,
    trigger_of,
)
from engine.client_ids import from_hex, from_text, to_hex, to_text
from engine.errors import ConfigError, Problem, TradepitError
from engine.market import Market
from engine.order import Order
from engine.quota import Limits, Pool, exchange_limits
from engine.settings import Settings
from engine.types import ONE, Millis, OrderSide, OrderType, TimeInForce

FACTS: Final = Path(__file__).with_name("exchanges.toml")

KINDS: Final = (*ORDERS, *READS, *PUBLIC, "snapshot")
"""The kinds of requests that permits are asked for. A snapshot is a pair's open orders, open stops and trades."""

TAKING: Final = Decimal("0.02")
"""Where a market order to buy would name money, a limit order so far above the price takes what is there."""

STOP_LIMIT: Final = Decimal("0.01")
"""A stop that becomes a limit order may be filled so far beyond its trigger; past that we leave ourselves."""


class CannotTrade(TradepitError):
    """An exchange that cannot be traded live safely; the text says why, in a sentence."""


class Call(NamedTuple):
    """A call of one of ccxt's methods: its name, its arguments in order, its `params`; `pages` where it gives no more than one."""

    method: str
    args: tuple[Any, ...]
    params: Mapping[str, Any]
    pages: PageRule | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One market, spot or futures, of one exchange."""

    exchange: str
    market: str
    title: str
    docs: str
    id: str
    id_pattern: str
    horizon_ms: Millis
    tif: tuple[str, ...]
    pools: tuple[Pool, ...]
    costs: Mapping[str, Mapping[str, int]]
    create_params: Mapping[str, Any]
    fetch_params: Mapping[str, Any] | None
    cancel_params: Mapping[str, Any] | None
    id_prefix: str = ""
    cancel_id: bool = False
    fetch_lists: tuple[str, ...] = ()
    fetch_known: str = ""
    market_buy: str = "amount"
    options: Mapping[str, Any] = field(default_factory=dict)
    stop: StopRule | None = None
    lists: ListRule = field(default_factory=ListRule)
    stream_fills: bool = False
    answer_fills: bool = False
    pages: PageRule | None = None
    positions_read: PositionRule = field(default_factory=PositionRule)
    settled: SettleRule = field(default_factory=SettleRule)
    funding: FundingRule = field(default_factory=FundingRule)
    open_by_pair: bool = False
    setup: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    setup_cross: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    leverage_in_order: str = ""

    # ------------------------------------------------------------ ids

    def theirs(self, client_order_id: str) -> str:
        """Our id as the exchange takes it."""
        return self.id_prefix + {"hex": to_hex, "text": to_text}.get(self.id, str)(client_order_id)

    def ours(self, theirs: str) -> str:
        """The id of ours that the exchange tells; a foreign one as it is."""
        if not theirs.startswith(self.id_prefix):
            return theirs
        bare = theirs.removeprefix(self.id_prefix)
        read = {"hex": from_hex, "text": from_text}.get(self.id, str)(bare)
        return theirs if self.id_prefix and read == bare else read

    # ------------------------------------------------------------ calls

    def refusal(self, order: Order) -> str | None:
        """Why this order cannot be sent there; None when it can."""
        if order.type is OrderType.STOP and self.stop is None:
            return f"{self.title} takes no stop orders that could be found again by our ids"
        if order.replaces and not self.stop_replace:
            return f"{self.title} does not take one order for another in one request"
        if order.type is OrderType.LIMIT and order.time_in_force not in (TimeInForce.GTC, *self.tif):
            return f"{self.title} has no {order.time_in_force} orders"
        return None

    def create(self, order: Order, market: Market, *, margin: str = "isolated") -> Call:
        """The call that places `order`; raises `CannotTrade` where there is a `refusal`. `margin`: isolated or cross."""
        refusal = self.refusal(order)
        if refusal is not None:
            raise CannotTrade(refusal)
        kind, price = str(order.type), order.price if order.type is OrderType.LIMIT else None
        words = {"{leverage}": as_told(order.leverage), "{margin}": margin}
        params = self._filled(self.create_params, order.client_order_id, words)
        if order.type is OrderType.STOP and self.stop is not None:
            kind, price = self.stop.type, self._stop_limit(order, market)
            words["{price}"] = float(trigger_of(order))
            given = self._filled(self.stop.create, order.client_order_id, words)
            params = given if self.stop.without_id else {**params, **given}
        elif order.type is OrderType.MARKET and order.side is OrderSide.BUY and self.market_buy == "cost":
            kind, price = "limit", market.round_price(order.price * (ONE + TAKING))
            params["timeInForce"] = "IOC"
        elif order.type is OrderType.LIMIT and order.time_in_force is TimeInForce.PO:
            params["postOnly"] = True
        elif order.type is OrderType.LIMIT and order.time_in_force is not TimeInForce.GTC:
            params["timeInForce"] = str(order.time_in_force)
        if self.market == "futures" and order.reduce_only:
            params["reduceOnly"] = True
        amount = order.amount / market.contract_size
        written = None if price is None else float(price)
        if order.replaces and self.stop is not None:
            words["{replaced}"] = self.theirs(order.replaces)
            params = self._filled(self.stop.replace, order.client_order_id, words)
            return Call("edit_order", ("", order.pair, kind, str(order.side), float(amount), written), params)
        return Call("create_order", (order.pair, kind, str(order.side), float(amount), written), params)

    def amend(self, order: Order, market: Market, order_id: str) -> Call | None:
        """The call that changes a resting stop, of the exchange's `order_id`, to what it is `amending` to; None: none does."""
        rule, target = self.stop, order.amending
        if rule is None or target is None or not self.stop_amend or not order_id:
            return None
        amount = None if target.amount == order.amount else float(target.amount / market.contract_size)
        params = {n: str(v).replace("{trigger}", f"{target.trigger_price:f}") for n, v in rule.amend.items()}
        about = (order_id, order.pair, rule.amend_type or rule.type, str(order.side), amount, None)
        return Call("edit_order", about, params)

    def prepare(self, pair: str, leverage: Decimal, margin: str) -> list[tuple[str, Call]]:
        """What is set before a futures position is entered, in order, each with its kind of request."""
        calls = {"margin_mode": ("set_margin_mode", margin), "leverage": ("set_leverage", as_told(leverage))}
        words = {"{margin}": margin, "{leverage}": as_told(leverage)}
        setup = {**self.setup, **(self.setup_cross if margin == "cross" else {})}
        return [
            (kind, Call(calls[kind][0], (calls[kind][1], pair), self._filled(params, "", words)))
            for kind, params in setup.items()
            if kind != "leverage" or margin != self.leverage_in_order
        ]

    def _stop_limit(self, order: Order, market: Market) -> Decimal | None:
        if self.stop is None or self.stop.type != "limit":
            return None
        sells = order.side is OrderSide.SELL
        return market.round_price(trigger_of(order) * (ONE - STOP_LIMIT if sells else ONE + STOP_LIMIT))

    def fetch(self, pair: str, client_order_id: str, order_id: str = "", *, stop: bool = False) -> tuple[Call, ...]:
        """The calls that read one order, by the exchange's id where it is known; none: look for it in the whole lists.

        They are asked in turn until one has it, and the exchange has no such order where none of them does.
        """
        read = self.stop.read if stop and self.stop is not None else {}
        if self.fetch_lists and self.fetch_params is not None:
            named = {self.fetch_known: order_id} if order_id else self._filled(self.fetch_params, client_order_id)
            return tuple(Call(method, (pair, None, None), {**named, **read}) for method in self.fetch_lists)
        if order_id:
            plain = {k: v for k, v in (self.fetch_params or {}).items() if "{id}" not in str(v)}
            return (Call("fetch_order", (order_id, pair), {**plain, **read}),)
        if self.fetch_params is None:
            return ()
        return (Call("fetch_order", (None, pair), {**self._filled(self.fetch_params, client_order_id), **read}),)

    def cancel(self, pair: str, client_order_id: str, order_id: str = "", *, stop: bool = False) -> Call | None:
        """The call that cancels one order; None: its id has to be found first."""
        read = self.stop.cancels if stop and self.stop is not None else {}
        if order_id:
            return Call("cancel_order", (order_id, pair), dict(read))
        if self.cancel_params is None:
            return None
        known = self.theirs(client_order_id) if self.cancel_id else None
        return Call("cancel_order", (known, pair), {**self._filled(self.cancel_params, client_order_id), **read})

    def open_orders(self, pair: str | None) -> Call:
        """The call that lists a pair's open orders, or all."""
        return Call("fetch_open_orders", (pair,), sized({} if pair else self.settled.ask, self.pages), self.pages)

    def open_stops(self, pair: str | None) -> Call | None:
        """The call that lists open stops, where they are not among the open orders."""
        if self.stop is None or not self.stop.open:
            return None
        asked = {**({} if pair else self.settled.ask), **self.stop.open}
        return Call("fetch_open_orders", (pair,), sized(asked, self.pages), self.pages)

    def positions(self) -> Call:
        """The call that lists all positions; those `settled` in one coin, where an exchange lists no others beside."""
        rule = self.positions_read
        return Call("fetch_positions", (), sized({**self.settled.ask, **rule.params}, rule.pages), rule.pages)

    def open_lists(self, pair: str | None) -> list[tuple[str, Call]]:
        """All calls that together list a pair's open orders, or everybody's, each with its kind of request.

        None where an exchange lists them by pair only.
        """
        if pair is None and self.open_by_pair:
            return []
        every = "" if pair else "_all"
        stops = self.open_stops(pair)
        lists = [(f"open_orders{every}", self.open_orders(pair))]
        return lists if stops is None else [*lists, (f"open_stops{every}", stops)]

    @property
    def listed_at_once(self) -> int:
        """The lists of everybody's open orders cost no more than those of this many pairs."""
        each, every = (
            sum(sum(self.costs[kind].values()) for kind, _ in self.open_lists(pair)) for pair in ("A/B", None)
        )
        return every // max(each, 1)

    def _filled(self, params: Mapping[str, Any], our_id: str, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
        said = {**({"{id}": self.theirs(our_id)} if our_id else {}), **(words or {})}
        return {name: said.get(value, value) for name, value in params.items()}

    # ------------------------------------------------------------ limits and settings

    def limits(self, reported: Sequence[Pool] = ()) -> Limits:
        """What may be asked of this exchange in what time; see `engine.quota.exchange_limits`."""
        return exchange_limits(self.pools, self.costs, reported, public=frozenset(PUBLIC))

    @property
    def stop_beside(self) -> bool:
        """Whether a guarding stop may stand beside another one, or beside an exit."""
        return self.stop is not None and self.stop.beside

    @property
    def stop_replace(self) -> bool:
        """Whether a guarding stop can take the place of another in one request, of which both parts are done or neither."""
        return self.stop is not None and bool(self.stop.replace)

    @property
    def stop_amend(self) -> bool:
        """Whether a guarding stop that rests is changed in place; not where another one may stand beside it."""
        return self.stop is not None and bool(self.stop.amend) and not self.stop.beside

    def under(self, options: Mapping[str, Any]) -> Capability:
        """As it is with a user's own options: his `recvWindow` is how long an exchange that has one takes a request.

        Raises:
            ConfigError: it is no whole number of milliseconds: ccxt might send it, and nobody would wait for so long.
        """
        given = options.get("options")
        window = given.get("recvWindow") if isinstance(given, Mapping) else None
        if window is None or "recvWindow" not in self.options:
            return self
        if not isinstance(window, int) or isinstance(window, bool) or window <= 0:
            where, cure = "exchange.options.options.recvWindow", "Write milliseconds, such as 5000, or leave it out"
            raise ConfigError([Problem(where, repr(window), "it must be a whole number above 0", cure)])
        return replace(self, horizon_ms=window + self.horizon_ms - self.options["recvWindow"])

    def refusals(self, settings: Settings, currency: str) -> list[Problem]:
        """What is wanted that cannot be had there, with stakes in `currency`; futures are settled in the same."""
        has, told = ("GTC", *self.tif), self.settled.coin or currency
        why = f"{self.title} lists the positions and open orders of futures settled in {told}: what is held of others would not be seen"
        cure = f'Write "{told}", and pairs such as BTC/{told}:{told}'
        others = [Problem("trading.stake_currency", f'"{currency}"', why, cure)] if told != currency else []
        wanted = (("entry", settings.entry_time_in_force), ("exit", settings.exit_time_in_force))
        return others + [
            Problem(
                f"order_time_in_force.{name}",
                f'"{tif}"',
                f"{self.title} has no such orders ({self.market})",
                f"Write one of {', '.join(has)}",
            )
            for name, tif in wanted
            if tif not in has
        ]

    def notes(self, settings: Settings) -> list[str]:
        """What will be done in another way than it was asked for, a sentence each."""
        if not settings.stop_on_venue:
            return ["Stops are not wanted on the exchange (live.stops_on_exchange): the bot guards, while it runs"]
        if self.stop is None:
            return [
                f"{self.title} ({self.market}) takes no stops that we could find again: the bot guards, while it runs"
            ]
        return []


def exchanges() -> tuple[str, ...]:
    """The exchanges of which something is known, in the order of the file."""
    return tuple(_facts())


def markets_of(exchange: str) -> tuple[str, ...]:
    """`spot`, `futures`: those of an exchange that are written about."""
    return tuple(m for m in ("spot", "futures") if m in _facts()[exchange])


def unsure_codes(exchange: str) -> tuple[str, ...]:
    """The codes by which an exchange answers without saying that nothing was done; none where it is not known."""
    return tuple(_facts().get(exchange, {}).get("unsure", ()))


def capability(exchange: str, *, futures: bool = False) -> Capability:
    """What the exchange's market can do.

    Raises:
        CannotTrade: nothing is known of it, or it is known that it cannot be traded live safely.
    """
    market = "futures" if futures else "spot"
    about = _facts().get(exchange)
    if about is None:
        known, close = ", ".join(exchanges()), difflib.get_close_matches(exchange, exchanges(), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise CannotTrade(
            f'exchange.name = "{exchange}": nothing is known of its order ids, stops and limits, so it is not traded, '
            f"neither live nor at its prices. {meant}Known are {known}"
        )
    given = about.get(market, {"refused": "it has not been tried"})
    if "refused" in given:
        raise CannotTrade(f"{about['title']}, {market}: not traded live, since {given['refused']}")
    return _capability(exchange, market, about, given)


def _capability(exchange: str, market: str, about: Mapping[str, Any], given: Mapping[str, Any]) -> Capability:
    return Capability(
        exchange=exchange,
        market=market,
        title=about["title"],
        docs=about["docs"],
        id=about["id"],
        id_pattern=about["id_pattern"],
        id_prefix=about.get("id_prefix", ""),
        horizon_ms=given["horizon_s"] * 1_000,
        tif=tuple(given["tif"]),
        pools=pools_of(given["pools"]),
        costs=costs_of(given["costs"], "open" in given.get("stop", {})),
        create_params=given["create"],
        fetch_params=given.get("fetch"),
        cancel_params=given.get("cancel"),
        cancel_id=given.get("cancel_id", False),
        fetch_lists=tuple(given.get("fetch_lists", ())),
        fetch_known=given.get("fetch_known", ""),
        market_buy=given.get("market_buy", "amount"),
        options=given.get("options", {}),
        stop=StopRule(**given["stop"]) if "stop" in given else None,
        lists=lists_of(given.get("lists", {})),
        stream_fills=given.get("stream_fills", False),
        answer_fills=given.get("answer_fills", False),
        pages=pages_of(given),
        positions_read=PositionRule(given.get("positions", {}).get("params", {}), pages_of(given.get("positions", {}))),
        settled=SettleRule(**given.get("settled", {})),
        funding=funding_of(given.get("funding", {})),
        open_by_pair=given.get("open_by_pair", False),
        setup=given.get("setup", {}),
        setup_cross=given.get("setup_cross", {}),
        leverage_in_order=given.get("leverage_in_order", ""),
    )


@functools.cache
def _facts() -> Mapping[str, Any]:
    return tomllib.loads(FACTS.read_text(encoding="utf-8"))
