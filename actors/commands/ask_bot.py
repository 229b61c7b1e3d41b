"""`status`, `pause`, `resume`, `enter`, `exit`, `stop`, `kill`: a request to the running bot, its answer in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from actors.commands.common import files_of, number, percent_text, print_json, print_table, time_text
from actors.commands.parsing import FAILED, OK
from actors.sockets import call

OWN: Final = ("portfolio", "feed", "gateway", "limiter")
ARGUMENTS: Final = ("pair", "side", "tag", "reason", "actor", "account")
PATIENCE_S: Final = 20.0
"""Longer than the bot waits for its own actors, so that its words are heard, not ours."""


def run(arguments: argparse.Namespace) -> int:
    """Put the request and print the answer."""
    request = {"request": arguments.command}
    request |= {name: value for name in ARGUMENTS if (value := getattr(arguments, name, None))}
    if getattr(arguments, "all", False):
        request["all"] = True
    answer = call(files_of(arguments).socket, request, PATIENCE_S)
    ok = bool(answer.get("ok"))
    if arguments.json:
        print_json(answer)
    elif not ok:
        print(f"tradepit: {answer.get('detail')}", file=sys.stderr)
    elif arguments.command == "status" and arguments.pair:
        _print_figures(answer.get("data", {}))
    elif arguments.command == "status":
        _print_status(answer)
    else:
        print(answer.get("detail"))
    return OK if ok else FAILED


def _print_status(answer: Mapping[str, Any]) -> None:
    data = answer.get("data", {})
    print(answer.get("detail"))
    print(f"market time {time_text(data.get('ts'))}")
    for account, table in data.get("accounts", {}).items():
        about = f"{table.get('mode')}, {table.get('strategy')}, market time {time_text(table.get('ts'))}"
        print(f"\n{account}: {about}")
        _print_services(table, OWN)
    print(end="\n" if data.get("accounts") else "")
    _print_services(data, (*OWN, "persistence", "runtime"))
    trades = data.get("open_trades", [])
    if trades:
        print()
        columns = ("pair", "state", "side", "opened", "open rate", "price", "amount", "profit", "", "stop")
        print_table(columns, [_trade_row(trade) for trade in trades])


def _print_services(data: Mapping[str, Any], names: Iterable[str]) -> None:
    for name in names:
        figures = data.get(name)
        if isinstance(figures, Mapping):
            print(f"{name:12} {_one_line(figures)}")


def _trade_row(trade: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        trade.get("pair"),
        trade.get("state"),
        trade.get("side"),
        time_text(trade.get("opened_at")),
        number(trade.get("open_rate")),
        number(trade.get("price")),
        number(trade.get("amount")),
        percent_text(trade.get("profit_ratio")),
        number(trade.get("profit_abs"), 2),
        number(trade.get("stop")),
    )


def _one_line(figures: Mapping[str, Any]) -> str:
    """The plain figures of an actor; lists and tables are for `--json`."""
    plain = {k: v for k, v in figures.items() if k != "actor" and not isinstance(v, Mapping | list)}
    return "  ".join(f"{key}={value}" for key, value in plain.items() if value not in ("", None))


def _print_figures(data: Mapping[str, Any]) -> None:
    for key, value in data.items():
        print(f"{key:16} {time_text(value) if key in {'opened_at', 'ts'} else value}")
