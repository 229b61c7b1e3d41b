"""A small world for the trade machine: a venue with its own truth, and a post between the two that may fail.

The machine's actions go out when `send` says so, and may be lost on the way there or back; what the venue
says waits in `mail` until it is delivered, in any order, once or twice. `quiet` ends all faults and lets
everything arrive. What must hold is checked after every step, against the venue's books.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from engine import messages as m
from engine.actions import Alarm, Amend, Cancel, Emit, Judge, LookUp, Place, SetTimer
from engine.depth import ENDLESS, Depth
from engine.guarding import STOPS_MOST
from engine.keeping import trade_from_plain, trade_to_plain
from engine.market import Market
from engine.matching import Accepted, Exchange
from engine.matching import Rules as VenueRules
from engine.order import Fill, Order
from engine.ranges import Range
from engine.settings import Settings
from engine.trade import state_of, step
from engine.types import ZERO, OrderStatus, Purpose, Side, TradeState
from engine.work import PlaceAborted, Rules, Trade, exposure_of

PAIR: Final = "BTC/USDT"
START: Final = 1_767_225_600_000
CANDLE: Final = 300_000
D = Decimal
MARKET: Final = Market(
    pair=PAIR, base="BTC", quote="USDT", price_step=D("0.01"), amount_step=D("0.001"), leverage_max=D(20)
)
GONE: Final = (OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


@dataclass(slots=True)
class World:
    """The machine, the venue, and what is between them."""

    settings: Settings
    depth: Depth | None
    now: int = START
    price: Decimal = D(100)
    run: int = 1
    trade: Trade = field(init=False)
    exchange: Exchange = field(init=False)
    at_venue: dict[str, Order] = field(default_factory=dict)
    sending: list[Place | Cancel | Amend] = field(default_factory=list)
    delayed: list[Order] = field(default_factory=list)
    delayed_amends: list[Order] = field(default_factory=list)
    amended: int = 0
    mail: list[m.Message] = field(default_factory=list)
    asked: list[m.Message] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    looking: bool = False
    records: list[tuple[dict[str, Any], dict[str, Fill], dict[str, str], int]] = field(default_factory=list)
    intended: set[str] = field(default_factory=set)
    owner: dict[str, str] = field(default_factory=dict)
    closed: list[m.TradeClosed] = field(default_factory=list)
    booked: dict[str, Fill] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    told: m.ExposureChanged | None = None
    tail_lost: bool = False

    def __post_init__(self) -> None:
        self.trade = Trade(pair=PAIR, rules=self._rules(), state=TradeState.FLAT, reconciled=True, price=self.price)
        self._record()
        self.exchange = Exchange({PAIR: MARKET}, VenueRules(depth=self.depth))
        self.exchange.clearing.ledger.deposit("USDT", D(10_000_000))

    def _rules(self) -> Rules:
        return Rules(
            settings=self.settings,
            market=MARKET,
            order_prefix=f"tpABCDEFr{self.run}p0000beef",
            run=self.run,
            fee=D("0.001"),
        )

    # ------------------------------------------------------------ the machine's side

    def step(self, event: m.Message) -> None:
        """One event to the machine; its actions are taken in hand."""
        self._hear(event)
        before = trade_to_plain(self.trade)
        outcome = step(self.trade, event, self.now)
        assert before == trade_to_plain(self.trade)
        self.trade = outcome.trade
        assert state_of(self.trade) is self.trade.state
        for action in outcome.actions:
            self._do(action)
        if any(isinstance(a, Emit | Place | Cancel) for a in outcome.actions):
            self._record()
        if self.trade.reconciled and self.told is not None:
            assert self.told.stake == exposure_of(self.trade).stake, "what is tied up changed, and nobody was told"
        for action in outcome.actions:
            if isinstance(action, Judge):
                t = self.trade
                self.step(m.SignalJudged(pair=PAIR, ts=t.signal_ts, signal=t.signal, price=t.price))

    def _record(self) -> None:
        plain = json.loads(json.dumps(trade_to_plain(self.trade)))
        self.records.append((plain, dict(self.booked), dict(self.owner), len(self.closed)))

    def _hear(self, event: m.Message) -> None:
        heard: tuple[Fill, ...] = ()
        if isinstance(event, m.OrderFilled):
            heard = (event.fill,)
        elif isinstance(event, m.VenueSnapshot):
            heard = tuple(filled.fill for filled in event.fills)
        for fill in heard:
            self.booked[fill.fill_id] = fill

    def _do(self, action: Any) -> None:
        if isinstance(action, Emit):
            if action.kind == "OrderIntended":
                self.intended.add(action.body["client_order_id"])
            elif action.kind == "OrderFilled":
                assert action.body["fill_id"] not in self.owner, "a fill was booked twice"
                self.owner[action.body["fill_id"]] = action.body["trade_id"]
        elif isinstance(action, Place):
            assert action.order.client_order_id in self.intended, "an order without its intent"
            assert action.order.client_order_id not in self.at_venue, "an intent was sent twice"
            self.sending.append(action)
        elif isinstance(action, Cancel):
            self._cancel(action)
        elif isinstance(action, Amend):
            self.sending.append(action)
        elif isinstance(action, SetTimer):
            self.timers[action.name] = self.now + action.delay_ms
        elif isinstance(action, LookUp):
            self.looking = True
        elif isinstance(action, m.ReserveCapital | m.AskStrategy | m.AskQuote):
            self.asked.append(action)
        elif isinstance(action, m.ExposureChanged):
            self.told = action
        elif isinstance(action, m.TradeClosed):
            if action not in self.closed:  # a new incarnation tells its last one again
                self.closed.append(action)
        elif isinstance(action, Alarm):
            self.alarms.append(action.event)

    def _cancel(self, action: Cancel) -> None:
        amends = [
            a for a in self.sending if isinstance(a, Amend) and a.order.client_order_id == action.order.client_order_id
        ]
        for unwanted in amends:
            self.sending.remove(unwanted)
        for waiting in self.sending:
            if isinstance(waiting, Place) and waiting.order.client_order_id == action.order.client_order_id:
                self.sending.remove(waiting)
                aborted = PlaceAborted(pair=PAIR, client_order_id=action.order.client_order_id, code="UNFILLED")
                self.mail.append(aborted)
                return
        self.sending.append(action)

    def crash(self, *, new_run: bool, lost: int = 0) -> None:
        """The actor is gone with its mailbox, and what was recorded and not sent; another one begins.

        `lost` of the newest records are gone too: a torn tail, or an old copy put back.
        """
        self.run += new_run
        self.tail_lost |= lost > 0
        del self.records[max(len(self.records) - lost, 1) :]
        plain, booked, owner, closed = self.records[-1]
        self.booked, self.owner = dict(booked), dict(owner)
        del self.closed[closed:]
        self.trade = trade_from_plain(PAIR, self._rules(), plain)
        self.mail, self.asked, self.timers, self.sending = [], [], {}, []
        self.told = None
        self.looking = True

    # ------------------------------------------------------------ the venue's side

    def send(self, index: int, fate: str) -> None:
        """One request leaves: it arrives, or it is lost on the way there, or its answer is, or it is late."""
        action = self.sending.pop(index % len(self.sending))
        order = action.order
        known = self.trade.orders.get(order.client_order_id)
        if isinstance(action, Amend) and (known is None or known.amending != order.amending):
            return  # as the pair's actor does: it is not wanted any more, or is being asked about
        earlier = [a for a in self.sending if a.order.client_order_id == order.client_order_id]
        assert not earlier or isinstance(earlier[0], Cancel | Amend)
        doubt = m.OrderInDoubt(pair=PAIR, client_order_id=order.client_order_id, reason=fate, ts=self.now)
        if isinstance(action, Place) and order.replaces and fate != "arrives":
            other = m.OrderInDoubt(pair=PAIR, client_order_id=order.replaces, reason=fate, ts=self.now)
            self.mail.append(other)
        if fate == "lost":
            self.mail.append(doubt)
        elif fate == "late" and isinstance(action, Amend):
            self.delayed_amends.append(order)
            self.mail.append(doubt)
        elif isinstance(action, Amend):
            self._amend_there(order, doubt if fate == "answer lost" else None)
        elif fate == "late" and isinstance(action, Place):
            self.delayed.append(order)
            self.mail.append(doubt)
        elif isinstance(action, Place):
            self._submit(order, doubt if fate == "answer lost" else None)
        else:
            self._cancel_there(order.client_order_id, doubt if fate == "answer lost" else None)

    def _submit(self, order: Order, doubt: m.Message | None) -> None:
        client_id = order.client_order_id
        outcome = self.exchange.submit(order, self.now, self.price)
        self._note()
        if isinstance(outcome, Accepted):
            accepted = m.OrderAccepted(pair=PAIR, client_order_id=client_id, order_id=outcome.order_id, ts=self.now)
            self.mail += [doubt or accepted, *outcome.events]
            return
        if order.purpose is not Purpose.ENTRY:
            # Beside a stop that has filled unheard, an exit may be for more than is left; it only reduces.
            less = self.settings.stop_beside and "is beyond the position" in outcome.reason
            known = less or outcome.code in ("WOULD_TRIGGER", "NOT_ATTEMPTED")
            assert known, f"the venue refused what leaves or guards: {outcome.reason}"
        if doubt is None:
            self.mail += outcome.events
        refused = m.OrderRejected(
            pair=PAIR, client_order_id=client_id, code=outcome.code, reason=outcome.reason, ts=self.now
        )
        self.mail.append(doubt or refused)

    def _amend_there(self, order: Order, doubt: m.Message | None) -> None:
        target, client_id = order.amending, order.client_order_id
        assert target is not None
        refused = self.exchange.amend(order, self.price)
        self._note()
        if doubt is not None:
            self.mail.append(doubt)
        elif refused is None:
            self.amended += 1
            self.mail.append(
                m.OrderAmended(
                    pair=PAIR,
                    client_order_id=client_id,
                    amount=target.amount,
                    trigger_price=target.trigger_price,
                    ts=self.now,
                )
            )
        else:
            assert refused.code in ("WOULD_TRIGGER", "NOT_FOUND"), refused.reason
            self.mail.append(
                m.AmendRejected(
                    pair=PAIR, client_order_id=client_id, code=refused.code, reason=refused.reason, ts=self.now
                )
            )

    def _cancel_there(self, client_id: str, doubt: m.Message | None) -> None:
        done = self.exchange.cancel(client_id, self.now)
        self._note()
        if doubt is not None:
            self.mail.append(doubt)  # the stream may tell it, or not
        elif done:
            self.mail += done
        else:
            self.mail.append(m.CancelRejected(pair=PAIR, client_order_id=client_id, reason="?", ts=self.now))

    def arrive_late(self, index: int) -> None:
        """A request that was thought lost reaches the venue after all."""
        if not self.delayed:
            order = self.delayed_amends.pop(index % len(self.delayed_amends))
            self.exchange.amend(order, self.price)
            self._note()
            return
        order = self.delayed.pop(index % len(self.delayed))
        outcome = self.exchange.submit(order, self.now, self.price)
        self._note()
        self.mail += outcome.events

    def move(self, price: Decimal, volume: Decimal | None) -> None:
        """The price moves; the venue fills what it fills, and the machine is shown it."""
        low, high = min(self.price, price), max(self.price, price)
        seen = Range(PAIR, self.now, low, high, open=self.price, close=price, volume=volume, tolerant=True)
        self.mail += self.exchange.match(seen)
        self._note()
        self.price = price
        if self.trade.position.amount:
            self.step(m.MarketRange(pair=PAIR, ts=self.now, open=price, high=price, low=price, close=price))

    def cancel_by_user(self, index: int) -> None:
        """Somebody ends one of our orders at the venue."""
        orders = self.exchange.orders(PAIR)
        if orders:
            self.mail += self.exchange.cancel(orders[index % len(orders)].order.client_order_id, self.now)
            self._note()

    def _note(self) -> None:
        for kept in self.exchange.changed.values():
            self.at_venue[kept.order.client_order_id] = kept.order
        self.exchange.changed.clear()

    def snapshot(self, *, hidden: int = 0) -> m.VenueSnapshot:
        """What is true there. `hidden` of the newest fills are counted in the orders, and not listed yet.

        Nothing is hidden once a tail was lost: both at once is more than anybody can make good.
        """
        hidden = 0 if self.tail_lost else hidden
        waiting = {a.order.client_order_id for a in self.sending if isinstance(a, Place)}
        asked = [c for c, o in self.trade.orders.items() if not o.is_done and c not in waiting]
        fills = self.exchange.fills[: len(self.exchange.fills) - hidden]
        of_fills = {filled.fill.client_order_id for filled in fills}
        orders = [o for c, o in self.at_venue.items() if c in asked or c in of_fills or not o.is_done]
        late = {o.client_order_id for o in (*self.delayed, *self.delayed_amends)}
        return m.VenueSnapshot(
            request_id="1",
            pair=PAIR,
            ts=self.now,
            orders=tuple(_told(o) for o in orders),
            fills=tuple(fills),
            unknown=tuple(c for c in asked if c not in self.at_venue),
            final=not late.intersection(asked),
        )

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Everything that is true after any step, whatever has gone wrong."""
        trade = self.trade
        assert "left_too_much" not in self.alarms
        held = ZERO
        for fill_id in self.owner:  # one of an order that the journal has lost is heard, and booked when it is known
            fill = self.booked[fill_id]
            purpose = self.purpose(fill.client_order_id)
            held += fill.amount if purpose is Purpose.ENTRY else -fill.amount
        assert held == trade.position.amount, "the position is not the sum of the fills that were heard of"
        for order in trade.orders.values():
            known = self.booked.values() if trade.reconciled else [self.booked[fill_id] for fill_id in self.owner]
            of_order = [f for f in known if f.client_order_id == order.client_order_id]
            assert order.filled == sum((f.amount for f in of_order), ZERO) <= order.most
        leaving = [o.order for o in self.exchange.orders(PAIR) if o.order.purpose is not Purpose.ENTRY]
        if self.settings.stop_beside:
            assert all(order.reduce_only for order in leaving), "something beside a stop would do more than reduce"
        else:
            assert sum((o.remaining for o in leaving), ZERO) <= self.venue_position(), "more would be sold than is held"
        for done in self.closed:
            self._check_profit(done)
        assert trade.earned == sum((t.profit_abs for t in self.closed), ZERO)

    def purpose(self, client_order_id: str) -> Purpose:
        """What an order of ours was for."""
        return self.at_venue[client_order_id].purpose

    def venue_position(self) -> Decimal:
        """What the venue holds for us, as an amount."""
        clearing = self.exchange.clearing
        held = clearing.positions.get(PAIR)
        spot = clearing.ledger.free("BTC") + clearing.ledger.locked("BTC")
        return spot if held is None else held.amount

    def _check_profit(self, done: m.TradeClosed) -> None:
        bought = sold = fees = ZERO
        exits = set()
        for fill in self.booked.values():
            if self.owner.get(fill.fill_id) == done.trade_id:
                fees += fill.fee
                if self.purpose(fill.client_order_id) is Purpose.ENTRY:
                    bought += fill.amount * fill.price
                else:
                    sold += fill.amount * fill.price
                    exits.add(fill.client_order_id)
        gain = sold - bought if done.side is Side.LONG else bought - sold
        assert abs(gain - fees - done.profit_abs) <= D("1e-8") * (len(exits) + 1)

    def quiet(self) -> None:
        """No more faults: everything arrives, and all comes to rest."""
        for _ in range(400):
            if self.delayed or self.delayed_amends:
                self.arrive_late(0)
            elif self.sending:
                self.send(0, "arrives")
            elif self.mail:
                self.step(self.mail.pop(0))
            elif self.asked:
                self.answer(None)
            elif self.looking or not self.trade.reconciled:
                self.looking = False
                self.step(self.snapshot())
            elif not self._fire():
                return
        raise AssertionError(f"never at rest: {self.trade.state} {list(self.trade.orders.values())} {self.timers}")

    def answer(self, stake: Decimal | None) -> None:
        """The portfolio's, the strategy's or the feed's answer to the oldest question; `stake` of None is a no."""
        asked = self.asked.pop(0)
        if isinstance(asked, m.AskQuote):
            self._tell_quote(asked, known=stake is not None)
        if isinstance(asked, m.AskStrategy):
            self.step(
                m.StrategyAnswered(request_id=asked.request_id, pair=PAIR, failed="no answer in time", excused=True)
            )
        elif isinstance(asked, m.ReserveCapital):
            if stake is None:
                self.step(m.CapitalDenied(request_id=asked.request_id, pair=PAIR, code="NO_FREE_SLOT"))
            else:
                self.step(
                    m.CapitalReserved(request_id=asked.request_id, pair=PAIR, stake=stake, available=stake, epoch=1)
                )

    def _tell_quote(self, asked: m.AskQuote, *, known: bool) -> None:
        """The book around the price of now, or none in time; told twice, as a late answer after its deadline would be."""
        book = self.depth or ENDLESS
        quote = book.quote(MARKET, self.price, asked.level, ts=self.now, whole=asked.levels > 0) if known else None
        told = m.QuoteTold(request_id=asked.request_id, pair=PAIR, quote=quote, failed="" if quote else "no book")
        self.step(told)
        self.step(told)

    def wait(self, ms: int) -> None:
        """Time passes; timers that are due fire."""
        self.now += ms
        for name in [n for n, due in self.timers.items() if due <= self.now]:
            self.fire(name)

    def fire(self, name: str) -> None:
        """One timer fires, as it does in the pair's actor."""
        del self.timers[name]
        if name == "look_up":
            self.looking = True
        else:
            self.step(m.TimerFired(name=name))

    def _fire(self) -> bool:
        due = {name: at for name, at in self.timers.items() if name != "unfilled"}
        if not due:
            return False
        name = min(due, key=due.__getitem__)
        self.now = max(self.now, due[name])
        self.fire(name)
        return True

    def check_at_rest(self) -> None:
        """What must be true when nothing is under way any more."""
        trade = self.trade
        assert trade.position.amount == self.venue_position(), "the venue holds something else than we believe"
        ours = {o.client_order_id for o in trade.working()}
        there = {kept.order.client_order_id for kept in self.exchange.orders(PAIR)}
        assert ours == there, "an order works there that is not ours, or the other way round"
        assert not any(o.status in (OrderStatus.IN_DOUBT, OrderStatus.PENDING_CANCEL) for o in trade.working())
        for kept in self.exchange.orders(PAIR):
            order = trade.orders[kept.order.client_order_id]
            assert order.amending is None, "an amendment of which nobody knows what became"
            assert (order.amount, order.trigger_price) == (kept.order.amount, kept.order.trigger_price)
        if trade.state is TradeState.OPEN and self.settings.stop_on_venue and self.depth is not None:
            stops = trade.working(Purpose.STOP)
            claimed = sum((o.remaining for o in trade.working(Purpose.EXIT)), ZERO)
            left = trade.position.amount - (ZERO if self.settings.stop_beside else claimed)
            assert sum((o.remaining for o in stops), ZERO) == left, "not guarded at the venue"
            assert 1 <= len(stops) <= STOPS_MOST or not left
        if trade.state is TradeState.EXITING:
            assert trade.working(Purpose.EXIT), "nothing is done about leaving"
        if trade.state is TradeState.ENTERING:
            assert trade.working(Purpose.ENTRY)


def _told(order: Order) -> m.VenueOrder:
    return m.VenueOrder(
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        status=order.status,
        side=order.side,
        type=order.type,
        amount=order.amount,
        price=order.price,
        trigger_price=order.trigger_price,
        filled=order.filled,
        ts=order.created_at,
        reduce_only=order.reduce_only,
    )
