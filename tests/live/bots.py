"""A live bot on the local exchange, and the exchange's ledger beside the bot's own history."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.bots import Bot, ask, at_once
from tests.exchange.client import Exchange, as_toml

STRATEGIES: Final = Path(__file__).with_name("strategies")
KEYS: Final = {"TRADEPIT_KEY": "key", "TRADEPIT_SECRET": "secret"}


def live_toml(server: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> str:
    """A live configuration on the local exchange; `sections` override keys."""
    market = "futures" if server.futures else "spot"
    options = {k: v for k, v in server.options().items() if k in ("urls", "options", "timeframes")}
    config: dict[str, dict[str, Any]] = {
        "trading": {"pairs": pairs, "stake_amount": 50, "max_open_trades": max(5, len(pairs))},
        "exchange": {"name": server.name, "market": market, "options": options},
        "live": {"exchange": server.name, "largest_stake": 120},
        "strategy": {"name": str(STRATEGIES / "turns.py")},
        "runtime": {"log_level": "DEBUG"},
    }
    for section, values in sections.items():
        name = section if section.endswith("_pricing") else section.replace("_", ".")
        config.setdefault(name, {}).update(values)
    lines = ['mode = "live"']
    for section, values in config.items():
        lines += ["", f"[{section}]", *(f"{key} = {as_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


class LiveBot(Bot):
    """A bot that trades on the local exchange with the account `main`."""

    def __init__(self, folder: Path, server: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> None:
        super().__init__(folder, {})
        self.server = server
        self.killed: list[float] = []
        self.secret = KEYS["TRADEPIT_SECRET"]
        self.config_path.write_text(live_toml(server, pairs, **sections), encoding="utf-8")

    def start(self) -> None:
        """Start it with the account's keys in its environment; does not wait."""
        with keys(self.secret):
            super().start()

    def kill(self) -> None:
        """End it as kill -9 does, and note when."""
        super().kill()
        self.killed.append(time.time() * 1_000)

    def away(self) -> list[tuple[float, float]]:
        """The times in ms in which it was dead or still starting: from each kill to the next run's first entry."""
        rows = ask(self.files.journal, "SELECT ts FROM entries WHERE kind = 'RunStarted' ORDER BY seq", default=())
        starts = [float(row[0]) for row in rows]
        return [(at, next((ts for ts in starts if ts > at), float("inf"))) for at in self.killed]

    def audit(self) -> list[str]:
        """What `tradepit audit` finds when it asks the exchange."""
        with keys():
            done = at_once("audit", "-c", self.config_path, "--db", self.files.db, "--json")
        if not done.stdout:
            return [done.stderr[-400:]]
        found: list[str] = json.loads(done.stdout)["differences"]
        return found


@contextmanager
def keys(secret: str = KEYS["TRADEPIT_SECRET"]) -> Iterator[None]:
    """The account's keys in the environment."""
    before = {name: os.environ.get(name) for name in KEYS}
    os.environ.update({**KEYS, "TRADEPIT_SECRET": secret})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def pairs_of(exchange: Exchange, count: int) -> list[str]:
    """The first pairs that the exchange has, as ccxt writes them."""
    market = "futures" if exchange.futures else "spot"
    symbols = list(exchange.control("state")["markets"][market]["pairs"])[:count]
    settle = ":USDT" if exchange.futures else ""
    return [f"{symbol.removesuffix('USDT')}/USDT{settle}" for symbol in symbols]
