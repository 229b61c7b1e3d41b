"""What an account is found to be before anything is sent: may it trade, what does it hold, what is in the way.

Everything is read, nothing is changed. What the exchange refuses is a mistake that the user can cure; what it
does not answer is an outage, and somebody else's business to wait for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from loguru import logger

from actors.venues.capabilities import capability
from actors.venues.ccxt import Connection
from actors.venues.live.failure import Verdict
from actors.venues.live.holdings import Seen
from actors.venues.live.markets import number, positive
from actors.venues.live.paging import Function, Pages, answer_of, listing_of
from actors.venues.live.whose import number_beside_balances, number_of
from actors.venues.live.wire import Answer
from actors.venues.live.words import NO_COINS, names_coins, rows
from engine.errors import ConfigError, Outage, Problem, TradepitError
from engine.market import Market
from engine.quota import wait_for_room
from engine.reconcile import installation_of, is_of_account
from engine.settings import Config
from engine.types import ONE, ZERO

CLOCK_MS: Final = 5_000
"""A machine's clock that is further off is worth a word; what is traded goes by the exchange's."""

CLOCK_MAX_MS: Final = 60_000
"""One that is further off than this is a mistake to be cured before a first run."""

CLOCK_CURE: Final = "Set the machine's time: timedatectl set-ntp true"

SECOND: Final = (
    "WARNING: another Tradepit has orders in this account, a second bot or one whose folder is lost: two bots on an "
    "account spend the same money, and on futures they close each other's positions"
)

SHOWN: Final = 10


@dataclass(slots=True)
class Account:
    """What was found. `orders` are (pair, our id, in words), `positions` (pair, in words); `notes` are for the user's eyes. `seen` is all of it as it came, `uid` the exchange's own number of the account, where it tells it."""

    balances: tuple[tuple[str, Decimal, Decimal], ...] = ()
    orders: tuple[tuple[str, str, str], ...] = ()
    positions: tuple[tuple[str, str], ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: Seen | None = None
    uid: str = ""

    def free(self, currency: str) -> Decimal:
        """What is free of a coin."""
        return next((free for coin, free, _ in self.balances if coin == currency), ZERO)


async def examine(connection: Connection, config: Config, pairs: Sequence[str], *, strict: bool) -> Account:
    """Look at an account whose markets are loaded; `strict` also counts too little money as a mistake. On the loop.

    Raises:
        Outage: the exchange does not answer.
        ConfigError: the keys are refused, or the account is not of the kind that is read: nothing else can be said.
    """
    found = Account()
    _check_clock(connection, config, found, strict=strict)
    _check_markets(connection.markets(), config, pairs, found)
    await _room(connection)
    await _check_paths(connection)
    began = time.monotonic()
    told = await _asked(connection, connection.trading.fetch_balance)
    found.balances = _balances(told)
    found.uid = number_beside_balances(told)
    if config.account and not found.uid:  # there are several: each must be one of its own
        found.uid = await number_of(connection)
    await _check_permissions(connection, config, found)
    positions = await _check_positions(connection, found) if connection.futures else ()
    orders: list[Any] = []
    able = capability(connection.name, futures=connection.futures)
    for _, call in able.open_lists(None) or [each for pair in pairs for each in able.open_lists(pair)]:
        orders += rows(await _asked(connection, listing_of(connection.trading, call)))
    found.orders = tuple(_order(order, able.ours) for order in orders if isinstance(order, Mapping))
    found.seen = Seen(began, told, positions, orders)
    _check_money(connection, config, pairs, found, strict=strict)
    return found


async def _room(connection: Connection) -> None:
    """Wait until the exchange's present window has room for what `examine` asks: nobody gives it permits."""
    can = capability(connection.name, futures=connection.futures)
    kinds = ["balances", *(kind for kind, _ in can.open_lists(None))]
    kinds += ["positions", "position_mode"] if connection.futures else []
    now = connection.now()
    wait_ms = wait_for_room(can.limits(connection.reported), kinds, connection.usage(now), now)
    if wait_ms:
        logger.info("{} has counted much of this minute: going on in {:.0f} s", connection.name, wait_ms / 1_000)
        await asyncio.sleep(wait_ms / 1_000)


async def _asked(connection: Connection, asked: Function | Pages) -> Any:
    """The value of a read that must be possible.

    Raises:
        Outage: it is not answered.
        ConfigError: it is refused.
    """
    answer = await answer_of(connection.request, asked)
    if is_once_more(answer):
        answer = await answer_of(connection.request, asked)
    if answer.failure is None:
        return answer.value
    raise refusal_of(connection.name, answer)


def is_once_more(answer: Answer) -> bool:
    """Whether a read is worth asking for again at once: the exchange is there, and one answer came to nothing."""
    failure = answer.failure
    return failure is not None and failure.verdict is Verdict.IN_DOUBT


