"""The file of optimised values beside a strategy: `mine.py` has `mine.json`, in Freqtrade's form.

`tradepit optimize` writes it, the loader reads it. What the config says goes before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from actors.files import write_whole
from engine.errors import StrategyError

_SETTING_GROUPS: Final = {
    "stoploss": ("stoploss",),
    "trailing": (
        "trailing_stop",
        "trailing_stop_positive",
        "trailing_stop_positive_offset",
        "trailing_only_offset_is_reached",
    ),
}


@dataclass(frozen=True, slots=True)
class Optimised:
    """Values of parameters by name, and settings of the strategy such as `stoploss`."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def file_beside(strategy_file: Path) -> Path:
    """Where the optimised values of a strategy's file lie."""
    return strategy_file.with_suffix(".json")


def read_optimised(strategy_file: Path, strategy: str) -> Optimised:
    """The optimised values of `strategy`; none where there is no file, or it is another strategy's.

    Raises:
        StrategyError: the file is there and cannot be used; a sentence.
    """
    path = file_beside(strategy_file)
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return Optimised()
    except (OSError, orjson.JSONDecodeError) as error:
        raise StrategyError(f"{path}, the optimised values of {strategy}, cannot be read: {error}") from error
    groups = document.get("params") if isinstance(document, dict) else None
    if not isinstance(groups, dict) or not all(isinstance(group, dict) for group in groups.values()):
        raise StrategyError(
            f'{path} does not hold optimised values: it must be a JSON object with "strategy_name" and "params", '
            'which has an object for each space; move it away or let "tradepit optimize" write it'
        )
    return _read(groups) if document.get("strategy_name") == strategy else Optimised()


def _read(groups: Mapping[str, Mapping[str, Any]]) -> Optimised:
    parameters: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for space, values in groups.items():
        if space == "roi":
            settings["minimal_roi"] = dict(values)
        elif space in _SETTING_GROUPS:
            settings |= {name: values[name] for name in _SETTING_GROUPS[space] if name in values}
        elif space != "max_open_trades":
            parameters |= values
    return Optimised(parameters, settings)


def write_optimised(strategy_file: Path, strategy: str, groups: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the values of these spaces beside the strategy, keeping those of other spaces; the file."""
    path = file_beside(strategy_file)
    kept: dict[str, Any] = {}
    if path.exists():
        document = orjson.loads(path.read_bytes())
        if document.get("strategy_name") == strategy:
            kept = document.get("params", {})
    document = {
        "strategy_name": strategy,
        "params": {**kept, **groups},
        "ft_stratparam_v": 1,
        "export_time": datetime.now(UTC).isoformat(sep=" "),
    }
    write_whole(path, orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return path
