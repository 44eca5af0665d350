"""
What imports cost the start of ``serve``: one line at the level debug.
"""

import logging
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from time import perf_counter
from types import ModuleType
from typing import Any

# Packages that took less are not named, in s.
NAMED_S = 0.05

logger = logging.getLogger(__name__)


class Imports:
    """
    A finder of modules that asks the others and measures what their modules take, each without the
    modules that it imports in turn.
    """

    def __init__(self) -> None:
        self._began = perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._inner: list[float] = []

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """
        Return what the other finders do, with a loader that measures.
        """
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if isinstance(spec.loader, type) or spec.loader is None:  # of Python itself
                    return spec
                loader: Any = spec.loader
                package = name.partition(".")[0]
                loader.create_module = self._timed(package, loader.create_module)
                loader.exec_module = self._timed(package, loader.exec_module)
                return spec
        return None

    def line(self) -> str:
        """
        Return how long imports took, by package.
        """
        slowest = sorted(self._seconds.items(), key=lambda each: -each[1])
        named = [f"{name} {seconds:.1f}" for name, seconds in slowest if seconds > NAMED_S]
        took = f"{sum(self._seconds.values()):.1f} s of {perf_counter() - self._began:.1f} s"
        return f"imports {took} until the model was loaded" + ": " * bool(named) + ", ".join(named)

    def _timed(self, package: str, load: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(given: Any) -> Any:
            started = perf_counter()
            self._inner.append(0.0)
            try:
                return load(given)
            finally:
                took = perf_counter() - started
                self._seconds[package] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return timed


def begin() -> None:
    """
    Measure what is imported from now on.
    """
    sys.meta_path.insert(0, Imports())


def tell() -> None:
    """
    Log what was measured, if anything, and measure no more.
    """
    for finder in [each for each in sys.meta_path if isinstance(each, Imports)]:
        sys.meta_path.remove(finder)
        logger.debug(finder.line())
