"""What a user can set, as frozen data: the sections of `config.toml`, and the trade machine's own settings.

`config.py` reads and checks a mapping into these; every field's metadata is its documentation, from
which the table in `docs/config.md` is generated. A field named as in Freqtrade means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.types import ONE, ZERO


def doc(text: str, default: Any = None, *, factory: Any = None) -> Any:
    """A dataclass field with its documentation."""
    if factory is not None:
        return field(default_factory=factory, metadata={"doc": text})
    return field(default=default, metadata={"doc": text})


D = Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingConfig:
    """`[trading]`: what is traded, how much, how often."""

    pairs: tuple[str, ...] = doc("pairs to trade; empty takes all of the feed's", ())
    stake_currency: str = doc("the coin that stakes and profits are counted in", "USDT")
    stake_amount: Decimal | str = doc(
        'stake of a trade: an amount, "5%" of the total, or "unlimited" (all slots share)', "unlimited"
    )
    max_open_trades: int = doc("slots; -1 is no limit", 10)
    tradable_balance_ratio: Decimal = doc("the part of the balance that may be traded with", D("0.99"))
    available_capital: Decimal | None = doc("start from this capital instead of the balance", None)
    amend_last_stake_amount: bool = doc("give the last slot what is left when it is less than a stake", False)
    last_stake_amount_min_ratio: Decimal = doc("but not less than this part of a stake", D("0.5"))
    amount_reserve_percent: Decimal = doc(
        "reserve above the market's minimum, so that the stop can still be sold", D("0.05")
    )
    liquidation_buffer: Decimal = doc(
        "leave a futures position this part of the way to the entry before its liquidation price", D("0.05")
    )
    leverage: Decimal = doc("leverage of every trade, unless the strategy's callback says otherwise", ONE)
    entry_order: str = doc(
        'who comes first in a round: "pairs" (order of the config) or "score" (the strategy\'s)', "pairs"
    )
    custom_price_max_distance_ratio: Decimal = doc(
        "furthest that a strategy's own price may be from the proposed one, as a ratio of it; not over candles, which bound it",
        D("0.02"),
    )
    round_deadline_ms: int = doc("how long a round waits for slow pairs before it grants, milliseconds", 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutConfig:
    """`[unfilledtimeout]`: when an unfilled order is given up."""

    entry: int = doc("for entries; 0 never", 10)
    exit: int = doc("for exits; 0 never", 10)
    unit: str = doc('"minutes" or "seconds"', "minutes")
    exit_timeout_count: int = doc("after so many unfilled exits leave at market price; 0 never", 0)
    exit_closer: int = doc("so long after a wish to leave, an exit that waits moves to the last price; 0 never", 0)
    exit_market: int = doc("so long after a wish to leave, what is not sold leaves at market price; 0 never", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricingConfig:
    """`[exit_pricing]`: what a limit order that leaves a position asks; stops and market orders wait for no price."""

    price_side: str = doc(
        '"last": the last price known, without a look at the book; "same": where our order rests (a buy at the bid); '
        '"other": where it is taken at once; "bid" or "ask"',
        "last",
    )
    use_order_book: bool = doc("take the price of level order_book_top of that side; false: the best one", False)
    order_book_top: int = doc("the level, 1 being the best", 1)
    price_last_balance: Decimal = doc(
        "without use_order_book: move the price by this part of the way to the last one: an entry's down, an exit's up",
        ZERO,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPricingConfig(PricingConfig):
    """`[entry_pricing]`: what an entry asks, and how much book there must be; without a quote in time there is none."""

    bids_to_ask_delta: Decimal | None = doc(
        "enter only when what rests on the bids is this many times what rests on the asks (a short: the other way "
        "round); none given: the book is not weighed",
        None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskConfig:
    """`[risk]`: limits over all pairs; when one is passed, entries stop (EXITS_ONLY) and it is said."""

    max_exposure_per_pair: Decimal | None = doc("largest position of a pair, in stake currency, with leverage", None)
    max_exposure: Decimal | None = doc("largest sum of all positions, in stake currency, with leverage", None)
    max_drawdown: Decimal | None = doc("largest fall of the closed balance from its peak, as a ratio", None)
    max_daily_loss: Decimal | None = doc("largest loss of a UTC day, as a ratio of the day's first balance", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyConfig:
    """`[strategy]`: which strategy, and the processes it runs in."""

    name: str = doc("name of a shipped one, or a path to FILE.py, or FILE.py:Class", "ema_cross")
    workers: int | None = doc(
        "worker processes; none given: cores - 1, at least 1; 0 judges inside the bot (debugging)", None
    )
    deadline_ms: int = doc("longest a pair's judgement may take before its worker is replaced", 2_000)
    callback_deadline_ms: int = doc("longest a callback may take before its default serves", 500)
    memory_mb: int = doc("address space a worker may use, MiB", 2_048)
    parameters: Mapping[str, Any] = doc("attributes to set on the strategy: [strategy.parameters]", factory=dict)
    overrides: Mapping[str, Any] = doc("strategy settings that override the file's: [strategy.overrides]", factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedConfig:
    """`[feed]`: where candles and prices come from."""

    source: str = doc(
        'of the simulated exchange: "market" (built in, seeded) or "files" (candles in a folder); a real one has its own',
        "market",
    )
    pairs: int = doc("built-in market: how many pairs it has", 50)
    seed: int = doc("built-in market: the same seed is the same market", 1)
    speed: Decimal = doc("built-in market: market seconds a second", D(1))
    start: str = doc("built-in market: its time when first started, ISO 8601", "2026-01-01T00:00:00Z")
    data: str = doc("files: the folder", "")
    timeframe_detail: str = doc(
        "backtest and replay: trade on candles of this finer timeframe, judge on the strategy's; empty: on the same", ""
    )
    tick_ms: int = doc("how often prices of open trades are looked at, real milliseconds", 250)
    stale_after_candles: int = doc("a pair without a new candle for so many is stale, and said to be", 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeConfig:
    """`[exchange]`: the venue."""

    name: str = doc(
        '"paper" is the simulated exchange with a market of its own; else what ccxt calls it: "binance", "bybit" …: '
        'with mode = "paper" its market data, and no keys',
        "paper",
    )
    market: str = doc('"spot", or "futures": perpetual contracts that are settled in the stake currency', "spot")
    margin_mode: str = doc('futures: "isolated" or "cross"', "isolated")
    keys_file: str = doc(
        "file with key, secret and, where the exchange has one, password, a line each; only its owner may read it. "
        "Without one the environment has them: TRADEPIT_KEY, TRADEPIT_SECRET, TRADEPIT_PASSWORD; "
        "those of the account main: TRADEPIT_MAIN_KEY …",
        "",
    )
    options: Mapping[str, Any] = doc("merged into the ccxt constructor as it is", factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """`[live]`: real money is at stake; nothing is sent before both are confirmed here."""

    exchange: str = doc('the exchange\'s name once more, as a confirmation; mode = "live" needs it', "")
    largest_stake: Decimal | None = doc(
        'the most that one trade may tie up, all its entries together, in the stake currency; mode = "live" needs it',
        None,
    )
    stops_on_exchange: bool = doc(
        "rest a guarding stop at the exchange for every position, where it takes them; false leaves it to the strategy's stoploss_on_exchange",
        True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperConfig:
    """`[paper]`: the simulated exchange."""

    wallet: Decimal = doc("balance to start with, in the stake currency", D(10_000))
    fills: str = doc('"book" (spread, depth, latency) or "candle" (Freqtrade\'s rules)', "book")
    maker_fee: Decimal = doc(
        "fee of a resting order, as a ratio; at a real exchange's prices its own fee counts", D("0.001")
    )
    taker_fee: Decimal = doc("fee of an order that takes, as a ratio; likewise", D("0.001"))
    fee_in_base: bool = doc("take the fee of a buy in the bought coin, as most spot exchanges do", False)
    latency_ms: int = doc("time of an answer, real milliseconds", 20)
    spread: Decimal = doc("distance from bid to ask, as a ratio of the price", D("0.0004"))
    depth: Decimal = doc("stake currency resting within one spread of the price", D(50_000))
    fee_coin: str = doc("a third coin that fees are taken in while there is some, as exchanges offer; empty: none", "")
    fee_coin_price: Decimal = doc("what one fee_coin is worth in the stake currency", ONE)
    fee_coin_wallet: Decimal = doc("how much of fee_coin there is to start with", ZERO)
    leverage_max: Decimal = doc("highest leverage of an order, where an exchange does not tell", D(20))
    maintenance_rate: Decimal = doc(
        "at a real exchange's prices, where it does not tell without keys: the part of a futures position's worth that must "
        "be left of its margin, else it is liquidated; leverage goes up to half of its inverse",
        D("0.025"),
    )
    weight_per_minute: int = doc("request weight the exchange allows in a minute", 6_000)
    orders_per_10s: int = doc(
        "orders the exchange allows in 10 market seconds; an entry with a stop on the exchange takes two, a fifth is kept for exits",
        100,
    )
    orders_per_day: int = doc("orders the exchange allows in a day", 200_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """`[history]`: the journal, the DuckDB file, and the SQL door."""

    db: str = doc("the DuckDB file; the journal and the paper venue's record lie beside it", "tradepit.duckdb")
    memory_limit: str = doc("DuckDB's memory", "128MB")
    threads: int = doc("DuckDB's threads", 1)
    candles: bool = doc("keep the candles that were judged in the table `candles`", False)
    door: bool = doc("open the SQL door while running", True)
    door_port: int = doc("its port on the loopback; 0 takes a free one", 0)
    statement_seconds: int = doc("longest a statement of a client may run", 30)
    segment_mb: int = doc("the journal starts a new file at this size, MiB; each start reads through the newest", 16)
    disk_reserve_mb: int = doc("entries stop when less than this is free, MiB", 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyConfig:
    """`[notify]`: who is told, beside the log; `pip install 'tradepit[notify]'` brings Apprise, which knows the ways."""

    targets: tuple[Mapping[str, Any], ...] = doc("[[notify.targets]]: see below", ())
    batch_ms: int = doc("notices within so long are one message, milliseconds; an alarm does not wait", 2_000)
    attempts: int = doc("a message is given up after so many attempts, with growing pauses between", 8)
    timeout_s: int = doc("longest an attempt may take, seconds", 15)
    queue: int = doc("notices that may wait for one target; past that the oldest of the least severe is dropped", 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """`[runtime]`: supervision and logging."""

    restarts: int = doc("restarts of one actor allowed within `restart_period_s` before it escalates", 5)
    restart_period_s: int = doc("the period they are counted in, seconds", 60)
    watchdog_s: int = doc("longest one message may take before its actor is replaced, seconds", 10)
    deadman_s: int = doc("longest the whole process may stand still before it ends itself, seconds", 60)
    pin: bool = doc("keep the trading threads on one core: cheaper messages", True)
    shutdown_s: int = doc("longest an orderly end waits for what is in flight, seconds", 20)
    log_level: str = doc("TRACE, DEBUG, INFO, WARNING or ERROR", "INFO")
    log_file: str = doc("log file, rotated at 20 MB, five kept; empty: none", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of `config.toml`, or what it amounts to for one of its `accounts`, whose name is `account` then.

    With `accounts` only what they share is true of the whole: `history`, `notify` and `runtime`.
    """

    mode: str = doc('"paper" fills orders here, by the prices of `exchange.name`; "live" sends them there', "paper")
    trading: TradingConfig = doc("", factory=TradingConfig)
    unfilledtimeout: TimeoutConfig = doc("", factory=TimeoutConfig)
    entry_pricing: EntryPricingConfig = doc("", factory=EntryPricingConfig)
    exit_pricing: PricingConfig = doc("", factory=PricingConfig)
    risk: RiskConfig = doc("", factory=RiskConfig)
    strategy: StrategyConfig = doc("", factory=StrategyConfig)
    feed: FeedConfig = doc("", factory=FeedConfig)
    exchange: ExchangeConfig = doc("", factory=ExchangeConfig)
    live: LiveConfig = doc("", factory=LiveConfig)
    paper: PaperConfig = doc("", factory=PaperConfig)
    history: HistoryConfig = doc("", factory=HistoryConfig)
    notify: NotifyConfig = doc("", factory=NotifyConfig)
    runtime: RuntimeConfig = doc("", factory=RuntimeConfig)
    protections: tuple[Mapping[str, Any], ...] = doc("[[protections]]: see docs; the strategy's own are added", ())
    accounts: tuple[Config, ...] = doc("[[accounts]]: several accounts or exchanges in one process; see below", ())
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the trade machine of every pair goes by: the strategy's settings under the config's.

    `detail_ms` is the length of the finer candles that are traded on, 0 where there are none.
    `roi` is sorted by minutes: (minutes, ratio). Ratios are leveraged profits (`semantics.md` 1.7).
    `price_distance` is how far a strategy's own price may be from the proposed one.
    A stop at the venue follows after `stop_interval_ms`, and by `stop_step` as a ratio, at least; the bot guards
    the difference. `stop_beside` says that the venue keeps a stop beside another one, and beside an exit,
    `stop_replace` that it takes a stop for another in one request: both or neither, `stop_amend` that it changes one
    that rests, which keeps its id.
    """

    timeframe_ms: int
    detail_ms: int = 0
    roi: tuple[tuple[int, Decimal], ...] = ()
    stoploss: Decimal = D("-0.1")
    trailing_stop: bool = False
    trailing_stop_positive: Decimal | None = None
    trailing_stop_positive_offset: Decimal = ZERO
    trailing_only_offset_is_reached: bool = False
    use_exit_signal: bool = True
    exit_profit_only: bool = False
    exit_profit_offset: Decimal = ZERO
    ignore_roi_if_entry_signal: bool = False
    can_short: bool = False
    leverage: Decimal = ONE
    fee: Decimal | None = None
    entry_type: str = "limit"
    exit_type: str = "limit"
    stop_type: str = "market"
    emergency_type: str = "market"
    force_entry_type: str = "market"
    force_exit_type: str = "market"
    entry_time_in_force: str = "GTC"
    exit_time_in_force: str = "GTC"
    stop_on_venue: bool = False
    stop_interval_ms: int = 60_000
    stop_step: Decimal = D("0.001")
    stop_beside: bool = False
    stop_replace: bool = False
    stop_amend: bool = False
    entry_timeout_ms: int = 600_000
    exit_timeout_ms: int = 600_000
    exit_timeout_count: int = 0
    exit_closer_ms: int = 0
    exit_market_ms: int = 0
    entry_pricing: EntryPricingConfig = EntryPricingConfig()
    exit_pricing: PricingConfig = PricingConfig()
    price_distance: Decimal = D("0.02")
    signal_max_age_ms: int = 0
    position_adjustment: bool = False
    max_entry_adjustments: int = -1
    amount_reserve: Decimal = D("0.05")
    liquidation_buffer: Decimal = D("0.05")
    callbacks: frozenset[str] = frozenset()
    callback_deadline_ms: int = 500
