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

from actors.arguments import duration
from actors.commands.batch_arguments import add_batch
from actors.commands.parsing import (
    BAD_INPUT,
    FAILED,
    GAVE_UP,
    INTERRUPTED,
    NOT_RUNNING,
    OK,
    STATUSES,
    Subparsers,
    add_account,
    add_db,
    add_json,
    command,
    exits,
)
from engine.errors import NotRunning, Outage, StorageError, TradepitError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit status; users see sentences, never tracebacks."""
    parsed = build_parser().parse_args(arguments)
    os.environ.setdefault("LOGURU_DIAGNOSE", "NO")  # a traceback with the values of variables could show a secret
    try:
        module = importlib.import_module(f"actors.commands.{parsed.module}")
        status = module.run(parsed)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except NotRunning as error:
        return _say(error, NOT_RUNNING)
    except (Outage, StorageError) as error:
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
        epilog="example: tradepit run -c config.toml\n\n" + exits(STATUSES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which version this is, and end")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_running(commands)
    add_batch(commands)
    _add_asking(commands)
    _add_commanding(commands)
    _add_making(commands)
    return parser


class _Version(argparse.Action):
    """Reads the installed version only when it is asked for: that takes longer than all the rest."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"tradepit {version('tradepit')}")
        parser.exit(OK)


def _add_running(commands: Subparsers[argparse.ArgumentParser]) -> None:
    run = command(
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

    check = command(
        commands,
        "check",
        "check",
        "say what a configuration amounts to, and every mistake in it",
        "tradepit check -c config.toml",
        (OK, FAILED, BAD_INPUT),
    )
    check.add_argument("-c", "--config", metavar="CONFIG", default="config.toml", help="default: config.toml")
    check.add_argument("--strategy", metavar="NAME", help="instead of the configuration's")
    add_json(check)


def _add_asking(commands: Subparsers[argparse.ArgumentParser]) -> None:
    sql = command(
        commands,
        "sql",
        "sql",
        "ask the history in SQL, while the bot runs and afterwards; without a query: where it is, and its views",
        'tradepit sql "from trades order by close_time desc limit 5"',
        (OK, FAILED, BAD_INPUT),
    )
    sql.add_argument("query", nargs="?", metavar="QUERY", help="one SELECT; `-` reads it from standard input")
    add_db(sql)
    form = sql.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="answer as a JSON list of objects")
    form.add_argument("--csv", action="store_true", help="answer as CSV with a header")

    audit = command(
        commands,
        "audit",
        "audit",
        "recompute every balance, fee, position and profit from the fills, and compare with the venue's own record",
        "tradepit audit --db tradepit.duckdb",
        (OK, FAILED, BAD_INPUT),
    )
    add_db(audit)
    add_json(audit)

    status = command(
        commands,
        "status",
        "ask_bot",
        "say what the running bot holds and does",
        "tradepit status --json",
        (OK, FAILED, BAD_INPUT, NOT_RUNNING),
    )
    status.add_argument("pair", nargs="?", metavar="PAIR", help="one pair only, in full")
    add_db(status)
    add_json(status)


def _add_commanding(commands: Subparsers[argparse.ArgumentParser]) -> None:
    statuses = (OK, FAILED, BAD_INPUT, NOT_RUNNING)

    def add(name: str, what: str, example: str) -> argparse.ArgumentParser:
        parser = command(commands, name, "ask_bot", what, example, statuses)
        add_db(parser)
        add_json(parser)
        return parser

    for name, what in (
        ("pause", "make no new entries; open trades are managed as ever"),
        ("resume", "make new entries again"),
        ("stop", "end the running bot in order, as Ctrl-C does"),
    ):
        parser = add(name, what, f"tradepit {name}")
        parser.add_argument("--reason", help="kept in the history")
        if name != "stop":
            add_account(parser, "this account only, where there are several")
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


def _add_making(commands: Subparsers[argparse.ArgumentParser]) -> None:
    new = command(
        commands,
        "new-strategy",
        "new_strategy",
        "write a working, commented strategy to start from",
        "tradepit new-strategy my_cross",
        (OK, FAILED, BAD_INPUT),
    )
    new.add_argument("name", metavar="NAME", help="its name: small letters, digits, underscores")
    new.add_argument("--dir", default="strategies", metavar="DIR", help="where to (default: strategies)")

    listed = command(
        commands,
        "strategies",
        "strategies",
        "say of each strategy in a folder, Freqtrade's too, whether it loads, or what it lacks",
        "tradepit strategies user_data/strategies",
        (OK, FAILED, BAD_INPUT),
    )
    listed.add_argument("folder", metavar="DIR", help="all .py files in it, and in its folders")
    add_json(listed)


if __name__ == "__main__":
    sys.exit(main())
