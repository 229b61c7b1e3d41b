"""What an account has and may."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from tests.exchange.bybit.door import Endpoint
from tests.exchange.bybit.errors import wrong
from tests.exchange.bybit.words import wallet_row
from tests.exchange.door import Asked
from tests.exchange.spot import SpotVenue


class Account:
    """The endpoints of a unified account, beside its orders."""

    def __init__(self, venue: SpotVenue) -> None:
        self.venue = venue

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """All of them, by method and path."""
        return {
            ("GET", "/v5/user/query-api"): Endpoint(handler=self.key, access="read", per_second=10),
            ("GET", "/v5/account/info"): Endpoint(handler=self.info, access="read", per_second=50),
            ("GET", "/v5/account/wallet-balance"): Endpoint(handler=self.wallet, access="read", per_second=50),
            ("GET", "/v5/account/fee-rate"): Endpoint(handler=self.fees, access="read", per_second=5),
            ("GET", "/v5/asset/coin/query-info"): Endpoint(handler=self.coins, access="read", per_second=5),
        }

    def key(self, asked: Asked) -> Any:
        """What the key may do."""
        user = asked.user
        assert user is not None
        return {
            "id": str(crc32(user.key.encode())),
            "note": user.name,
            "apiKey": user.key,
            "readOnly": 0 if user.can_trade else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if user.can_futures and user.can_trade else [],
                "Spot": ["SpotTrade"] if user.can_trade else [],
                "Wallet": ["AccountTransfer", "Withdraw"] if user.can_withdraw else ["AccountTransfer"],
                "Options": [],
                "Derivatives": [],
                "Exchange": [],
            },
            "ips": ["*"],
            "type": 1,
            "deadlineDay": 83,
            "createdAt": "2024-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": crc32(user.name.encode()),
            "isMaster": True,
        }

    def info(self, asked: Asked) -> Any:
        """A unified account of the second kind, margin crossed."""
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(asked.now),
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def wallet(self, asked: Asked) -> Any:
        """All coins of the account, or those asked for."""
        if asked.need("accountType") != "UNIFIED":
            raise wrong("accountType only support UNIFIED.")
        row = wallet_row(self.venue, self.venue.accounts[asked.account])
        if wanted := asked.params.get("coin"):
            row["coin"] = [coin for coin in row["coin"] if coin["coin"] in wanted.split(",")]
        return {"list": [row]}

    def coins(self, asked: Asked) -> Any:
        """Nothing of coins' networks, which ccxt asks for with its markets: nobody withdraws here."""
        return {"rows": []}

    def fees(self, asked: Asked) -> Any:
        """The account's fees of a pair, or of all."""
        account, wanted = self.venue.accounts[asked.account], asked.params.get("symbol")
        rates = {"takerFeeRate": str(account.taker), "makerFeeRate": str(account.maker)}
        return {"list": [{"symbol": one, **rates} for one in self.venue.listings if wanted in (None, one)]}
