"""Conditional orders of futures: they live in the algo service, with ids of their own, until their trigger is reached.

Then each becomes an ordinary order with its client id; the order's own events come first, `ALGO_UPDATE` follows
with TRIGGERED and the order's id, and FINISHED when that order has ended. They outlive the position: one that
finds nothing to reduce is REJECTED when it is triggered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from tests.exchange.errors import UNKNOWN_ORDER, Refusal, missing
from tests.exchange.events import algo_update
from tests.exchange.orders import ZERO, Order
from tests.exchange.spot import new_client_id, number

if TYPE_CHECKING:
    from tests.exchange.futures import FuturesVenue

TYPES: Final = ("STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP", "TAKE_PROFIT", "TRAILING_STOP_MARKET")


@dataclass(slots=True, kw_only=True)
class AlgoOrder:
    """One conditional order. `best` is a trailing one's best price so far; `order_id` is what it has become."""

    id: int
    client_id: str
    account: str
    symbol: str
    side: str
    type: str
    tif: str
    qty: Decimal
    price: Decimal
    trigger: Decimal
    created: int
    updated: int
    working_type: str = "CONTRACT_PRICE"
    reduce_only: bool = False
    close_position: bool = False
    callback: Decimal = ZERO
    best: Decimal = ZERO
    status: str = "NEW"
    triggered_at: int = 0
    order_id: int = 0
    reason: str = ""
    origin: str = "api"

    def facts(self) -> dict[str, Any]:
        """Everything, for the ledger's reader."""
        return {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in ((name, getattr(self, name)) for name in self.__slots__)
        }


