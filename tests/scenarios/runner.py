"""Scenarios of the trade machine as tables: what happens to a trade, and what it must do about it.

    == title                      begins a scenario; a sentence says what it proves
    settings name=value …         of `Settings`; `market name=value …` of `Market`; entry_pricing=SIDE[:LEVEL[:BALANCE[:DELTA]]]
    time event | STATE actions    seconds from the start; the state after the event, the actions in order
    # a comment, on its own line or at the end of a row

Left out of the actions are those that say nothing new: exposures, watching, timers, and domain events but
decisions and moved stops. `python -m tests.scenarios.runner FILE…` writes the right sides anew; read what
changed before you believe it. Every row is also checked for purity, and for the state being what the
orders and the position amount to.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine import messages as m
from engine.actions import Alarm, Cancel, Emit, Judge, LookUp, Place
from engine.keeping import trade_from_plain, trade_to_plain
from engine.margin import MarginTier
from engine.market import Market
from engine.order import Fill
from engine.quotes import Quote
from engine.settings import EntryPricingConfig, PricingConfig, Settings
from engine.trade import Step, state_of, step
from engine.types import Side, TradeState, TradingState, use_money_context
from engine.work import PlaceAborted, Rules, Trade, exposure_of

PAIR: Final = "BTC/USDT"
START: Final = 1_767_225_600_000
D = Decimal
WHY: Final = ("NO_QUOTE", "THIN_BOOK")
"""Codes whose detail is shown, too."""


@dataclass(slots=True)
class Scenario:
    """A table: its title, its set-up, and rows of (time in seconds, event, expected right side, comment)."""

    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    market: dict[str, Any] = field(default_factory=dict)
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)


def scenarios(path: Path) -> Iterator[Scenario]:
    """The scenarios of a file."""
    current: Scenario | None = None
    for line in path.read_text(encoding="utf-8").splitlines():
        text, _, comment = line.partition("#")
        if text.startswith("=="):
            if current is not None:
                yield current
            current = Scenario(text[2:].strip())
        elif current is not None and text.startswith(("settings ", "market ")):
            name, _, values = text.partition(" ")
            getattr(current, name).update(dict(_assignment(v) for v in values.split()))
        elif current is not None and text.strip():
            left, _, right = text.partition("|")
            time, _, event = left.strip().partition(" ")
            current.rows.append((time, event.strip(), " ".join(right.split()), comment.strip()))
    if current is not None:
        yield current


def _assignment(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    if name == "callbacks":
        return name, frozenset(value.split(","))
    if name == "roi":
        return name, tuple((int(k), D(v)) for k, v in (part.split(":") for part in value.split(",")))
    if name == "tiers":  # each: notional up to, margin rate, leverage
        rows = [[D(v) for v in tier.split(":")] for tier in value.split(",")]
        lows = [D(0), *(row[0] for row in rows)]
        return name, tuple(
            MarginTier(notional_min=low, notional_max=row[0], rate=row[1], leverage_max=row[2])
            for low, row in zip(lows, rows, strict=False)
        )
    if name in ("entry_pricing", "exit_pricing"):
        return name, _pricing(name, *value.split(":"))
    if value in ("True", "False"):
        return name, value == "True"
    if re.fullmatch(r"-?\d+", value) and name.endswith(("_ms", "_count")):
        return name, int(value)
    return name, D(value) if re.fullmatch(r"-?[\d.]+", value) else value


def _pricing(name: str, side: str, level: str = "", balance: str = "", delta: str = "") -> PricingConfig:
    """A level is one of the order book; none: the best price."""
    common: dict[str, Any] = {"price_side": side, "price_last_balance": D(balance or 0)}
    if level:
        common |= {"use_order_book": True, "order_book_top": int(level)}
    if name == "exit_pricing":
        return PricingConfig(**common)
    return EntryPricingConfig(**common, bids_to_ask_delta=D(delta) if delta else None)


def rules_of(scenario: Scenario, run: int = 1) -> Rules:
    """The machine's rules of a scenario in a run of the bot."""
    settings = Settings(**{"timeframe_ms": 300_000, "roi": ((0, D(10)),), **scenario.settings})
    market: dict[str, Any] = {
        "pair": PAIR,
        "base": "BTC",
        "quote": "USDT",
        "price_step": D("0.01"),
        "amount_step": D("0.001"),
        "leverage_max": D(20),
        **scenario.market,
    }
    return Rules(
        settings=settings, market=Market(**market), order_prefix=f"tpABCDEFr{run}p0000beef", run=run, fee=D("0.001")
    )


