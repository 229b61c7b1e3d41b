"""The futures endpoints of an account's money: balances, positions, leverage, modes, funding, listen keys."""

from __future__ import annotations

import uuid
from typing import Any, Final

from tests.exchange.door import Asked, Endpoint, by_symbol
from tests.exchange.errors import Refusal, missing
from tests.exchange.events import short
from tests.exchange.futures import FuturesVenue
from tests.exchange.listing import places
from tests.exchange.margin import COIN, FuturesAccount, Position
from tests.exchange.orders import ZERO
from tests.exchange.quotes import Quote

LISTEN_MS: Final = 3_600_000


class MarginRest:
    """See the module."""

    def __init__(self, venue: FuturesVenue) -> None:
        self.venue = venue
        self.listen_keys: dict[str, tuple[str, int]] = {}

    def endpoints(self) -> dict[tuple[str, str], Endpoint]:
        """All of them, by method and path."""
        api = "/fapi/v1/"
        made: dict[tuple[str, str], Endpoint] = {
            ("GET", api + "premiumIndex"): Endpoint(handler=self.premium_index, weight=by_symbol(1, 10)),
            ("GET", api + "fundingRate"): Endpoint(handler=self.funding_rates, weight=1),
            ("GET", api + "fundingInfo"): Endpoint(handler=lambda _: [], weight=1),
            ("GET", api + "positionSide/dual"): Endpoint(handler=self.side_mode, weight=30, access="read"),
            ("POST", api + "positionSide/dual"): Endpoint(handler=self.set_side_mode, weight=1, access="trade"),
            ("GET", api + "multiAssetsMargin"): Endpoint(
                handler=lambda _: {"multiAssetsMargin": False}, weight=30, access="read"
            ),
            ("POST", api + "leverage"): Endpoint(handler=self.set_leverage, weight=1, access="trade"),
            ("POST", api + "marginType"): Endpoint(handler=self.set_margin_type, weight=1, access="trade"),
            ("GET", api + "leverageBracket"): Endpoint(handler=self.brackets, weight=1, access="read"),
            ("GET", api + "symbolConfig"): Endpoint(handler=self.symbol_config, weight=5, access="read"),
            ("GET", api + "accountConfig"): Endpoint(handler=self.account_config, weight=5, access="read"),
            ("GET", api + "commissionRate"): Endpoint(handler=self.commission, weight=20, access="read"),
            ("GET", api + "income"): Endpoint(handler=self.income, weight=30, access="read"),
            ("POST", api + "listenKey"): Endpoint(handler=self.listen_key, weight=1, access="key"),
            ("PUT", api + "listenKey"): Endpoint(handler=self.keep_listen_key, weight=1, access="key"),
            ("DELETE", api + "listenKey"): Endpoint(handler=self.end_listen_key, weight=1, access="key"),
        }
        for version in ("v2", "v3"):
            made["GET", f"/fapi/{version}/account"] = Endpoint(handler=self.account, weight=5, access="read")
            made["GET", f"/fapi/{version}/balance"] = Endpoint(handler=self.balance, weight=5, access="read")
            made["GET", f"/fapi/{version}/positionRisk"] = Endpoint(handler=self.positions, weight=5, access="read")
        return made

    def _account(self, asked: Asked) -> FuturesAccount:
        user = asked.user
        assert user is not None
        return self.venue.accounts[user.name]

    def _symbol(self, asked: Asked) -> str:
        return self.venue.listing(asked.need("symbol")).symbol

    # ------------------------------------------------------------ balances and positions

    def account(self, asked: Asked) -> Any:
        """The wallet and the positions."""
        account = self._account(asked)
        figures = {name: f"{value:.8f}" for name, value in account.figures().items()}
        totals = {f"total{name[0].upper()}{name[1:]}": value for name, value in figures.items()}
        totals["availableBalance"] = totals.pop("totalAvailableBalance")
        asset = {"asset": COIN, **figures, "maxWithdrawAmount": figures["availableBalance"]}
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "multiAssetsMargin": False,
            **totals,
            "assets": [{**asset, "updateTime": account.updated}],
            "positions": [self._position(account, position) for position in account.held()],
        }

    def balance(self, asked: Asked) -> Any:
        """The wallet."""
        account = self._account(asked)
        figures = account.figures()
        return [
            {
                "accountAlias": "SgsR",
                "asset": COIN,
                "balance": f"{figures['walletBalance']:.8f}",
                "crossWalletBalance": f"{figures['crossWalletBalance']:.8f}",
                "crossUnPnl": f"{figures['crossUnPnl']:.8f}",
                "availableBalance": f"{figures['availableBalance']:.8f}",
                "maxWithdrawAmount": f"{figures['availableBalance']:.8f}",
                "marginAvailable": True,
                "updateTime": account.updated,
            }
        ]

    def positions(self, asked: Asked) -> Any:
        """The positions that are not nothing; v2 tells every pair's, with leverage and margin mode."""
        account, symbol = self._account(asked), asked.params.get("symbol")
        return [self._position(account, p) for p in account.held() if symbol in (None, "", p.symbol)]

    def _position(self, account: FuturesAccount, position: Position) -> dict[str, Any]:
        listing = self.venue.listings[position.symbol]
        margin = account.isolated_wallet(position) if position.isolated else ZERO
        profit, price = account.profit(position), account.price(position)
        return {
            "symbol": position.symbol,
            "positionSide": "BOTH",
            "positionAmt": short(position.amount),
            "entryPrice": short(position.entry),
            "breakEvenPrice": short(position.entry),
            "markPrice": f"{price:.8f}",
            "unRealizedProfit": f"{profit:.8f}",
            "unrealizedProfit": f"{profit:.8f}",
            "liquidationPrice": f"{account.liquidation_price(position):.{places(listing.tick) + 3}f}",
            "isolatedMargin": f"{margin + profit if position.isolated else ZERO:.8f}",
            "notional": f"{position.amount * price:.8f}",
            "marginAsset": COIN,
            "isolatedWallet": f"{margin:.8f}",
            "initialMargin": f"{account.initial(position):.8f}",
            "maintMargin": f"{account.maintenance(position):.8f}",
            "positionInitialMargin": f"{account.initial(position):.8f}",
            "openOrderInitialMargin": "0",
            "leverage": str(position.leverage),
            "marginType": "isolated" if position.isolated else "cross",
            "isolated": position.isolated,
            "adl": 1,
            "bidNotional": "0",
            "askNotional": "0",
            "updateTime": position.updated,
        }

    # ------------------------------------------------------------ modes

    def side_mode(self, asked: Asked) -> Any:
        """Whether the account is in hedge mode."""
        return {"dualSidePosition": self._account(asked).hedged}

    def set_side_mode(self, asked: Asked) -> Any:
        """One-way or hedge mode; not while there are orders or positions."""
        account, wanted = self._account(asked), asked.need("dualSidePosition").lower() == "true"
        if wanted == account.hedged:
            raise Refusal(-4059, "No need to change position side.")
        if self.venue.working(account.name) or self.venue.algos.working(account.name):
            raise Refusal(-4067, "Position side cannot be changed if there exists open orders.")
        if account.held():
            raise Refusal(-4068, "Position side cannot be changed if there exists position.")
        account.hedged = wanted
        return {"code": 200, "msg": "success"}

    def set_leverage(self, asked: Asked) -> Any:
        """The leverage of a pair, within what its listing allows."""
        account, symbol, leverage = self._account(asked), self._symbol(asked), asked.integer("leverage") or 0
        position, listing = account.position(symbol), self.venue.listings[symbol]
        if not 1 <= leverage <= listing.max_leverage:
            raise Refusal(-4028, f"Leverage {leverage} is not valid")
        if position.isolated and position.amount and leverage < position.leverage:
            msg = "Leverage reduction is not supported in Isolated Margin Mode with open positions."
            raise Refusal(-4161, msg)
        position.leverage = leverage
        now = self.venue.clock.now()
        event = {"e": "ACCOUNT_CONFIG_UPDATE", "E": now, "T": now, "ac": {"s": symbol, "l": leverage}}
        self.venue.publish(account.name, event)
        return {"leverage": leverage, "maxNotionalValue": "1000000", "symbol": symbol}

    def set_margin_type(self, asked: Asked) -> Any:
        """Isolated or cross margin of a pair; not while it has orders or a position."""
        account, symbol, wanted = self._account(asked), self._symbol(asked), asked.need("marginType")
        position = account.position(symbol)
        if wanted not in ("ISOLATED", "CROSSED"):
            raise missing("marginType")
        if (wanted == "ISOLATED") == position.isolated:
            raise Refusal(-4046, "No need to change margin type.")
        if self.venue.working(account.name, symbol) or self.venue.algos.working(account.name, symbol):
            raise Refusal(-4047, "Margin type cannot be changed if there exists open orders.")
        if position.amount:
            raise Refusal(-4048, "Margin type cannot be changed if there exists position.")
        position.isolated = wanted == "ISOLATED"
        return {"code": 200, "msg": "success"}

    def brackets(self, asked: Asked) -> Any:
        """One bracket for each pair: its most leverage and its maintenance rate."""
        names = [self._symbol(asked)] if asked.params.get("symbol") else list(self.venue.listings)
        return [
            {
                "symbol": name,
                "notionalCoef": 1.0,
                "brackets": [
                    {
                        "bracket": 1,
                        "initialLeverage": self.venue.listings[name].max_leverage,
                        "notionalCap": 10_000_000,
                        "notionalFloor": 0,
                        "maintMarginRatio": float(self.venue.listings[name].maintenance),
                        "cum": 0.0,
                    }
                ],
            }
            for name in names
        ]

    def symbol_config(self, asked: Asked) -> Any:
        """Leverage and margin mode of a pair, or of all."""
        account = self._account(asked)
        names = [self._symbol(asked)] if asked.params.get("symbol") else list(self.venue.listings)
        return [
            {
                "symbol": name,
                "marginType": "ISOLATED" if account.position(name).isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": account.position(name).leverage,
                "maxNotionalValue": "1000000",
            }
            for name in names
        ]

    def account_config(self, asked: Asked) -> Any:
        """What the account may do, and its mode."""
        account = self._account(asked)
        return {
            "feeTier": 0,
            "canTrade": asked.user is not None and asked.user.can_trade,
            "canDeposit": True,
            "canWithdraw": True,
            "dualSidePosition": account.hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def commission(self, asked: Asked) -> Any:
        """The account's fees."""
        account = self._account(asked)
        rates = {"makerCommissionRate": str(account.maker), "takerCommissionRate": str(account.taker)}
        return {"symbol": self._symbol(asked), **rates}

    def income(self, asked: Asked) -> Any:
        """Commissions, profits, funding, transfers."""
        rows = self._account(asked).income
        symbol, kind = asked.params.get("symbol"), asked.params.get("incomeType")
        start, end = asked.integer("startTime"), asked.integer("endTime")
        found = [
            row
            for row in rows
            if symbol in (None, "", row["symbol"])
            and kind in (None, "", row["incomeType"])
            and (start is None or row["time"] >= start)
            and (end is None or row["time"] <= end)
        ]
        limit = min(asked.integer("limit") or 100, 1000)
        return found[:limit] if start is not None else found[-limit:]

    # ------------------------------------------------------------ funding

    def premium_index(self, asked: Asked) -> Any:
        """Mark prices and the next funding."""
        if asked.params.get("symbol"):
            return self._premium(self.venue.quotes[self._symbol(asked)], asked.now)
        return [self._premium(quote, asked.now) for quote in self.venue.quotes.values()]

    def _premium(self, quote: Quote, now: int) -> dict[str, Any]:
        price = f"{quote.last:.8f}"
        return {
            "symbol": quote.listing.symbol,
            "markPrice": price,
            "indexPrice": price,
            "estimatedSettlePrice": price,
            "lastFundingRate": f"{self.venue.funding_rate:.8f}",
            "interestRate": "0.00010000",
            "nextFundingTime": self.venue.next_funding,
            "time": now,
        }

    def funding_rates(self, asked: Asked) -> Any:
        """The rates that were paid."""
        symbol = asked.params.get("symbol")
        start, end = asked.integer("startTime"), asked.integer("endTime")
        rows = [
            row
            for row in self.venue.rates
            if symbol in (None, "", row["symbol"])
            and (start is None or row["fundingTime"] >= start)
            and (end is None or row["fundingTime"] <= end)
        ]
        return rows[-min(asked.integer("limit") or 100, 1000) :]

    def next_funding(self, symbol: str) -> tuple[str, int]:
        """For the mark price stream."""
        return f"{self.venue.funding_rate:.8f}", self.venue.next_funding

    # ------------------------------------------------------------ listen keys

    def listen_key(self, asked: Asked) -> Any:
        """The account's key for its stream; asked again, the same one, good for another hour."""
        account = self._account(asked).name
        now = self.venue.clock.now()
        for key, (name, ends) in self.listen_keys.items():
            if name == account and ends > now:
                self.listen_keys[key] = (name, now + LISTEN_MS)
                return {"listenKey": key}
        key = uuid.uuid4().hex * 2
        self.listen_keys[key] = (account, now + LISTEN_MS)
        return {"listenKey": key}

    def keep_listen_key(self, asked: Asked) -> Any:
        """Another hour, or Binance's refusal if there is none."""
        account = self._account(asked).name
        now = self.venue.clock.now()
        if not any(name == account and ends > now for name, ends in self.listen_keys.values()):
            raise Refusal(-1125, "This listenKey does not exist.")
        return self.listen_key(asked)

    def end_listen_key(self, asked: Asked) -> Any:
        """No stream any more."""
        account = self._account(asked).name
        self.listen_keys = {key: kept for key, kept in self.listen_keys.items() if kept[0] != account}
        return {}

    def account_of(self, key: str) -> str | None:
        """Whose stream a key opens, if it is still good."""
        name, ends = self.listen_keys.get(key, ("", 0))
        return name if ends > self.venue.clock.now() else None
