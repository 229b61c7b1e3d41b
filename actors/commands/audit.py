"""`audit`: recomputes everything from the fills and compares; the status says whether all agree."""

from __future__ import annotations

import argparse

from actors.cli import FAILED, OK
from actors.commands.common import files_of, print_json
from engine.errors import StorageError


def run(arguments: argparse.Namespace) -> int:
    """Print each difference, or that there is none."""
    from actors.batch.audit import audit

    files = files_of(arguments)
    if not files.journal.exists() and not files.db.exists() and not files.segments():
        raise StorageError(f"There is nothing to audit: neither {files.db} nor {files.journal} exists.")
    differences = audit(files)
    if arguments.json:
        print_json({"ok": not differences, "differences": [str(d) for d in differences]})
    else:
        for difference in differences:
            print(difference)
        count = len(differences)
        print(f"{count} difference{'s' if count > 1 else ''}." if count else "Everything agrees to the last digit.")
    return FAILED if differences else OK