class Player:
    """Plays a scenario's events to the machine, one after the other."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.run = 1
        self.trade = Trade(pair=PAIR, rules=rules_of(scenario), state=TradeState.FLAT, reconciled=True)
        self.fills = 0
        self.closed: list[m.TradeClosed] = []
        self.late = D(0)

    def play(self, time: str, event: str) -> str:
        """One row's right side: the state after the event, and the actions."""
        now = START + int(float(time) * 1_000)
        verb, _, rest = event.partition(" ")
        if verb == "restart":
            self._restart(int(rest) if rest else self.run)
            return str(self.trade.state)
        outcome = self.step(self._event(verb, rest.split(), now), now)
        shown = [text for text in map(self._shown, outcome.actions) if text]
        return f"{outcome.trade.state} {'; '.join(shown)}".strip()

    def step(self, event: m.Message, now: int) -> Step:
        """One step, checked for what must hold of every step."""
        before = trade_to_plain(self.trade)
        pending = self.trade.pending and dataclasses.replace(
            self.trade.pending, answers=dict(self.trade.pending.answers)
        )
        outcome = step(self.trade, event, now)
        again = step(self.trade, event, now)
        assert before == trade_to_plain(self.trade), "the trade given was changed"
        assert pending == self.trade.pending, "the evaluation given was changed"
        assert outcome == again, "equal arguments gave different results"
        assert state_of(outcome.trade) is outcome.trade.state
        for action in outcome.actions:
            if isinstance(action, Emit) and action.kind == "FundingPaid" and action.body["late"]:
                self.late += action.body["received"]
            if isinstance(action, m.TradeClosed) and action not in self.closed:
                self.closed.append(action)
        exposures = [a for a in outcome.actions if isinstance(a, m.ExposureChanged)]
        if exposure_of(outcome.trade) != exposure_of(self.trade):
            assert exposure_of(outcome.trade) == exposures[-1], "what is tied up changed, and nobody was told"
        self.trade = outcome.trade
        return outcome

    def _restart(self, run: int) -> None:
        self.run = run
        plain = json.loads(json.dumps(trade_to_plain(self.trade)))
        self.trade = trade_from_plain(PAIR, rules_of(self.scenario, run), plain)

    # ------------------------------------------------------------ from words to events

    def _id(self, word: str) -> str:
        """`i2` is the trade's second intent, `t1i2` that of its first trade, `r1t1i2` in the first run."""
        found = re.fullmatch(r"(?:r(\d+))?(?:t(\d+))?i(\d+)", word)
        if found is None:
            return word
        ending = f"t{found[2] or self.trade.number}i{found[3]}"
        if found[1]:
            return f"tpABCDEFr{found[1]}p0000beef{ending}"
        known = [c for c in self.trade.orders if c.endswith(f"beef{ending}")]
        return known[-1] if known else f"{self.trade.rules.order_prefix}{ending}"

    def _event(self, verb: str, words: list[str], now: int) -> m.Message:
        make = getattr(self, f"_on_{verb.replace('-', '_')}", None)
        if make is None:
            raise ValueError(f"no event is called {verb!r}")
        made = make(words, now)
        assert isinstance(made, m.Message)
        return made

    def _on_signal(self, words: list[str], now: int) -> m.Message:
        flags, _, tag = words[0].partition(":")
        names = [] if flags == "none" else flags.split(",")
        tags = {"exit_tag" if all("exit" in n for n in names) else "enter_tag": tag} if tag else {}
        return m.SignalJudged(
            pair=PAIR,
            ts=now - now % self.trade.rules.settings.timeframe_ms,
            signal=m.Signal(**dict.fromkeys(names, True), **tags),  # type: ignore[arg-type]
            price=D(words[1]),
            last_entry="last" in words,
        )

    def _waiting(self) -> str:
        return self.trade.pending.waiting if self.trade.pending is not None else "nobody"

    def _on_granted(self, words: list[str], now: int) -> m.Message:
        available = D(words[1]) if len(words) > 1 else D(words[0])
        return m.CapitalReserved(request_id=self._waiting(), pair=PAIR, stake=D(words[0]), available=available, epoch=1)

    def _on_granted_late(self, words: list[str], now: int) -> m.Message:
        return m.CapitalReserved(request_id="earlier", pair=PAIR, stake=D(words[0]), available=D(words[0]), epoch=1)

    def _on_denied(self, words: list[str], now: int) -> m.Message:
        return m.CapitalDenied(request_id=self._waiting(), pair=PAIR, code=words[0], detail="")

    def _on_answer(self, words: list[str], now: int) -> m.Message:
        return m.StrategyAnswered(request_id=self._waiting(), pair=PAIR, answer=ast.literal_eval(" ".join(words)))

    def _on_answer_late(self, words: list[str], now: int) -> m.Message:
        return m.StrategyAnswered(request_id="earlier", pair=PAIR, answer=ast.literal_eval(" ".join(words)))

    def _on_no_answer(self, words: list[str], now: int) -> m.Message:
        return m.StrategyAnswered(request_id=self._waiting(), pair=PAIR, failed="no answer in time", excused=True)

    def _on_quote(self, words: list[str], now: int) -> m.Message:
        """`quote 99 101 [last 100] [rests 5 10] [late]`: bid and ask, the last price, what rests on bids and asks."""
        numbers = {name: words[words.index(name) + 1 :] for name in ("last", "rests") if name in words}
        rests = [D(word) for word in numbers.get("rests", ())[:2]]
        quote = Quote(
            ts=now,
            bid=D(words[0]),
            ask=D(words[1]),
            last=D(numbers["last"][0]) if "last" in numbers else None,
            bids=rests[0] if rests else None,
            asks=rests[1] if rests else None,
            source="stream",
        )
        return m.QuoteTold(request_id="earlier" if "late" in words else self._waiting(), pair=PAIR, quote=quote)

    def _on_no_quote(self, words: list[str], now: int) -> m.Message:
        return m.QuoteTold(request_id=self._waiting(), pair=PAIR, failed="no quote came in time")

    def _on_raised(self, words: list[str], now: int) -> m.Message:
        return m.StrategyAnswered(request_id=self._waiting(), pair=PAIR, failed="a bug of the user's")

    def _on_order_filled_raised(self, words: list[str], now: int) -> m.Message:
        told = self.trade.told[0] if self.trade.told else "nobody"
        return m.StrategyAnswered(request_id=told, pair=PAIR, failed="a bug of the user's")

    def _on_strategy_failed(self, words: list[str], now: int) -> m.Message:
        return m.StrategyFailed(pair=PAIR, ts=now, reason="it raised", quarantined="quarantined" in words)

    def _on_price(self, words: list[str], now: int) -> m.Message:
        price = D(words[0])
        return m.MarketRange(pair=PAIR, ts=now, open=price, high=price, low=price, close=price)

    def _on_range(self, words: list[str], now: int) -> m.Message:
        o, h, l, c = map(D, words)  # noqa: E741
        return m.MarketRange(pair=PAIR, ts=now, open=o, high=h, low=l, close=c)

    def _on_review(self, words: list[str], now: int) -> m.Message:
        return m.ReviewOrders(pair=PAIR, ts=now, price=D(words[0]))

    def _on_adjust(self, words: list[str], now: int) -> m.Message:
        price, high, low = map(D, words)
        return m.AdjustPosition(pair=PAIR, ts=now, price=price, high=high, low=low)

    def _on_accepted(self, words: list[str], now: int) -> m.Message:
        return m.OrderAccepted(pair=PAIR, client_order_id=self._id(words[0]), order_id=f"V{words[0]}", ts=now)

    def _on_rejected(self, words: list[str], now: int) -> m.Message:
        return m.OrderRejected(pair=PAIR, client_order_id=self._id(words[0]), code=words[1], reason="no", ts=now)

    def _on_amended(self, words: list[str], now: int) -> m.Message:
        """`amended i2 10 @ 95`."""
        amount, trigger = D(words[1]), D(words[3])
        return m.OrderAmended(
            pair=PAIR, client_order_id=self._id(words[0]), amount=amount, trigger_price=trigger, ts=now
        )

    def _on_amend_rejected(self, words: list[str], now: int) -> m.Message:
        return m.AmendRejected(pair=PAIR, client_order_id=self._id(words[0]), code=words[1], reason="no", ts=now)

    def _on_doubt(self, words: list[str], now: int) -> m.Message:
        return m.OrderInDoubt(pair=PAIR, client_order_id=self._id(words[0]), reason="timeout", ts=now)

    def _fill(self, words: list[str], now: int) -> Fill:
        """`i1 4 @ 100 [fee 0.4 USDT [worth 0.3]] [id f1]`; without a fee it is 0.1 % in USDT."""
        amount, price = D(words[1]), D(words[3])
        fee, currency, cost = amount * price / 1_000, "USDT", None
        if "fee" in words:
            at = words.index("fee")
            fee, currency = D(words[at + 1]), words[at + 2]
            cost = D(words[at + 4]) if words[at + 3 : at + 4] == ["worth"] else None
        named = words[words.index("id") + 1] if "id" in words else ""
        if not named:
            self.fills += 1
            named = f"f{self.fills}"
        return Fill(
            fill_id=named,
            client_order_id=self._id(words[0]),
            ts=now,
            price=price,
            amount=amount,
            fee=fee,
            fee_currency=currency,
            fee_cost=cost,
        )

    def _on_filled(self, words: list[str], now: int) -> m.OrderFilled:
        return m.OrderFilled(pair=PAIR, fill=self._fill(words, now), order_id=f"V{words[0]}")

    def _paid(self, words: list[str], now: int) -> m.FundingPaid:
        """`p1 -0.5 [of 3]`: its id and what was received, at another second than now."""
        return m.FundingPaid(
            pair=PAIR,
            payment_id=words[0],
            ts=START + int(float(words[3]) * 1_000) if "of" in words else now,
            received=D(words[1]),
            currency="USDT",
            rate=D("0.0001"),
            price=D(100),
            amount=D(1),
        )

    def _on_funding(self, words: list[str], now: int) -> m.Message:
        return self._paid(words, now)

    def _on_canceled(self, words: list[str], now: int) -> m.Message:
        filled = D(words[words.index("filled") + 1]) if "filled" in words else D(0)
        return m.OrderCanceled(
            pair=PAIR, client_order_id=self._id(words[0]), filled=filled, ts=now, expired="expired" in words
        )

    def _on_cancel_rejected(self, words: list[str], now: int) -> m.Message:
        return m.CancelRejected(pair=PAIR, client_order_id=self._id(words[0]), reason="not working", ts=now)

    def _on_not_found(self, words: list[str], now: int) -> m.Message:
        return m.OrderNotFound(pair=PAIR, client_order_id=self._id(words[0]), ts=now, final="final" in words)

    def _on_aborted(self, words: list[str], now: int) -> m.Message:
        return PlaceAborted(pair=PAIR, client_order_id=self._id(words[0]), code=words[1])

    def _on_timer(self, words: list[str], now: int) -> m.Message:
        return m.TimerFired(name=words[0])

    def _on_force_enter(self, words: list[str], now: int) -> m.Message:
        return m.ForceEnter(request_id="1", pair=PAIR, side=Side(words[0]), tag="", reply_to="control")

    def _on_trading(self, words: list[str], now: int) -> m.Message:
        return m.TradingStateChanged(state=TradingState(words[0]), reason="a test", ending="ending" in words)

    def _on_force_exit(self, words: list[str], now: int) -> m.Message:
        return m.ForceExit(request_id="1", pair=PAIR, reply_to="control")

    def _on_data_ended(self, words: list[str], now: int) -> m.Message:
        return m.DataEnded(pair=PAIR, ts=now, price=D(words[0]))

    def _on_snapshot(self, words: list[str], now: int) -> m.Message:
        """`snapshot i1=NEW i2=CANCELED/4 t7i1=FILLED/10:buy:limit:10@100 fill(i1 4 @ 100 id f1) paid(p1 -0.5) unknown=i3 [open]`."""
        text = " ".join(words)
        fills = tuple(self._on_filled(found.split(), now) for found in re.findall(r"fill\((.*?)\)", text))
        payments = tuple(self._paid(found.split(), now) for found in re.findall(r"paid\((.*?)\)", text))
        text = re.sub(r"(fill|paid)\(.*?\)", "", text)
        orders, unknown = [], []
        for word in text.split():
            name, _, value = word.partition("=")
            if name == "unknown":
                unknown.append(self._id(value))
            elif value:
                orders.append(self._told(name, value, now))
        return m.VenueSnapshot(
            request_id="1",
            pair=PAIR,
            ts=now,
            orders=tuple(orders),
            fills=fills,
            unknown=tuple(unknown),
            final="open" not in words,
            payments=payments,
        )

    def _told(self, name: str, value: str, now: int) -> m.VenueOrder:
        status, *about = value.split(":")
        status, _, filled = status.partition("/")
        known = self.trade.orders.get(self._id(name))
        if about:
            side, kind, what = about
            amount, _, price = what.partition("@")
        else:
            assert known is not None, f"say what {name} is: {name}={value}:buy:limit:10@100"
            side, kind, amount, price = known.side, known.type, str(known.amount), str(known.price)
        return m.VenueOrder(
            client_order_id=self._id(name),
            order_id=f"V{name}",
            status=status,
            side=side,
            type=kind,
            amount=D(amount),
            price=D(price),
            trigger_price=D(price) if kind == "stop" else None,
            filled=D(filled or 0),
            ts=now,
            reduce_only=kind == "stop",
        )

    # ------------------------------------------------------------ from actions to words

    def _shown(self, action: Any) -> str:
        if isinstance(action, Place):
            o = action.order
            instead = f" instead of {_short(o.replaces)}" if o.replaces else ""
            what = f"{o.purpose} {o.side} {o.type} {o.amount:f} @ {o.price:f} ({o.tag})"
            return f"place {_short(o.client_order_id)} {what}{instead}"
        if isinstance(action, Cancel):
            return f"cancel {_short(action.order.client_order_id)}"
        if isinstance(action, m.ReserveCapital):
            own = f" own {action.stake:f}" if action.stake is not None else ""
            return f"reserve {action.side} @ {action.price:f}{own}{' forced' if action.forced else ''}"
        if isinstance(action, m.AskStrategy):
            return f"ask {action.callback}"
        if isinstance(action, m.AskQuote):
            return f"quote of level {action.level}{f' and {action.levels} levels' if action.levels else ''}"
        if isinstance(action, Alarm):
            return f"alarm {action.event}"
        if isinstance(action, m.TradeClosed):
            return f"closed {action.exit_reason} {action.close_rate:.2f} profit {action.profit_abs.normalize():f}"
        if isinstance(action, Emit):
            return _shown_event(action)
        return {LookUp: "look up", Judge: "judge again", m.PassTurn: "pass"}.get(type(action), "")


