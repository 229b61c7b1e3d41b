"""Importing ccxt for one exchange: it would load all it has, a hundred and more, which costs 0.6 s and 55 MB.

Its three packages that do so are put in place without being run. An exchange that is asked of them is imported
then, by itself; so are the errors and the base class. For any other name the package is run after all, as ever:
whatever is asked of it, the answer is the same object that it would have been.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

BASES: Final = {
    "ccxt": "ccxt.base.exchange",
    "ccxt.async_support": "ccxt.async_support.base.exchange",
    "ccxt.pro": "ccxt.async_support.base.exchange",
}
"""The packages that import every exchange, and where each has its base class from."""


class _Package(ModuleType):
    """One of them, in which a name is looked for when it is used."""

    def __setattr__(self, name: str, value: object) -> None:
        """Python puts an imported exchange's module here; in these packages its name is its class."""
        super().__setattr__(name, _class_of(value, name) if isinstance(value, ModuleType) else value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in {"__all__", "__version__"}:
            raise AttributeError(name)
        if name.isidentifier() and importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            # Not out of this package: where two threads ask at once, one may not have put it there yet.
            return _class_of(importlib.import_module(f"{self.__name__}.{name}"), name)
        run = self.__spec__.loader if self.__spec__ is not None else None
        assert isinstance(run, _Loader)
        run.real.exec_module(self)
        self.__class__ = ModuleType  # type: ignore[assignment]  # a package as any other from now on
        return getattr(self, name)


def _class_of(module: ModuleType, name: str) -> object:
    own = vars(module).get(name)
    return own if isinstance(own, type) else module


class _Loader(importlib.abc.Loader):
    """Puts a package in place with its base class and ccxt's errors, and does not run it."""

    def __init__(self, real: importlib.abc.Loader) -> None:
        self.real = real

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        errors = importlib.import_module("ccxt.base.errors")
        vars(module).update({name: value for name, value in vars(errors).items() if isinstance(value, type)})
        module.__dict__["Exchange"] = importlib.import_module(BASES[module.__name__]).Exchange


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the packages for `_Loader`; everything in them is found as ever."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name in BASES else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def import_lightly() -> None:
    """From here on ccxt loads the exchanges that are used; without effect where it has been loaded before."""
    if "ccxt" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
