"""Reads `config.toml`: from a path to a checked `Config`, every trouble on the way in one sentence."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.config import parse_config
from engine.errors import ConfigError, Problem, TradepitError
from engine.settings import Config

_LARGEST = 1 << 20


def read_config(path: Path | str) -> Config:
    """The configuration in the file at `path`.

    Raises:
        ConfigError: the file is TOML, and what it says is wrong; all of it.
        TradepitError: there is no such file, it cannot be read, or it is not TOML (line and column).
    """
    path = Path(path)
    try:
        return parse_config(read_toml(path))
    except ConfigError as error:
        problems = [Problem(f"{path}: {p.key}", p.value, p.why, p.cure) for p in error.problems]
        raise ConfigError(problems) from None


def read_toml(path: Path) -> dict[str, Any]:
    """What the TOML file at `path` says; its floats are the decimals they are written as."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise TradepitError(f"{path}: there is no such file. Give another with -c FILE.") from None
    except IsADirectoryError:
        raise TradepitError(f"{path} is a folder. Give the file in it, such as {path / 'config.toml'}.") from None
    except OSError as error:
        raise TradepitError(f"{path} cannot be read: {error.strerror}.") from None
    if len(raw) > _LARGEST:
        raise TradepitError(f"{path} is larger than 1 MiB: that is no configuration.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise TradepitError(f"{path} is not UTF-8 text: line {line} holds the byte 0x{raw[error.start]:02x}.") from None
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError, RecursionError) as error:
        raise TradepitError(f"{path} is not TOML: {error or 'a number or a nesting in it is out of bounds'}.") from None
