"""What is known of the markets whose candles lie in a folder: `markets.json` beside them, if it is there.

Candles tell the price steps of their time; amount steps and bounds they do not. The file says them by pair:
`{"ETH/USDT": {"amount": 0.0001, "cost_min": 5}}`. `price` counts only where candles have no price to show it.
Of futures it may say `contract_size` (amounts are then in contracts), `tiers` in ccxt's words, and `liquidation`,
the formula of the venue:
`{"minNotional": 0, "maxNotional": 50000, "maintenanceMarginRate": 0.004, "maxLeverage": 125, "maintAmt": 0}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from engine.errors import DataError
from engine.margin import LIQUIDATION, MarginTier
from engine.types import ONE, ZERO, exact

FILE: Final = "markets.json"
FIELDS: Final = {
    "price": "price_step",
    "amount": "amount_step",
    "amount_min": "amount_min",
    "amount_max": "amount_max",
    "cost_min": "cost_min",
    "cost_max": "cost_max",
    "contract_size": "contract_size",
}
"""The file's names and those of `engine.market.Market`; others are not read."""
_IN_CONTRACTS: Final = ("amount_step", "amount_min", "amount_max")


def read_markets(folder: Path | str) -> dict[str, dict[str, Any]]:
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
    return {pair: _fields(path, pair, own) for pair, own in found.items()}


def _fields(path: Path, pair: str, own: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = own.get(name)
        if value is not None:
            fields[field] = _number(f"{path}: {name} of {pair}", value)
    size = fields.get("contract_size", ONE)
    fields.update({field: fields[field] * size for field in _IN_CONTRACTS if field in fields})
    formula = own.get("liquidation")
    if formula is not None:
        if formula not in LIQUIDATION:
            known = ", ".join(LIQUIDATION)
            raise DataError(f"{path}: liquidation of {pair} is {formula!r}; it must be one of {known}.")
        fields["liquidation"] = formula
    if own.get("tiers") is not None:
        fields["tiers"] = _tiers(f"{path}: tiers of {pair}", own["tiers"])
        fields["leverage_max"] = max(tier.leverage_max for tier in fields["tiers"])
    return fields


def _tiers(where: str, rows: Any) -> tuple[MarginTier, ...]:
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where} must be a list of objects.")
    found = []
    for number, row in enumerate(rows, 1):
        place, most = f"{where}, tier {number}", row.get("maxNotional")
        info = row.get("info")
        amount = row.get("maintAmt", info.get("cum") if isinstance(info, dict) else None)
        found.append(
            MarginTier(
                notional_min=_number(f"{place}: minNotional", row.get("minNotional", 0), over=False),
                notional_max=None if most is None else _number(f"{place}: maxNotional", most),
                rate=_number(f"{place}: maintenanceMarginRate", row.get("maintenanceMarginRate"), over=False),
                leverage_max=_number(f"{place}: maxLeverage", row.get("maxLeverage")),
                amount=_number(f"{place}: maintAmt", amount or 0, over=False),
            )
        )
    return tuple(sorted(found, key=lambda tier: tier.notional_min))


def _number(where: str, value: Any, *, over: bool = True) -> Decimal:
    """A number above 0, or from 0 on; what exchanges write as text counts too."""
    try:
        number = exact(value) if isinstance(value, int | float) and not isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        number = None
    if number is None or not number.is_finite() or number < ZERO or (over and not number):
        raise DataError(f"{where} is {value!r}; it must be a number {'above 0' if over else 'from 0 on'}.")
    return number
