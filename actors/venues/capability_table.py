"""What an exchange can do, as words: what `tradepit check` prints and `docs/exchanges.md` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.venues.capabilities import Capability
from engine.quota import Pool

STREAMS = (
    ("watchOrders", "orders"),
    ("watchMyTrades", "fills"),
    ("watchBalance", "balances"),
    ("watchOHLCV", "candles"),
    ("watchOHLCVForSymbols", "candles of many pairs at once"),
    ("watchTicker", "prices"),
)
"""ccxt's flags of the streams that are used, and what they are."""

_IDS = {"plain": "as they are", "hex": "packed into 32 hexadecimal digits", "text": "packed into 22 characters"}


def plain(able: Capability, traits: Mapping[str, Any]) -> dict[str, Any]:
    """The capability as plain data, for `--json`."""
    return {
        "exchange": able.exchange,
        "market": able.market,
        "client_ids": {"written": able.id, "prefix": able.id_prefix, "taken": able.id_pattern},
        "lookup": "id" if able.fetch_params is not None else "lists",
        "cancel": "id" if able.cancel_params is not None else "after a look-up",
        "horizon_ms": able.horizon_ms,
        "time_in_force": ["GTC", *able.tif],
        "market_buy": able.market_buy,
        "stop": None
        if able.stop is None
        else {
            "type": able.stop.type,
            "beside": able.stop.beside,
            "replace": able.stop_replace,
            "amend": able.stop_amend,
            "replaced": _replaced(able),
        },
        "stream_fills": able.stream_fills,
        "streams": {flag: bool(traits.get(flag)) for flag, _ in STREAMS},
        "pools": [
            {"name": p.name, "limit": p.limit, "window_ms": p.window_ms, "rolling": p.rolling} for p in able.pools
        ],
        "costs": {kind: dict(cost) for kind, cost in able.costs.items()},
        "ccxt_rate_limit_ms": traits.get("rateLimit"),
    }


def lines(able: Capability, traits: Mapping[str, Any]) -> list[str]:
    """The capability in a few lines, one subject each."""
    has = [name for flag, name in STREAMS if traits.get(flag)]
    lacks = [name for flag, name in STREAMS if not traits.get(flag)]
    return [
        f"order ids   ours, {_IDS[able.id]}{_prefixed(able)}; {_lookup(able)}",
        f"in doubt    asked about for {able.horizon_ms / 1_000:g} s, as long as it could still be accepted",
        f"orders      limit, market{_market_buy(able)}; {', '.join(('GTC', *able.tif))}",
        f"stops       {stop_words(able)}",
        f"fills       {fill_words(able)}",
        f"streams     {', '.join(has) or 'none'}{_none_of(lacks)}",
        f"limits      {'; '.join(pool_words(pool) for pool in able.pools)}",
    ]


def stop_words(able: Capability) -> str:
    """How a guarding stop rests there, and how it is replaced."""
    if able.stop is None:
        return "none that could be found again by our ids: the bot guards"
    kind = "market" if able.stop.type == "market" else "limit, 1 % beyond the trigger"
    return f"{kind}; {_replaced(able)}"


def fill_words(able: Capability) -> str:
    """How executions come."""
    return "by stream" if able.stream_fills else "read at once when the stream tells of one"


def pool_words(pool: Pool) -> str:
    """One pool: `100 orders_10s in 10 s`."""
    seconds = f"{pool.window_ms / 1_000:g} s"
    return f"{pool.limit} {pool.name} in {'any ' if pool.rolling else ''}{seconds}"


def _prefixed(able: Capability) -> str:
    return f" after {able.id_prefix!r}" if able.id_prefix else ""


def _none_of(names: list[str]) -> str:
    return f"; none of {', '.join(names)}" if names else ""


def _lookup(able: Capability) -> str:
    if able.fetch_params is None:
        return "looked for in the lists of orders, which tell them"
    return "orders are read and cancelled by them" if able.cancel_params is not None else "orders are read by them"


def _market_buy(able: Capability) -> str:
    return " (to buy: a limit order 2 % above the price that takes at once)" if able.market_buy == "cost" else ""


def _replaced(able: Capability) -> str:
    if able.stop is not None and able.stop.beside:
        return "the new one stands before the old one goes"
    if able.stop_replace:
        return "one takes the other's place in one request"
    if able.stop_amend:
        return "it is changed in place, in one request"
    return "the old one goes before the new one stands: a gap of one round trip"
