"""The monitor: gathers what the screen and the log line show, by asking; nobody waits for it.

It asks when it is asked to (`RefreshFigures`), so a bot that nobody looks at pays nothing for it. What
it knows is handed out as one immutable `Snapshot`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from actors.base import Context, EngineActor
from actors.screen import AccountRow, DecisionRow, Snapshot, TradeRow
from engine.messages import AccountJoined, ControlAnswered, Message, Plain, ReportStatus
from engine.naming import account_of, named, role_of

OPEN_MAX = 200
"""Open trades that are asked for their figures at one look."""


@dataclass(frozen=True, slots=True)
class RefreshFigures(Message):
    """system → monitor: ask everybody for their figures."""


class MonitorActor(EngineActor):
    """`publish` gets each new snapshot; it must only keep it."""

    def __init__(self, ctx: Context, *, accounts: Sequence[AccountJoined], publish: Callable[[Snapshot], None]) -> None:
        super().__init__(ctx)
        self._accounts = {account.account: account for account in accounts}
        self._publish = publish
        self._asked = 0
        self._portfolios: dict[str, Mapping[str, Any]] = {}
        self._persistence: Mapping[str, Any] = {}
        self._root: Mapping[str, Any] = {}
        self._trades: dict[str, Mapping[str, Any]] = {}

    def on_account_joined(self, message: AccountJoined) -> None:
        """One more account to show."""
        self._accounts[message.account] = message

    def on_refresh_figures(self, message: RefreshFigures) -> None:
        """Ask; the answers of the time before are shown meanwhile."""
        del message
        self._asked += 1
        held = [named(f"pair:{pair}", a) for a, figures in self._portfolios.items() for pair in figures["pairs"]]
        portfolios = (named("portfolio", account) for account in self._accounts)
        for name in (*portfolios, "persistence", "root", *held[:OPEN_MAX]):
            self.tell(name, ReportStatus(request_id=str(self._asked), reply_to=self.name))
        self._publish(self._snapshot())

    def on_control_answered(self, message: ControlAnswered) -> None:
        """Figures of one actor."""
        figures: Mapping[str, Plain] = message.data
        name = str(figures.get("actor", ""))
        account = account_of(name)
        if role_of(name) == "portfolio":
            self._portfolios[account] = figures
            held = {named(pair, account) for pair in figures["pairs"]}
            self._trades = {
                pair: row for pair, row in self._trades.items() if account_of(pair) != account or pair in held
            }
        elif name == "persistence":
            self._persistence = figures
        elif name == "root":
            self._root = figures
        elif name.startswith("pair:"):
            self._trades[name.removeprefix("pair:")] = figures
        self._publish(self._snapshot())

    def _snapshot(self) -> Snapshot:
        journal, stats = self._persistence, self.ctx.stats()
        counts: Mapping[str, int] = journal.get("kinds", {})
        deepest = max(stats.actors, key=lambda a: a.depth, default=None)
        rows = tuple(self._account(account) for account in self._accounts.values())
        held, pairs = sum(row.open for row in rows), sum(row.pairs for row in rows)
        return Snapshot(
            at=self.monotonic(),
            ts=self.now(),
            strategy=", ".join(dict.fromkeys(account.strategy for account in self._accounts.values())),
            state=", ".join(dict.fromkeys(row.state for row in rows)) or "STARTING",
            reason="; ".join(dict.fromkeys(row.reason for row in rows if row.reason)),
            currency=", ".join(dict.fromkeys(row.currency for row in rows)),
            pair_states={"open": held, "flat": pairs - held},
            total=sum(row.total for row in rows),
            free=sum(row.free for row in rows),
            tied=sum(row.tied for row in rows),
            start=sum(row.start for row in rows),
            closed_profit=sum(row.profit for row in rows),
            closed_trades=counts.get("TradeClosed", 0),
            slots=sum(row.slots for row in rows) if all(row.slots >= 0 for row in rows) else -1,
            open_trades=tuple(_row(pair, row) for pair, row in self._trades.items() if "open_rate" in row),
            messages=sum(a.handled for a in stats.actors),
            orders=counts.get("OrderIntended", 0),
            candles=int(journal.get("judged", 0)),
            mailbox_depth=sum(a.depth for a in stats.actors),
            deepest=deepest.name if deepest is not None and deepest.depth else "",
            restarts=sum(self._root.get("restarts", {}).values()),
            dead_letters=stats.dead_letters,
            decisions=tuple(DecisionRow(**row) for row in journal.get("decisions", ())),
            notices=tuple(journal.get("notices", ())),
            accounts=tuple(row for row in rows if row.name),
        )

    def _account(self, about: AccountJoined) -> AccountRow:
        figures, start = self._portfolios.get(about.account, {}), float(about.start)
        held = int(figures.get("open_trades", 0))
        return AccountRow(
            name=about.account,
            state=str(figures.get("state", "STARTING")),
            reason="; ".join(figures.get("reasons", ())),
            currency=about.currency,
            total=float(figures.get("balance", start)),
            free=float(figures.get("free", 0)),
            tied=float(figures.get("tied", 0)),
            start=float(figures.get("start", start)),
            profit=float(figures.get("profit", 0)),
            open=held,
            pairs=int(figures.get("all_pairs", held)),
            slots=int(figures.get("slots", -1)),
        )


def _row(pair: str, figures: Mapping[str, Any]) -> TradeRow:
    price, stop = float(figures["price"]), float(figures["stop"] or 0)
    return TradeRow(
        pair=pair,
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
