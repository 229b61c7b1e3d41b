"""What must hold in the simulation: at every instant (`invariants`), and once all is quiet (`unsettled`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from actors.journal import decoded
from engine.codec import to_plain
from engine.keeping import trade_to_plain
from engine.order import Order
from engine.types import ZERO, OrderStatus, Purpose
from engine.work import exposure_of

if TYPE_CHECKING:
    from tests.simulation.world import World

MAILBOX_MAX = 2_000
"""Counted with what the simulated network holds back, up to 20 s."""
AWAITED = (OrderStatus.PENDING_NEW, OrderStatus.PENDING_CANCEL, OrderStatus.IN_DOUBT)
OPEN = "status IN ('NEW', 'PARTIALLY_FILLED')"
KEPT = ("number", "run", "intents", "position", "orders", "stop", "leaving", "earned", "last_closed", "opened_at")
"""What of a trade is on disk whenever it has changed; prices it has seen may be newer in memory."""


class Broken(AssertionError):
    """The world is not as it must be."""


def invariants(world: World) -> None:
    """What holds at every instant, whatever goes wrong.

    Raises:
        Broken: something does not.
    """
    found = [*_venue(world), *_capital(world), *_mailboxes(world)]
    if found:
        raise Broken(f"at {world.runtime.now()}: " + "; ".join(found))


def _venue(world: World) -> Iterator[str]:
    for client_id, count in world.sql("SELECT client_order_id, count(*) c FROM orders GROUP BY 1 HAVING c > 1"):
        yield f"the intent {client_id} has {count} orders at the venue"
    ledger = world.venue.paper._exchange.clearing.ledger
    for currency, free, locked in ledger.balances():
        if sum(ledger.accounts(currency), ZERO) != ZERO:
            yield f"the venue's {currency} do not sum to zero"
        if free < ZERO or locked < ZERO:
            yield f"the venue has {free} {currency} free, {locked} locked"
    limit = world.config.paper.orders_per_10s
    for window, count in world.venue.sent.items():
        if count > limit:
            yield f"{count} orders in the ten seconds from {window * 10_000}, {limit} are allowed"
    for pair in world.pairs:
        account = world.venue.paper._position(pair)
        if not world.settings.can_short and account is not None and account < ZERO:
            yield f"{pair} is short"


def _capital(world: World) -> Iterator[str]:
    """Nobody oversells: what the pairs hold by their own word, and what the portfolio has promised besides."""
    trades = [actor.trade for pair in world.pairs if (actor := world.actor(f"pair:{pair}")) is not None]
    if len(trades) < len(world.pairs) or not all(trade.reconciled for trade in trades):
        return
    exposures = [exposure_of(trade) for trade in trades]
    tied = sum((e.stake for e in exposures), ZERO)
    there = world.config.paper.wallet + sum((e.earned + e.realized for e in exposures), ZERO)
    if tied > there:
        yield f"{tied} are tied up, there are {there}"
    slots = world.config.trading.max_open_trades
    used = sum(1 for e in exposures if e.trade_id)
    if 0 <= slots < used:
        yield f"{used} trades are open, {slots} are allowed"
    portfolio = world.actor("portfolio")
    if portfolio is not None and not portfolio._uncounted and portfolio.account.free < ZERO:
        yield f"the portfolio has {portfolio.account.free} free"


def _mailboxes(world: World) -> Iterator[str]:
    for stats in world.runtime.stats().actors:
        if stats.depth > MAILBOX_MAX:
            yield f"{stats.depth} messages wait for {stats.name}"


def unsettled(world: World) -> list[str]:
    """What has not come right yet, each a sentence; empty when nothing is in flight and all books agree."""
    dead = [f"{name} is not there" for name in world.names if world.actor(name) is None]
    return dead or [*_shared(world), *_books(world), *(why for pair in world.pairs for why in _pair(world, pair))]


def _shared(world: World) -> Iterator[str]:
    for name in world.names:
        outbox = world.actor(name)._outbox
        if outbox is not None and len(outbox):
            yield f"{len(outbox)} records of {name} are not on disk"
    portfolio, feed = world.actor("portfolio"), world.actor("feed")
    if portfolio._uncounted:
        yield f"the portfolio has not counted {sorted(portfolio._uncounted)}"
    account = portfolio.account
    if account.reserved:
        yield f"capital is reserved for {sorted(account.reserved)}"
    earned = sum((world.trade(pair).earned for pair in world.pairs), ZERO)
    if account.closed_profit != earned:
        yield f"the portfolio knows of {account.closed_profit} earned, the pairs of {earned}"
    for pair in world.pairs:
        told, known = exposure_of(world.trade(pair)), account.exposures.get(pair)
        if (known or told) != told or (known is None) != (not told.trade_id):
            yield f"the portfolio knows of {known}, {pair} holds {told}"
    yield from _heard(world)
    if feed._next is None or world.runtime.now() - feed._next > 130_000:
        yield f"the feed stands at {feed._next}"


def _heard(world: World) -> Iterator[str]:
    """What protections look back on is what has closed, each trade once, however many were not heard of at first."""
    account = world.actor("portfolio").account
    longest = max((p.lookback_ms for p in account.protections), default=0)
    ends = {
        row["trade_id"]: row["close_ts"] for row in (decoded(r) for r in world.journal.rows if r[7] == "TradeClosed")
    }
    since = max(ends.values(), default=0) - longest
    there = Counter(trade.trade_id for trade in account.closed if trade.close_ts > since)
    wanted = Counter(trade_id for trade_id, ts in ends.items() if longest and ts > since)
    if there != wanted:
        yield f"the portfolio looks back on {sorted(there - wanted)} too many, and misses {sorted(wanted - there)}"
    for pair in world.pairs:
        if world.trade(pair).unheard:
            yield f"{pair} has closed trades that the portfolio has not acknowledged"


def fills_of(world: World) -> list[dict[str, Any]]:
    """Every fill that the journal has."""
    return [decoded(row) for row in world.journal.rows if row[7] == "OrderFilled"]


def settled_capital(world: World) -> list[str]:
    """With nothing held: what there is at the venue is what there was, and what the trades have earned.

    A trade's profit is told to eight digits, so each exit may be half a digit off; the audit computes exactly.
    """
    config = world.config
    balances = {name: free + locked for name, free, locked in world.venue.balances()}
    in_coin = config.paper.fee_coin_wallet - balances.get("FEE", config.paper.fee_coin_wallet)
    there = balances["USDT"] - in_coin * config.paper.fee_coin_price
    earned = sum((world.trade(pair).earned for pair in world.pairs), ZERO)
    account = world.actor("portfolio").account
    found = []
    if abs(there - config.paper.wallet - earned) > Decimal("1e-8") * len(fills_of(world)):
        found.append(f"the venue has {there}, there were {config.paper.wallet} and {earned} was earned")
    if account.free != account.balance or account.balance != config.paper.wallet + earned:
        found.append(f"the portfolio has {account.free} free of {account.balance}")
    return found


def _books(world: World) -> Iterator[str]:
    ours = fills_of(world)
    counted = Counter(fill["fill_id"] for fill in ours)
    for fill_id, count in counted.items():
        if count > 1:
            yield f"the fill {fill_id} was booked {count} times"
    theirs = {row[0]: row[1:] for row in world.sql("SELECT fill_id, client_order_id, price, amount, fee FROM fills")}
    for fill_id in theirs.keys() ^ counted.keys():
        yield f"the fill {fill_id} is known to the {'venue' if fill_id in theirs else 'journal'} only"
    for fill in ours:
        told = theirs.get(fill["fill_id"])
        mine = (fill["client_order_id"], fill["price"], fill["amount"], fill["fee"])
        if told is not None and (
            told[0] != mine[0] or any(Decimal(a) != Decimal(b) for a, b in zip(told[1:], mine[1:], strict=True))
        ):
            yield f"the fill {fill['fill_id']} is {told} there and {mine} here"


def _pair(world: World, pair: str) -> Iterator[str]:
    actor, trade = world.actor(f"pair:{pair}"), world.trade(pair)
    if not trade.reconciled:
        yield f"{pair} is not reconciled"
        return
    waiting = [o for o in trade.orders.values() if o.status in AWAITED]
    if waiting or actor.sending or trade.pending is not None:
        yield f"{pair} waits: {[f'{o.client_order_id} {o.status}' for o in waiting]} {list(actor.sending)} {trade.pending}"
    mine = sorted(o.client_order_id for o in trade.working())
    theirs = sorted(row[0] for row in world.sql(f"SELECT client_order_id FROM orders WHERE pair = '{pair}' AND {OPEN}"))
    if mine != theirs:
        yield f"{pair}: we have {mine} working, the venue {theirs}"
    yield from _position(world, pair)
    yield from _guard(world, pair)
    kept = world.journal.state(actor.name) or {}
    now = to_plain_json(trade_to_plain(trade))
    for name in KEPT:
        if kept and kept.get(name) != now.get(name):
            yield f"{pair}: {name} is kept as {kept.get(name)}, and is {now.get(name)}"


def to_plain_json(value: Any) -> Any:
    """Plain values as they come back from the journal."""
    return orjson.loads(orjson.dumps(value, default=to_plain))


def _position(world: World, pair: str) -> Iterator[str]:
    """What is held is the signed sum of the unique fills, less what was written off as dust."""
    trade = world.trade(pair)
    base = world.markets[pair].base
    total = ZERO
    for side, amount, fee, currency in world.sql(
        "SELECT o.side, f.amount, f.fee, f.fee_currency FROM fills f JOIN orders o ON o.order_id = f.order_id "
        f"WHERE f.pair = '{pair}'"
    ):
        total += Decimal(amount) if side == "buy" else -Decimal(amount)
        total -= Decimal(fee) if currency == base else ZERO
    there = world.venue.paper._position(pair)
    if total != there:
        yield f"{pair}: the fills sum to {total}, the venue holds {there}"
    held = trade.position.amount if trade.side == "long" else -trade.position.amount
    dust, market = abs(total - held), world.markets[pair]
    price = trade.price or Decimal(1)
    bearable = trade.number * max(
        market.amount_step, (market.cost_min or ZERO) / price * Decimal("1.1"), market.amount_min or ZERO
    )
    if dust and (not world.config.paper.fee_in_base or dust > bearable):
        yield f"{pair}: {total} were bought in all, {held} are held"


def _guard(world: World, pair: str) -> Iterator[str]:
    """Whoever holds something hears of prices, and has a stop at the venue where there are such."""
    trade, feed = world.trade(pair), world.actor("feed")
    if trade.position.amount <= ZERO:
        return
    if pair not in feed.prices._watched and pair not in feed.prices._fresh:
        yield f"{pair} holds {trade.position.amount} and does not watch prices"
    if not world.settings.stop_on_venue or trade.leaving is not None or trade.stop_failed:
        return
    stops: list[Order] = trade.working(Purpose.STOP)
    claimed = sum((o.remaining for o in trade.working(Purpose.EXIT)), ZERO)
    amount = world.markets[pair].tradable(trade.position.amount - claimed)
    refusal = world.markets[pair].refusal(amount, trade.stop.level) if trade.stop else "no stop"
    if refusal is None and sum((o.remaining for o in stops), ZERO) != amount and trade.retry_at <= world.runtime.now():
        yield f"{pair} holds {amount}, its stops are for {[o.remaining for o in stops]}"
