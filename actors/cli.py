"""The command line: what can be said to `tradepit`, and how it ends.

Exit statuses, of every command:
    0   done
    1   done, and the answer is no: differences in an audit, a refused order, files that are in use
    2   the command line, the configuration, a strategy or a data file is wrong; the text says what
    3   no bot runs on those files
    70  the bot gave up on itself; systemd, or you, start it again, which is a recovery
    130 ended at once by a second Ctrl-C; nothing is lost, the next start recovers

Nothing heavy is imported here, so `--help` is quick; a command's own module is imported when it runs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from actors.arguments import duration, lengths, pair_list, periods_list, positive
from engine.errors import NotRunning, StorageError, TradepitError

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
NOT_RUNNING: Final = 3
GAVE_UP: Final = 70
INTERRUPTED: Final = 130

_STATUSES: Final = {
    OK: "done",
    FAILED: "the answer is no, or it failed",
    BAD_INPUT: "wrong command line, configuration, strategy or data; the text says what",
    NOT_RUNNING: "no bot runs on those files",
    GAVE_UP: "the bot gave up on itself; start it again, which is a recovery",
    INTERRUPTED: "ended at once by a second Ctrl-C; nothing is lost",
}

Subparsers = argparse._SubParsersAction  # noqa: SLF001 -- argparse has no public name for it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit status; users see sentences, never tracebacks."""
    parsed = build_parser().parse_args(arguments)
    try:
        command = importlib.import_module(f"actors.commands.{parsed.module}")
        status = command.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except NotRunning as error:
        return _say(error, NOT_RUNNING)
    except StorageError as error:
        return _say(error, FAILED)
    except TradepitError as error:
        return _say(error, BAD_INPUT)
    except KeyboardInterrupt:
        return INTERRUPTED
    return int(status)


def _say(error: TradepitError, status: int) -> int:
    print(f"tradepit: {error}", file=sys.stderr)
    return status


