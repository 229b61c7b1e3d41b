"""Lanes that nothing connects: a slot and a stake for every pair, and nobody reverses. Each is run by itself."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from engine.counters import Counters
from engine.lanes import Lane
from engine.messages import TradeClosed
from engine.quick import by_machine, renamed
from engine.straight import FORCE_EXIT
from engine.taken import Taken
from engine.types import Millis


def are_apart(lanes: Sequence[Lane], slots: int) -> bool:
    """Whether no lane can be in the way of another."""
    return not 0 <= slots < len(lanes) and not any(lane.reverses for lane in lanes)


def run_apart(lanes: Sequence[Lane], stake: Decimal, end: Millis) -> tuple[Taken, Counters]:
    """All trades of all lanes, and what was counted meanwhile."""
    entries: list[int] = []
    numbers: list[int] = []
    counts: list[int] = []
    closed: dict[int, TradeClosed] = {}
    given_up = refused = 0
    for lane in lanes:
        entry, before, count = 0, len(entries), len(lane.rows)
        while entry < count:
            first, known = entry, lane.known_to(entry)
            odd, after = lane.odd[first:known].tolist(), lane.after[first:known].tolist()
            while entry < known and not odd[entry - first]:
                entries.append(entry)
                entry = after[entry - first]
            if entry < known:
                alone = by_machine(lane, entry, stake, end)
                given_up += alone.counters.timedout_exit_orders
                refused += alone.counters.refused_stakes
                if alone.trades:
                    trade = closed[len(entries)] = renamed(alone.trades[0], lane, len(entries) - before + 1)
                    entries.append(entry)
                    entry = lane.next_entry(int(lane.times.searchsorted(trade.close_ts)))
                else:
                    lost = bool(alone.book[lane.pair].position.amount)  # not even at the data's end it is left
                    entry = count if lost else entry + 1
        counts.append(len(entries) - before)
        given_up += int(lane.given_up[entries[before:]].sum())
        numbers += range(1, counts[-1] + 1)
    lane_of = np.repeat(np.arange(len(lanes)), counts)
    taken = Taken(lanes, lane_of, np.array(entries, np.int64), np.array(numbers, np.int64), [], closed)
    return _in_order(taken), Counters(timedout_exit_orders=given_up, refused_stakes=refused)


def _in_order(taken: Taken) -> Taken:
    """The trades in the order of their ends, as `engine.quick` would: at the data's end last, on a candle the older first."""
    opened, closed = np.zeros(len(taken), np.int64), np.zeros(len(taken), np.int64)
    ends = np.zeros(len(taken), np.bool_)
    for place, lane in enumerate(taken.lanes):
        own = np.flatnonzero(taken.lane == place)
        numbers = taken.entry[own]
        opened[own], closed[own] = lane.times[lane.rows[numbers]], lane.times[lane.exit[numbers]]
        ends[own] = lane.reason[numbers] == FORCE_EXIT
    for place, trade in taken.closed.items():
        closed[place], ends[place] = trade.close_ts, trade.exit_reason == "force_exit"
    closed[ends] = 0
    order = np.lexsort((taken.lane, opened, (opened == closed) & ~ends, closed, ends))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return Taken(
        taken.lanes,
        taken.lane[order],
        taken.entry[order],
        taken.number[order],
        taken.amounts,
        {int(places[place]): trade for place, trade in taken.closed.items()},
    )
