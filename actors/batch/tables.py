"""A run's figures as tables: drawn on a terminal, plain text elsewhere, one JSON value with `--json`.

Several runs of the same data, one a fill model, stand side by side in the summary.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from actors.batch.outcome import Outcome
from actors.commands.common import print_json
from engine.codec import to_plain
from engine.equity import WalletFigures
from engine.groups import Group, Period, periods
from engine.summary import Summary

FINE_COINS: Final = 8
CASH_DECIMALS: Final = 3
NARROWEST: Final = 92
"""Characters of the widest table: in a narrower terminal its lines wrap, so that no figure is cut off."""
CASH: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI", "EUR", "GBP"})

TITLES: Final = {
    "pairs": ("Pairs", ("pair",)),
    "left_open": ("Left open at the end of the data", ("pair",)),
    "enter_tags": ("Enter tags", ("enter tag",)),
    "exit_reasons": ("Exit reasons", ("exit reason",)),
    "mix": ("Enter tags and exit reasons", ("enter tag", "exit reason")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of texts; the first `texts` columns are words, the others figures.

    `strong` rows stand out, `ends` are the last rows of a section.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1
    strong: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()


# ---------------------------------------------------------------- figures as texts


def money_text(value: float, currency: str) -> str:
    """An amount with the decimals that its coin is counted in."""
    return f"{value:.{CASH_DECIMALS if currency in CASH else FINE_COINS}f}"


def duration_text(seconds: float) -> str:
    """Days, hours and minutes: `1d 10:38`."""
    minutes = round(seconds / 60)
    days, rest = divmod(minutes, 1_440)
    return (f"{days}d " if days else "") + f"{rest // 60}:{rest % 60:02d}"


def day_text(ts: int) -> str:
    """The day of a time."""
    return time.strftime("%Y-%m-%d", time.gmtime(ts / 1_000))


def figure_text(value: Any, kind: str, currency: str) -> str:
    """A figure of a `kind` (`engine.groups.figure`) as it is read."""
    if kind == "ratio":
        return f"{value:.2%}"
    if kind == "money":
        return f"{money_text(value, currency)} {currency}"
    if kind == "duration":
        return duration_text(value)
    if kind == "time":
        return time.strftime("%Y-%m-%d %H:%M", time.gmtime(value / 1_000)) if value else "-"
    if kind in {"count", "text"}:
        return str(value) if value != "" else "-"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


# ---------------------------------------------------------------- tables


def tables_of(outcomes: Sequence[Outcome], breakdown: Sequence[str] = ()) -> list[Table]:
    """All tables of a run, or of one under several fill models; those that would say nothing are left out."""
    found: list[Table] = []
    for outcome in outcomes:
        found += _groups(outcome, f" ({outcome.fills} fills)" if len(outcomes) > 1 else "")
        found += [_periods(outcome, length, len(outcomes) > 1) for length in breakdown]
    return [*found, summary_table(outcomes)]


def _groups(outcome: Outcome, which: str) -> Iterable[Table]:
    groups = outcome.groups()
    tagged = any(group.key[0] for group in groups["enter_tags"])
    for name, (title, keys) in TITLES.items():
        own = groups[name]
        if (name in {"enter_tags", "mix"} and not tagged) or (name == "left_open" and not own):
            continue
        money = f"profit {outcome.currency}"
        columns = (
            *keys,
            "trades",
            "avg profit",
            money,
            "of balance",
            "avg duration",
            "won",
            "even",
            "lost",
            "win rate",
        )
        rows = [_group_row(group, outcome.currency) for group in own]
        strong = frozenset[int]()
        if name == "pairs":
            rows.append(_group_row(_total(outcome), outcome.currency))
            strong = frozenset({len(rows) - 1})
        yield Table(title=title + which, columns=columns, rows=rows, texts=len(keys), strong=strong)


def _total(outcome: Outcome) -> Group:
    own = {f.name for f in fields(Group)} & {f.name for f in fields(Summary)}
    summary = outcome.summary
    shared = {name: getattr(summary, name) for name in own}
    return Group(key=("TOTAL",), trades=summary.total_trades, duration_avg_s=summary.holding_avg_s, **shared)


def _group_row(group: Group, currency: str) -> list[str]:
    return [
        *(key or "-" for key in group.key),
        str(group.trades),
        f"{group.profit_mean:.2%}",
        money_text(group.profit_total_abs, currency),
        f"{group.profit_total:.2%}",
        duration_text(group.duration_avg_s),
        *(str(count) for count in (group.wins, group.draws, group.losses)),
        f"{group.winrate:.1%}".replace("100.0%", "100%"),
    ]


def _periods(outcome: Outcome, length: str, which: bool) -> Table:
    columns = (length, "trades", f"profit {outcome.currency}", "profit factor", "won", "even", "lost")
    return Table(
        title=f"{length.capitalize()}s" + (f" ({outcome.fills} fills)" if which else ""),
        columns=columns,
        rows=[_period_row(period, outcome.currency) for period in periods(outcome.trades, length)],
    )


def _period_row(period: Period, currency: str) -> list[str]:
    counts = (period.wins, period.draws, period.losses)
    money = money_text(period.profit_abs, currency)
    factor = f"{period.profit_factor:.2f}"
    return [day_text(period.start_ts), str(period.trades), money, factor, *(str(count) for count in counts)]


SECTIONS: Final = frozenset(
    [
        *("From", "Starting balance", "Sharpe", "Avg profit of a trade", "Best pair", "Wins", "Avg duration"),
        *("Max consecutive wins", "Min balance", "Rejected signals", "Min balance (marked to market)"),
    ]
)
"""With which figure of the summary a section begins."""


def summary_table(outcomes: Sequence[Outcome]) -> Table:
    """The summary's figures, a column a fill model."""
    columns = ("metric", *(f"{o.fills} fills" if len(outcomes) > 1 else "value" for o in outcomes))
    shorts = any(outcome.summary.trade_count_short for outcome in outcomes)
    rows = []
    for row in zip(*(_summary_rows(outcome) for outcome in outcomes), strict=True):
        label = row[0][0]
        if shorts or not label.startswith(("Long ", "Short ")):
            rows.append([label, *(value for _, value in row)])
    ends = {number - 1 for number, row in enumerate(rows) if row[0] in SECTIONS}
    return Table(title="Summary", columns=columns, rows=rows, ends=frozenset(ends))


