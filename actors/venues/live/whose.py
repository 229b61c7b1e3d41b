"""Whose account a key leads to: the exchange's own number of it, by which two keys of one account are told apart from two.

Sources: each exchange's documentation of the request; only Binance's and Bybit's were tried against a server. What cannot be
read is no number, and two accounts without one are never called the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.venues.ccxt import Connection
from actors.venues.live.failure import Verdict
from actors.venues.live.words import text
from engine.errors import Outage

NUMBERS: Final[Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]]] = {
    "bybit": ("private_get_v5_user_query_api", (("result", "userID"),)),
    "okx": ("private_get_account_config", (("data", "uid"),)),
    "kucoin": ("private_get_user_api_key", (("data", "uid"), ("data", "subName"))),
    "gate": ("private_account_get_detail", (("user_id",),)),
    "bitget": ("private_spot_get_v2_spot_account_info", (("data", "userId"),)),
    "htx": ("v2private_get_user_uid", (("data",),)),
    "mexc": ("spot_private_get_uid", (("uid",),)),
}
"""By exchange: ccxt's method, and where in its answer the number stands; the first place must have something.

Of a list the first row counts. Not told: Kraken, Coinbase, and Binance's futures.
"""


def number_in(told: Any, places: tuple[tuple[str, ...], ...]) -> str:
    """The number in an answer; empty where it has none."""
    found = [_at(told, place) for place in places]
    return "/".join(one for one in found if one) if found and found[0] else ""


def number_beside_balances(told: Any) -> str:
    """The number in an answer about balances, which Binance's spot answer has."""
    return _at(told, ("info", "uid"))


async def number_of(connection: Connection) -> str:
    """Ask for the number of the account; empty where the exchange does not tell it, or refuses to. On the loop.

    Raises:
        Outage: there is no answer: two keys of one account would be taken for two accounts.
    """
    method, places = NUMBERS.get(connection.name, ("", ()))
    function = getattr(connection.trading, method, None) if method else None
    if function is None:
        return ""
    answer = await connection.request(function)
    failure = answer.failure
    if failure is None:
        return number_in(answer.value, places)
    if not failure.key and (failure.verdict is not Verdict.REFUSED or failure.code == "UNREACHABLE"):
        raise Outage(f"{connection.name} does not answer whose account it is: {failure.reason}")
    return ""


def _at(told: Any, place: tuple[str, ...]) -> str:
    for name in place:
        if isinstance(told, list):
            told = told[0] if told else None
        told = told.get(name) if isinstance(told, Mapping) else None
    return text(told)
