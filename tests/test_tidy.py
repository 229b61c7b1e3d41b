"""The style of the code as tests: sizes, docstrings, nothing left for later, and the linters."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PRODUCT: Final = ("engine", "actors", "strategies")

FILE_LINES_MAX: Final = {"engine": 400, "actors": 400, "strategies": 60, "strategies/compat": 400, "tests": 600}
FUNCTION_LINES_MAX: Final = 50
"""Code lines of a function, its docstring left out."""

LONG_FILES: Final[dict[str, int]] = {}
"""Files over the limit, with the length they have: a ratchet. They may get shorter, never longer."""

LONG_FUNCTIONS: Final[dict[str, int]] = {}
"""Functions over the limit, as `file:function`, likewise."""


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """Every Python file of these folders."""
    found = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return tuple(sorted(file for file in found if "__pycache__" not in file.parts))


@cache
def tree(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def functions(file: Path) -> tuple[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef], ...]:
    """Every function of a file with the classes and functions it is in: `Class.method`."""
    found: list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]] = []

    def look(node: ast.AST, place: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                continue  # no definition is inside an expression
            inside = place
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inside = f"{place}{child.name}."
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append((inside[:-1], child))
            look(child, inside)

    look(tree(file), "")
    return tuple(found)


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    is_doc = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or 0) - first.lineno + 1 if is_doc else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _limit(file: str) -> int:
    folder = file.rpartition("/")[0]
    return FILE_LINES_MAX.get(folder) or FILE_LINES_MAX[file.partition("/")[0]]


def test_files_stay_short() -> None:
    """No file has more lines than fit into a head, but those listed, and these do not grow."""
    lengths = {_name(f): len(f.read_text(encoding="utf-8").splitlines()) for f in files(*PRODUCT, "tests")}
    too_long = {f: n for f, n in lengths.items() if n > LONG_FILES.get(f, _limit(f))}
    shorter = {f: lengths.get(f, 0) for f in LONG_FILES if lengths.get(f, 0) <= _limit(f)}

    assert {} == too_long
    assert {} == shorter, "within the limit now: take them off the list"


def test_functions_stay_short() -> None:
    """No function has more code lines than fit on a screen, but those listed, and these do not grow."""
    lengths = {f"{_name(f)}:{name}": _lines(node) for f in files(*PRODUCT, "tests") for name, node in functions(f)}
    too_long = {f: n for f, n in lengths.items() if n > LONG_FUNCTIONS.get(f, FUNCTION_LINES_MAX)}
    shorter = {f: lengths.get(f, 0) for f in LONG_FUNCTIONS if lengths.get(f, 0) <= FUNCTION_LINES_MAX}

    assert {} == too_long
    assert {} == shorter, "within the limit now: take them off the list"


def test_nothing_is_left_for_later() -> None:
    """No file says that something is still to be done."""
    words = re.compile(r"\b(T[O]DO|F[I]XME|H[A]CK)\b")
    found = [
        f"{_name(file)}:{number}"
        for file in (*files(*PRODUCT, "tests"), *ROOT.glob("*.md"), *(ROOT / "docs").iterdir())
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]

    assert [] == found


def test_every_test_says_what_it_proves() -> None:
    """Each test has a docstring that is a sentence."""
    mute = [
        f"{_name(file)}:{name}"
        for file in files("tests")
        if file.name.startswith("test_")
        for name, node in functions(file)
        if name.rpartition(".")[2].startswith("test_")
        if not (ast.get_docstring(node) or "").rstrip().endswith((".", "!", "?", ":"))
    ]

    assert [] == mute


def test_public_things_are_documented() -> None:
    """Every module, public class and public function of the product says what it is."""
    mute = []
    for file in files(*PRODUCT):
        if not ast.get_docstring(tree(file)):
            mute.append(_name(file))
        for node in tree(file).body:
            named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if named and not node.name.startswith("_") and not ast.get_docstring(node):
                mute.append(f"{_name(file)}:{node.name}")

    assert [] == mute


def test_tests_use_no_mocks() -> None:
    """Tests work with the real thing or a small fake of it; no mock, no patch of our own code."""
    banned = re.compile(r"unittest\.mock|monkeypatch\.setattr|\bmocker\b|MagicMock")
    found = [
        f"{_name(file)}:{number}"
        for file in files("tests")
        if file.name != "test_tidy.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if banned.search(line)
    ]

    assert [] == found


def test_no_path_of_a_developers_machine() -> None:
    """No file names a folder that only one machine has."""
    places = re.compile(r"/(?:work|home|root|Users)/\w|/opt/(?!tradepit)\w")
    everything = [*files(*PRODUCT, "tests"), *ROOT.glob("*.md"), *ROOT.glob("*.toml"), *(ROOT / "docs").iterdir()]
    found = [
        f"{_name(file)}:{number}: {line.strip()[:80]}"
        for file in everything
        if file.name != "test_tidy.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if places.search(line)
    ]

    assert [] == found


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--check", "--no-cache", "."],
        ["mypy", "--strict", *PRODUCT],
    ],
    ids=["ruff-check", "ruff-format", "mypy"],
)
@pytest.mark.timeout(600)
def test_linters_are_content(command: list[str]) -> None:
    """Ruff and mypy have nothing to say; whatever they say is in the failure."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