def _summary_rows(outcome: Outcome) -> list[tuple[str, str]]:
    summary, currency = outcome.summary, outcome.currency
    slots = outcome.config.trading.max_open_trades
    rows = [("Strategy", outcome.strategy), ("Timeframe", outcome.timeframe)]
    rows += [("Max open trades", "unlimited" if slots < 1 else str(slots))]
    rows += labelled(summary, currency)
    for name, count in to_plain(outcome.result.counters).items():
        rows.append((name.replace("_", " ").replace("timedout", "timed-out").capitalize(), str(count)))
    wallet = summary.wallet or WalletFigures()
    return rows + [(f"{label} (marked to market)", value) for label, value in labelled(wallet, currency)]


def labelled(figures: Summary | WalletFigures, currency: str) -> list[tuple[str, str]]:
    """Each figure's label and text, in the order of its fields."""
    return [
        (f.metadata["label"], figure_text(getattr(figures, f.name), f.metadata["kind"], currency))
        for f in fields(figures)
        if f.metadata
    ]


# ---------------------------------------------------------------- printing


def tell(outcomes: Sequence[Outcome], breakdown: Sequence[str] = (), *, as_json: bool = False) -> None:
    """Print a run's figures, or those of one under several fill models."""
    if as_json:
        first = json_of(outcomes[0], breakdown)
        others = {outcome.fills: json_of(outcome, breakdown) for outcome in outcomes[1:]}
        print_json({**first, "other_fills": others} if others else first)
        return
    for outcome in outcomes:
        if outcome.result.interrupted is not None:
            at = figure_text(outcome.result.interrupted, "time", "")
            print(f"Ended early, at {at} UTC; positions held then are not counted.")
    draw(tables_of(outcomes, breakdown))
    for outcome in outcomes:
        profit = f"{outcome.result.profit:f} {outcome.currency}"
        print(f"{len(outcome.trades)} trades, profit {profit}")


def json_of(outcome: Outcome, breakdown: Sequence[str] = ()) -> dict[str, Any]:
    """A run's figures as one JSON object; profit and final balance are exact."""
    result = outcome.result
    groups = {name: [_plain(group) for group in own] for name, own in outcome.groups().items()}
    return {
        "strategy": outcome.strategy,
        "timeframe": outcome.timeframe,
        "fills": outcome.fills,
        "currency": outcome.currency,
        "trades": len(result.trades),
        "profit": format(result.profit, "f"),
        "final_balance": format(result.final_balance, "f"),
        **to_plain(result.counters),
        "failed": dict(result.failed),
        "left_out": dict(result.left_out),
        "candles": result.candles,
        "seconds": result.seconds,
        "interrupted": result.interrupted,
        "summary": asdict(outcome.summary),
        **groups,
        "periods": {length: [asdict(period) for period in periods(outcome.trades, length)] for length in breakdown},
    }


def _plain(group: Group) -> dict[str, Any]:
    return {**asdict(group), "key": "/".join(group.key)}


def draw(tables: Iterable[Table]) -> None:
    """Print tables: drawn on a terminal, plain where a program reads."""
    if sys.stdout.isatty():
        _draw_rich(tables)
        return
    for table in tables:
        print(f"# {table.title}")
        widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
        for row in (table.columns, *table.rows):
            cells = [
                c.ljust(w) if n < table.texts else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
            ]
            print("  ".join(cells).rstrip())
        print()


def _draw_rich(tables: Iterable[Table]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)
    for table in tables:
        drawn = RichTable(
            title=table.title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            collapse_padding=True,
            pad_edge=False,
            show_edge=False,
        )
        for place, column in enumerate(table.columns):
            header = "\n".join(column.rsplit(" ", 1))
            drawn.add_column(header, justify="left" if place < table.texts else "right", no_wrap=True)
        for number, row in enumerate(table.rows):
            style = "bold" if number in table.strong else None
            drawn.add_row(*row, style=style, end_section=number in table.ends)
        console.print(drawn)
        console.print()
