"""What is known of the markets whose candles lie in a folder: `markets.json` beside them, if it is there.

Candles tell the price steps of their time; amount steps and bounds they do not. The file says them by pair:
`{"ETH/USDT": {"amount": 0.0001, "cost_min": 5}}`. `price` counts only where candles have no price to show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import DataError
from engine.types import exact

FILE: Final = "markets.json"
FIELDS: Final = {
    "price": "price_step",
    "amount": "amount_step",
    "amount_min": "amount_min",
    "amount_max": "amount_max",
    "cost_min": "cost_min",
    "cost_max": "cost_max",
}
"""The file's names and those of `engine.market.Market`; others are not read."""


def read_markets(folder: Path | str) -> dict[str, dict[str, Decimal]]:
    """The fields of each pair's market that the folder's file says; nothing where there is no file.

    Raises:
        DataError: the file is no such JSON, or a value is no positive number.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return {}
    try:
        found = orjson.loads(path.read_bytes())
    except (orjson.JSONDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from None
    if not isinstance(found, dict) or not all(isinstance(own, dict) for own in found.values()):
        raise DataError(f'{path} must be an object of objects by pair, such as {{"ETH/USDT": {{"amount": 0.0001}}}}.')
    return {pair: dict(_fields(path, pair, own)) for pair, own in found.items()}


def _fields(path: Path, pair: str, own: Mapping[str, Any]) -> list[tuple[str, Decimal]]:
    fields = []
    for name, field in FIELDS.items():
        value = own.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise DataError(f"{path}: {name} of {pair} is {value!r}; it must be a number above 0.")
        fields.append((field, exact(value)))
    return fields
