"""What holds for the whole test run."""

from __future__ import annotations

import os
import sys

# Hundreds of processes are started here. Where no bytecode may be kept each compiles everything anew, half of its start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
