"""The exchange's own ledger against the bot's history, to the last digit: by nothing but what each of them says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from actors.files import Files
from tests.exchange.client import Exchange
from tests.showing.common import sql


def D(value: Any) -> Decimal:  # noqa: N802
    """A figure as it is written."""
    return Decimal(str(value))


DUST = Decimal("0.03")
"""What a whole exit may leave of the largest order: the fee in coins makes amounts that are no multiple of the step."""

OPEN = ("NEW", "PARTIALLY_FILLED")


def differences(exchange: Exchange, files: Files, account: str = "", *, by_hand: bool = False) -> list[str]:
    """Everything in which they differ, a sentence each; the bot must not be trading. `account` is the exchange's here.

    `by_hand`: fills of the user's are in the history too, since they have ended trades of the bot's.
    """
    own = f" WHERE account = '{account}'"
    market = "futures" if exchange.futures else "spot"
    ledger = exchange.control("ledger", market=market)
    found: list[str] = []
    whose = ("tp", "web_") if by_hand else ("tp",)
    orders = sql(files, "SELECT client_order_id, order_id, status, filled FROM orders" + own)
    ours = {str(row["client_order_id"]): row for row in orders}
    if by_hand:
        ours = {client_id: row for client_id, row in ours.items() if client_id.startswith("tp")}
    _compare_orders(ledger, ours, found)
    fills = sql(files, "SELECT fill_id, client_order_id, price, amount, fee, fee_currency, pair FROM fills" + own)
    _compare_fills(ledger, fills, found, whose)
    if market == "spot":
        _compare_balances(ledger, found)
    else:
        _compare_positions(ledger, found)
    return found


def placed(ledger: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Every order that was placed: futures' stops are orders of another kind, until they trigger under the same client id."""
    resting = [algo for algo in ledger.get("algos", ()) if not algo["order_id"]]
    return [*ledger["orders"], *({**algo, "filled": "0"} for algo in resting)]


def _ours(record: Mapping[str, Any], whose: tuple[str, ...] = ("tp",)) -> bool:
    return str(record["client_id"]).startswith(whose)


def _compare_orders(ledger: Mapping[str, Any], orders: Mapping[str, Mapping[str, Any]], found: list[str]) -> None:
    theirs: dict[str, list[Mapping[str, Any]]] = {}
    for order in placed(ledger):
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


def _compare_fills(
    ledger: Mapping[str, Any], fills: list[dict[str, Any]], found: list[str], whose: tuple[str, ...]
) -> None:
    theirs = {(t["symbol"], str(t["id"])): t for t in ledger["trades"] if _ours(t, whose)}
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


def _compare_positions(ledger: Mapping[str, Any], found: list[str]) -> None:
    """What is held must be what the trades make, and the wallet what they and the payments have brought: sound books."""
    held: dict[str, Decimal] = {}
    for trade in ledger["trades"]:
        sign = 1 if trade["side"] == "BUY" else -1
        held[trade["symbol"]] = held.get(trade["symbol"], D(0)) + sign * D(trade["qty"])
    for symbol, amount in held.items():
        there = D(ledger["positions"].get(symbol, {}).get("amount", "0"))
        if there != amount:
            found.append(f"the exchange's own books: {there} of {symbol}, its trades give {amount}")


def naked(exchange: Exchange, away: Sequence[tuple[float, float]] = (), *, partly: bool = False) -> tuple[float, str]:
    """The longest time in seconds that a position of the bot's had neither stop nor exit at the exchange, and where.

    `partly`: that any part of it, beyond dust, had none. Read off the exchange's own times of trades and orders; the
    times `away`, in ms, in which no bot ran do not count.
    """
    ledger = exchange.control("ledger", market="futures" if exchange.futures else "spot")
    now = float(exchange.control("state")["clock"]["now"])
    return longest_gap(ledger, now, away, partly=partly)


def longest_gap(
    ledger: Mapping[str, Any], now: float, away: Sequence[tuple[float, float]] = (), *, partly: bool = False
) -> tuple[float, str]:
    """As `naked`, of a ledger that was read at `now`."""
    longest, where = 0.0, "nothing"
    for symbol in sorted({order["symbol"] for order in placed(ledger) if _ours(order)}):
        gap, at = _longest_gap(ledger, symbol, now, away, partly=partly)
        if gap > longest:
            longest, where = gap, f"{symbol} at {at:.0f}"
    return longest / 1_000, where


class Moved(NamedTuple):
    """What an event changes: what is held, how many orders guard, and for how much together."""

    ts: float
    held: Decimal = Decimal(0)
    guards: int = 0
    guarded: Decimal = Decimal(0)


def _moves(ledger: Mapping[str, Any], symbol: str, now: float) -> list[Moved]:
    orders = [o for o in placed(ledger) if _ours(o) and o["symbol"] == symbol]
    entering = {o["id"] for o in orders if not is_exit(o, futures="positions" in ledger)}
    moves = [Moved(now)]
    for trade in ledger["trades"]:
        if _ours(trade) and trade["symbol"] == symbol:
            amount = D(trade["qty"])
            is_entry = trade["order_id"] in entering
            moves.append(Moved(trade["ts"], amount) if is_entry else Moved(trade["ts"], -amount, 0, -amount))
    for order in orders:
        if order["id"] not in entering:
            amount = D(order["qty"])
            moves.append(Moved(order["created"], guards=1, guarded=amount))
            ended = now if order["status"] in OPEN else order["updated"]
            moves.append(Moved(ended, guards=-1, guarded=D(order["filled"]) - amount))
    for algo in ledger.get("algos", ()):  # one that has triggered is an order since then, and guarded until then
        if algo["order_id"] and _ours(algo) and algo["symbol"] == symbol:
            moves.append(Moved(algo["created"], guards=1, guarded=D(algo["qty"])))
            moves.append(Moved(algo["triggered_at"], guards=-1, guarded=-D(algo["qty"])))
    return sorted(moves, key=lambda move: (move.ts, -move.guards))


def _longest_gap(
    ledger: Mapping[str, Any], symbol: str, now: float, away: Sequence[tuple[float, float]], *, partly: bool
) -> tuple[float, float]:
    largest = max((D(o["qty"]) for o in placed(ledger) if _ours(o) and o["symbol"] == symbol), default=D(0))
    held, guards, guarded, since, longest, at = D(0), 0, D(0), 0.0, 0.0, 0.0
    for move in _moves(ledger, symbol, now):
        alone = sum(max(min(end, move.ts) - max(start, since), 0.0) for start, end in away) if since else 0.0
        if since and move.ts - since - alone > longest:
            longest, at = move.ts - since - alone, since
        held, guards, guarded = held + move.held, guards + move.guards, guarded + move.guarded
        if move.held < 0 and held < largest * DUST:
            held = D(0)  # what an exit leaves is under a step of the market, and written off
        bare = held - guarded > largest * DUST if partly else held > 0 and guards <= 0
        since = (since or move.ts) if bare else 0.0
    return longest, at


def is_exit(order: Mapping[str, Any], *, futures: bool) -> bool:
    """Whether an order of the bot's can only make a position smaller."""
    return bool(order["reduce_only"]) or "STOP" in order["type"] or (not futures and order["side"] == "SELL")
