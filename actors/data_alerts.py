"""What is said of faults in market data: gathered, so that a bad hour does not flood the journal or the user."""

from __future__ import annotations

from collections import Counter
from typing import Final

from actors.base import EngineActor
from actors.outbox import Outbox
from engine.messages import Entry
from engine.repair import DataFault
from engine.types import Millis

ALERT_MS: Final = 5_000
ALERTS_MAX: Final = 20
OUTBOX_MAX: Final = 50
EVERYBODY: Final = "*"

TOLD: Final = {
    DataFault.STALE.value: "no candles come",
    DataFault.HEALED.value: "candles come again",
    "halted": "the exchange has halted trading",
    "resumed": "the exchange trades again",
}
"""Kinds that the user is told of as well, pairs gathered in one sentence."""

SEVERE: Final = {"outage", "reachable", "stalled", "delisted"}
"""Kinds whose own words the user is told: one of them concerns everything, or an open trade."""


class DataAlerts:
    """The alerts of one feed: at most `ALERTS_MAX` entries in `ALERT_MS`, the rest of them summed."""

    TIMER = "alerts"

    def __init__(self, actor: EngineActor, outbox: Outbox) -> None:
        self._actor = actor
        self._outbox = outbox
        self._alerts: dict[tuple[str, str], tuple[int, str, Millis]] = {}
        self.counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._alerts)

    def add(self, pair: str, kind: str, detail: str, count: int = 1) -> None:
        """Something was wrong, `count` times."""
        kind = str(kind)  # a name, whatever enumeration it is of: figures go to other processes as JSON
        self.counts[kind] += count
        if not self._alerts:
            self._actor.start_timer(self.TIMER, ALERT_MS)
        earlier = self._alerts.get((pair, kind))
        self._alerts[pair, kind] = (count + (earlier[0] if earlier else 0), detail, self._actor.now())
        if kind in SEVERE:
            self.notify("alarm" if kind == "delisted" else "warning", f"data_{kind}", detail)

    def flush(self) -> None:
        """Record what has gathered."""
        if len(self._outbox) >= OUTBOX_MAX:
            self._actor.start_timer(self.TIMER, ALERT_MS)
            return
        alerts, self._alerts = self._alerts, {}
        # What is said once goes first: a flood of gaps must not hide that a pair has gone stale.
        ordered = sorted(alerts.items(), key=lambda item: item[0][1] not in TOLD and item[0][1] not in SEVERE)
        shown = [(pair, kind, *rest) for (pair, kind), rest in ordered[:ALERTS_MAX]]
        summed: dict[str, tuple[int, int]] = {}
        for (_, kind), (count, _, _) in ordered[ALERTS_MAX:]:
            pairs, total = summed.get(kind, (0, 0))
            summed[kind] = (pairs + 1, total + count)
        now = self._actor.now()
        shown += [(EVERYBODY, k, n, f"on {pairs} more pairs", now) for k, (pairs, n) in summed.items()]
        self._outbox.record([_entry(*alert) for alert in shown])
        for kind, text in TOLD.items():
            pairs_of_kind = [pair for pair, of_kind in alerts if of_kind == kind]
            if pairs_of_kind:
                some = ", ".join(pairs_of_kind[:5]) + (" and others" if len(pairs_of_kind) > 5 else "")
                self.notify("warning", f"data_{kind}", f"{len(pairs_of_kind)} pairs: {text}: {some}.")

    def notify(self, severity: str, event: str, text: str) -> None:
        """Tell the user now."""
        self._actor.notify(severity, event, text)


def _entry(pair: str, kind: str, count: int, detail: str, ts: Millis) -> Entry:
    body = {"pair": pair, "kind": str(kind), "detail": detail, "count": count}
    return Entry(kind="DataAlert", ts=ts, body=body, stream="ops")
