"""What each journal entry becomes in the history: rows of tables, as plain values.

Pure: a batch of entries in, rows out. Trades, orders and runs are told by several entries; those of a
batch are folded into one change each, which `writer` merges into the row that is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson

from actors.segment import Row
from engine.naming import account_of

Values = dict[str, Any]
Body = Mapping[str, Any]


DECIMALS: Final = frozenset(
    [
        *("open_rate", "close_rate", "amount", "stake", "leverage", "fee_open", "fee_close", "realized", "profit_abs"),
        *("profit_ratio", "max_rate", "min_rate", "initial_stop", "stop", "funding_fees", "price", "trigger_price"),
        *("filled", "cost", "fee", "free", "tied", "total", "received", "rate", "wallet", "bid", "ask"),
    ]
)
"""The columns of exact decimals, of whatever table."""


@dataclass(slots=True)
class Changes:
    """What a batch of entries does to the history. `added` are rows by table, the others changes by key."""

    added: dict[str, list[Values]] = field(default_factory=dict)
    trades: dict[str, Values] = field(default_factory=dict)
    orders: dict[str, Values] = field(default_factory=dict)
    runs: dict[int, Values] = field(default_factory=dict)

    def add(self, table: str, row: Row, **values: Any) -> None:
        """Put in a row of its own, with where and when it comes from; `account`, where it is not its writer's."""
        origin = {"seq": row[0], "ts": row[1], "run": row[5], "account": account_of(row[2])}
        self.added.setdefault(table, []).append(origin | values)


def changes_of(rows: Iterable[Row]) -> Changes:
    """Fold a batch of entries, in order."""
    changes = Changes()
    for row in rows:
        fold(changes, row, orjson.loads(row[8]))
    return changes


def fold(changes: Changes, row: Row, body: Body) -> None:
    """Fold one entry in, whose content is `body`."""
    handler = HANDLERS.get(row[7])
    if handler is None:
        own = {"account": body["account"]} if "account" in body else {}
        changes.add("events", row, writer=row[2], stream=row[6], kind=row[7], body=row[8], **own)
    else:
        handler(changes, row, body)


def _text(value: Any) -> str | None:
    """Lists and dicts as JSON, everything else as it is written."""
    if value is None:
        return None
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else str(value)


# ---------------------------------------------------------------- trades


def _trade(changes: Changes, row: Row, body: Body, **values: Any) -> None:
    new = {"trade_id": body["trade_id"], "pair": body["pair"], "run": row[5], "account": account_of(row[2])}
    change = changes.trades.setdefault(body["trade_id"], new)
    change.update({name: value for name, value in values.items() if value is not None}, seq=row[0])


def _decide(changes: Changes, row: Row, body: Body, **values: Any) -> None:
    changes.add("decisions", row, pair=body["pair"], trade_id=body.get("trade_id"), **values)


def _trade_opened(changes: Changes, row: Row, body: Body) -> None:
    names = ("side", "leverage", "enter_tag", "open_rate", "amount", "stake", "stop")
    values = {name: body.get(name) for name in names}
    _trade(changes, row, body, open_time=row[1], initial_stop=body.get("stop"), **values)
    _decide(
        changes,
        row,
        body,
        signal="change",
        outcome="opened",
        price=body.get("open_rate"),
        tag=body.get("enter_tag"),
    )


def _trade_changed(changes: Changes, row: Row, body: Body) -> None:
    values = {name: body.get(name) for name in ("amount", "stake", "open_rate", "realized")}
    _trade(changes, row, body, **values)
    detail = f"amount {body.get('amount')}, realized {body.get('realized')}"
    _decide(changes, row, body, signal="change", outcome="changed", price=body.get("open_rate"), detail=detail)


CLOSED: Final[Mapping[str, str]] = {
    "open_time": "open_ts",
    "close_time": "close_ts",
    **{
        name: name
        for name in (
            *("side", "open_rate", "close_rate", "amount", "stake", "leverage", "fee_open", "fee_close", "profit_abs"),
            *("profit_ratio", "exit_reason", "enter_tag", "max_rate", "min_rate", "initial_stop", "stop"),
            "funding_fees",
        )
    },
}
"""What a trade's end says: the column of `trades`, and the field that it comes from. Its fees come as JSON."""

CLOSING: Final[Mapping[str, str]] = {"code": "exit_reason", "price": "close_rate", "tag": "enter_tag"}
"""Likewise of `decisions`."""


