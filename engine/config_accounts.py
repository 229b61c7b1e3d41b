"""Several accounts in one configuration: each table of `[[accounts]]` becomes a whole `Config` of its own.

An account has everything that stands in the file, and over it what its own table says: tables are merged key
by key, lists and values replaced. What all accounts share (the history, who is told, the process) stands in
the file alone. What confirms that real money is at stake is each account's own, and is inherited by none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from engine.config_rules import shown
from engine.errors import ConfigError, Problem
from engine.settings import Config

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
SHARED: Final = ("history", "notify", "runtime")
CONFIRMS: Final = ("exchange", "largest_stake")
"""The keys of `[live]` that no account inherits."""

Parse = Callable[[Mapping[str, Any]], Config]


def parse_accounts(mapping: Mapping[str, Any], parse: Parse) -> Config:
    """The configuration of a file that has `[[accounts]]`: what is shared, and a `Config` for each of them.

    Raises:
        ConfigError: with every mistake in it; one that several accounts have from the file's top is said once.
    """
    base = {key: value for key, value in mapping.items() if key != "accounts"}
    tables, problems = _tables(mapping["accounts"])
    live = base.get("live")
    if isinstance(live, Mapping):
        problems += [_unconfirmed(key, live[key]) for key in CONFIRMS if key in live]
        base["live"] = {key: value for key, value in live.items() if key not in CONFIRMS}
    configs: list[Config] = []
    for name, table in tables:
        try:
            configs.append(parse(merged(base, table)))
        except ConfigError as error:
            found = [_placed(problem, name, table, base) for problem in error.problems]
            problems += [problem for problem in found if problem not in problems]
    if problems:
        raise ConfigError(problems)
    shared = parse({key: value for key, value in base.items() if key in SHARED})
    accounts = tuple(replace(config, account=name) for (name, _), config in zip(tables, configs, strict=True))
    return replace(shared, accounts=accounts)


@contextmanager
def speaking_of(account: str) -> Iterator[None]:
    """Say in every mistake that is found inside whose it is; of an account without a name there is nothing to say."""
    try:
        yield
    except ConfigError as error:
        if not account:
            raise
        raise ConfigError([replace(p, key=f"accounts.{account}.{p.key}") for p in error.problems]) from None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top; tables within tables likewise."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _tables(given: Any) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Problem]]:
    """(name, what its table says) of every account that has a name of its own, and what is wrong with the others."""
    if not isinstance(given, list | tuple) or not given or not all(isinstance(table, Mapping) for table in given):
        why = "it must be a table for each account"
        return [], [Problem("accounts", shown("accounts", given), why, 'Write [[accounts]], and below it name = "…"')]
    tables: list[tuple[str, Mapping[str, Any]]] = []
    problems: list[Problem] = []
    taken: set[str] = set()
    for number, table in enumerate(given):
        key, name = f"accounts[{number}].name", table.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            value = shown(key, name) if "name" in table else ""
            why = "an account needs a name: 1 to 16 small letters, digits, - and _, a letter or digit first"
            problems.append(Problem(key, value, why, 'Write name = "main"'))
            continue
        if name.replace("-", "_") in taken:
            why = "another account is called so, or so that only - and _ differ"
            problems.append(Problem(key, shown(key, name), why, "Give it another name"))
            continue
        taken.add(name.replace("-", "_"))
        problems += [_is_shared(name, section) for section in table if section in SHARED]
        if "accounts" in table:
            problems.append(Problem(f"accounts.{name}.accounts", "", "an account has none of its own", "Leave it out"))
        own = {k: v for k, v in table.items() if k not in ("name", "accounts", *SHARED)}
        tables.append((name, own))
    return tables, problems


def _is_shared(name: str, section: str) -> Problem:
    return Problem(f"accounts.{name}.{section}", "", "all accounts share it", f"Write [{section}] at the top instead")


def _unconfirmed(key: str, value: Any) -> Problem:
    why = "each account confirms for itself that real money is at stake"
    return Problem(f"live.{key}", shown(key, value), why, "Move it under [accounts.live], below its [[accounts]]")


def _placed(problem: Problem, name: str, table: Mapping[str, Any], base: Mapping[str, Any]) -> Problem:
    """A mistake with its place in the file: the account's own table, unless what is wrong stands at the top."""
    if _says(base, problem.key) and not _says(table, problem.key):
        return problem
    return Problem(f"accounts.{name}.{problem.key}", problem.value, problem.why, problem.cure)


def _says(table: Any, key: str) -> bool:
    for word in re.split(r"[.\[]", key):
        if not isinstance(table, Mapping):
            return True
        if word not in table:
            return False
        table = table[word]
    return True
