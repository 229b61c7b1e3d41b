"""The exchange's own ledger against the bot's history, to the last digit: by nothing but what each of them says."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from actors.files import Files
from tests.exchange.client import Exchange
from tests.showing.common import sql


def D(value: Any) -> Decimal:  # noqa: N802
    """A figure as it is written."""
    return Decimal(str(value))


OPEN = ("NEW", "PARTIALLY_FILLED")


def differences(exchange: Exchange, files: Files) -> list[str]:
    """Everything in which they differ, a sentence each; the bot must not be trading."""
    market = "futures" if exchange.futures else "spot"
    ledger = exchange.control("ledger", market=market)
    found: list[str] = []
    orders = sql(files, "SELECT client_order_id, order_id, status, filled FROM orders")
    _compare_orders(ledger, {str(row["client_order_id"]): row for row in orders}, found)
    fills = sql(files, "SELECT fill_id, client_order_id, price, amount, fee, fee_currency, pair FROM fills")
    _compare_fills(ledger, fills, found)
    if market == "spot":
        _compare_balances(ledger, found)
    return found


def _ours(record: Mapping[str, Any]) -> bool:
    return str(record["client_id"]).startswith("tp")


def _compare_orders(ledger: Mapping[str, Any], orders: Mapping[str, Mapping[str, Any]], found: list[str]) -> None:
    theirs: dict[str, list[Mapping[str, Any]]] = {}
    for order in ledger["orders"]:
        if _ours(order):
            theirs.setdefault(order["client_id"], []).append(order)
    for client_id, several in theirs.items():
        if len(several) > 1:
            found.append(f"{client_id} is {len(several)} orders on the exchange")
        own, their = orders.get(client_id), several[0]
        if own is None:
            found.append(f"{client_id} is on the exchange and not in the history")
            continue
        if D(own["filled"]) != D(their["filled"]):
            found.append(f"{client_id}: {own['filled']} filled in the history, {their['filled']} on the exchange")
        if (own["status"] in (*OPEN, "PENDING_NEW", "IN_DOUBT")) != (their["status"] in OPEN):
            found.append(f"{client_id} is {own['status']} in the history, {their['status']} on the exchange")
    for client_id, own in orders.items():
        if client_id not in theirs and (D(own["filled"]) or own["status"] in (*OPEN, "FILLED", "CANCELED")):
            found.append(f"{client_id} is {own['status']} in the history, and the exchange does not know it")


def _compare_fills(ledger: Mapping[str, Any], fills: list[dict[str, Any]], found: list[str]) -> None:
    theirs = {(t["symbol"], str(t["id"])): t for t in ledger["trades"] if _ours(t)}
    own = {}
    for row in fills:
        symbol = str(row["pair"]).partition(":")[0].replace("/", "")
        key = (symbol, str(row["fill_id"]).rpartition(":")[2])
        if key in own:
            found.append(f"fill {key} is twice in the history")
        own[key] = row
    found += [f"trade {key} is on the exchange and not in the history" for key in theirs.keys() - own.keys()]
    found += [f"fill {key} is in the history and not on the exchange" for key in own.keys() - theirs.keys()]
    for key in theirs.keys() & own.keys():
        their, mine = theirs[key], own[key]
        pairs = (("price", "price"), ("amount", "qty"), ("fee", "fee"))
        found += [f"fill {key}: {a} {mine[a]} here, {their[b]} there" for a, b in pairs if D(mine[a]) != D(their[b])]
        if D(their["fee"]) and mine["fee_currency"] != their["fee_asset"]:
            found.append(f"fill {key}: fee in {mine['fee_currency']} here, {their['fee_asset']} there")


def _compare_balances(ledger: Mapping[str, Any], found: list[str]) -> None:
    """The exchange's balances must be its opening ones and all trades: that its own books are sound."""
    moved: dict[str, Decimal] = {}
    for name, amount in ledger["balances"].items():
        account, _, asset = name.partition(":")
        if account == "opening":
            moved[asset] = moved.get(asset, D(0)) - D(amount)
    for trade in ledger["trades"]:
        base = trade["symbol"].removesuffix("USDT")
        sign = 1 if trade["side"] == "BUY" else -1
        moved[base] = moved.get(base, D(0)) + sign * D(trade["qty"])
        moved["USDT"] = moved.get("USDT", D(0)) - sign * D(trade["qty"]) * D(trade["price"])
        moved[trade["fee_asset"]] = moved.get(trade["fee_asset"], D(0)) - D(trade["fee"])
    for asset, amount in moved.items():
        held = sum((D(ledger["balances"].get(f"{name}:{asset}", "0")) for name in ("free", "locked")), D(0))
        if held != amount:
            found.append(f"the exchange's own books: {held} {asset}, its trades give {amount}")
