"""What several demonstrations need: a busy bot's configuration, the audit, waiting."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from actors.files import Files
from tests.bots import Bot, Failed, ask, at_once, command

STRATEGIES: Final = Path(__file__).with_name("strategies")
ENTRIES: Final = "SELECT count(*) FROM entries WHERE kind = 'OrderIntended'"
JUDGED: Final = "SELECT count(*) FROM entries WHERE kind = 'Judged'"


def busy(pairs: int, speed: float, *, strategy: str = "busy.py", **more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A bot that enters and leaves some pairs with every candle.

    `more` overrides sections' keys; `parameters` are the strategy's.
    """
    config: dict[str, dict[str, Any]] = {
        "trading": {"max_open_trades": max(20, pairs // 3), "stake_amount": 50},
        "strategy": {"name": str(STRATEGIES / strategy)},
        "feed": {"source": "market", "pairs": pairs, "speed": speed},
        "paper": {"wallet": 100_000, "weight_per_minute": 1_000_000, "orders_per_10s": 100_000},
    }
    for section, values in more.items():
        config.setdefault({"parameters": "strategy.parameters"}.get(section, section), {}).update(values)
    return config


def audited(files: Files, when: str) -> dict[str, Any]:
    """The audit's answer; raises `Failed` unless all agree."""
    done = command("audit", "--db", files.db, "--json", timeout_s=300)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"{when}, the audit says nothing: {done.stderr[-400:]}") from None
    if not report["ok"] or done.returncode:
        some = " ".join(report["differences"][:3])
        raise Failed(f"{when}, the audit finds {len(report['differences'])} differences: {some}")
    return report


def sql(files: Files, query: str) -> list[dict[str, Any]]:
    """The rows of a query, as `tradepit sql` gives them."""
    done = at_once("sql", "--db", files.db, "--json", query)
    if done.returncode:
        raise Failed(f"`tradepit sql` failed: {(done.stderr or done.stdout).strip()[-300:]}")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def wait_until(what: str, holds: Callable[[], bool], timeout_s: float) -> float:
    """Wait for something; returns how long it took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > timeout_s:
            raise Failed(f"{what} did not come within {timeout_s:g} s")
        time.sleep(0.1)
    return time.monotonic() - began


def latencies_ms(bot: Bot, speed: float, since: int = 0, until: int = sys.maxsize, *, but: str = "") -> list[float]:
    """From the grant (or the decision to leave) to the gateway's door, real ms, of each order of the entries between.

    Those of the pair `but` are left out.
    """
    query = f"SELECT body FROM entries WHERE kind = 'RequestSent' AND seq > {since} AND seq <= {until}"
    bodies = (json.loads(row[0]) for row in ask(bot.files.journal, query, default=()))
    return sorted(float(b["waited_ms"]) / speed for b in bodies if b["request"] == "order" and b["pair"] != but)


def percentile(values: list[float], percent: float) -> float:
    """A percentile of sorted values; 0 without any."""
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else 0.0


def steady(control: list[float], disturbed: list[float], when: str) -> str:
    """The latencies compared with those of calm times in the same run, in words; raises `Failed` when they moved.

    The median and the 90th percentile are judged: they feel what every order feels, and neither one stall of
    a machine that others use too, nor the few orders of a short disturbance, which the 99th is made of.
    """
    calm, shown = sorted(control), []
    for percent, floor_ms in ((50, 15.0), (90, 40.0), (99, 0.0)):
        before, after = percentile(calm, percent), percentile(disturbed, percent)
        if floor_ms and after > max(floor_ms, 3 * before):
            raise Failed(f"order latency p{percent} went from {before:.1f} to {after:.1f} ms {when}")
        shown.append(f"p{percent} {before:.1f} → {after:.1f}")
    return f"order latency {', '.join(shown)} ms over {len(calm)} and {len(disturbed)} orders"


def last_seq(files: Files) -> int:
    """The journal's last entry."""
    return int(ask(files.journal, "SELECT max(seq) FROM entries", default=((0,),))[0][0] or 0)
