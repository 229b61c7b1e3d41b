"""A collection of Freqtrade strategies: what loads, and what each trades; without one, the tests' own strategies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tests.bots import Failed, command
from tests.freqtrade import candles

OWN: Final = Path(__file__).resolve().parent.parent / "freqtrade"
REFERENCE: Final = Path(__file__).resolve().parent.parent / "data" / "freqtrade_strategies.json"
CONFIG: Final = """
[trading]
stake_currency = "{currency}"
stake_amount = {stake}
max_open_trades = 4

[unfilledtimeout]
entry = 10
exit = 10

[paper]
wallet = 1_000_000
"""


def show(folder: Path, *, quick: bool, strategies: Path | None = None, data: Path | None = None) -> str:
    """Load all, run all that load on the candles of `data`, and print a row each.

    The tests' own are compared with the number of trades that Freqtrade gave; of others it is only told.
    """
    del quick
    if data is None:
        data = folder / "candles"
        data.mkdir()
        candles.write(data)
    config = folder / "config.toml"
    in_btc = any(file.name.split("-")[0].endswith("BTC") for file in data.iterdir())
    config.write_text(CONFIG.format(currency="BTC" if in_btc else "USDT", stake=0.05 if in_btc else 100))
    found = json.loads(command("strategies", strategies or OWN, "--json", timeout_s=600).stdout)
    expected = json.loads(REFERENCE.read_text()) if strategies is None else {}
    wrong, trades = [], 0
    print("| strategy | timeframe | trades | |\n|---|---|--:|---|")
    for row in found:
        count, said = _trades(row, data, config)
        print(f"| {row['name']} | {row['timeframe']} | {'' if count is None else count} | {said} |", flush=True)
        trades += count or 0
        if row["name"] in expected and count != len(expected[row["name"]]):
            wrong.append(f"{row['name']}: {count} trades, and {len(expected[row['name']])} in Freqtrade")
    if wrong:
        raise Failed("; ".join(wrong))
    loads = sum(row["loads"] for row in found)
    return f"{loads} of {len(found)} classes load, {trades} trades"


def _trades(row: dict[str, str], data: Path, config: Path) -> tuple[int | None, str]:
    """How many trades a strategy makes, or why none could be had."""
    if row["lacks"] or row["kind"] == "hyperopt":
        return None, row["lacks"] or "no strategy of itself: loads"
    name = f"{row['file']}:{row['name']}"
    done = command("backtest", "-c", config, "--strategy", name, "--data", data, "--json", timeout_s=900)
    try:
        return int(json.loads(done.stdout)["trades"]), ""
    except (ValueError, KeyError):
        lines = (done.stderr or done.stdout).strip().splitlines()
        return None, lines[-1][:200] if lines else f"ended with {done.returncode}"
