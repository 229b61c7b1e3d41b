"""`new-strategy`: writes a working, commented strategy; what is there already is never overwritten."""

from __future__ import annotations

import argparse
from pathlib import Path

from actors.commands.parsing import OK


def run(arguments: argparse.Namespace) -> int:
    """Write the file and say how to try it."""
    from actors.judging.template import write_strategy

    file = write_strategy(arguments.name, Path(arguments.dir))
    print(f"{file} is written, and works as it is. Try it:")
    print(f"  tradepit check --strategy {file}")
    print(f"  tradepit backtest --strategy {file} --data DIR   (DIR: a folder of candles, see docs/data.md)")
    print(f"  tradepit run --strategy {file}")
    return OK
