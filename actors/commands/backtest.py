"""`backtest`: stored candles by the trade machine alone, as fast as it goes."""

from __future__ import annotations

import argparse
import os
import sys

from engine.settings import RuntimeConfig


def run(arguments: argparse.Namespace) -> int:
    """Run the backtest and tell its outcome; warnings go to standard error."""
    # Threads for matrices, which nobody has here, would cost time at the start, and forking is no good with them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from actors.batch.backtest import backtest

    if arguments.verify:  # it takes the actors, and they log; loading the log costs as much as a small backtest
        from actors.logs import set_up_logs

        set_up_logs(RuntimeConfig(log_level="WARNING"), stream=sys.stderr)
    return int(backtest(arguments))
