"""A run as the rows that the history would make of its events, table by table, in Parquet.

What an event becomes is said in `actors.history.rows`, for the bot's journal and for these alike. Rows are kept
as Arrow's columns, made a writer at a time: a year of a hundred pairs would not fit as Python's.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from operator import attrgetter
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from actors.batch.outcome import Outcome
from actors.history.rows import CLOSED, CLOSING, DECIMALS, HANDLERS, Changes, Values, closing, fold
from engine.codec import to_plain
from engine.columns import Ints
from engine.messages import TradeClosed
from engine.types import Millis

HOUR_MS: Final = 3_600_000
SEQS: Final = 1 << 40
"""Entries that a run may have: run -2's are numbered from -2 << 40 on."""
PLACES: Final = 18
LAST_PLACE: Final = Decimal(1).scaleb(-PLACES)
MONEY: Final = pa.decimal128(38, PLACES)

Event = tuple[Millis, str, str, Mapping[str, Any]]
"""ts, stream, kind, body; decimals and enumerations in the body may be as they are."""
Parts = Iterator[tuple[str, pa.Table]]


def tables_of(outcome: Outcome, number: int) -> dict[str, bytes]:
    """The Parquet file of each table that stored run `number` has rows of.

    They are the run's domain events, numbered by their time, each writer's in their order, and its equity hour by
    hour. Where no events were kept, its closed trades stand for them.
    """
    events, hours = outcome.result.events, list(_hours(outcome))
    tables: dict[str, list[pa.Table]] = {}
    for table, part in _told(events, hours, number) if events else _closed(outcome.result.trades, hours, number):
        tables.setdefault(table, []).append(part)
    return {table: _parquet(pa.concat_tables(parts, promote_options="default")) for table, parts in tables.items()}


def _hours(outcome: Outcome) -> Iterator[Event]:
    ts, total = outcome.equity.ts, outcome.equity.total
    if not len(ts):
        return
    lasts = np.append(np.flatnonzero(np.diff(ts // HOUR_MS)), len(ts) - 1)
    for at, value in zip(ts[lasts].tolist(), total[lasts].tolist(), strict=True):
        yield at, "ops", "Equity", {"total": f"{value:.12f}"}


def _numbered(times: Sequence[Iterable[Millis]], number: int) -> Iterator[list[int]]:
    """The numbers of everybody's entries: by time, of one time in the order given."""
    own = [np.fromiter(some, np.int64) for some in times]
    order = np.argsort(np.concatenate(own), kind="stable")
    seqs: Ints = np.empty(len(order), np.int64)
    seqs[order] = np.arange(1, len(order) + 1) - number * SEQS
    ends = np.cumsum([len(some) for some in own])
    return (seqs[end - len(some) : end].tolist() for end, some in zip(ends, own, strict=True))


def _told(events: Mapping[str, Sequence[Any]], hours: Sequence[Event], number: int) -> Parts:
    """What the events become."""
    seqs = _numbered([*((event.ts for event in some) for some in events.values()), (hour[0] for hour in hours)], number)
    for (writer, some), own in zip(events.items(), seqs, strict=False):
        told = ((event.ts, "domain", event.kind, event.body) for event in some)
        yield from _folded(writer, told, own, number)
    yield from _folded("backtest", hours, next(seqs), number)


def _closed(trades: Sequence[TradeClosed], hours: Sequence[Event], number: int) -> Parts:
    """What the ends of these trades become, column by column."""
    ordered = sorted(trades, key=lambda trade: trade.close_ts)
    own, of_hours = _numbered([(trade.close_ts for trade in ordered), (hour[0] for hour in hours)], number)

    if ordered:
        fields = dict.fromkeys(["pair", "trade_id", "fees", *CLOSED.values(), *CLOSING.values()])
        column = dict(zip(fields, map(list, zip(*map(attrgetter(*fields), ordered), strict=True)), strict=True))
        ids = [_id(trade_id, number) for trade_id in column["trade_id"]]
        same = {"seq": own, "run": [-number] * len(own), "pair": column["pair"], "trade_id": ids}
        fees = [orjson.dumps(to_plain(paid)).decode() for paid in column["fees"]]
        yield "trades", _table({**same, "fees": fees, **{name: column[field] for name, field in CLOSED.items()}})
        (said,) = _by_fields([closing(profit) for profit in column["profit_abs"]])
        decided = {name: column[field] for name, field in CLOSING.items()}
        yield "decisions", _table({**same, "ts": column["close_ts"], **said, **decided})
    yield from _folded("backtest", hours, of_hours, number)


def _folded(writer: str, events: Iterable[Event], seqs: Sequence[int], number: int) -> Parts:
    """One writer's events as rows, with ids that only this run has."""
    changes = Changes()
    for seq, (ts, stream, kind, body) in zip(seqs, events, strict=True):
        text = "" if kind in HANDLERS else orjson.dumps(to_plain(body)).decode()
        fold(changes, (seq, ts, writer, 0, 0, -number, stream, kind, text, b""), body)
    tables = {"trades": list(changes.trades.values()), "orders": list(changes.orders.values()), **changes.added}
    for table, rows in tables.items():
        for row in rows:
            for name in ("trade_id", "client_order_id"):
                if row.get(name):
                    row[name] = _id(row[name], number)
        for columns in _by_fields(rows):
            yield table, _table(columns)


def _id(name: str, number: int) -> str:
    return f"backtest{number}:{name}"


def _by_fields(rows: Sequence[Values]) -> Iterator[dict[str, Sequence[Any]]]:
    """The columns of the rows that have the same fields, and of the next such: what a row lacks is null in the end."""
    alike: dict[tuple[str, ...], list[Values]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    for names, some in alike.items():
        yield dict(zip(names, zip(*map(dict.values, some), strict=True), strict=True))


def _table(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    return pa.table({name: _column(name, values) for name, values in columns.items()})


def _column(name: str, values: Sequence[Any]) -> Any:
    """A column of plain values. SQL would take forty times as long as Arrow to read its decimals."""
    if name not in DECIMALS:
        return pa.array(values)
    texts = [None if value is None else str(value) for value in values]
    if max(map(len, filter(None, texts)), default=0) > PLACES + 2:  # a digit, a point, and the places
        texts = [text and _to_places(text) for text in texts]
    return pa.array(texts, pa.string()).cast(MONEY)


def _to_places(text: str) -> str:
    """A decimal with 18 places at most, rounded as SQL's cast does it."""
    number = Decimal(text)
    return text if number == (rounded := number.quantize(LAST_PLACE, ROUND_HALF_UP)) else format(rounded, "f")


def _parquet(table: pa.Table) -> bytes:
    written = io.BytesIO()
    pq.write_table(table.sort_by("seq"), written, compression="zstd", compression_level=1)
    return written.getvalue()
