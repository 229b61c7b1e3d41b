"""What of the account a Freqtrade strategy looks at: found in the text of its class, and of the files beside it.

A strategy that looks at nothing is told nothing, which costs nothing. What is missed here is said when it is
called (`locks`, `all_trades`).
"""

from __future__ import annotations

import inspect
import re
import sys
from types import ModuleType
from typing import Any, Final

from engine.strategy import ACCOUNT, TRADES

_FOUND: Final = "_tradepit_looks_at"
_TRADES: Final = re.compile(
    r"\.(get_trades_proxy|get_open_trades|get_total_closed_profit|get_overall_performance|get_enter_tag_performance"
    r"|get_exit_reason_performance|get_mix_tag_performance|get_best_pair|get_all_positions)\b"
)
_ACCOUNT: Final = re.compile(
    r"\.(wallets|is_pair_locked|is_global_lock|get_pair_locks|get_pair_longest_lock|get_all_locks"
    r"|get_open_trade_count|total_open_trades_stakes)\b"
)


def looks_of(cls: Any) -> tuple[str, ...]:
    """The marks of what `cls` looks at (`engine.strategy`); found once."""
    if _FOUND not in vars(cls):
        text = "\n".join(map(_text, _modules_of(cls)))
        sees = (ACCOUNT,) if _ACCOUNT.search(text) else ()
        setattr(cls, _FOUND, (ACCOUNT, TRADES) if _TRADES.search(text) else sees)
    found: tuple[str, ...] = vars(cls)[_FOUND]
    return found


def _modules_of(cls: type) -> list[ModuleType]:
    """The modules of a user's class and its bases, and those loaded from the same folders."""
    own = [module for base in cls.__mro__ if (module := sys.modules.get(base.__module__)) is not None]
    own = [module for module in own if module.__name__.partition(".")[0] not in ("strategies", "engine", "builtins")]
    folders = {folder for module in own if (folder := _folder(module))}
    beside = [module for module in list(sys.modules.values()) if _folder(module) in folders]
    return list({id(module): module for module in (*own, *beside)}.values())


def _folder(module: Any) -> str:
    name = getattr(module, "__file__", None)
    return name.replace("\\", "/").rpartition("/")[0] if isinstance(name, str) and name.endswith(".py") else ""


def _text(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return ""
