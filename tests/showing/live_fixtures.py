"""Ten exchanges' requests and answers, as ccxt's own tests have them, beside ours; without ccxt's, our own answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from actors.venues.capabilities import exchanges
from tests.answers.asking import Asked, compare
from tests.answers.fixtures import OURS, entries, read, static_of
from tests.answers.playing import READINGS, Played, instance, play
from tests.bots import Failed
from tests.requests.recorder import capabilities, ccxt_market

SHOWN = 20


def show(folder: Path, *, quick: bool, ccxt: Path | None = None) -> str:
    """Play every answer that we read, and compare every request that we make; `ccxt` is a checkout of its repository.

    Raises:
        Failed: an answer was read as something else, or raised; a request looks otherwise; or there are no answers.
    """
    del folder, quick
    static = OURS if ccxt is None else static_of(ccxt)
    played, asked, counted = Played(), Asked(), Counter[str]()
    for name in exchanges():
        for entry in entries(static, "response", name):
            if entry.method in READINGS and "httpResponse" in entry.said:
                play(_made(static, name, entry.options), entry, played)
                counted[name] += 1
    for able in capabilities():
        if read(static, "request", able.exchange) is not None:
            compare(static, able, asked)
    wrong = [*played.wrong, *asked.wrong]
    if wrong or not counted:
        what = [f"no answers in {static}", *wrong] if not counted else wrong
        raise Failed(f"{len(wrong)} differ: " + "; ".join(what[:SHOWN]))
    for one in (*played.refused, *asked.without):
        print(f"       {one}")
    each = ", ".join(f"{name} {count}" for name, count in counted.items())
    return (
        f"{counted.total()} answers ({each}): {played.read} values as they were meant, {len(played.refused)} refused for "
        f"a reason, none read as something else; {asked.alike} requests like ccxt's own, {len(asked.without)} that its "
        f"tests have no like of"
    )


def _made(static: Path, name: str, options: object) -> object:
    markets, coins = read(static, "markets", name), read(static, "currencies", name)
    made = instance(name, markets, coins, options if isinstance(options, dict) else {})
    if markets is None:
        own = [ccxt_market(made, able) for able in capabilities() if able.exchange == name]
        made.set_markets(own, {code: {"id": code, "code": code, "precision": 1e-8} for code in ("BTC", "USDT")})
    return made
