"""`python -m tests.bench NAME [options]`: one benchmark; it prints one JSON object."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run the benchmark that is named; without a name, list them."""
    names = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m tests.bench {{{','.join(names)}}} [--help]", file=sys.stderr)
        return 2
    status = importlib.import_module(f"tests.bench.{sys.argv[1]}").main(sys.argv[2:])
    return int(status or 0)


if __name__ == "__main__":
    sys.exit(main())
