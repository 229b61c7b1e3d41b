"""In which account of which exchange a bot's trades were made, kept so that no other account is taken for it.

With another exchange, market or account under the same files (a test network's trades and then real keys, a new
exchange's name in the old configuration), what is kept as held would be looked for there: coins that its user owns
there would be guarded and sold as the bot's, and trades whose coins are not there would end as moved away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from actors.journal import FileJournal
from actors.opening import held_pairs
from actors.venues.live.given import SANDBOX
from engine.config_venue import PAPER
from engine.errors import ConfigError, Problem
from engine.messages import Record
from engine.naming import named
from engine.settings import Config

ROLE: Final = "place"
"""Who keeps it in the journal."""


def place_of_trades(config: Config, uid: str, journal: FileJournal) -> Record | None:
    """What is to be kept of where an account trades; None where that is kept already, and on paper.

    `uid` is the exchange's own number of the account, empty where it is not told.

    Raises:
        ConfigError: it holds something that was bought elsewhere.
    """
    if config.mode == PAPER:
        return None
    writer = named(ROLE, config.account)
    before: Mapping[str, Any] = journal.state(writer) or {}
    now = _described(config, uid)
    others = [name for name, text in now.items() if text and before.get(name) not in (None, "", text)]
    held = held_pairs(journal, config.account) if others else {}
    if held:
        raise ConfigError([_elsewhere(config, before, now, others, held)])
    if not now["account"] and not others:
        now["account"] = before.get("account", "")
    return None if now == before else Record(writer=writer, seq=journal.last(writer) + 1, entries=(), state=now)


def _elsewhere(
    config: Config,
    before: Mapping[str, str],
    now: Mapping[str, str],
    others: Sequence[str],
    held: Mapping[str, Decimal],
) -> Problem:
    told = {"account": "another account of the exchange", "network": f"the exchange's {now['network']} network"}
    here = " and ".join(told.get(name, now[name]) for name in others)
    some = ", ".join(f"{amount:f} of {pair}" for pair, amount in held.items())
    there = f"{before['exchange']}, {before['market']}, {before['network']} network"
    why = f"this is {here}, and the bot holds {some}, or has orders out, in another place ({there})"
    cure = "Put it back until all is sold, or give another --db and look after it yourself"
    return Problem(f"accounts.{config.account}.exchange" if config.account else "exchange", "", why, cure)


def _described(config: Config, uid: str) -> dict[str, str]:
    """The place in words; the account's number as a fingerprint, empty where it is not told."""
    exchange = config.exchange
    return {
        "exchange": exchange.name,
        "market": exchange.market,
        "network": "test" if any(exchange.options.get(name) for name in SANDBOX) else "real",
        "account": sha256(f"{exchange.name} {uid}".encode()).hexdigest()[:16] if uid else "",
    }
