"""The page about exchanges, generated from what is known of them and from ccxt's own flags."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.venues.capabilities import CannotTrade, Capability, capability, exchanges, markets_of
from actors.venues.capability_table import STREAMS, pool_words, stop_words
from actors.venues.ccxt import traits

EXCHANGES_PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "exchanges.md"

_HEAD: Final = """# Exchanges

<!-- Written by `python -m tests.docs` from actors/venues/exchanges.toml and ccxt's classes; do not edit by hand. -->

What Tradepit knows of the exchanges it trades on live, and how it goes about it there. `tradepit check` prints this for
the configured one and refuses what cannot be done safely; an exchange that is not here is not traded live.
The limits are those of an account's lowest tier, as documented in 2026; where an exchange tells its own (Binance), its word wins.
That each exchange's ccxt class writes the right requests, and that its answers are read as they were meant, is tested offline
(`tests/requests`, `tests/answers`; `python -m tests.show live fixtures --ccxt DIR` plays ccxt's own test data from a checkout of
its repository); only Binance, and Bybit's spot, were tried against a server, a local one. On the others try it with the smallest stake first.

- **Order ids**: every order carries an id of ours, by which it is found again when an answer was lost. Kraken, OKX and MEXC take
  32 characters at most, Gate 28: there the id is packed, and read back.
- **In doubt for**: so long an order whose answer was lost is asked about, since it might still be accepted.
- **Stops**: where the exchange has stops that we can find again by our id, they rest there; else the bot guards while it runs.
  Replacing one leaves no gap where a new one may stand before the old one goes, or where the exchange ends one and takes
  the other in one request, or changes one that rests. Elsewhere the old one goes first, since it holds the coins: a gap of
  one round trip, which the views `stop_gaps` and `unguarded` of [sql.md](sql.md) measure. A changed stop keeps its ids: after
  a lost answer the exchange is asked which trigger and amount stand, for as long as the request could still be done, and
  meanwhile the position is guarded by either. Not used are Kraken's AmendOrder (that its lists of orders tell the new trigger
  is not known), Coinbase's edit (ccxt cannot give it a trigger), and KuCoin's and HTX's (ccxt has none for stops).
  A stop that the price has jumped, refused or not filled within 5 s, is seen, and the position is left at market price.
  Bitget's are left out: what a triggered one becomes has an id that leads back to it by no list.
- **Fills**: by stream where it tells the same ids and fees as the exchange's lists (on KuCoin it tells no fee, on OKX ccxt turns
  its sign); elsewhere the stream says that something was filled, and it is read at once, one request more.
- **Lists**: executions are read in pages of what the exchange gives at once, over no longer a time than it takes; open orders,
  stops and positions page by page, too (HTX gives its first 500 open orders; past those each order is asked for).
  What Bybit took of a position itself (liquidation, deleveraging) it lists apart: that is read, too, where something is held.
- **Settled in**: Bybit, Gate and Bitget tell of the positions and open orders of one settle coin at a time; they are asked for USDT's,
  and futures settled in another are refused, by `check` and at the start, on paper too. Binance, OKX and KuCoin list all at once.
- **Market buys**: where a market order to buy names money instead of coins, a limit order 2 % above the price goes out that
  takes what is there and leaves nothing.
"""


def exchanges_page() -> str:
    """The text of docs/exchanges.md."""
    text = (
        _HEAD
        + "\n| exchange | market | order ids | looked up by | in doubt for | times in force | market buys | fills |\n"
    )
    text += "|---|---|---|---|---|---|---|---|\n"
    rows, stops, limits, streams, refused = "", "", "", "", ""
    for name in exchanges():
        for market in markets_of(name):
            try:
                able = capability(name, futures=market == "futures")
            except CannotTrade as why:
                refused += f"- {why}.\n"
                continue
            rows += _row(able)
            stops += f"| {able.title} | {market} | {stop_words(able)} |\n"
            limits += f"| {able.title} | {market} | {'; '.join(pool_words(pool) for pool in able.pools)} |\n"
        found = traits(name)
        has = [words for flag, words in STREAMS if found.get(flag)]
        streams += f"| {able.title} | {', '.join(has)} |\n"
    text += rows
    text += f"\n## Guarding stops\n\n| exchange | market | stops |\n|---|---|---|\n{stops}"
    text += f"\n## Limits\n\n| exchange | market | counted |\n|---|---|---|\n{limits}"
    text += f"\n## Streams\n\nWhat ccxt has as websockets; the rest is read by REST.\n\n| exchange | streams |\n|---|---|\n{streams}"
    return text + f"\n## Not traded\n\n{refused}"


def _row(able: Capability) -> str:
    lookup = "id" if able.fetch_params is not None else "lists"
    buys = "limit, at once" if able.market_buy == "cost" else "market"
    ids = {"plain": "as they are", "hex": "32 digits", "text": "22 characters"}[able.id]
    doubt = f"{able.horizon_ms // 1_000} s"
    fills = "by stream" if able.stream_fills else "read"
    tif = " ".join(("GTC", *able.tif))
    return f"| {able.title} | {able.market} | {ids} | {lookup} | {doubt} | {tif} | {buys} | {fills} |\n"
