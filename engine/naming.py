"""How actors, pairs and writers of the journal are called where one process trades on several accounts.

A name is a role, and behind an `@` the account it belongs to: `gateway@kraken`, `pair:BTC/USDT@kraken`,
`BTC/USDT@kraken`. What all accounts share, and everything of a bot that has one account without a name, is
called by its role alone.
"""

from __future__ import annotations


def named(role: str, account: str) -> str:
    """The name of `role` in `account`, whose name may be empty."""
    return f"{role}@{account}" if account else role


def role_of(name: str) -> str:
    """`gateway` of `gateway@kraken`."""
    return name.partition("@")[0]


def account_of(name: str) -> str:
    """`kraken` of `gateway@kraken`; empty where the name has none."""
    return name.partition("@")[2]
