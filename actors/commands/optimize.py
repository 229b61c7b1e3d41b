"""`optimize`: a search for the values with which a strategy would have done best."""

from __future__ import annotations

import argparse
import sys

from actors.logs import set_up_logs
from engine.settings import RuntimeConfig


def run(arguments: argparse.Namespace) -> int:
    """Search, and write what was found where the strategy reads it; warnings go to standard error."""
    from actors.batch.optimising.command import optimize

    set_up_logs(RuntimeConfig(log_level="WARNING"), stream=sys.stderr)
    return int(optimize(arguments))
