"""The monitor: gathers what the screen and the log line show, by asking; nobody waits for it.

It asks when it is asked to (`RefreshFigures`), so a bot that nobody looks at pays nothing for it. What
it knows is handed out as one immutable `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from actors.base import Context, EngineActor
from actors.screen import DecisionRow, Snapshot, TradeRow
from engine.messages import ControlAnswered, Message, Plain, ReportStatus

OPEN_MAX = 200
"""Open trades that are asked for their figures at one look."""


@dataclass(frozen=True, slots=True)
class RefreshFigures(Message):
    """system → monitor: ask everybody for their figures."""


class MonitorActor(EngineActor):
    """`publish` gets each new snapshot; it must only keep it."""

    def __init__(
        self, ctx: Context, *, strategy: str, currency: str, start: float, publish: Callable[[Snapshot], None]
    ) -> None:
        super().__init__(ctx)
        self._strategy = strategy
        self._currency = currency
        self._start = start
        self._publish = publish
        self._asked = 0
        self._portfolio: Mapping[str, Any] = {}
        self._persistence: Mapping[str, Any] = {}
        self._root: Mapping[str, Any] = {}
        self._trades: dict[str, Mapping[str, Any]] = {}

    def on_refresh_figures(self, message: RefreshFigures) -> None:
        """Ask; the answers of the time before are shown meanwhile."""
        del message
        self._asked += 1
        for name in ("portfolio", "persistence", "root"):
            self.tell(name, ReportStatus(request_id=str(self._asked), reply_to=self.name))
        for pair in list(self._portfolio.get("pairs", ()))[:OPEN_MAX]:
            self.tell(f"pair:{pair}", ReportStatus(request_id=str(self._asked), reply_to=self.name))
        self._publish(self._snapshot())

    def on_control_answered(self, message: ControlAnswered) -> None:
        """Figures of one actor."""
        figures: Mapping[str, Plain] = message.data
        name = str(figures.get("actor", ""))
        if name == "portfolio":
            self._portfolio = figures
            held = set(figures["pairs"])
            self._trades = {pair: row for pair, row in self._trades.items() if pair in held}
        elif name == "persistence":
            self._persistence = figures
        elif name == "root":
            self._root = figures
        elif name.startswith("pair:"):
            self._trades[name.removeprefix("pair:")] = figures
        self._publish(self._snapshot())

    def _snapshot(self) -> Snapshot:
        account, journal, stats = self._portfolio, self._persistence, self.ctx.stats()
        counts: Mapping[str, int] = journal.get("kinds", {})
        deepest = max(stats.actors, key=lambda a: a.depth, default=None)
        held = int(account.get("open_trades", 0))
        return Snapshot(
            at=self.monotonic(),
            ts=self.now(),
            strategy=self._strategy,
            state=str(account.get("state", "STARTING")),
            reason="; ".join(account.get("reasons", ())),
            currency=self._currency,
            pair_states={"open": held, "flat": int(account.get("all_pairs", held)) - held},
            total=float(account.get("balance", self._start)),
            free=float(account.get("free", 0)),
            tied=float(account.get("tied", 0)),
            start=float(account.get("start", self._start)),
            closed_profit=float(account.get("profit", 0)),
            closed_trades=counts.get("TradeClosed", 0),
            slots=int(account.get("slots", -1)),
            open_trades=tuple(_row(figures) for figures in self._trades.values() if "open_rate" in figures),
            messages=sum(a.handled for a in stats.actors),
            orders=counts.get("OrderIntended", 0),
            candles=int(journal.get("judged", 0)),
            mailbox_depth=sum(a.depth for a in stats.actors),
            deepest=deepest.name if deepest is not None and deepest.depth else "",
            restarts=sum(self._root.get("restarts", {}).values()),
            dead_letters=stats.dead_letters,
            decisions=tuple(DecisionRow(**row) for row in journal.get("decisions", ())),
            notices=tuple(journal.get("notices", ())),
        )


def _row(figures: Mapping[str, Any]) -> TradeRow:
    price, stop = float(figures["price"]), float(figures["stop"] or 0)
    return TradeRow(
        pair=str(figures["pair"]),
        side=str(figures["side"]),
        state=str(figures["state"]),
        opened_ts=int(figures["opened_at"]),
        open_rate=float(figures["open_rate"]),
        price=price,
        profit_ratio=float(figures["profit_ratio"]),
        profit_abs=float(figures["profit_abs"]),
        stop=stop,
        stop_distance=(price - stop) / price if price else 0.0,
        tag=str(figures.get("tag", "")),
    )
