"""`strategies DIR`: for each strategy class in a folder: loads, or what it lacks."""

from __future__ import annotations

import argparse
from pathlib import Path

from actors.commands.common import print_json, print_table
from actors.commands.parsing import FAILED, OK


def run(arguments: argparse.Namespace) -> int:
    """Load each file in a process of its own and say what came of it."""
    from actors.judging.survey import rows_of, survey

    folder = Path(arguments.folder)
    found = survey(folder)
    lacking = [row for row in found if row.lacks]
    if arguments.json:
        print_json(rows_of(found))
        return FAILED if lacking else OK
    base = folder.resolve()
    rows = [
        (str(Path(row.file).relative_to(base)), row.name, row.kind, row.timeframe, row.lacks or "loads")
        for row in found
    ]
    print_table(("file", "class", "kind", "timeframe", "outcome"), rows)
    print(f"\n{len(found) - len(lacking)} of {len(found)} load.")
    return FAILED if lacking else OK
