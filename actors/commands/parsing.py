"""What all commands' arguments share: a command with its example, and the exit statuses."""

from __future__ import annotations

import argparse
from typing import Final

OK: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
NOT_RUNNING: Final = 3
GAVE_UP: Final = 70
INTERRUPTED: Final = 130

STATUSES: Final = {
    OK: "done",
    FAILED: "the answer is no, or it failed",
    BAD_INPUT: "wrong command line, configuration, strategy or data; the text says what",
    NOT_RUNNING: "no bot runs on those files",
    GAVE_UP: "the bot gave up on itself; start it again, which is a recovery",
    INTERRUPTED: "ended at once by a second Ctrl-C; nothing is lost",
}

Subparsers = argparse._SubParsersAction  # noqa: SLF001 -- argparse has no public name for it


def exits(statuses: dict[int, str]) -> str:
    """The exit statuses of a command, for its help."""
    return "exit status:\n" + "\n".join(f"  {status:<4} {text}" for status, text in statuses.items())


def command(
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
        epilog=f"example: {example}\n\n{exits({s: STATUSES[s] for s in statuses})}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(module=module, command=name)
    return parser


def add_db(parser: argparse.ArgumentParser) -> None:
    """Let a command be told which history file is meant, by itself or by its configuration."""
    parser.add_argument(
        "--db", metavar="FILE.duckdb", help="the bot's history file (default: that of -c, or of ./config.toml)"
    )
    parser.add_argument("-c", "--config", metavar="CONFIG", help="take the history file of this configuration")


def add_account(
    parser: argparse.ArgumentParser, what: str = "the account that is meant, where there are several"
) -> None:
    """Let a command be told which account is meant."""
    parser.add_argument("--account", metavar="NAME", help=what)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command answer for a program to read."""
    parser.add_argument("--json", action="store_true", help="answer as one JSON value")
