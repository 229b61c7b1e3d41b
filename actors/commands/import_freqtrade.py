"""`import-freqtrade`: a Freqtrade configuration as ours, key by key, and its closed trades into our history."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.commands.common import print_json
from actors.commands.parsing import OK
from actors.files import Files, lock_holder, refuse_foreign
from engine.errors import DataError, TradepitError

if TYPE_CHECKING:
    from actors.batch.freqtrade_keys import Converted
    from actors.batch.freqtrade_trades import FreqtradeTrades


def run(arguments: argparse.Namespace) -> int:
    """Convert, import, and say what became of everything."""
    from actors.batch.freqtrade_config import read_freqtrade_config
    from actors.batch.freqtrade_keys import convert_config

    path, target = Path(arguments.file), Path(arguments.output)
    if arguments.sqlite and not arguments.db:
        raise TradepitError("Say into which history the trades go: --db FILE.duckdb.")
    config = read_freqtrade_config(path)
    if target.exists():
        raise TradepitError(f"{target} exists; give another with -o FILE.")
    done = convert_config(config, lambda name: _strategy(name, config, path))
    if arguments.db:
        done.put("history.db", str(arguments.db))
    trades = _import(arguments, config, path) if arguments.db else None
    _write(target, done, path)
    if arguments.json:
        keys = [{"key": o.key, "value": o.value, "what": o.what, "says": o.says} for o in done.outcomes]
        print_json({"config": str(target), "keys": keys, "trades": trades})
    else:
        _print_keys(done)
        if trades:
            _print_trades(trades)
        print(f"\n{target} is written. `tradepit check -c {target}` says what it amounts to.")
    return OK


def _strategy(name: str, config: Mapping[str, Any], path: Path) -> str:
    from actors.batch.freqtrade_config import find_strategy

    users = Path(str(config.get("user_data_dir", "user_data")))
    given = [Path(str(config["strategy_path"]))] if config.get("strategy_path") else []
    folders = [*given, users / "strategies", path.parent / users / "strategies", path.parent / "strategies"]
    return find_strategy(name, [folder for folder in folders if folder.is_dir()])


def _write(target: Path, done: Converted, path: Path) -> None:
    from actors.batch.candle_files import put
    from actors.commands.check import toml_lines

    lines = [
        f"# Made of Freqtrade's {path.name} by `tradepit import-freqtrade`. Every key: docs/config.md.",
        *toml_lines(done.config),
    ]
    put(target, lambda aside: aside.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def _print_keys(done: Converted) -> None:
    from actors.batch.freqtrade_keys import LACKING, NEEDLESS, SECRET, TAKEN, UNKNOWN

    for what in (TAKEN, NEEDLESS, SECRET, LACKING, UNKNOWN):
        found = [outcome for outcome in done.outcomes if outcome.what == what]
        if found:
            print(f"{what} ({len(found)}):")
        for outcome in found:
            print(f"  {outcome.key} = {outcome.value}: {outcome.says}")


# ---------------------------------------------------------------- trades


def _import(arguments: argparse.Namespace, config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Put the closed trades that are not there yet into a file beside the history, and have it take them in."""
    from actors.batch.candle_files import put
    from actors.batch.freqtrade_trades import import_rows, keys_in, read_trades
    from actors.history.imports import import_bytes, read_import

    found = read_trades(_database(arguments, config, path))
    files = Files.beside(arguments.db)
    refuse_foreign(files)
    known = {key for earlier in files.imports().values() for key in keys_in(read_import(earlier))}
    number = max(files.imports(), default=0) + 1
    rows = import_rows(found, number, known)
    fresh = len(rows["trades"])
    if fresh:
        content = import_bytes(f"freqtrade {found.path.name}", rows)
        put(files.imported(number), lambda aside: aside.write_bytes(content))
    running = lock_holder(files.lock) is not None
    if fresh and not running:
        from actors.history.sql import run_query

        run_query(files.db, "SELECT count(*) FROM runs")  # opening it takes in what lies beside it
    return {
        "sqlite": str(found.path),
        "db": str(files.db),
        "runs": [run["run"] for run in rows["runs"]],
        "closed": fresh,
        "orders": len(rows["orders"]),
        "there_before": len(found.closed) - fresh,
        "open": _open(found),
        "locks": len(found.aside.get("pairlocks", ())),
        "bot_runs": running,
    }


def _database(arguments: argparse.Namespace, config: Mapping[str, Any], path: Path) -> Path:
    """Freqtrade's database: given, or where its configuration or its default says.

    Raises:
        DataError: it is no SQLite file, or there is none.
    """
    if arguments.sqlite:
        return Path(arguments.sqlite)
    url = str(config.get("db_url") or "")
    if url and not url.startswith("sqlite"):
        raise DataError(
            f"Freqtrade's database is {url.partition(':')[0]}; make an SQLite file of it with `freqtrade convert-db`,"
            " and give that with --sqlite FILE."
        )
    name = url.partition(":///")[2] or ("tradesv3.dryrun.sqlite" if config.get("dry_run") else "tradesv3.sqlite")
    there = [place for place in (Path(name), path.parent / name) if place.is_file()]
    if not there:
        raise DataError(f"Freqtrade's database {name} is neither here nor beside {path}; give it with --sqlite FILE.")
    return there[0]


def _open(found: FreqtradeTrades) -> list[dict[str, Any]]:
    return [
        {
            "id": trade["id"],
            "pair": trade["pair"],
            "side": "short" if trade["is_short"] else "long",
            "amount": trade["amount"],
            "open_rate": trade["open_rate"],
            "open_time": trade["open_date"],
        }
        for trade in found.open
    ]


def _print_trades(trades: Mapping[str, Any]) -> None:
    print(f"\n{trades['sqlite']} → {trades['db']}:")
    runs = ", ".join(map(str, trades["runs"]))
    what = f"{trades['closed']} closed trades with {trades['orders']} orders are taken over"
    print(f"  {what} as run {runs}" if runs else "  no closed trade is new")
    if trades["there_before"]:
        print(f"  {trades['there_before']} closed trades were there already")
    if trades["open"]:
        print(
            f"  {len(trades['open'])} open trades are not taken over: nothing of ours has ordered them, so nothing could"
            " guard or end them. End them in Freqtrade, and import again:"
        )
    for trade in trades["open"]:
        print(
            f"    {trade['pair']} {trade['side']} {trade['amount']} at {trade['open_rate']}, since {trade['open_time']}"
        )
    if trades["locks"]:
        print(f"  {trades['locks']} pair locks are kept in `events`; they lock nothing here")
    if trades["bot_runs"] and trades["closed"]:
        print("  a bot runs on that history: it takes them in within seconds")
