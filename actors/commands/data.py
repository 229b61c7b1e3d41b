"""`data`: lists, checks, converts and repairs files of candles."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actors.commands.common import print_json, print_table, time_text
from actors.commands.parsing import FAILED, OK
from engine.candles import timeframe_ms
from engine.errors import TradepitError

if TYPE_CHECKING:
    from actors.batch.data_jobs import Checked, Outcome, Wish

T = TypeVar("T")

SHOWN: Final = 10
"""So many findings of a file are printed; --json has them all."""


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 where a file could not be used."""
    jobs: dict[str, Callable[[Wish, bool], int]] = {
        "list": _list,
        "check": _check,
        "convert": _convert,
        "repair": _repair,
    }
    return jobs[arguments.action](_wish(arguments), arguments.json)


def _wish(arguments: argparse.Namespace) -> Wish:
    from actors.batch.data_jobs import Wish

    for timeframe in (arguments.timeframe, arguments.longer):
        if timeframe:
            try:
                timeframe_ms(timeframe)
            except ValueError as error:
                raise TradepitError(f"{error}.") from None
    if arguments.action == "convert" and not arguments.to:
        raise TradepitError("Say where the converted candles go: --to DIR.")
    if arguments.longer and arguments.action != "convert":
        raise TradepitError("--resample belongs to `tradepit data convert`.")
    return Wish(
        folder=Path(arguments.folder),
        pairs=arguments.pairs or (),
        timeframe=arguments.timeframe or "",
        to=Path(arguments.to) if arguments.to else None,
        exchange=arguments.exchange or "",
        longer=arguments.longer or "",
        overwrite=arguments.overwrite,
    )


def _list(wish: Wish, as_json: bool) -> int:
    from actors.batch.data_jobs import Outcome, files_of, listed

    files = files_of(wish)
    found = [about for about in map(listed, _progress(files, len(files), "reading")) if about is not None]
    rows: list[dict[str, Any]] = [
        {
            "exchange": held.exchange,
            "kind": held.kind,
            "pair": held.pair,
            "timeframe": held.timeframe,
            "format": held.format,
            "rows": held.rows,
            "missing": _missing(held.timeframe, held.rows, held.first, held.last)
            if held.kind != "funding_rate"
            else None,
            "from": time_text(held.first),
            "to": time_text(held.last),
            "path": str(held.path),
        }
        for held in found
        if not isinstance(held, Outcome)
    ]
    failed = [held for held in found if isinstance(held, Outcome)]
    if as_json:
        print_json({"files": rows, "unread": [outcome.why for outcome in failed]})
    else:
        if rows:
            columns = [name for name in rows[0] if name != "path"]
            print_table(columns, [[row[name] for name in columns] for row in rows])
        for outcome in failed:
            print(outcome.why, file=sys.stderr)
        if len(found) < len(files):
            print(f"{len(files) - len(found)} of {len(files)} files have no row, and are left out.", file=sys.stderr)
    return FAILED if failed else OK


def _missing(timeframe: str, rows: int, first: int, last: int) -> int:
    return max(0, (last - first) // timeframe_ms(timeframe) + 1 - rows) if timeframe else 0


def _check(wish: Wish, as_json: bool) -> int:
    from actors.batch.data_jobs import check, files_of

    files = files_of(wish)
    checked = list(map(check, _progress(files, len(files), "checking")))
    if as_json:
        print_json([_as_plain(one) for one in checked])
    else:
        for one in checked:
            _print_checked(one)
        bad = sum(not one.usable for one in checked)
        wrong = f"{bad} cannot be used as they are; see `tradepit data repair`" if bad else "all can be used"
        print(f"{len(checked)} file{'' if len(checked) == 1 else 's'}: {wrong}")
    return OK if all(one.usable for one in checked) else FAILED


def _as_plain(one: Checked) -> dict[str, Any]:
    findings = [
        {"fault": f.fault.value, "place": place, "row": f.row + 1, "time": time_text(f.ts), "count": f.count,
         "usable": f.usable, "detail": f.detail}
        for f, place in one.findings
    ]  # fmt: skip
    return {
        "path": str(one.file.path),
        "pair": one.file.pair,
        "timeframe": one.file.timeframe,
        "kind": one.file.kind,
        "usable": one.usable,
        "unread": one.unread or None,
        "findings": findings,
    }


def _print_checked(one: Checked) -> None:
    if one.unread:
        print(one.unread)
    ordered = sorted(one.findings, key=lambda found: found[0].usable)  # what cannot be used comes first
    for finding, place in ordered[:SHOWN]:
        said = "" if finding.usable else "cannot be used: "
        print(f"{one.file.path}, {place}, {time_text(finding.ts)}: {said}{finding.fault.value}: {finding.detail}")
    if len(ordered) > SHOWN:
        print(f"{one.file.path}: {len(ordered) - SHOWN} more; --json has them all")


def _convert(wish: Wish, as_json: bool) -> int:
    from actors.batch.data_jobs import convert, files_of

    return _tell(_progress(convert(wish), len(files_of(wish)), "converting"), as_json)


def _repair(wish: Wish, as_json: bool) -> int:
    from actors.batch.data_jobs import files_of, repair

    return _tell(_progress(repair(wish), len(files_of(wish)), "repairing"), as_json)


def _tell(outcomes: Iterable[Outcome], as_json: bool) -> int:
    done: list[Outcome] = []
    try:
        for outcome in outcomes:
            done.append(outcome)  # noqa: PERF402  (what is done before Ctrl-C has to be in the list)
    finally:  # Ctrl-C, too, tells what is done: it need not be done again
        if as_json:
            print_json([_outcome_plain(one) for one in done])
        else:
            for one in done:
                _print_outcome(one)
            words = sorted({one.what for one in done})
            print(", ".join(f"{sum(one.what == word for one in done)} {word}" for word in words) or "nothing was done")
    return FAILED if any(one.failed for one in done) else OK


def _outcome_plain(one: Outcome) -> dict[str, Any]:
    return {
        "path": str(one.file.path),
        "pair": one.file.pair,
        "kind": one.file.kind,
        "what": one.what,
        "why": one.why or None,
        "rows": one.rows,
        "written": str(one.written) if one.written else None,
    }


def _print_outcome(one: Outcome) -> None:
    if one.failed:
        print(one.why, file=sys.stderr)
    elif one.what not in {"unchanged", "whole"}:
        where = f" → {one.written}" if one.written and one.written != one.file.path else ""
        rows = f", {one.rows} rows" if one.rows else ""
        print(f"{one.file.path}: {one.what}{where}{rows}{f' ({one.why})' if one.why else ''}")


def _progress(items: Iterable[T], total: int, word: str) -> Iterator[T]:
    """The items, with a bar on standard error while they come, where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, word, total=total, console=Console(stderr=True), transient=True)
