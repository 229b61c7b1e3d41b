"""Lets `import freqtrade…` of a strategy's file find what Tradepit has in its place.

`install` is called by the loader, in the process that judges, and only for a file that imports these
names. Where Freqtrade itself is installed, ours still goes before it: a strategy is judged alike everywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from strategies.compat.modules import EVERYTHING, MODULES, STANDINS


class _Shown(Loader):
    """Fills a module with the names it shows."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """A plain module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the names in."""
        for name, (origin, attribute) in names_of(module.__name__).items():
            found = import_module(f"strategies.compat.{origin}")
            setattr(module, name, found if attribute == EVERYTHING else getattr(found, attribute))


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        del path, target
        if fullname.partition(".")[0] != "freqtrade" and fullname not in _standing_in:
            return None
        if fullname not in MODULES and not has_inner(fullname):
            return None
        return ModuleSpec(fullname, _Shown(), is_package=has_inner(fullname))


_finder: Final = _Finder()
_standing_in: Final[set[str]] = set()


def names_of(module: str) -> dict[str, tuple[str, str]]:
    """What a module shows: name → (our module, attribute there)."""
    found: dict[str, tuple[str, str]] = {}
    for origin, names in MODULES.get(module, {}).items():
        for entry in names.split():
            name, _, attribute = entry.partition("=")
            if name == EVERYTHING:
                found |= _all_of(origin)
            else:
                found[name] = (origin, attribute or name)
    return found


def _all_of(origin: str) -> dict[str, tuple[str, str]]:
    shown = import_module(f"strategies.compat.{origin}")
    names = getattr(shown, "__all__", None) or [n for n, v in vars(shown).items() if _is_own(shown, n, v)]
    return {name: (origin, name) for name in names}


def _is_own(module: ModuleType, name: str, value: Any) -> bool:
    return name[0] != "_" and (getattr(value, "__module__", None) == module.__name__ or name.isupper())


def has_inner(module: str) -> bool:
    """Whether there are modules inside this one."""
    return any(known.startswith(f"{module}.") for known in MODULES)


def knows(module: str) -> bool:
    """Whether `import module` finds something of ours."""
    return module in MODULES or has_inner(module)


def install() -> None:
    """From here on this process finds our modules under Freqtrade's names; repeated, nothing changes.

    Where scikit-optimize is not installed, its names of search spaces are ours, too.
    """
    for package, modules in STANDINS.items():
        if package not in sys.modules and find_spec(package) is None:
            _standing_in.update(modules)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
        for name in [n for n in sys.modules if n.partition(".")[0] == "freqtrade"]:
            del sys.modules[name]
