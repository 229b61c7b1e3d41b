"""The pairs that are traded, their filters, and what `exchangeInfo` says of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

NAMES: Final = (
    "BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "AVAX", "DOT", "LINK", "LTC", "TRX", "ATOM", "UNI", "ETC", "XLM",
    "FIL", "NEAR", "APT", "ARB", "OP", "INJ", "SUI", "SEI", "AAVE", "ALGO", "VET", "HBAR", "ICP", "EGLD", "GRT", "SAND",
    "MANA", "AXS", "THETA", "XTZ", "EOS", "FLOW", "CHZ", "KAVA", "ZEC", "DASH", "COMP", "SNX", "CRV", "ENJ", "BAT",
    "ZIL", "IOTA", "NEO",
)  # fmt: skip
"""The first fifty; more are called `T050`, `T051`…"""

PRICES: Final = {"BTC": Decimal(60000), "ETH": Decimal(3000), "BNB": Decimal(500)}

SPOT_TYPES: Final = (
    "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
)  # fmt: skip
FUTURES_TYPES: Final = (
    "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Listing:
    """One pair: steps, bounds, state. `spread` in ticks; `top` is what each price offers a taker or resting order.

    `top` of None is without end; `parts` cuts each fill into so many trades.
    """

    symbol: str
    base: str
    quote: str
    first_price: Decimal
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    max_qty: Decimal
    futures: bool = False
    status: str = "TRADING"
    spread: int = 1
    top: Decimal | None = None
    parts: int = 1
    max_leverage: int = 50
    maintenance: Decimal = field(default=Decimal("0.005"))
    listed: bool = True

    def info(self) -> dict[str, object]:
        """The pair's entry in `exchangeInfo`."""
        return self._futures_info() if self.futures else self._spot_info()

    def _bounds(self) -> list[dict[str, object]]:
        tick, step = _plain(self.tick), _plain(self.step)
        return [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": _plain(self.max_qty), "stepSize": step},
        ]

    def _spot_filters(self) -> list[dict[str, object]]:
        return [
            *self._bounds(),
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": _plain(self.max_qty / 2),
                "stepSize": "0.00000000",
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": _plain(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ]

    def _spot_info(self) -> dict[str, object]:
        return {
            "symbol": self.symbol,
            "status": self.status,
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": list(SPOT_TYPES),
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self._spot_filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }

    def _futures_info(self) -> dict[str, object]:
        filters = [
            *self._bounds(),
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": _plain(self.step),
                "maxQty": _plain(self.max_qty / 2),
                "stepSize": _plain(self.step),
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": _plain(self.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.1500",
                "multiplierDown": "0.8500",
                "multiplierDecimal": "4",
            },
        ]
        return {
            "symbol": self.symbol,
            "pair": self.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "onboardDate": 1569398400000,
            "status": self.status,
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": self.base,
            "quoteAsset": self.quote,
            "marginAsset": self.quote,
            "pricePrecision": places(self.tick),
            "quantityPrecision": places(self.step),
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "filters": filters,
            "orderTypes": list(FUTURES_TYPES),
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }


def places(step: Decimal) -> int:
    """How many digits behind the point a step has."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def _plain(value: Decimal) -> str:
    return f"{value:.8f}"


def listings(count: int, seed: int, *, futures: bool = False, quote: str = "USDT") -> dict[str, Listing]:
    """The first `count` pairs, always the same for the same seed, by Binance's symbol."""
    draw = random.Random(seed)
    found: dict[str, Listing] = {}
    for number in range(count):
        base = NAMES[number] if number < len(NAMES) else f"T{number:03}"
        drawn = Decimal(repr(round(10 ** draw.uniform(-1, 2.5), 3)))
        price = PRICES.get(base, drawn)
        tick = Decimal(1).scaleb(price.adjusted() - 5)
        step = Decimal(1).scaleb(-max(0, price.adjusted() + (0 if futures else 1)))
        found[base + quote] = Listing(
            symbol=base + quote,
            base=base,
            quote=quote,
            first_price=(price / tick).to_integral_value() * tick,
            tick=tick,
            step=step,
            min_notional=Decimal(5),
            max_qty=Decimal(9000000) if price < 1000 else Decimal(9000),
            futures=futures,
        )
    return found