def _shown_event(event: Emit) -> str:
    body = event.body
    if event.kind == "SignalDecided":
        why = f" [{body['detail']}]" if body["detail"] and (body["code"] in WHY or body["code"] == "TRADED") else ""
        return f"{body['signal']} {body['outcome']} {body['code']}{why}"
    if event.kind == "FundingPaid":
        return f"funding {body['received']:f}{' late' if body['late'] else ''}"
    return f"stop {body['stop']:f} {body['why']}" if event.kind == "StopMoved" else ""


def _short(client_order_id: str) -> str:
    return client_order_id[client_order_id.rindex("i") :]


def played(scenario: Scenario) -> tuple[list[str], list[str], Player]:
    """(the right sides as written, as played, the player after the last row)."""
    use_money_context()
    player = Player(scenario)
    return [row[2] for row in scenario.rows], [player.play(time, event) for time, event, _, _ in scenario.rows], player


def rewritten(path: Path) -> str:
    """The file's text with the right sides as they are played."""
    answers = iter([right for scenario in scenarios(path) for right in played(scenario)[1]])
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text, hash_, comment = line.partition("#")
        if not text.strip() or text.startswith(("==", "settings ", "market ")):
            lines.append(line)
            continue
        time, _, event = text.partition("|")[0].strip().partition(" ")
        row = f"{time:<6} {event.strip():<40} | {next(answers)}"
        lines.append(f"{row}  # {comment.strip()}" if hash_ else row)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(rewritten(Path(name)), encoding="utf-8")
