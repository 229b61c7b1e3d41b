"""What becomes of each key of a Freqtrade configuration here.

One table says it for every key that Freqtrade has: taken over under a name of ours, not needed, or not
supported, and why. Secrets are never taken: the environment variable that holds one is named instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from actors.batch.freqtrade_words import LACKED, NEEDED_NOT, SAME, SECTIONS
from actors.venues.capabilities import exchanges
from engine.config import parse_config
from engine.config_rules import FREQTRADE, HIDDEN, PAIR, is_secret, shown, without_secrets
from engine.errors import ConfigError
from engine.protection_settings import METHODS
from engine.strategy import SETTINGS

TAKEN: Final = "taken over"
SECRET: Final = "secret"  # noqa: S105  (a word for the report)
NEEDLESS: Final = "not needed"
LACKING: Final = "not supported"
UNKNOWN: Final = "unknown"

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one key: `what` is one of the words above, `says` the rest of the sentence."""

    key: str
    value: str
    what: str
    says: str


@dataclass(slots=True)
class Converted:
    """Our configuration, section by section, and the outcome of every key, in the order of the file.

    `find` tells where a strategy's class is, as `[strategy] name` has it; empty where it is nowhere.
    """

    find: Callable[[str], str]
    config: dict[str, Any] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)

    def put(self, ours: str, value: Any) -> None:
        """Set a key of ours, dotted."""
        *sections, name = ours.split(".")
        table = self.config
        for section in sections:
            table = table.setdefault(section, {})
        table[name] = value

    def tell(self, key: str, value: Any, what: str, says: str) -> None:
        """Note what became of a key."""
        self.outcomes.append(Outcome(key, shown(key, value), what, says))

    def take(self, key: str, value: Any, ours: str, put: Any = None) -> None:
        """Take a key over as `ours`, with its own value or with another."""
        self.put(ours, value if put is None else put)
        self.tell(key, value, TAKEN, f"as {ours}")


def convert_config(freqtrade: Table, find: Callable[[str], str]) -> Converted:
    """Our configuration for Freqtrade's. What ours refuses is left out of it, and said."""
    done = Converted(find=find, config={"mode": "paper"})
    for key, value in _flat(freqtrade):
        if value is None:
            done.tell(key, value, NEEDLESS, "it is null")
        else:
            _convert_key(done, freqtrade, key, _said(value))
    for section in ("entry_pricing", "exit_pricing"):
        if isinstance(freqtrade.get(section), dict) and "price_side" not in freqtrade[section]:
            done.put(f"{section}.price_side", "same")
            done.tell(f"{section}.price_side", None, TAKEN, f'as {section}.price_side = "same", Freqtrade\'s default')
    if not freqtrade.get("strategy"):
        done.tell("strategy", None, LACKING, "it is not in there; write name = FILE.py:Class under [strategy]")
    _leave_out_what_is_refused(done)
    return done


def variable_of(key: str) -> str:
    """The environment variable that is to hold the secret of a key."""
    return "TRADEPIT_" + re.sub(r"[^A-Z0-9]+", "_", key.upper())


def _flat(table: Table) -> Iterator[tuple[str, Any]]:
    """Keys with their values; those of sections dotted, tables that are one value whole."""
    for key, value in table.items():
        if key in SECTIONS and isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _said(value: Any) -> Any:
    """A value without what says nothing: null within it, and numbers that are none but the endless one for slots."""
    if isinstance(value, dict):
        return {k: _said(v) for k, v in value.items() if v is not None and not _is_no_number(v)}
    if isinstance(value, list):
        return [_said(v) for v in value if v is not None and not _is_no_number(v)]
    return value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, Decimal) and not value.is_finite()


def _convert_key(done: Converted, freqtrade: Table, key: str, value: Any) -> None:
    section, _, name = key.rpartition(".")
    if key in _SPECIAL:
        _SPECIAL[key](done, freqtrade, key, value)
    elif is_secret(name) and value not in ("", None):
        used = section == "exchange"
        says = f"not written; trading live will read it from {variable_of(key)}, paper needs none"
        done.outcomes.append(Outcome(key, HIDDEN, SECRET, says if used else f"not written; {_why_not(section)}"))
    elif key in SAME:
        done.take(key, value, SAME[key])
    elif name in SETTINGS and not section:
        done.take(key, value, f"strategy.overrides.{name}")
    elif key in NEEDED_NOT or name.startswith("_"):
        done.tell(key, value, NEEDLESS, NEEDED_NOT.get(key, "a comment"))
    elif key in LACKED or section in LACKED:
        done.tell(key, value, LACKING, LACKED.get(key) or LACKED[section])
    elif section in NEEDED_NOT:
        done.tell(key, value, NEEDLESS, NEEDED_NOT[section])
    elif name in FREQTRADE:
        done.tell(key, value, LACKING, _small(FREQTRADE[name]))
    else:
        done.tell(key, value, UNKNOWN, "no key of Freqtrade's that is known here")