def refusal_of(name: str, answer: Answer) -> TradepitError:
    """A failed look in a sentence: an `Outage` to be waited for, or a mistake in the keys, the clock or the options."""
    failure = answer.failure
    assert failure is not None
    if failure.verdict is not Verdict.REFUSED or failure.code == "UNREACHABLE":
        return Outage(f"{name} does not answer: {failure.reason}")
    if not answer.sent_at:
        cure = "Look at them, or leave them out"
        return ConfigError(
            [Problem("exchange.options", "", f"nothing can be asked with them ({failure.reason})", cure)]
        )
    if failure.clock:
        why, cure = "the exchange does not believe our clock", CLOCK_CURE
    elif failure.key:
        why = "the exchange refuses the keys"
        cure = "Look at them, at what they may do, and at the addresses they may be used from"
    else:
        why, cure = "the exchange refuses to show the account", "Look at what the keys may do"
    return ConfigError([Problem("exchange", name, f"{why} ({failure.reason})", cure)])


def _check_clock(connection: Connection, config: Config, found: Account, *, strict: bool) -> None:
    off = round(connection.offset_ms)
    why = f"this machine's clock is {abs(off) / 1_000:.1f} s {'behind' if off > 0 else 'ahead of'} the exchange's"
    if strict and abs(off) > CLOCK_MAX_MS:
        found.problems.append(Problem("exchange", config.exchange.name, why, CLOCK_CURE))
    elif abs(off) > CLOCK_MS:
        found.notes.append(f"{why}; the exchange's is gone by")


def _check_markets(markets: Mapping[str, Market], config: Config, pairs: Sequence[str], found: Account) -> None:
    halted = [pair for pair in pairs if pair in markets and not markets[pair].active]
    if halted:
        found.notes.append(f"{_some(halted)}: halted on the exchange; no entries there until trading goes on")
    found.problems += too_much_leverage(markets, config, pairs)


def too_much_leverage(markets: Mapping[str, Market], config: Config, pairs: Sequence[str]) -> list[Problem]:
    """That more leverage is wanted than some of these pairs may have, if it is."""
    wanted = config.trading.leverage
    less = [pair for pair in pairs if pair in markets and wanted > markets[pair].leverage_max > ONE]
    if not less:
        return []
    most = min(markets[pair].leverage_max for pair in less)
    why = f"{_some(less)} may have {_bare(most)} at most"
    return [Problem("trading.leverage", _bare(wanted), why, f"Write {_bare(most)}, or leave them out")]


def _balances(told: Any) -> tuple[tuple[str, Decimal, Decimal], ...]:
    """(coin, free, locked) of what is not nothing."""
    free, used = (told.get(name) if isinstance(told, Mapping) else None for name in ("free", "used"))
    coins = {**(used or {}), **(free or {})}
    rows = (
        (str(coin), number((free or {}).get(coin)) or ZERO, number((used or {}).get(coin)) or ZERO) for coin in coins
    )
    return tuple(sorted(row for row in rows if row[1] or row[2]))


async def _check_paths(connection: Connection) -> None:
    """Refuse an account whose orders and balances are on other paths than the ones that are asked: KuCoin's `hf` accounts.

    ccxt learns it with an instance's markets, and ours come from the one without keys. It would show an empty account.
    """
    learn = getattr(connection.trading, "load_migration_status", None)
    if learn is None or connection.futures:
        return
    await _asked(connection, learn)
    is_apart = connection.trading.options.get("hf")
    if is_apart is None:
        raise Outage(f"{connection.name} does not answer: it does not say what kind of account it is")
    if is_apart:
        why = "the account is one for high-frequency trading, whose orders and balances are not read here"
        cure = "Use an account, or a sub-account, that is not"
        raise ConfigError([Problem("exchange", connection.name, why, cure)])


async def _check_permissions(connection: Connection, config: Config, found: Account) -> None:
    """Where the exchange tells what a key may do: trading must be among it, and withdrawing should not be."""
    ask = _PERMISSIONS.get(connection.name)
    if ask is None:
        return
    method, read = ask
    answer = await connection.request(getattr(connection.trading, method))
    if answer.failure is not None or not isinstance(answer.value, Mapping):
        reason = answer.failure.reason if answer.failure else "an answer without sense"
        found.notes.append(f"what the keys may do cannot be read ({reason})")
        return
    trades, withdraws = read(answer.value, connection.futures)
    if not trades:
        what = "futures" if connection.futures else "spot"
        why = f"the keys may not trade {what} there"
        found.problems.append(Problem("exchange", config.exchange.name, why, "Allow it where the keys were made"))
    if withdraws:
        found.notes.append("WARNING: the keys may withdraw money. Tradepit never does: make keys that may not")


def _binance(told: Mapping[str, Any], futures: bool) -> tuple[bool, bool]:
    name = "enableFutures" if futures else "enableSpotAndMarginTrading"
    return bool(told.get(name)), bool(told.get("enableWithdrawals"))


