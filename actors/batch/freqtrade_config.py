"""Reads a Freqtrade configuration: JSON with comments, and the files that it adds.

As there: a file's own keys win over those of the files it adds, of these a later one over an earlier;
tables are merged, lists replaced. Numbers are the decimals that they are written as.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from engine.errors import TradepitError

_LARGEST: Final = 1 << 24
_DEEPEST: Final = 20

_TOKENS: Final = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.)*")
    | (?P<comment>//[^\n]* | /\*.*?\*/)
    | (?P<comma>,(?=(?:\s | //[^\n]*\n | /\*.*?\*/)*[}\]]))
    """,
    re.VERBOSE | re.DOTALL,
)


def read_freqtrade_config(path: Path, depth: int = 0) -> dict[str, Any]:
    """The configuration in the file at `path`, with what the files that it adds say besides.

    Raises:
        TradepitError: a file is missing, cannot be read or is not JSON; the text names it, line and column.
    """
    if depth > _DEEPEST:
        raise TradepitError(f"{path}: add_config_files goes round in a circle.")
    own = _read(path)
    added: dict[str, Any] = {}
    names = own.pop("add_config_files", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TradepitError(f"{path}: add_config_files must be a list of file names.")
    for name in names:
        added = merged(added, read_freqtrade_config(path.parent / name, depth + 1))
    return merged(added, own)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` put over `below`, tables within tables too."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def plain_json(text: str) -> str:
    """JSON without comments and without commas before a closing bracket; every place stays where it was."""

    def blank(found: re.Match[str]) -> str:
        return found[0] if found["text"] is not None else re.sub(r"[^\n]", " ", found[0])

    return _TOKENS.sub(blank, text)


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except FileNotFoundError:
        raise TradepitError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise TradepitError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise TradepitError(f"{path} is not UTF-8 text.") from None
    if len(raw) > _LARGEST:
        raise TradepitError(f"{path} is larger than 16 MiB: that is no configuration.")
    try:
        found = json.loads(plain_json(text), parse_float=Decimal, parse_constant=Decimal)
    except json.JSONDecodeError as error:
        raise TradepitError(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise TradepitError(f"{path} is nested too deeply.") from None
    if not isinstance(found, dict):
        raise TradepitError(f"{path} is no Freqtrade configuration: a table is expected, not {type(found).__name__}.")
    return found


def find_strategy(name: str, folders: Iterable[Path]) -> str:
    """`FILE.py:Class` for the first file in or below `folders` that has a class of this name; empty: none has."""
    wanted = re.compile(rf"^class\s+{re.escape(name)}\b", re.MULTILINE)
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if wanted.search(text):
                return f"{path}:{name}"
    return ""