class AlgoBook:
    """All conditional orders of the futures."""

    def __init__(self, venue: FuturesVenue) -> None:
        self.venue = venue
        self.all: dict[int, AlgoOrder] = {}
        self.by_client: dict[tuple[str, str], AlgoOrder] = {}
        self.open: dict[str, dict[int, AlgoOrder]] = {}
        self.becoming: dict[int, AlgoOrder] = {}
        self.next_id = 1_000_000_033_000_000

    def place(self, account: str, params: Mapping[str, str], *, origin: str = "api") -> AlgoOrder:
        """Take a conditional order; only its numbers and its trigger are looked at, no margin."""
        venue = self.venue
        listing = venue.listing(params.get("symbol", ""))
        kind, side = params.get("type", ""), params.get("side", "")
        if params.get("algoType") != "CONDITIONAL" or kind not in TYPES:
            raise Refusal(-1116, "Invalid orderType.")
        if side not in ("BUY", "SELL"):
            raise Refusal(-1117, "Invalid side.")
        venue.check_side(venue.accounts[account], params)
        now = venue.clock.now()
        algo = AlgoOrder(
            id=self.next_id + 1,
            client_id=params.get("clientAlgoId") or new_client_id(),
            account=account,
            symbol=listing.symbol,
            side=side,
            type=kind,
            tif=params.get("timeInForce", "GTC"),
            qty=number(params, "quantity"),
            price=number(params, "price"),
            trigger=number(params, "triggerPrice"),
            created=now,
            updated=now,
            working_type=params.get("workingType", "CONTRACT_PRICE"),
            reduce_only=params.get("reduceOnly", "false").lower() == "true",
            close_position=params.get("closePosition", "false").lower() == "true",
            callback=number(params, "callbackRate"),
            best=venue.quotes[listing.symbol].last,
            origin=origin,
        )
        self._check(algo)
        self.next_id += 1
        self.all[algo.id] = self.by_client[account, algo.client_id] = algo
        self.open.setdefault(algo.symbol, {})[algo.id] = algo
        venue.publish(account, algo_update(venue, algo))
        return algo

    def _check(self, algo: AlgoOrder) -> None:
        venue = self.venue
        listing, last = venue.listings[algo.symbol], venue.quotes[algo.symbol].last
        if listing.status != "TRADING":
            raise venue.closed()
        there = self.working(algo.account, algo.symbol)
        if any(other.client_id == algo.client_id for other in there):
            raise venue.duplicate()
        if len(there) >= 10:
            raise Refusal(-4045, "Reach max stop order limit.")
        if algo.close_position:
            if algo.qty or algo.reduce_only:
                raise Refusal(-4136, "Target strategy invalid for orderType")
        else:
            limit = algo.price if algo.type in ("STOP", "TAKE_PROFIT") else ZERO
            venue.check_numbers(
                listing, algo.qty, limit, market=not limit, reduce_only=algo.reduce_only or algo.close_position
            )
        if algo.type == "TRAILING_STOP_MARKET":
            if not Decimal("0.1") <= algo.callback <= 10:
                raise Refusal(-2007, "Invalid callBack rate.")
            return
        if not algo.trigger:
            raise missing("triggerPrice")
        if algo.trigger % listing.tick:
            raise Refusal(-4014, "Price not increased by tick size.")
        if self._reached(algo, last):
            raise venue.would_trigger()

    def working(self, account: str, symbol: str | None = None) -> list[AlgoOrder]:
        """An account's conditional orders that still wait."""
        where = [symbol] if symbol else list(self.open)
        return [algo for pair in where for algo in self.open.get(pair, {}).values() if algo.account == account]

    def find(self, account: str, algo_id: int | None, client_id: str | None) -> AlgoOrder | None:
        """One by its id, or the newest of that client id."""
        algo = self.all.get(algo_id) if algo_id else self.by_client.get((account, client_id or ""))
        return algo if algo is not None and algo.account == account else None

    def cancel(self, algo: AlgoOrder | None, status: str = "CANCELED") -> AlgoOrder:
        """End one that waits."""
        if algo is None or algo.status != "NEW":
            raise Refusal(*UNKNOWN_ORDER)
        self.open[algo.symbol].pop(algo.id, None)
        self._say(algo, status)
        return algo

    # ------------------------------------------------------------ triggers

    def match(self, symbol: str) -> None:
        """Trigger what the present price triggers."""
        there = self.open.get(symbol)
        if not there:
            return
        last = self.venue.quotes[symbol].last
        for algo in list(there.values()):
            if algo.status == "NEW" and self._reached(algo, last):
                self._trigger(algo)

    @staticmethod
    def _reached(algo: AlgoOrder, last: Decimal) -> bool:
        sells = algo.side == "SELL"
        if algo.type == "TRAILING_STOP_MARKET":
            algo.best = max(algo.best, last) if sells else min(algo.best, last)
            back = algo.callback / 100
            return last <= algo.best * (1 - back) if sells else last >= algo.best * (1 + back)
        falls = sells != algo.type.startswith("TAKE_PROFIT")
        return last <= algo.trigger if falls else last >= algo.trigger

    def _trigger(self, algo: AlgoOrder) -> None:
        venue = self.venue
        self.open[algo.symbol].pop(algo.id, None)
        algo.triggered_at = venue.clock.now()
        self._say(algo, "TRIGGERING")
        account = venue.accounts[algo.account]
        limit = algo.type in ("STOP", "TAKE_PROFIT")
        order = Order(
            id=0,
            client_id=algo.client_id,
            account=algo.account,
            symbol=algo.symbol,
            side=algo.side,
            type="LIMIT" if limit else "MARKET",
            tif=algo.tif,
            qty=abs(account.position(algo.symbol).amount) if algo.close_position else algo.qty,
            price=algo.price if limit else ZERO,
            stop_price=algo.trigger,
            created=0,
            reduce_only=algo.reduce_only or algo.close_position,
            original_type=algo.type,
            origin="algo",
        )
        try:
            venue.place(account, order)
        except Refusal as refusal:
            algo.reason = "Reduce Only reject" if refusal.code == -2022 else refusal.msg
            self._say(algo, "REJECTED")
            return
        algo.order_id = order.id
        self._say(algo, "TRIGGERED")
        self.becoming[order.id] = algo
        self.heard(order)

    def heard(self, order: Order) -> None:
        """An order has changed: if an algo order has become it and it has ended, that one is FINISHED."""
        algo = self.becoming.get(order.id)
        if algo is not None and not order.working:
            del self.becoming[order.id]
            self._say(algo, "FINISHED")

    def _say(self, algo: AlgoOrder, status: str) -> None:
        algo.status, algo.updated = status, self.venue.clock.now()
        self.venue.publish(algo.account, algo_update(self.venue, algo))
