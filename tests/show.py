"""`python -m tests.show core|backtest|live [NAME] [--quick]`: the long demonstrations, a line each; status 1 when one fails.

They start the bot as a user does, in folders of their own, and believe only what the audit, SQL and the
machine's own figures say. `--quick` shortens them; without a NAME all are shown, in order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.bots import Failed
from tests.showing import collection, core, live

MORE = {"collection": ("strategies", "data"), "fixtures": ("ccxt",)}
SHOWS = {"core": core.SHOWS, "backtest": {"collection": collection.show}, "live": live.SHOWS}


def main() -> int:
    """Show what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.show", description=__doc__)
    parser.add_argument("part", choices=SHOWS, help="which part of the program")
    parser.add_argument("name", nargs="?", help="one demonstration: " + ", ".join(n for s in SHOWS.values() for n in s))
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--keep", action="store_true", help="keep the folders of those that fail")
    parser.add_argument("--strategies", type=Path, metavar="DIR", help="collection: Freqtrade strategies to run")
    parser.add_argument("--ccxt", type=Path, metavar="DIR", help="fixtures: a checkout of ccxt's repository")
    parser.add_argument("--data", type=Path, metavar="DIR", help="collection: candles to run them on")
    given = parser.parse_args()
    shows = SHOWS[given.part]
    if given.name is not None and given.name not in shows:
        parser.error(f"there is no demonstration {given.name}; there are {', '.join(shows)}")
    failed = 0
    for name, show in shows.items():
        if given.name not in (None, name):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"tradepit-{name}-", ignore_cleanup_errors=True) as folder:
            try:
                more = {name: getattr(given, name) for name in MORE.get(name, ())}
                figures, ok = show(Path(folder), quick=given.quick, **more), True
            except Failed as failure:
                figures, ok = str(failure), False
                failed += 1
                if given.keep:
                    figures += f" (kept in {Path(folder).rename(f'{folder}-kept')})"
        print(f"{'ok    ' if ok else 'FAILED'} {name} ({time.monotonic() - began:.0f} s): {figures}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
