"""A run as one HTML file that needs no network: equity, price with trades, months, returns, and all tables.

The page is `pages/report.html`; here its data are made. Long series are thinned so that the page stays
quick, and the page says how: of the balance the lowest and highest of each stretch are kept, candles are
put together to longer ones with their true highs and lows. Trades are all there, to the digit.
"""

from __future__ import annotations

import base64
import html
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from actors.batch.exporting import write_whole
from actors.batch.outcome import Outcome
from actors.batch.tables import Table, day_text, figure_text, tables_of
from engine.candles import Candles, Floats, timeframe_ms, timeframe_text
from engine.columns import Ints, TradeColumns
from engine.equity import Equity
from engine.errors import DataError
from engine.groups import periods
from engine.types import Millis

PAGE: Final = Path(__file__).with_name("pages") / "report.html"
POINTS: Final = 4_000
"""Points of the balance's curve."""
CANDLES_ALL: Final = 60_000
CANDLES_MOST: Final = 3_000
CANDLES_LEAST: Final = 300
"""Candles of all charts, of one at most, of one at least."""
CROWD: Final = 150
SHOWN: Final = 80
"""Of more than `CROWD` trades of a pair, the last so many are shown at first."""
BARS: Final = 60
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

CARDS: Final = (
    *(("profit_total", "Total profit", "ratio"), ("cagr", "CAGR", "ratio")),
    *(("max_drawdown_account", "Max drawdown", "ratio"), ("sharpe", "Sharpe", "number")),
    *(("sortino", "Sortino", "number"), ("profit_factor", "Profit factor", "number")),
    *(("calmar", "Calmar", "number"), ("winrate", "Win rate", "ratio")),
    *(("total_trades", "Trades", "count"), ("market_change", "Market change", "ratio")),
)