def _why_not(section: str) -> str:
    return LACKED.get(section) or NEEDED_NOT.get(section) or "nothing here needs it"


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _leave_out_what_is_refused(done: Converted) -> None:
    """Take out, one after the other, the values that our configuration refuses, and say why."""
    for _ in range(len(done.outcomes) + 1):
        try:
            parse_config(done.config)
        except ConfigError as error:
            for problem in error.problems:
                _take_out(done, problem.key, f"{problem.why}. {problem.cure}")
        else:
            return


def _take_out(done: Converted, ours: str, why: str) -> None:
    path = re.sub(r"\[\d+\].*", "", ours).split(".")
    path = path[:3] if path[:2] == ["strategy", "overrides"] else path[:2]
    name = ".".join(path)
    table: Any = done.config
    for section in path[:-1]:
        table = table.get(section, {})
    table.pop(path[-1], None)
    done.outcomes = [
        Outcome(o.key, o.value, LACKING, f"not taken as {name}: {why}") if o.says == f"as {name}" else o
        for o in done.outcomes
    ]


# ---------------------------------------------------------------- keys that need a thought


def _slots(done: Converted, _: Table, key: str, value: Any) -> None:
    unlimited = isinstance(value, Decimal) and not value.is_finite()
    whole = int(value) if isinstance(value, Decimal) and value.is_finite() and value == int(value) else value
    done.take(key, value, "trading.max_open_trades", -1 if unlimited or whole in (0, -1) else whole)


def _dry_run(done: Converted, _: Table, key: str, value: Any) -> None:
    live = 'as mode = "paper": for real money write mode = "live" and the confirmation under [live], docs/live.md'
    done.tell(key, value, TAKEN if value else LACKING, 'as mode = "paper"' if value else live)


def _wallet(done: Converted, freqtrade: Table, key: str, value: Any) -> None:
    coin = freqtrade.get("stake_currency")
    if not isinstance(value, dict):
        done.take(key, value, "paper.wallet")
    elif coin in value:
        done.take(key, value, "paper.wallet", value[coin])
        if len(value) > 1:
            done.tell(
                f"{key} (other coins)",
                {c: v for c, v in value.items() if c != coin},
                LACKING,
                "the paper wallet begins with the stake currency",
            )
    else:
        done.tell(key, value, LACKING, f"it has none of the stake currency, {coin}; set wallet under [paper]")


def _fee(done: Converted, _: Table, key: str, value: Any) -> None:
    done.put("paper.maker_fee", value)
    done.put("paper.taker_fee", value)
    done.tell(key, value, TAKEN, "as paper.maker_fee and paper.taker_fee")


def _exchange(done: Converted, _: Table, key: str, value: Any) -> None:
    """Paper trades by this exchange's prices; an exchange that nothing is known of leaves the simulated one."""
    if value in exchanges():
        done.take(key, value, "exchange.name")
    else:
        known = ", ".join(exchanges())
        done.tell(key, value, LACKING, f"traded here are {known}; paper trades on the simulated exchange")


def _pairs(done: Converted, freqtrade: Table, key: str, value: Any) -> None:
    listed = [pair for pair in value if isinstance(pair, str)] if isinstance(value, list) else []
    barred = [p for p in freqtrade.get("exchange", {}).get("pair_blacklist", []) if isinstance(p, str)]
    patterns = [pair for pair in listed if not PAIR.fullmatch(pair)]
    stake = freqtrade.get("stake_currency")
    foreign = [p for p in listed if p not in patterns and stake and p.partition("/")[2].partition(":")[0] != stake]
    left = [p for p in dict.fromkeys(listed) if p not in patterns and p not in foreign]
    pairs = [pair for pair in left if not any(_matches(pattern, pair) for pattern in barred)]
    if pairs:
        done.take(key, pairs, "trading.pairs")
    else:
        done.tell(key, value, LACKING, "no pair is left; an empty list would trade all: write pairs under [trading]")
    if foreign:
        done.tell(f"{key} (some)", foreign, LACKING, f"stakes are in {stake}: these are traded for another coin")
    if patterns:
        done.tell(f"{key} (patterns)", patterns, LACKING, "write the pairs themselves under [trading] pairs")


def _matches(pattern: str, pair: str) -> bool:
    try:
        return re.fullmatch(pattern, pair, re.IGNORECASE) is not None
    except re.error:
        return False


def _barred(done: Converted, _: Table, key: str, value: Any) -> None:
    done.tell(key, value, TAKEN, "by leaving these pairs out of trading.pairs")


