"""`audit`: recomputes everything from the fills and compares; the status says whether all agree."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from actors.commands.common import files_of, print_json
from actors.commands.parsing import FAILED, OK
from actors.config_file import read_config
from engine.config_venue import PAPER
from engine.errors import StorageError


def run(arguments: argparse.Namespace) -> int:
    """Print each difference, or that there is none; notes go to standard error."""
    from actors.batch.audit import examine

    files = files_of(arguments)
    if not files.journal.exists() and not files.db.exists() and not files.segments():
        raise StorageError(f"There is nothing to audit: neither {files.db} nor {files.journal} exists.")
    report = examine(files, _readers(arguments))
    counts = {"entries": report.entries, "trades": report.trades, "orders": report.orders, "fills": report.fills}
    differences = [str(difference) for difference in report.differences]
    if arguments.json:
        print_json({"ok": not differences, "differences": differences, "notes": report.notes, **counts})
        return FAILED if differences else OK
    for note in report.notes:
        print(note, file=sys.stderr)
    for difference in differences:
        print(difference)
    seen = ", ".join(f"{count} {name}" for name, count in counts.items())
    if differences:
        print(f"{len(differences)} difference{'s' if len(differences) > 1 else ''} in {seen}.")
        return FAILED
    print(f"Everything agrees to the last digit: {seen}.")
    return OK


def _readers(arguments: argparse.Namespace) -> dict[str, Callable[[Any], Any]]:
    """Who asks the exchange of an account, where a configuration for a real one is given; the keys are needed for that."""
    path = getattr(arguments, "config", None)
    if not path:
        return {}
    config = read_config(path)
    live = [account for account in config.accounts or (config,) if account.mode != PAPER]
    if not live:
        return {}
    from actors.batch.audit_exchange import exchange_reader

    return {account.account: exchange_reader(account) for account in live}
