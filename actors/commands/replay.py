"""`replay`: stored candles through the same actors on virtual time."""

from __future__ import annotations

import argparse
import sys

from actors.logs import set_up_logs
from engine.settings import RuntimeConfig


def run(arguments: argparse.Namespace) -> int:
    """Replay and write the trades; warnings go to standard error."""
    from actors.batch.replay import replay

    set_up_logs(RuntimeConfig(log_level="WARNING"), stream=sys.stderr)
    return int(replay(arguments))
