"""`python -m tests.reference.record --python FREQTRADE_PYTHON --kind dca --seeds 1-200 --out FILE`: record cases.

Draws the cases of a kind, runs each through Freqtrade (with the Python of an environment that has it), and writes
them with what came of them, one JSON line each, gzipped when FILE ends in .gz. A case that Freqtrade itself does not
run is said and left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.reference.cases import KINDS, draw_case

ROOT = Path(__file__).resolve().parents[2]


def run_reference(python: str, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Freqtrade says of each case: `expected`, or `error`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    done = subprocess.run(
        [python, "-m", "tests.reference.inside_freqtrade"],
        input="\n".join(json.dumps(case) for case in cases),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    said = [json.loads(line) for line in done.stdout.splitlines()]
    if len(said) != len(cases):
        sys.exit(f"Freqtrade ended after {len(said)} of {len(cases)} cases:\n{done.stderr[-3000:]}")
    return said


def left_out(case: dict[str, Any], trades: list[dict[str, Any]]) -> str:
    """Why a case is not kept, by the rules of docs/reference-cases.md; empty where it is."""
    begun = [(trade["pair"], trade["side"], trade["open_minute"]) for trade in trades]
    if len(set(begun)) < len(begun):
        return "Freqtrade entered a pair twice on one candle, on the same side"
    if any(_changed_when_due(case, trade) for trade in trades):
        return "Freqtrade counts funding twice that is due on the candle on which a position is changed"
    rules, config = case["callbacks"], case["config"]
    least = config.get("cost_min") or 0.0
    if case.get("views") and any(o[1] == "entry" and o[2] * o[3] < least for t in trades for o in t["orders"]):
        return "Freqtrade's backtest places further entries under the market's least cost"
    moves_entries = not rules.keys().isdisjoint({"adjust_entry_price", "adjust_order_price"})
    if moves_entries and "confirm_trade_entry" in rules:
        return "Freqtrade's backtest has an entry that is moved confirmed once more"
    if moves_entries and config["stake"] == "unlimited" and len(config["pairs"]) > 1:
        return "Freqtrade's free balance is that of before a moved entry was filled"
    if {"adjust_trade_position", "custom_entry_price", "custom_stoploss"} <= rules.keys():
        return "Freqtrade moves the stop when a further entry is ordered, before it is filled"
    if {"adjust_trade_position", "custom_entry_price"} <= rules.keys() and len(config["pairs"]) > 1:
        return "Freqtrade does not count the capital of further entries that rest"
    return ""


def _changed_when_due(case: dict[str, Any], trade: dict[str, Any]) -> bool:
    """Whether the position was added to or reduced on a candle on which its pair paid funding."""
    due = {minute for minute, _ in case.get("funding", {}).get(trade["pair"], ())}
    told = case["callbacks"].get("custom_stoploss", {}).get("takes_after_fill")
    return any(order[0] in due for order in (trade["orders"] if told else trade["orders"][1:-1]))


def seeds_of(text: str) -> range:
    """`1-200`, or one number."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def write_cases(path: Path, cases: list[dict[str, Any]]) -> None:
    """The file; the same cases give the same bytes."""
    text = "".join(json.dumps(case, separators=(",", ":")) + "\n" for case in cases).encode()
    path.write_bytes(gzip.compress(text, 9, mtime=0) if path.suffix == ".gz" else text)


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of an environment with Freqtrade")
    parser.add_argument("--kind", required=True, choices=sorted(KINDS))
    parser.add_argument("--seeds", required=True, type=seeds_of, help="such as 1-200")
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    drawn = [draw_case(given.kind, seed) for seed in given.seeds]
    found = []
    for case, said in zip(drawn, run_reference(given.python, drawn), strict=True):
        why = said.get("error") or left_out(case, said["expected"]["trades"])
        if why:
            print(f"seed {case['seed']}: {why}")
        else:
            found.append({**case, **said})
    write_cases(given.out, found)
    trades = sum(len(case["expected"]["trades"]) for case in found)
    print(f"{len(found)} cases with {trades} trades are written to {given.out}, {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
