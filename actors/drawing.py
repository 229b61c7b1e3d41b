"""How the live screen looks: a snapshot becomes a `rich` picture that fits the terminal.

    python -P -m actors.drawing      (snapshots come on standard input, a JSON object a line)

Runs in a process of its own until its input ends, and then gives the terminal back.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors.screen import rates_of

WIDE: Final = 100
"""Columns from which the open trades are shown in full."""

RATE_SPAN: Final = 10
"""Pictures that a rate is taken over."""

_STATE_STYLE: Final = {"ACTIVE": "bold green", "EXITS_ONLY": "bold yellow", "STOPPED": "bold red"}
_OUTCOME_STYLE: Final = {"traded": "green", "denied": "yellow", "failed": "red", "ignored": "dim"}

Figures = Mapping[str, Any]


class Picture:
    """Draws snapshots one after another; remembers the last few to make rates of counts."""

    def __init__(self) -> None:
        self._past: deque[Figures] = deque(maxlen=RATE_SPAN)

    def draw(self, now: Figures, width: int, height: int) -> RenderableType:
        """The picture of one snapshot, at most `height` lines."""
        rates = rates_of(now, self._past[0] if self._past else None)
        self._past.append(now)
        accounts = now["accounts"]
        capital = [_account(row) for row in accounts] or [_capital(now)]
        head = [_title(now), *capital, _health(now, rates)]
        room = max(0, height - 13 - len(capital))
        decisions = min(len(now["decisions"]), max(3, room // 3))
        trades = max(1, room - decisions)
        parts: list[RenderableType] = [Panel(Group(*head), title="tradepit", title_align="left")]
        parts.append(_trades(now, trades, width >= WIDE))
        parts.append(_decisions(now["decisions"][:decisions]))
        parts += [Text(line, style="yellow", no_wrap=True, overflow="ellipsis") for line in now["notices"][-2:]]
        parts.append(Text("Ctrl-C ends in order; twice ends at once, and loses nothing either", style="dim"))
        return Group(*parts)


def _title(now: Figures) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(now["state"], _STATE_STYLE.get(now["state"], "bold"))
    if now["reason"]:
        line.append(f" ({now['reason']})", "yellow")
    line.append(f"   {now['strategy']}   {sum(now['pair_states'].values())} pairs   market time {_time(now['ts'])} UTC")
    return line


def _capital(now: Figures) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    change = now["total"] / now["start"] - 1 if now["start"] else 0.0
    line.append(f"total {now['total']:,.2f} {now['currency']} ")
    line.append(f"{change:+.2%}", _sign(change))
    line.append(f"   free {now['free']:,.2f}   in trades {now['tied']:,.2f}   closed {now['closed_trades']} trades ")
    line.append(f"{now['closed_profit']:+,.2f}", _sign(now["closed_profit"]))
    return line


def _account(row: Figures) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{row['name']} ", "bold")
    line.append(row["state"], _STATE_STYLE.get(row["state"], "bold"))
    if row["reason"]:
        line.append(f" ({row['reason']})", "yellow")
    line.append(
        f"   total {row['total']:,.2f} {row['currency']}   free {row['free']:,.2f}   in trades {row['tied']:,.2f}"
    )
    line.append(f"   {row['open']} of {row['pairs']} pairs   closed ")
    line.append(f"{row['profit']:+,.2f}", _sign(row["profit"]))
    return line


def _health(now: Figures, rates: Mapping[str, float]) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{rates['messages']:,.0f} messages/s   {rates['orders']:,.1f} orders/s   ")
    line.append(f"{rates['candles']:,.0f} candles/s   ")
    waiting = f"{now['mailbox_depth']} waiting"
    line.append(waiting + (f" ({now['deepest']})" if now["deepest"] and now["mailbox_depth"] else ""))
    line.append("   ")
    line.append(f"{now['restarts']} restarts", "yellow" if now["restarts"] else "")
    line.append("   ")
    line.append(f"{now['dead_letters']} dead letters", "yellow" if now["dead_letters"] else "")
    states = "  ".join(f"{state} {count}" for state, count in sorted(now["pair_states"].items()))
    line.append(f"   {states}", "dim")
    return line


def _trades(now: Figures, rows: int, wide: bool) -> RenderableType:
    trades = now["open_trades"]
    slots = "" if now["slots"] < 0 else f" of {now['slots']}"
    table = Table(
        title=f"{len(trades)}{slots} open trades", title_justify="left", expand=True, box=None, pad_edge=False
    )
    table.add_column("pair", no_wrap=True)
    table.add_column("side")
    names = ("opened", "open rate", "price") if wide else ("price",)
    for name in (*names, "profit", "", "stop", "to stop"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("why", no_wrap=True, overflow="ellipsis")
    for trade in trades[:rows]:
        style = _sign(trade["profit_ratio"])
        cells: list[RenderableType] = [Text(trade["pair"]), trade["side"]]
        cells += [_time(trade["opened_ts"]), f"{trade['open_rate']:g}"] if wide else []
        cells += [f"{trade['price']:g}", f"[{style}]{trade['profit_ratio']:+.2%}[/]"]
        cells += [f"[{style}]{trade['profit_abs']:+,.2f}[/]", f"{trade['stop']:g}", f"{trade['stop_distance']:.2%}"]
        cells += [Text(trade["tag"])] if wide else []
        table.add_row(*cells)
    more = len(trades) - rows
    return Group(table, Text(f"… and {more} more: tradepit status", style="dim")) if more > 0 else table


def _decisions(rows: Iterable[Figures]) -> RenderableType:
    table = Table(
        title="last decisions", title_justify="left", expand=True, box=None, pad_edge=False, show_header=False
    )
    for ratio in (None, None, None, None, 1):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)
    for row in rows:
        outcome = Text(row["outcome"], _OUTCOME_STYLE.get(row["outcome"], ""))
        why = Text(" ".join(part for part in (row["code"], row["detail"]) if part), "dim")
        table.add_row(_time(row["ts"])[-8:], Text(row["pair"]), row["signal"], outcome, why)
    return table


def _sign(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else "default"


def _time(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1_000, UTC).strftime("%m-%d %H:%M:%S") if ts > 0 else "-"


def main() -> None:
    """Draw what comes on standard input until it ends."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    console = Console()
    picture = Picture()
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        for line in sys.stdin.buffer:
            drawn = picture.draw(orjson.loads(line), console.size.width, console.size.height)
            with contextlib.suppress(BrokenPipeError):
                live.update(drawn, refresh=True)


if __name__ == "__main__":
    main()
