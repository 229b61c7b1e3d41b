"""The keys of an account: from the environment or from a file that only its owner can read, and from nowhere else.

What is read here goes into ccxt's instance and nowhere else: not into logs, the journal, errors, or a child process.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from typing import Final

from actors.private_files import read_private
from engine.config_accounts import speaking_of
from engine.errors import ConfigError, Problem, TradepitError
from engine.settings import Config, ExchangeConfig

_CCXT: Final = {"key": "apiKey", "secret": "secret", "password": "password"}
_NEEDED: Final = ("key", "secret")
_QUOTES: Final = frozenset("\"'`")


def variables_of(account: str) -> dict[str, str]:
    """The variables that hold an account's keys: TRADEPIT_KEY, or TRADEPIT_MAIN_KEY of the account `main`."""
    middle = f"_{account.upper().replace('-', '_')}" if account else ""
    return {name: f"TRADEPIT{middle}_{name.upper()}" for name in _CCXT}


def keys_of(config: ExchangeConfig, account: str = "") -> dict[str, str]:
    """The keys of the account of that name, by ccxt's names.

    Raises:
        ConfigError: they are not there, or in two places; or their file may be read by others, or is not one of keys.
    """
    found: Mapping[str, str]
    variables_here = variables_of(account)
    given = {name: os.environ.get(variable, "").strip() for name, variable in variables_here.items()}
    if not config.keys_file:
        found, where = given, "the environment"
    elif any(given.values()):
        why = f"the environment has {' and '.join(variables_here[n] for n, v in given.items() if v)} too"
        raise ConfigError([Problem("exchange.keys_file", "", why, "Keep the keys in one place")])
    else:
        found, where = _from_file(config.keys_file), config.keys_file
    missing = [name for name in _NEEDED if not found.get(name)]
    if missing:
        words = " and ".join(missing)
        what = f"{where} has no {words} for {config.name}"
        variables = " and ".join(variables_here[name] for name in missing)
        cure = f"Set {variables}" if not config.keys_file else f'Write {missing[0]} = "…" into it, and run: chmod 600'
        raise ConfigError([Problem("exchange.keys_file", "", what, cure)])
    for name, value in found.items():
        odd = _odd_character(name, value)
        if odd:
            what = f"{where} has a {name} with {odd} in it, which is none of a {name}'s"
            raise ConfigError([Problem("exchange.keys_file", "", what, "Copy it from the exchange once more, alone")])
    return {_CCXT[name]: value for name, value in found.items() if value}


def _odd_character(name: str, value: str) -> str:
    """What a key or a secret cannot have, and has; empty when all is well. A secret may be a text of several lines."""
    if name == "password":
        return ""
    if value[:1] in _QUOTES or value[-1:] in _QUOTES:
        return "a quotation mark"
    if not value.isascii():
        return "a letter that is not ASCII"
    blank = any(letter.isspace() for letter in value) and (name == "key" or "\n" not in value)
    return "a blank or a line break" if blank or "\0" in value else ""


def check_apart(accounts: Sequence[Config]) -> None:
    """Refuse two live accounts that are one: the same market of an exchange, with the same key.

    Raises:
        ConfigError: there are such; or the keys of one are not there.
    """
    first: dict[tuple[str, str, str], str] = {}
    problems = []
    for config in accounts:
        if config.mode != "live":
            continue
        exchange = config.exchange
        with speaking_of(config.account):
            key = keys_of(exchange, config.account)["apiKey"]
        same = first.setdefault((exchange.name, exchange.market, key), config.account)
        if same != config.account:
            why = f"{same} trades on the same market with the same key: they would be one account"
            problems.append(Problem(f"accounts.{config.account}.exchange", "", why, "Give it keys of its own"))
    if problems:
        raise ConfigError(problems)


def _from_file(path: str) -> Mapping[str, str]:
    example = 'Two lines are enough: key = "…" and secret = "…"'
    try:
        text = read_private(path)
    except TradepitError as error:
        why, _, cure = str(error).partition(". ")
        raise ConfigError([Problem("exchange.keys_file", "", why.rstrip("."), cure or example)]) from None
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = str(error).rpartition("(")[2].rstrip(")")
        why = f"{path} is not TOML ({where})"
        raise ConfigError([Problem("exchange.keys_file", "", why, example)]) from None
    odd = sorted(name for name in told if name not in _CCXT)
    if odd or not all(isinstance(value, str) for value in told.values()):
        why = f"{path} has {'other lines than key, secret and password' if odd else 'a value that is no text'}"
        raise ConfigError([Problem("exchange.keys_file", "", why, example)])
    return {name: value.strip() for name, value in told.items()}
