"""Importing TA-Lib without pandas: it would load pandas, if that is installed, whether a strategy uses it or not.

While TA-Lib is imported a stand-in lies in pandas' place, with its two classes. They answer `isinstance` by
the real ones where these have been imported by then, and make real objects when they are called; so TA-Lib
takes and gives pandas' objects as ever, and a strategy that has none of them saves its time and memory.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any


class _LikeReal(type):
    """Classes that stand for pandas' of the same name."""

    def __instancecheck__(cls, instance: object) -> bool:
        pandas = sys.modules.get("pandas")
        return pandas is not None and isinstance(instance, getattr(pandas, cls.__name__))

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        real = importlib.import_module("pandas")
        return getattr(real, cls.__name__)(*arguments, **named)


class _Loader(importlib.abc.Loader):
    """Loads TA-Lib as ever, with the stand-in in pandas' place until it is loaded."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        stand_in = ModuleType("pandas")
        for name in ("Series", "DataFrame"):
            setattr(stand_in, name, _LikeReal(name, (), {}))
        sys.modules["pandas"] = stand_in
        try:
            self._loader.exec_module(module)
        finally:
            del sys.modules["pandas"]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TA-Lib for `_Loader`, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if name != "talib":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None and "pandas" not in sys.modules:
            spec.loader = _Loader(spec.loader)
        return spec


def import_lightly() -> None:
    """From here on the first import of TA-Lib loads no pandas."""
    if "talib" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