def _trade_closed(changes: Changes, row: Row, body: Body) -> None:
    values = {column: body.get(field) for column, field in CLOSED.items()}
    values["close_time"] = body.get("close_ts", row[1])
    _trade(changes, row, body, fees=_text(body.get("fees")), **values)
    decided = {column: body.get(field) for column, field in CLOSING.items()}
    _decide(changes, row, body, **closing(body.get("profit_abs")), **decided)


def closing(profit: Any) -> dict[str, str]:
    """What `decisions` says of every trade's end."""
    return {"signal": "change", "outcome": "closed", "detail": f"profit {profit}"}


def _stop_moved(changes: Changes, row: Row, body: Body) -> None:
    _trade(changes, row, body, stop=body.get("stop"))
    detail = f"at rate {body.get('rate')}"
    _decide(
        changes, row, body, signal="stop", outcome="moved", code=body.get("why"), price=body.get("stop"), detail=detail
    )


def _signal_decided(changes: Changes, row: Row, body: Body) -> None:
    names = ("signal", "outcome", "code", "detail", "price", "tag")
    _decide(changes, row, body, candle_time=body.get("candle_ts"), **{name: body.get(name) for name in names})


# ---------------------------------------------------------------- orders


def _order(changes: Changes, row: Row, body: Body, **values: Any) -> Values:
    key = body["client_order_id"]
    new = {"client_order_id": key, "pair": body["pair"], "run": row[5], "account": account_of(row[2])}
    change = changes.orders.setdefault(key, {**new, "filled": Decimal(0), "cost": Decimal(0)})
    values["trade_id"] = body.get("trade_id")
    change.update({name: value for name, value in values.items() if value is not None}, seq=row[0])
    return change


INTENDED = [
    "purpose",
    "side",
    "type",
    "amount",
    "price",
    "trigger_price",
    "time_in_force",
    "reduce_only",
    "leverage",
    "tag",
    "replaces",
    "priced",
    "bid",
    "ask",
    "quoted_at",
]


def _order_intended(changes: Changes, row: Row, body: Body) -> None:
    values = {name: body.get(name) for name in INTENDED}
    _order(changes, row, body, status="PENDING_NEW", intended_at=row[1], **values)


def _order_accepted(changes: Changes, row: Row, body: Body) -> None:
    _order(changes, row, body, status="NEW", accepted_at=row[1], order_id=body.get("order_id"))


def _order_rejected(changes: Changes, row: Row, body: Body) -> None:
    reason = ": ".join(str(part) for part in (body.get("code"), body.get("reason")) if part)
    _order(changes, row, body, status="REJECTED", ended_at=row[1], reason=reason)
    _decide(changes, row, body, signal="change", outcome="rejected", code=body.get("code"), detail=body.get("reason"))


def _order_in_doubt(changes: Changes, row: Row, body: Body) -> None:
    _order(changes, row, body, status="IN_DOUBT", reason=body.get("reason"))


def _order_amended(changes: Changes, row: Row, body: Body) -> None:
    """The order is from now on for another amount, at another trigger; that it became so is an event."""
    trigger = body.get("trigger_price")
    change = _order(changes, row, body, amount=body.get("amount"), price=trigger, trigger_price=trigger)
    change.setdefault("last_fill", None)  # for less than it was: it may have filled already
    changes.add("events", row, writer=row[2], stream=row[6], kind=row[7], body=row[8])


def _order_canceled(changes: Changes, row: Row, body: Body) -> None:
    status = "EXPIRED" if body.get("expired") else "CANCELED"
    _order(changes, row, body, status=status, ended_at=row[1], reason=body.get("reason"))


def _order_filled(changes: Changes, row: Row, body: Body) -> None:
    change = _order(changes, row, body, order_id=body.get("order_id"), last_fill=row[1])
    change["filled"] += Decimal(body["amount"])
    change["cost"] += Decimal(body["amount"]) * Decimal(body["price"])
    if change.get("status") in {None, "PENDING_NEW", "NEW", "IN_DOUBT"}:
        change["status"] = "PARTIALLY_FILLED"
    names = [
        "pair",
        "trade_id",
        "client_order_id",
        "order_id",
        "fill_id",
        "price",
        "amount",
        "fee",
        "fee_currency",
        "maker",
    ]
    values = {name: body.get(name) for name in names}
    values["fee"] = body.get("fee") or "0"
    changes.add("fills", row, **values)