def _bybit(told: Mapping[str, Any], futures: bool) -> tuple[bool, bool]:
    result = told.get("result") or {}
    may = result.get("permissions") or {}
    trades = may.get("ContractTrade") if futures else may.get("Spot")
    return bool(trades) and str(result.get("readOnly")) != "1", "Withdraw" in (may.get("Wallet") or ())


def _okx(told: Mapping[str, Any], futures: bool) -> tuple[bool, bool]:
    del futures
    rows = told.get("data") or [{}]
    may = str(rows[0].get("perm", "")).split(",")
    return "trade" in may, "withdraw" in may


_PERMISSIONS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any], bool], tuple[bool, bool]]]]] = {
    "binance": ("sapi_get_account_apirestrictions", _binance),
    "bybit": ("private_get_v5_user_query_api", _bybit),
    "okx": ("private_get_account_config", _okx),
}
"""By exchange: ccxt's method, and how its answer says (may trade, may withdraw)."""


async def _check_positions(connection: Connection, found: Account) -> Sequence[Any]:
    exchange = connection.trading
    if exchange.has.get("fetchPositionMode"):
        told = await _asked(connection, exchange.fetch_position_mode)
        if isinstance(told, Mapping) and told.get("hedged"):
            why = "the account is in hedge mode: a pair could be long and short at once"
            cure = "Turn the exchange's position mode to one-way"
            found.problems.append(Problem("exchange.market", "futures", why, cure))
    called = capability(connection.name, futures=True).positions()
    positions = rows(await _asked(connection, listing_of(exchange, called)))
    found.positions = tuple(
        (str(p.get("symbol")), f"{p.get('side')} {number(p.get('contracts')):f} at {p.get('entryPrice')}")
        for p in positions
        if isinstance(p, Mapping) and number(p.get("contracts"))
    )
    return positions


def _order(told: Mapping[str, Any], ours: Callable[[str], str]) -> tuple[str, str, str]:
    trigger, price = (positive(told.get(name)) for name in ("stopPrice", "price"))
    kind = "stop" if trigger is not None else told.get("type")
    at = trigger or price
    words = f"{told.get('side')} {told.get('amount')} {kind}" + (f" at {_bare(at)}" if at else "")
    return str(told.get("symbol")), ours(str(told.get("clientOrderId") or "")), words


def _check_money(connection: Connection, config: Config, pairs: Sequence[str], found: Account, *, strict: bool) -> None:
    currency = config.trading.stake_currency
    markets = connection.markets()
    minima = [least for pair in pairs if pair in markets and (least := markets[pair].cost_min)]
    least, free = min(minima, default=ZERO), found.free(currency)
    stake = config.trading.stake_amount
    if not isinstance(stake, str):
        least = max(least, stake)
    if free >= least and free > ZERO:
        return
    why = f"the account has {_bare(free)} {currency} free, and an entry takes {_bare(least)}"
    if not found.balances and found.seen is not None and not names_coins(found.seen.balances):
        why = f"{NO_COINS}. An entry takes {_bare(least)} {currency}"
    if strict:
        found.problems.append(Problem("trading.stake_amount", str(stake), why, "Move money there, or lower the stake"))
    else:
        found.notes.append(f"{why}: no entries until there is more")


def described(account: Account, config: Config, pairs: Sequence[str], installation: str) -> list[str]:
    """What was found and what would be done, in lines for the user."""
    currency, live = config.trading.stake_currency, config.live
    coins = [
        f"{coin} {_bare(free)}" + (f" (+ {_bare(locked)} locked)" if locked else "")
        for coin, free, locked in account.balances
    ]
    ours = [order for order in account.orders if _is_ours(order, installation, config.account)]
    foreign = [order for order in account.orders if order not in ours]
    lines = [f"balances    {_some(coins) or 'nothing'}"]
    lines += [f"order       {pair}: {words}, ours" for pair, _, words in ours[:SHOWN]]
    lines += [f"order       {pair}: {words}, yours: it is left alone" for pair, _, words in foreign[:SHOWN]]
    hidden = len(account.orders) - min(len(ours), SHOWN) - min(len(foreign), SHOWN)
    lines += [f"orders      {hidden} more"] if hidden else []
    whose = "" if installation else ", yours: no entry is made against it"
    lines += [f"position    {pair}: {words}{whose}" for pair, words in account.positions[:SHOWN]]
    slots = config.trading.max_open_trades
    trades = "any number of trades" if slots == -1 else f"{slots} trades at once"
    lines.append(
        f"would do    {trades} on {len(pairs)} pairs, {live.largest_stake} {currency} each at most, "
        f"on {config.exchange.name} {config.exchange.market}"
    )
    notes = account.notes
    if any(installation_of(order[1]) for order in foreign):
        notes = [*notes, SECOND]
    return lines + [f"note        {note}" for note in notes]


def _is_ours(order: tuple[str, str, str], installation: str, account: str) -> bool:
    pair, client_order_id, _ = order
    return bool(installation) and is_of_account(client_order_id, installation, pair, account)


def _bare(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
