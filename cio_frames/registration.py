"""Registers `.cio` on the frames of polars, pandas and Spark, and loads what it offers when it is used.

pandas and pyspark are not loaded here: `.cio` is registered on their frames after their first import.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import polars as pl

if TYPE_CHECKING:
    from cio_frames.accessors import Frame


def register() -> None:
    """Put `.cio` on the frames of polars, and of pandas once it is loaded."""
    for kind, decorate in (
        (pl.DataFrame, pl.api.register_dataframe_namespace),
        (pl.LazyFrame, pl.api.register_lazyframe_namespace),
    ):
        if not hasattr(kind, "cio"):
            decorate("cio")(cast("type[Frame[Any]]", _accessor))
    for name, decorate_loaded in _REGISTER_LATER.items():
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "DataFrame"):
            decorate_loaded(module)
        elif not any(
            isinstance(finder, _AfterImport) and finder.name == name for finder in sys.meta_path
        ):
            sys.meta_path.insert(0, _AfterImport(name))


def _accessor(table: Any) -> "Frame[Any]":
    """Return the verbs for a frame."""
    from cio_frames.accessors import Frame

    return Frame(table)


def _on_pandas(pandas: Any) -> None:
    if not hasattr(pandas.DataFrame, "cio"):
        pandas.api.extensions.register_dataframe_accessor("cio")(_accessor)


def _on_spark(module: Any) -> None:
    """Register on the frames of Spark; those of Spark Connect are of the same class from version 4 on."""
    if not hasattr(module.DataFrame, "cio"):
        module.DataFrame.cio = property(_accessor)


_REGISTER_LATER: Mapping[str, Callable[[Any], None]] = {
    "pandas": _on_pandas,
    "pyspark.sql.dataframe": _on_spark,
    "pyspark.sql.connect.dataframe": _on_spark,
}
"""The functions that register `.cio` on frames of modules that may not be loaded yet."""


class _AfterImport(MetaPathFinder):
    """Finds a module with the other finders, and registers `.cio` after the module was executed.

    Many libraries only check whether a module can be found, so the finder stays until then.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self.name:
            return None
        finders = [finder for finder in sys.meta_path if finder is not self]
        found_spec = next(
            (spec for finder in finders if (spec := finder.find_spec(name, path, target))), None
        )
        if found_spec is not None and found_spec.loader is not None:
            found_spec.loader = _NotifyingLoader(found_spec.loader, self._registered)
        return found_spec

    def _registered(self, module: ModuleType) -> None:
        _REGISTER_LATER[self.name](module)
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class _NotifyingLoader(Loader):
    """Loads a module with its own loader, restores that loader, and calls a function."""

    def __init__(self, loader: Loader, notify: Callable[[Any], None]) -> None:
        self._loader = loader
        self._notify = notify

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._notify(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
