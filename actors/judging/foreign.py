"""Strategies written for Freqtrade: seen by their imports, checked before they run, and made to import.

Nothing is imported that a native strategy has no use for: pandas and our side of Freqtrade's interface are
loaded only for a file that asks for them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import StrategyError

FREQTRADE: Final = "freqtrade"
_PIP_NAMES: Final = {
    "talib": "TA-Lib",
    "sklearn": "scikit-learn",
    "skopt": "scikit-optimize",
    "pandas_ta": "pandas_ta (or ft-pandas-ta)",
    "finta": "finta",
}


class Import(NamedTuple):
    """One name that a file imports; `name` is empty where it is the module itself."""

    module: str
    name: str
    line: int


def imports_of(tree: ast.AST) -> Iterator[Import]:
    """All imports of a file that are carried out when it is loaded; those in a `try` may fail, and are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (Import(node.module or "", alias.name, node.lineno) for alias in node.names)
        elif not isinstance(node, ast.Try | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imports_of(node)


def is_foreign(tree: ast.AST) -> bool:
    """Whether a file is written for Freqtrade."""
    return any(found.module.partition(".")[0] == FREQTRADE for found in imports_of(tree))


def make_ready(file: Path) -> None:
    """Let a file's imports of Freqtrade find ours; a file without any is none of our business.

    Raises:
        StrategyError: it uses what is not there; all of it is named.
    """
    text = file.read_bytes()
    if FREQTRADE.encode() not in text:
        return
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return  # the loader says where
    if not is_foreign(tree):
        return
    if find_spec("pandas") is None:
        raise StrategyError(
            f"{file} is written for Freqtrade, which takes pandas: install it with pip install 'tradepit[freqtrade]'"
        )
    from strategies.compat.hook import install

    install()
    lacks = lacking(tree, file.parent)
    if lacks:
        raise StrategyError(f"{file} uses what Tradepit does not have: {'; '.join(lacks)}")


def lacking(tree: ast.AST, folder: Path) -> list[str]:
    """What a Freqtrade strategy uses that is not there, each as a phrase with its line."""
    from strategies.compat.scan import uses_unknown

    found = [phrase for imported in imports_of(tree) if (phrase := _missing(imported, folder))]
    return list(dict.fromkeys([*found, *uses_unknown(tree)]))


def _missing(imported: Import, folder: Path) -> str:
    from strategies.compat.hook import knows, names_of

    top = imported.module.partition(".")[0]
    where = f"(line {imported.line})"
    if top == FREQTRADE:
        if imported.name and knows(f"{imported.module}.{imported.name}"):
            return ""
        if not knows(imported.module):
            return f"the module {imported.module} {where}"
        if imported.name and imported.name != "*" and imported.name not in names_of(imported.module):
            return f"{imported.module}.{imported.name} {where}"
        return ""
    if (folder / f"{top}.py").exists() or (folder / top).is_dir() or _is_there(top):
        return ""
    return f"the library {top} {where}, which is not installed: pip install {_PIP_NAMES.get(top, top)}"


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ValueError, ImportError):
        return False
