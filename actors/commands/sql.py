"""`sql`: asks the history; without a query it says where that is and what can be asked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from actors.commands.common import files_of
from actors.commands.parsing import OK
from actors.files import Files, lock_holder
from engine.errors import TradepitError

VIEWS = Path(__file__).resolve().parent.parent / "history" / "views"


def run(arguments: argparse.Namespace) -> int:
    """Ask and print."""
    files = files_of(arguments)
    if arguments.query is None:
        print("\n".join(about(files)))
        return OK
    query = sys.stdin.read() if arguments.query == "-" else str(arguments.query)
    if not query.strip():
        raise TradepitError('The query is empty; write one, such as "from closed_trades limit 5".')
    from actors.history.sql import format_rows, run_query

    columns, rows = run_query(files.db, query)
    style = "json" if arguments.json else "csv" if arguments.csv else "table"
    print(format_rows(columns, rows, style))
    return OK


def about(files: Files) -> list[str]:
    """Where the history is, whether a bot writes it, and the views with an example of each."""
    holder = lock_holder(files.lock)
    lines = [f"history  {files.db.absolute()}{'' if files.db.exists() else ' (not there yet)'}"]
    lines.append(f"bot      {'none runs on it' if holder is None else f'runs on it (pid {holder})'}")
    lines += ["tables   trades orders fills decisions equity requests restarts candles runs", ""]
    for file in sorted(VIEWS.glob("*.sql")):
        what, example = view_words(file)
        lines += [file.stem, f"    {what}", f"    {example}"]
    return lines


def view_words(file: Path) -> tuple[str, str]:
    """What a view shows and an example, from the comments it begins with."""
    comments = [line[2:].strip() for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("--")]
    example = next((c.removeprefix("Example:").strip() for c in comments if c.startswith("Example:")), "")
    return " ".join(c for c in comments if not c.startswith("Example:")), example