def _funding_paid(changes: Changes, row: Row, body: Body) -> None:
    names = ["pair", "trade_id", "payment_id", "paid_at", "received", "currency", "rate", "price", "amount", "late"]
    changes.add("funding", row, **{name: body.get(name) for name in names})


# ---------------------------------------------------------------- operations


def _plain(table: str, *names: str, **renamed: str) -> Callable[[Changes, Row, Body], None]:
    """A handler that copies fields; `renamed` are columns of another name than the field."""
    sources = {name: name for name in names} | renamed

    def handle(changes: Changes, row: Row, body: Body) -> None:
        values = {column: body.get(source) for column, source in sources.items()}
        if "account" in body:
            values["account"] = body["account"]  # it was told to one that all accounts share
        changes.add(table, row, **{c: _text(v) if isinstance(v, dict | list) else v for c, v in values.items()})

    return handle


def _actor_restarted(changes: Changes, row: Row, body: Body) -> None:
    values = {name: body.get(name) for name in ("name", "epoch", "reason", "trace")}
    changes.add("restarts", row, account=account_of(str(body.get("name"))), **values)


def _worker_replaced(changes: Changes, row: Row, body: Body) -> None:
    pair = body.get("pair")
    reason = f"{body.get('reason')} ({pair})" if pair else body.get("reason")
    changes.add("restarts", row, name=f"worker of {body.get('judge')}", reason=reason)


def _journal_damaged(changes: Changes, row: Row, body: Body) -> None:
    detail = f"{body.get('what')} Kept as {body.get('kept_as') or 'nothing'}."
    changes.add("alerts", row, kind="JournalDamaged", severity="alarm", detail=detail, count=1)


def _run_started(changes: Changes, row: Row, body: Body) -> None:
    names = ("config_sha", "strategy", "fills", "mode", "version")
    run = int(body.get("run") or row[5])
    change = changes.runs.setdefault(run, {"run": run})
    change.update({name: _text(body.get(name)) for name in names}, started=row[1])


def _run_ended(changes: Changes, row: Row, body: Body) -> None:
    run = int(body.get("run") or row[5])
    changes.runs.setdefault(run, {"run": run}).update(ended=row[1], status=_text(body.get("status")))


def _candles(changes: Changes, row: Row, body: Body) -> None:
    for pair, *figures in body.get("candles", ()):
        values = dict(zip(("open", "high", "low", "close", "volume"), figures, strict=True))
        origin = {"seq": row[0], "ts": body["ts"], "account": account_of(row[2])}
        candle = {**origin, "pair": pair, "timeframe_ms": body["timeframe_ms"], **values}
        changes.added.setdefault("candles", []).append(candle)


HANDLERS: Mapping[str, Callable[[Changes, Row, Body], None]] = {
    "SignalDecided": _signal_decided,
    "OrderIntended": _order_intended,
    "OrderAccepted": _order_accepted,
    "OrderRejected": _order_rejected,
    "OrderInDoubt": _order_in_doubt,
    "OrderAmended": _order_amended,
    "OrderCanceled": _order_canceled,
    "OrderFilled": _order_filled,
    "FundingPaid": _funding_paid,
    "TradeOpened": _trade_opened,
    "TradeChanged": _trade_changed,
    "TradeClosed": _trade_closed,
    "StopMoved": _stop_moved,
    "Equity": _plain("equity", "free", "tied", "total", "open_trades", "balances"),
    "RequestSent": _plain("requests", "request", "pair", "client_order_id", "waited_ms", "outcome", "took_ms"),
    "ActorRestarted": _actor_restarted,
    "WorkerReplaced": _worker_replaced,
    "RoundGranted": _plain("rounds", "present", "granted", "denied", "late", "took_ms", round_time="ts"),
    "Judged": _plain("judgements", "judged", "with_signal", "failed", "took_ms", candle_time="ts"),
    "DataAlert": _plain("alerts", "kind", "pair", "detail", "count"),
    "Notified": _plain("alerts", "severity", kind="event", detail="text"),
    "NoticeDelivered": _plain(
        "notices", "target", "event", "severity", "text", "outcome", "reason", "attempts", "waited_ms"
    ),
    "JournalDamaged": _journal_damaged,
    "RunStarted": _run_started,
    "RunEnded": _run_ended,
    "CandlesJudged": _candles,
}
"""By an entry's kind; a kind that is not here goes into the table `events` as it is."""