# ---------------------------------------------------------------- what can be said


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="tradepit",
        description="A crypto trading engine: hundreds of pairs, supervised, durable, asked in SQL.",
        epilog="example: tradepit run -c config.toml\n\n" + _exits(_STATUSES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_running(commands)
    _add_batch(commands)
    _add_asking(commands)
    _add_commanding(commands)
    _add_honesty(commands)
    _add_making(commands)
    _add_data(commands)
    _add_import(commands)
    return parser


class _Version(argparse.Action):
    """Reads the installed version only when it is asked for: that takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"tradepit {version('tradepit')}")
        parser.exit(OK)


def _exits(statuses: dict[int, str]) -> str:
    return "exit status:\n" + "\n".join(f"  {status:<4} {text}" for status, text in statuses.items())


def _command(
    commands: Subparsers[argparse.ArgumentParser],
    name: str,
    module: str,
    what: str,
    example: str,
    statuses: tuple[int, ...] = (OK, BAD_INPUT),
) -> argparse.ArgumentParser:
    """One command, with its example and its exit statuses below its help."""
    parser = commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"example: {example}\n\n{_exits({s: _STATUSES[s] for s in statuses})}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(module=module, command=name)
    return parser


def _add_db(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--db", metavar="FILE.duckdb", help="the bot's history file (default: that of -c, or of ./config.toml)"
    )
    parser.add_argument("-c", "--config", metavar="CONFIG", help="take the history file of this configuration")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer as one JSON value")


def _add_running(commands: Subparsers[argparse.ArgumentParser]) -> None:
    run = _command(
        commands,
        "run",
        "run",
        "trade as a configuration says, until Ctrl-C; a second Ctrl-C ends at once",
        "tradepit run -c config.toml --for 90s",
        (OK, FAILED, BAD_INPUT, GAVE_UP, INTERRUPTED),
    )
    run.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    run.add_argument("--for", dest="duration", metavar="90s", type=duration, help="end in order after this time")
    run.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
    run.add_argument("--db", metavar="FILE.duckdb", help="the history file, instead of the configuration's")
    run.add_argument("--no-screen", action="store_true", help="log lines even on a terminal")

    check = _command(
        commands,
        "check",
        "check",
        "say what a configuration amounts to, and every mistake in it",
        "tradepit check -c config.toml",
    )
    check.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    check.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
    _add_json(check)


def _add_batch(commands: Subparsers[argparse.ArgumentParser]) -> None:
    replay = _command(
        commands,
        "replay",
        "replay",
        "trade stored candles on virtual time; the same data gives the same trades",
        "tradepit replay -c config.toml --strategy sample --data candles/ --pairs ETH/BTC,LTC/BTC --export trades.json",
    )
    _add_stored(replay)
    replay.add_argument("--db", metavar="FILE.duckdb", help="keep the history there")
    replay.add_argument("--seed", type=int, default=0, metavar="N", help="draws the order of messages (default: 0)")
    replay.add_argument("--durable", action="store_true", help="write the journal as it goes, not at the end")
    _add_json(replay)

    backtest = _command(
        commands,
        "backtest",
        "backtest",
        "trade stored candles by the same rules without actors, as fast as it goes",
        "tradepit backtest -c config.toml --strategy sample --data candles/ --pairs ETH/BTC,LTC/BTC --export trades.json",
        (OK, FAILED, BAD_INPUT, INTERRUPTED),
    )
    _add_stored(backtest)
    backtest.add_argument("--candle-by-candle", action="store_true", help="walk every candle; the trades are the same")
    backtest.add_argument(
        "--verify", action="store_true", help="replay it through the actors too, and say the first difference"
    )
    backtest.add_argument(
        "--breakdown",
        metavar="day,week,…",
        type=periods_list,
        default=(),
        help="what each day, week, month, year earned",
    )
    _add_json(backtest)


def _add_stored(parser: argparse.ArgumentParser) -> None:
    """What is traded on stored candles: by `replay` and by `backtest`."""
    parser.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    parser.add_argument("--strategy", metavar="NAME", help="a name, FILE.py or FILE.py:Class, instead of the config's")
    parser.add_argument("--data", metavar="DIR", help="the folder of candles: Parquet, Feather or CSV")
    parser.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
    parser.add_argument("--from", dest="start", metavar="TIME", help="the first candle, ISO 8601, UTC: 2025-01-31")
    parser.add_argument("--to", dest="end", metavar="TIME", help="the end; candles from it on are left out")
    parser.add_argument("--export", metavar="FILE.json", help="write the trades there")


def _add_asking(commands: Subparsers[argparse.ArgumentParser]) -> None:
    sql = _command(
        commands,
        "sql",
        "sql",
        "ask the history in SQL, while the bot runs and afterwards; without a query: where it is, and its views",
        'tradepit sql "from trades order by close_time desc limit 5"',
        (OK, FAILED, BAD_INPUT),
    )
    sql.add_argument("query", nargs="?", metavar="QUERY", help="one SELECT; `-` reads it from standard input")
    _add_db(sql)
    form = sql.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="answer as a JSON list of objects")
    form.add_argument("--csv", action="store_true", help="answer as CSV with a header")

    audit = _command(
        commands,
        "audit",
        "audit",
        "recompute every balance, fee, position and profit from the fills, and compare with the venue's own record",
        "tradepit audit --db tradepit.duckdb",
        (OK, FAILED, BAD_INPUT),
    )
    _add_db(audit)
    _add_json(audit)

    status = _command(
        commands,
        "status",
        "ask_bot",
        "say what the running bot holds and does",
        "tradepit status --json",
        (OK, FAILED, BAD_INPUT, NOT_RUNNING),
    )
    status.add_argument("pair", nargs="?", metavar="PAIR", help="one pair only, in full")
    _add_db(status)
    _add_json(status)


def _add_commanding(commands: Subparsers[argparse.ArgumentParser]) -> None:
    statuses = (OK, FAILED, BAD_INPUT, NOT_RUNNING)

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        parser = _command(commands, name, "ask_bot", what, example, statuses)
        _add_db(parser)
        _add_json(parser)
        return parser

    for name, what in (
        ("pause", "make no new entries; open trades are managed as ever"),
        ("resume", "make new entries again"),
        ("stop", "end the running bot in order, as Ctrl-C does"),
    ):
        parser = add(name, what, f"tradepit {name}")
        parser.add_argument("--reason", help="kept in the history")
        if name == "pause":
            parser.add_argument("--all", action="store_true", help="exits too: only what guards positions is sent")
    enter = add("enter", "enter a pair now, as if its strategy had signalled", "tradepit enter BTC/USDT --side long")
    enter.add_argument("pair", metavar="PAIR")
    enter.add_argument("--side", choices=("long", "short"), default="long")
    enter.add_argument("--tag", default="force_entry", help="why, kept with the trade (default: force_entry)")
    leave = add("exit", "leave the open trade of a pair, or all of them", "tradepit exit BTC/USDT")
    which = leave.add_mutually_exclusive_group(required=True)
    which.add_argument("pair", nargs="?", metavar="PAIR")
    which.add_argument("--all", action="store_true", help="every open trade")
    kill = add("kill", "make an actor crash, as a drill; its supervisor starts it again", "tradepit kill pair:BTC/USDT")
    kill.add_argument("actor", metavar="ACTOR", help="its name: gateway, portfolio, persistence, pair:BTC/USDT, …")


def _add_honesty(commands: Subparsers[argparse.ArgumentParser]) -> None:
    statuses = (OK, FAILED, BAD_INPUT)
    for name, what in (
        ("lookahead", "say which signals are others when the future is cut off"),
        ("recursive", "say whether signals hang on how many candles came before them"),
    ):
        example = f"tradepit {name} -c config.toml --strategy mine.py --data candles/"
        parser = _command(commands, name, "honesty", what, example, statuses)
        parser.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
        parser.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
        parser.add_argument("--data", metavar="DIR", help="the folder of candles")
        parser.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="instead of the configuration's")
        parser.add_argument("--from", dest="start", metavar="TIME", help="the first candle, ISO 8601, UTC: 2025-01-31")
        parser.add_argument("--to", dest="end", metavar="TIME", help="the end; candles from it on are left out")
        parser.add_argument(
            "--cuts", type=positive, default=20, metavar="N", help="candles of each pair that are judged again (20)"
        )
        _add_json(parser)
        if name == "recursive":
            parser.add_argument(
                "--lengths",
                type=lengths,
                default=(199, 399, 499, 999, 1_999),
                metavar="N,N,…",
                help="how many candles to judge on (199,399,499,999,1999, and the strategy's own)",
            )


def _add_making(commands: Subparsers[argparse.ArgumentParser]) -> None:
    new = _command(
        commands,
        "new-strategy",
        "new_strategy",
        "write a working, commented strategy to start from",
        "tradepit new-strategy my_cross",
        (OK, FAILED, BAD_INPUT),
    )
    new.add_argument("name", metavar="NAME", help="its name: small letters, digits, underscores")
    new.add_argument("--dir", default="strategies", metavar="DIR", help="where to (default: strategies)")


def _add_data(commands: Subparsers[argparse.ArgumentParser]) -> None:
    data = _command(
        commands,
        "data",
        "data",
        "list, check, convert and repair files of candles; see docs/data.md",
        "tradepit data convert user_data/data/binance --to candles --exchange binance",
        (OK, FAILED, BAD_INPUT),
    )
    data.add_argument("action", choices=("list", "check", "convert", "repair"), metavar="ACTION", help="%(choices)s")
    data.add_argument("folder", metavar="DIR", help="a folder of candles, or one file: Parquet, Feather, CSV or JSON")
    data.add_argument("--pairs", metavar="A,B,…", type=pair_list, help="these only")
    data.add_argument("--timeframe", metavar="5m", help="candles of this length only")
    data.add_argument("--to", metavar="DIR", help="where converted candles go, or repaired copies instead of in place")
    data.add_argument("--exchange", metavar="NAME", help="whose candles they are, where the files do not say it")
    data.add_argument("--resample", dest="longer", metavar="1h", help="convert: make longer candles of them")
    data.add_argument("--overwrite", action="store_true", help="replace what is there, made of something else")
    _add_json(data)


def _add_import(commands: Subparsers[argparse.ArgumentParser]) -> None:
    importing = _command(
        commands,
        "import-freqtrade",
        "import_freqtrade",
        "turn a Freqtrade configuration into ours, and its closed trades into rows of our history",
        "tradepit import-freqtrade user_data/config.json -o config.toml --db tradepit.duckdb",
        (OK, FAILED, BAD_INPUT),
    )
    importing.add_argument("file", metavar="CONFIG.json", help="Freqtrade's configuration, comments and all")
    importing.add_argument(
        "-o", "--output", metavar="CONFIG.toml", default="config.toml", help="write ours there (default: config.toml)"
    )
    importing.add_argument("--db", metavar="FILE.duckdb", help="import Freqtrade's closed trades into this history")
    importing.add_argument(
        "--sqlite", metavar="FILE.sqlite", help="Freqtrade's database (default: as its configuration says)"
    )
    _add_json(importing)


if __name__ == "__main__":
    sys.exit(main())