def write_report(file: Path, outcomes: Sequence[Outcome], breakdown: Sequence[str] = ()) -> None:
    """Write the report of a run, or of one under several fill models.

    Raises:
        DataError: the charts' library is not installed, or the file cannot be written.
    """
    plotly = charts_library()
    first = outcomes[0]
    summary = first.summary
    span = f"{day_text(summary.start_ts)} to {day_text(summary.end_ts)}"
    pairs = f"{len(first.candles)} pair{'' if len(first.candles) == 1 else 's'}"
    fills = " and ".join(outcome.fills for outcome in outcomes)
    parts = {
        "title": f"{first.strategy}, {span}",
        "heading": first.strategy,
        "about": f"{span} · {first.timeframe} candles of {pairs} · {fills} fills · from "
        + f"{summary.starting_balance:,.8f}".rstrip("0").rstrip(".")
        + f" {first.currency}",
        "footer": f"Made by tradepit on {day_text(int(time.time() * 1_000))}. Times are UTC.",
        "equity_note": _equity_note(first.equity),
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace("{{" + name + "}}", html.escape(text))
    blocks = {
        "cards": _cards(outcomes),
        "months": "".join(_months(outcome, len(outcomes) > 1) for outcome in outcomes),
        "tables": _tables(tables_of(outcomes, breakdown)),
        "data": orjson.dumps(_data(outcomes)).decode().replace("</", "<\\/"),
        "plotly": plotly,
    }
    for name, block in blocks.items():
        page = page.replace("{{" + name + "}}", block, 1)
    write_whole(file, page.encode())


def charts_library() -> str:
    """The source of the charts' library.

    Raises:
        DataError: it is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise DataError("A report needs plotly for its charts: pip install 'tradepit[report]'.") from None
    return str(get_plotlyjs()).replace("</script", "<\\/script")


# ---------------------------------------------------------------- thinning


def extremes(values: Floats, most: int) -> Ints:
    """The places of at most about `most` values that keep the curve's shape: each stretch's lowest and highest."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most // 2 + 1).astype(np.int64)
    kept = {0, len(values) - 1}
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        kept.add(begin + int(np.argmin(values[begin:end])))
        kept.add(begin + int(np.argmax(values[begin:end])))
    return np.array(sorted(kept))


def joined(candles: Candles, most: int) -> tuple[Candles, int]:
    """At most about `most` candles with the highs and lows of all, and how many of the given make one of them."""
    every = -(-len(candles) // most) if len(candles) else 1
    if every == 1:
        return candles, 1
    begins = np.arange(0, len(candles), every)
    lasts = np.append(begins[1:], len(candles)) - 1
    length = timeframe_ms(candles.timeframe) * every
    whole = Candles(
        pair=candles.pair,
        timeframe=timeframe_text(length),
        ts=candles.ts[begins],
        open=candles.open[begins],
        high=np.maximum.reduceat(candles.high, begins),
        low=np.minimum.reduceat(candles.low, begins),
        close=candles.close[lasts],
        volume=np.add.reduceat(candles.volume, begins),
    )
    return whole, every


def _equity_note(equity: Equity) -> str:
    marked = "The account with open positions at each candle's open."
    if len(equity.ts) <= POINTS:
        return marked
    each = len(equity.ts) // (POINTS // 2)
    return f"{marked} Of each {each} of the {len(equity.ts):,} candles the lowest and the highest balance are drawn."


# ---------------------------------------------------------------- the charts' data


def _packed(values: Any, kind: str = "f8") -> dict[str, str]:
    return {"t": kind, "b": base64.b64encode(np.ascontiguousarray(values, f"<{kind}").tobytes()).decode()}


def _data(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    first = outcomes[0]
    returns = np.concatenate([outcome.trades.profit_ratio for outcome in outcomes])
    low, high = (float(returns.min()), float(returns.max())) if len(returns) else (-0.01, 0.01)
    size = _round_step((high - low) / BARS or 0.001)
    start = float(np.floor(low / size)) * size
    names = sorted(first.candles, key=lambda pair: -int((first.trades.pair.is_any(pair)).sum()))
    stops = {
        (trade.pair, trade.open_ts): (float(trade.initial_stop), float(trade.stop)) for trade in first.result.trades
    }
    most = min(max(CANDLES_ALL // max(len(names), 1), CANDLES_LEAST), CANDLES_MOST)
    return {
        "currency": first.currency,
        "crowd": CROWD,
        "shown": SHOWN,
        "runs": [_run(outcome) for outcome in outcomes],
        "bins": {"start": start, "end": high + size, "size": size},
        "pairs": [_pair(name, first, stops, most) for name in names],
    }


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, … that is not below a step, so that 0 is an edge of the bars."""
    ten = 10.0 ** math.floor(math.log10(step))
    return next(ten * n for n in (1, 2, 5, 10) if ten * n >= step * 0.999)


def _run(outcome: Outcome) -> dict[str, Any]:
    equity = outcome.equity
    falls = equity.total / np.maximum.accumulate(equity.total) - 1 if len(equity.total) else equity.total
    curve, depth = extremes(equity.total, POINTS), extremes(falls, POINTS)
    return {
        "fills": outcome.fills,
        "equity": {"ts": _packed(equity.ts[curve]), "y": _packed(equity.total[curve])},
        "falls": {"ts": _packed(equity.ts[depth]), "y": _packed(falls[depth], "f4")},
        "returns": _packed(outcome.trades.profit_ratio),
    }


def _pair(name: str, outcome: Outcome, stops: Mapping[tuple[str, Millis], Any], most: int) -> dict[str, Any]:
    candles = outcome.candles[name]
    own = outcome.trades[outcome.trades.pair.is_any(name)]
    own_stops = [stops[name, ts] for ts in own.open_ts.tolist()]
    drawn, every = joined(candles, most)
    note = f"{len(own)} trades. Times and prices of trades are exact."
    if len(own) > CROWD:
        note += f" The last {SHOWN} are shown at first; a double click shows all."
    if every > 1:
        note += f" The {len(candles):,} candles are drawn as {len(drawn):,}, each of {every}, with their true highs and lows."
    series = {column: _packed(getattr(drawn, column), "f4") for column in ("open", "high", "low", "close")}
    floats = ("open_ts", "close_ts", "open_rate", "close_rate")
    return {
        "name": name,
        "count": len(own),
        "note": note,
        "candles": {"ts": _packed(drawn.ts), **series},
        "trades": {
            **{column: _packed(getattr(own, column)) for column in floats},
            "stop0": _packed([stop[0] for stop in own_stops]),
            "stop": _packed([stop[1] for stop in own_stops]),
            "ratio": _packed(own.profit_ratio, "f4"),
            "short": _packed(own.is_short, "i1"),
            "tag": _packed(own.enter_tag.codes),
            "reason": _packed(own.exit_reason.codes),
            "tags": own.enter_tag.names,
            "reasons": own.exit_reason.names,
        },
    }


# ---------------------------------------------------------------- the page's parts


def _colour(value: float) -> str:
    return "gain" if value > 0 else "loss" if value < 0 else ""


def _cards(outcomes: Sequence[Outcome]) -> str:
    text = ""
    for name, label, kind in CARDS:
        value, *others = (getattr(outcome.summary, name) for outcome in outcomes)
        signed = name in {"profit_total", "cagr", "market_change"}
        colour = _colour(value) if signed else ""
        rest = "".join(
            f"<i>{figure_text(other, kind, '')} {html.escape(outcome.fills)}</i>"
            for other, outcome in zip(others, outcomes[1:], strict=True)
        )
        text += (
            f'<div class="card"><span>{label}</span><b class="{colour}">{figure_text(value, kind, "")}</b>{rest}</div>'
        )
    return text


def monthly(trades: TradeColumns, balance: float) -> dict[int, dict[int, float]]:
    """By year and month (0 is the year): the closed profit as a ratio of the closed balance at its start."""
    found: dict[int, dict[int, float]] = {}
    for length in ("month", "year"):
        begin = balance
        for period in periods(trades, length):
            at = time.gmtime(period.start_ts / 1_000)
            place = at.tm_mon if length == "month" else 0
            found.setdefault(at.tm_year, {})[place] = period.profit_abs / begin if begin > 0 else 0.0
            begin += period.profit_abs
    return found


def _months(outcome: Outcome, several: bool) -> str:
    years = monthly(outcome.trades, outcome.summary.starting_balance)
    most = max((abs(value) for year in years.values() for month, value in year.items() if month), default=0.0) or 1.0
    rows = ""
    for year, values in sorted(years.items()):
        cells = "".join(_month(values.get(month), most) for month in range(1, 13))
        whole = values.get(0, 0.0)
        rows += f'<tr><td>{year}</td>{cells}<td class="{_colour(whole)}"><b>{whole:.2%}</b></td></tr>'
    head = "".join(f"<th>{name}</th>" for name in ("", *MONTHS, "Year"))
    which = f" ({html.escape(outcome.fills)} fills)" if several else ""
    return (
        f"<section><h2>Months{which}</h2>"
        '<p class="note">Profit of the trades closed in each, as a ratio of the balance at its start.</p>'
        f'<div class="scroll"><table class="months"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _month(value: float | None, most: float) -> str:
    if value is None:
        return "<td></td>"
    strength = round(8 + 42 * abs(value) / most) if value else 0
    colour = "gain" if value > 0 else "loss"
    style = f"background:color-mix(in srgb,var(--{colour}) {strength}%,transparent)"
    return f'<td style="{style}">{value:.2%}</td>'


def _tables(tables: Sequence[Table]) -> str:
    *groups, summary = tables
    sections = (
        _section(table.title, _table(table, 0, len(table.rows)), opened=len(table.rows) <= 40) for table in groups
    )
    # The summary is long and narrow: two halves, cut where a section ends.
    half = min(summary.ends, key=lambda end: abs(end - len(summary.rows) // 2), default=0) + 1
    halves = _table(summary, 0, half) + _table(summary, half, len(summary.rows))
    return "".join(sections) + _section(summary.title, f'<div class="halves">{halves}</div>', opened=True)


def _section(title: str, content: str, *, opened: bool) -> str:
    return (
        f"<section><details{' open' if opened else ''}><summary>{html.escape(title)}</summary>"
        f'<div class="scroll">{content}</div></details></section>'
    )


def _table(table: Table, begin: int, end: int) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = ""
    for number in range(begin, end):
        kinds = " ".join(k for k, of in (("strong", table.strong), ("end", table.ends)) if number in of)
        rows += (
            f'<tr class="{kinds}">' + "".join(f"<td>{html.escape(cell)}</td>" for cell in table.rows[number]) + "</tr>"
        )
    return f'<table class="t{table.texts}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
