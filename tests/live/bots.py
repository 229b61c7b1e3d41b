"""A live bot on the local exchange, and the exchange's ledger beside the bot's own history."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.bots import Bot
from tests.exchange.client import Exchange

STRATEGIES: Final = Path(__file__).with_name("strategies")
KEYS: Final = {"TRADEPIT_KEY": "key", "TRADEPIT_SECRET": "secret"}


def toml_value(value: Any) -> str:
    """A value as TOML, tables inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value)


def live_toml(exchange: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> str:
    """A live configuration on the local exchange; `sections` override keys."""
    market = "futures" if exchange.futures else "spot"
    options = {k: v for k, v in exchange.options().items() if k in ("urls", "options")}
    config: dict[str, dict[str, Any]] = {
        "trading": {"pairs": pairs, "stake_amount": 50, "max_open_trades": max(5, len(pairs))},
        "exchange": {"name": "binance", "market": market, "options": options},
        "live": {"exchange": "binance", "largest_stake": 120},
        "strategy": {"name": str(STRATEGIES / "turns.py")},
        "runtime": {"log_level": "DEBUG"},
    }
    for section, values in sections.items():
        config.setdefault(section.replace("_", "."), {}).update(values)
    lines = ['mode = "live"']
    for section, values in config.items():
        lines += ["", f"[{section}]", *(f"{key} = {toml_value(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


class LiveBot(Bot):
    """A bot that trades on the local exchange with the account `main`."""

    def __init__(self, folder: Path, exchange: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> None:
        super().__init__(folder, {})
        self.exchange = exchange
        self.config_path.write_text(live_toml(exchange, pairs, **sections), encoding="utf-8")

    def start(self) -> None:
        """Start it with the account's keys in its environment; does not wait."""
        before = {name: os.environ.get(name) for name in KEYS}
        os.environ.update(KEYS)
        try:
            super().start()
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
