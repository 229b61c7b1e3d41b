"""A bot on paper at the local exchange's prices: the live configuration with another mode, and no keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.bots import Bot, ask, at_once
from tests.exchange.client import Exchange
from tests.live.bots import live_toml

PUBLIC: Final = ("/klines", "/time", "/exchangeInfo", "/ticker/24hr", "/ticker/bookTicker", "/fundingRate")
"""What anybody may ask of the exchange."""


def dry_toml(server: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> str:
    """The live configuration, with `mode` changed and nothing else."""
    return live_toml(server, pairs, **sections).replace('mode = "live"', 'mode = "paper"')


class DryBot(Bot):
    """A bot that trades on paper at the local exchange's prices."""

    def __init__(self, folder: Path, server: Exchange, pairs: list[str], **sections: Mapping[str, Any]) -> None:
        super().__init__(folder, {})
        self.server = server
        self.config_path.write_text(dry_toml(server, pairs, **sections), encoding="utf-8")

    def audit(self) -> list[str]:
        """What `tradepit audit` finds between the journal and the paper venue's record."""
        done = at_once("audit", "-c", self.config_path, "--db", self.files.db, "--json")
        found: list[str] = json.loads(done.stdout)["differences"]
        return found

    def orders(self, status: str = "%", kind: str = "%") -> list[dict[str, Any]]:
        """The paper venue's own orders."""
        query = (
            "SELECT pair, type, side, trigger_price, status, ts FROM orders WHERE status LIKE '{}' AND type LIKE '{}'"
        )
        names = ("pair", "type", "side", "trigger_price", "status", "ts")
        rows = ask(self.files.venue, query.format(status, kind), default=())
        return [dict(zip(names, row, strict=True)) for row in rows]

    def fills_of(self, kind: str) -> list[dict[str, Any]]:
        """The paper venue's own fills of orders of one type, in order."""
        query = (
            "SELECT f.pair, f.ts, f.price, f.amount FROM fills f JOIN orders o ON o.order_id = f.order_id "
            "WHERE o.type = '{}' ORDER BY f.number"
        )
        rows = ask(self.files.venue, query.format(kind), default=())
        return [dict(zip(("pair", "ts", "price", "amount"), row, strict=True)) for row in rows]


def asked_more(server: Exchange) -> list[str]:
    """What the exchange was asked that not everybody may ask, orders above all; nothing is as it should be."""
    market = "futures" if server.futures else "spot"
    rows = {str(row[1]) for row in server.control("requests")[market]}
    return sorted(row for row in rows if not (row.startswith("GET ") and row.endswith(PUBLIC)))


def price_of(server: Exchange, symbol: str) -> float:
    """The exchange's price."""
    market = "futures" if server.futures else "spot"
    return float(server.control("state")["markets"][market]["pairs"][symbol]["price"])