def _options(done: Converted, _: Table, key: str, value: Any) -> None:
    if not isinstance(value, dict):
        done.tell(key, value, LACKING, "it must be a table")
        return
    options, secrets = _without_secrets(value, key)
    for secret in secrets:
        says = f"not written; trading live will read it from {variable_of(secret)}, paper needs none"
        done.outcomes.append(Outcome(secret, HIDDEN, SECRET, says))
    if options:
        before = done.config.get("exchange", {}).get("options", {})
        done.take(key, value, "exchange.options", {**before, **options})
    else:
        done.tell(key, value, NEEDLESS, "it is empty")


def _without_secrets(table: Table, place: str) -> tuple[dict[str, Any], list[str]]:
    kept: dict[str, Any] = {}
    secrets: list[str] = []
    for name, value in table.items():
        if is_secret(name) or (isinstance(value, str | list) and without_secrets(value) != value):
            secrets.append(f"{place}.{name}")  # by its name, or as the password in an address
        elif isinstance(value, dict):
            kept[name], more = _without_secrets(value, f"{place}.{name}")
            secrets += more
        elif value is not None:
            kept[name] = value
    return kept, secrets


def _pairlists(done: Converted, _: Table, key: str, value: Any) -> None:
    methods = [str(one.get("method")) for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    others = [method for method in methods if method != "StaticPairList"]
    if others:
        done.tell(key, value, LACKING, f"{', '.join(others)}: pairs are those under [trading] pairs")
    else:
        done.tell(key, value, NEEDLESS, "pairs are those under [trading] pairs")


def _protections(done: Converted, _: Table, key: str, value: Any) -> None:
    given = value if isinstance(value, list) else []
    fit = [one for one in given if isinstance(one, dict) and one.get("method") in METHODS]
    others = [one for one in given if one not in fit]
    if fit:
        done.take(key, fit, "protections")
    if others:
        done.tell(f"{key} (others)" if fit else key, others, LACKING, "no such protection is here")
    if not given:
        done.tell(key, value, NEEDLESS, "it is empty")


def _trading_mode(done: Converted, _: Table, key: str, value: Any) -> None:
    if value == "spot":
        done.tell(key, value, NEEDLESS, "a pair without a settlement coin is spot")
    else:
        done.tell(
            key,
            value,
            TAKEN,
            "by the pairs, written BASE/QUOTE:SETTLE; leverage is [trading] leverage or the strategy's",
        )


def _order_types(done: Converted, _: Table, key: str, value: Any) -> None:
    if not isinstance(value, dict):
        done.tell(key, value, LACKING, "it must be a table")
        return
    lacking = {
        name: v for name, v in value.items() if name in {"stoploss_on_exchange_limit_ratio", "stoploss_price_type"}
    }
    done.take(key, value, "strategy.overrides.order_types", {n: v for n, v in value.items() if n not in lacking})
    if lacking:
        done.tell(
            f"{key}: {', '.join(lacking)}", lacking, LACKING, "our stop orders sell at market price by the last price"
        )


def _depth(done: Converted, _: Table, key: str, value: Any) -> None:
    given = value if isinstance(value, dict) else {}
    if given.get("enabled") and "bids_to_ask_delta" in given:
        done.take(key, value, "entry_pricing.bids_to_ask_delta", given["bids_to_ask_delta"])
    else:
        done.tell(key, value, NEEDLESS, "it is off; bids_to_ask_delta under [entry_pricing] would turn it on")


def _verbosity(done: Converted, _: Table, key: str, value: Any) -> None:
    done.take(key, value, "runtime.log_level", "DEBUG" if isinstance(value, int) and value > 0 else "INFO")


def _strategy(done: Converted, _: Table, key: str, value: Any) -> None:
    place = done.find(str(value))
    if place:
        done.take(key, value, "strategy.name", place)
        return
    # Never another strategy in its place: this one is asked for until its file is there.
    done.put("strategy.name", f"{value}.py:{value}")
    done.tell(
        key, value, LACKING, f"no file with this class was found; put it at {value}.py, or set name under [strategy]"
    )


_SPECIAL: Final[dict[str, Callable[[Converted, Table, str, Any], None]]] = {
    "max_open_trades": _slots,
    "dry_run": _dry_run,
    "dry_run_wallet": _wallet,
    "fee": _fee,
    "exchange.name": _exchange,
    "exchange.pair_whitelist": _pairs,
    "exchange.pair_blacklist": _barred,
    "exchange.ccxt_config": _options,
    "exchange.ccxt_sync_config": _options,
    "exchange.ccxt_async_config": _options,
    "pairlists": _pairlists,
    "protections": _protections,
    "trading_mode": _trading_mode,
    "order_types": _order_types,
    "entry_pricing.check_depth_of_market": _depth,
    "verbosity": _verbosity,
    "strategy": _strategy,
}
