"""Where the program runs, and which display fits there."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO, get_args

from cio_frames.config import variable
from cio_frames.errors import MappingError

Kind = Literal["marimo", "widget", "html", "terminal", "lines", "off"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known about the place the program runs in.

    Attributes:
        marimo: A cell of a marimo notebook.
        kernel: A cell of a Jupyter notebook.
        widgets: ipywidgets is installed.
        vscode: The front end is VS Code, which does not draw every release of ipywidgets.
        tty: Errors go to a terminal.
    """

    marimo: bool = False
    kernel: bool = False
    widgets: bool = False
    vscode: bool = False
    tty: bool = False


def choose(wanted: object, surroundings: Surroundings) -> Kind:
    """Return the display that fits.

    Args:
        wanted: `"auto"` or `True`, `False` or `None`, or one of the kinds.
        surroundings: Where the program runs.

    Returns:
        The kind of display.

    Raises:
        MappingError: `wanted` is something else.

    Examples:
        >>> choose("auto", Surroundings(kernel=True, widgets=True))
        'widget'
    """
    if wanted is None or wanted is False:
        return "off"
    if wanted in KINDS:
        return wanted
    if wanted is not True and wanted != "auto":
        raise MappingError(f"progress={wanted!r} is none of: auto, False, {', '.join(KINDS)}.")
    if surroundings.marimo:
        return "marimo"
    if surroundings.kernel:
        return "widget" if surroundings.widgets and not surroundings.vscode else "html"
    return "terminal" if surroundings.tty else "lines"


def look(
    *,
    modules: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> Surroundings:
    """Return what can be found out without importing anything heavy.

    Args:
        modules: What counts as loaded, instead of `sys.modules`: a notebook has loaded its own.
        environ: What is read instead of the environment.
        stream: Where progress would be written; standard error if not given.
    """
    loaded = sys.modules if modules is None else modules
    shell = _shell(loaded)
    names = getattr(shell, "user_ns", {})
    return Surroundings(
        marimo=_in_marimo(loaded),
        kernel=getattr(shell, "kernel", None) is not None,
        widgets=importlib.util.find_spec("ipywidgets") is not None,
        vscode=variable("VSCODE_PID", environ=environ) is not None or "__vsc_ipynb_file__" in names,
        tty=(stream or sys.stderr).isatty(),
    )


def execution() -> int | None:
    """Return the number of the input that IPython is working on, if it runs the program."""
    count = getattr(_shell(sys.modules), "execution_count", None)
    return count if isinstance(count, int) else None


def _shell(modules: Mapping[str, Any]) -> object:
    """Return the running IPython shell, if there is one."""
    get_ipython = getattr(modules.get("IPython"), "get_ipython", None)
    return get_ipython() if get_ipython else None


def _in_marimo(modules: Mapping[str, Any]) -> bool:
    """Return whether this is a cell of a marimo notebook."""
    running = getattr(modules.get("marimo"), "running_in_notebook", None)
    return bool(running and running())
