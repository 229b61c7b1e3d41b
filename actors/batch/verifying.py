"""`tradepit backtest --verify`: the same tapes through the real actors, and the first event or trade that differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import orjson

from actors.batch.outcome import BacktestResult
from actors.batch.replay import run_replay
from actors.batch.taping import INSTALLATION, Taped
from actors.journal import MemoryJournal
from engine.actions import Emit
from engine.codec import to_plain
from engine.columns import Labels, TradeColumns
from engine.messages import TradeClosed
from engine.settings import Config

Event = tuple[str, int, Any]
"""Kind, time and body, as they come out of a journal."""


def events_of_journal(journal: MemoryJournal) -> dict[str, list[Event]]:
    """The journal's domain events by writer."""
    found: dict[str, list[Event]] = {}
    for _, ts, writer, _, _, _, stream, kind, body, _ in journal.rows:
        if stream == "domain":
            found.setdefault(writer, []).append((kind, ts, json.loads(body)))
    return found


def events_of_run(events: Mapping[str, Sequence[Emit]]) -> dict[str, list[Event]]:
    """A backtest's domain events by writer, in the form of a journal's."""
    return {
        writer: [(event.kind, event.ts, orjson.loads(orjson.dumps(to_plain(event.body)))) for event in own]
        for writer, own in events.items()
    }


def first_difference(config: Config, taped: Taped, events: Mapping[str, Sequence[Emit]]) -> str:
    """Replay `taped` through the actors; the earliest event that differs in a sentence, empty where none does."""
    journal = MemoryJournal(installation=INSTALLATION)
    runtime = run_replay(config, taped, journal, seed=0)
    wish = runtime.exit_request
    if wish is not None and wish.status:
        return f"the replay ended early: {wish.reason}"
    theirs, ours = events_of_journal(journal), events_of_run(events)
    found = [_difference(writer, ours.get(writer, []), theirs.get(writer, [])) for writer in {**ours, **theirs}]
    return min((difference for difference in found if difference is not None), default=(0, ""))[1]


def _difference(writer: str, ours: Sequence[Event], theirs: Sequence[Event]) -> tuple[int, str] | None:
    for number, (mine, other) in enumerate(zip_longest(ours, theirs), 1):
        if mine != other:
            ts = min(event[1] for event in (mine, other) if event is not None)
            return ts, f"event {number} of {writer}:\n  backtest {_text(mine)}\n  replay   {_text(other)}"
    return None


def first_other_trade(told: BacktestResult, machine: BacktestResult) -> str:
    """The first trade, or column of the figures, in which what was told differs from the machine's; empty where none does."""
    for number, (mine, other) in enumerate(zip_longest(told.trades, machine.trades), 1):
        if mine != other:
            pair = next(trade.pair for trade in (mine, other) if trade is not None)
            return f"trade {number}, of {pair}:\n  told    {_trade_text(mine)}\n  replay  {_trade_text(other)}"
    if told.counters != machine.counters:
        return f"what was counted:\n  told    {told.counters}\n  replay  {machine.counters}"
    ours, theirs = told.columns, TradeColumns.of(machine.trades)
    for name in TradeColumns.__slots__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if not (mine.texts() == other.texts() if isinstance(mine, Labels) else np.array_equal(mine, other)):
            return f"the figures' column {name}"
    return ""


def _trade_text(trade: TradeClosed | None) -> str:
    return "has no such trade" if trade is None else orjson.dumps(to_plain(trade), option=orjson.OPT_SORT_KEYS).decode()


def _text(event: Event | None) -> str:
    if event is None:
        return "has no such event"
    kind, ts, body = event
    return f"{kind} at {ts} {orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()}"
