"""`backtest`: stored candles by the trade machine alone, as fast as it goes."""

from __future__ import annotations

import argparse
import sys

from actors.logs import set_up_logs
from engine.settings import RuntimeConfig


def run(arguments: argparse.Namespace) -> int:
    """Run the backtest and tell its outcome; warnings go to standard error."""
    from actors.batch.backtest import backtest

    set_up_logs(RuntimeConfig(log_level="WARNING"), stream=sys.stderr)
    return int(backtest(arguments))
