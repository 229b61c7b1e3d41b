"""What is written about the program is what the program is."""

from __future__ import annotations

import argparse
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from actors.cli import build_parser
from actors.commands.sql import view_words
from engine.config import known_keys, parse_config
from engine.config_rules import FREQTRADE, RULES, is_secret
from tests.docs import CONFIG_PAGE, HISTORY, SQL_PAGE, config_page, sql_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    actions = build_parser()._actions
    return next(dict(a.choices) for a in actions if isinstance(a, argparse._SubParsersAction))


def blocks(kind: str) -> list[str]:
    """The code blocks of the README that are marked ```bash kind."""
    return re.findall(rf"^```bash{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_readme_is_short_and_begins_with_a_command() -> None:
    """A newcomer reads at most 120 lines, and types something by line 25."""
    lines = README.splitlines()
    first = next(number for number, line in enumerate(lines, 1) if "tradepit run" in line)

    assert len(lines) <= 120
    assert first <= 25


def test_readme_has_one_command_to_run_and_one_to_test() -> None:
    """Each is a single line that makes its environment, installs what is locked, and then runs or tests."""
    for kind, end in (
        (" run", "tradepit run -c config.toml"),
        (" tests", "python -m pytest -q -n 4 --dist loadfile --no-loadscope-reorder"),
    ):
        (block,) = blocks(kind)

        assert 1 == len(block.splitlines())
        assert block.startswith("python3 -m venv .venv && ")
        assert "-r requirements.lock" in block
        assert block.strip().endswith(end)


def test_readme_commands_exist() -> None:
    """Every `tradepit …` in the README is a command with arguments that its parser takes."""
    spoken = [line for block in blocks("") for line in block.splitlines() if line.startswith("tradepit ")]
    named = set(re.findall(r"`tradepit ([a-z-]+)", README))

    assert spoken
    assert named <= set(commands())
    for line in spoken:
        words = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', line)]
        build_parser().parse_args(words[1:])


def test_readme_links_lead_somewhere() -> None:
    """Every relative link of the README is a file of the project."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [] == [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_an_example_and_its_exit_statuses(name: str) -> None:
    """`--help` of each command shows an example that the parser takes, and what its exit statuses mean."""
    parser = commands()[name]
    text = parser.format_help()
    (example,) = re.findall(r"example: tradepit (.*)", text)
    words = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', example)]

    assert name == words[0]
    assert "exit status:" in text
    build_parser().parse_args(words)


def test_every_command_has_a_module() -> None:
    """Each command names a module of actors/commands that is there."""
    modules = {str(parser.get_default("module")) for parser in commands().values()}

    assert [] == [m for m in sorted(modules) if not (ROOT / "actors" / "commands" / f"{m}.py").is_file()]


def test_config_page_is_current() -> None:
    """docs/config.md is what `python -m tests.docs` writes."""
    assert config_page() == CONFIG_PAGE.read_text(encoding="utf-8")


def test_sql_page_is_current() -> None:
    """docs/sql.md is what `python -m tests.docs` writes: the tables and views that the migrations make."""
    assert sql_page() == SQL_PAGE.read_text(encoding="utf-8")


def test_every_example_of_a_view_runs() -> None:
    """Each view's example query is one that DuckDB takes, on an empty history."""
    with duckdb.connect(":memory:") as connection:
        for kind in ("schema", "views"):
            for file in sorted((HISTORY / kind).glob("*.sql")):
                connection.execute(file.read_text(encoding="utf-8"))
        for file in sorted((HISTORY / "views").glob("*.sql")):
            what, example = view_words(file)

            assert what
            assert [] == connection.execute(example).fetchall()


def test_every_key_is_documented() -> None:
    """Each configuration key says what it is for."""
    page = config_page()

    assert [] == [key for key in known_keys() if f"`{key.rpartition('.')[2]}`" not in page]


def test_rules_and_hints_are_about_real_keys() -> None:
    """Every rule belongs to a key, no hint for a Freqtrade key hides one of ours, and no key of ours is masked."""
    names = {key.rpartition(".")[2] for key in known_keys()}

    assert set() == set(RULES) - set(known_keys())
    assert set() == set(FREQTRADE) & names
    assert [] == [name for name in names if is_secret(name)]


def test_shipped_config_is_in_order() -> None:
    """config.toml, as it is, parses and trades on paper."""
    with (ROOT / "config.toml").open("rb") as file:
        config = parse_config(tomllib.load(file, parse_float=Decimal))

    assert "paper" == config.mode


def test_ci_runs_the_readme_command() -> None:
    """.ci/run takes its command from the README, so the two cannot differ, and it may be executed."""
    script = ROOT / ".ci" / "run"

    assert "bash tests" in script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111


def test_lock_names_no_index_and_covers_every_dependency() -> None:
    """requirements.lock pins every dependency with hashes, and says nothing of where they come from."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(w for extra in extras if extra != "ray" for w in extras[extra])]
    names = {re.match(r"[A-Za-z0-9-]+", w)[0].lower() for w in wanted}  # type: ignore[index]
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+).*\\$", lock, re.MULTILINE))

    assert names - {project["name"]} <= set(pinned)
    assert "://" not in lock
    assert "index" not in lock
    assert len(pinned) <= lock.count("--hash=sha256:")
