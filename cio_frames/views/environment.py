"""Where the program runs, which display fits there, and what its text is written to."""

import codecs
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What text is written to.

    Attributes:
        encoding: Which characters it takes.
        columns: How many places a line has; None where lines may be as long as they are.
    """

    encoding: str = "utf-8"
    columns: int | None = None

    def takes(self, text: str) -> bool:
        """Return whether it has all characters of a text.

        Examples:
            >>> Output(encoding="cp437").takes("é"), Output(encoding="cp437").takes("✓")
            (True, False)
        """
        return self.escaped(text) == text

    def escaped(self, text: str) -> str:
        r"""Return the text with the number of each character that it does not have.

        Examples:
            >>> print(Output(encoding="ascii").escaped("Zoë"))
            Zo\xeb
        """
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


_OUTPUT: ContextVar[Output | None] = ContextVar("output", default=None)


def output() -> Output:
    """Return what text is made for at the moment: standard output, unless `writing_to` says else."""
    return _OUTPUT.get() or output_of(sys.stdout)


@contextmanager
def writing_to(target: Output) -> Iterator[None]:
    """Have text made for another output."""
    before = _OUTPUT.set(target)
    try:
        yield
    finally:
        _OUTPUT.reset(before)


def output_of(stream: object) -> Output:
    """Return what is known of a stream; `COLUMNS` of the environment says how long its lines are.

    Args:
        stream: A text stream, anything that stands for one, or None where there is none.

    Examples:
        >>> import io
        >>> output_of(io.TextIOWrapper(io.BytesIO(), encoding="cp437"))
        Output(encoding='cp437', columns=None)
    """
    columns_asked = variable("COLUMNS") or ""
    columns = int(columns_asked) if columns_asked.isdecimal() else 0
    return Output(encoding=_encoding(stream), columns=columns or _terminal_columns(stream))


def _encoding(stream: object) -> str:
    """Return the encoding of a stream; streams without one take every character."""
    name = getattr(stream, "encoding", None)
    try:
        return codecs.lookup(name).name if name else "utf-8"
    except (LookupError, TypeError):
        return "ascii"


def _terminal_columns(stream: Any) -> int | None:
    """Return the width of a terminal; a kernel's streams are none, whatever it was started from."""
    if _in_kernel(sys.modules):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (AttributeError, OSError, TypeError, ValueError):
        return None


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
        raise MappingError(f"progress={wanted!r} is not one of: auto, False, {', '.join(KINDS)}.")
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
        kernel=_in_kernel(loaded),
        widgets=importlib.util.find_spec("ipywidgets") is not None,
        vscode=variable("VSCODE_PID", environ=environ) is not None or "__vsc_ipynb_file__" in names,
        tty=bool(getattr(stream or sys.stderr, "isatty", bool)()),
    )


def execution() -> int | None:
    """Return the number of the input that IPython is working on, if it runs the program."""
    count = getattr(_shell(sys.modules), "execution_count", None)
    return count if isinstance(count, int) else None


def _shell(modules: Mapping[str, Any]) -> object:
    """Return the running IPython shell, if there is one."""
    get_ipython = getattr(modules.get("IPython"), "get_ipython", None)
    return get_ipython() if get_ipython else None


def _in_kernel(modules: Mapping[str, Any]) -> bool:
    """Return whether this is a cell of a Jupyter notebook."""
    return getattr(_shell(modules), "kernel", None) is not None


def _in_marimo(modules: Mapping[str, Any]) -> bool:
    """Return whether this is a cell of a marimo notebook."""
    running = getattr(modules.get("marimo"), "running_in_notebook", None)
    return bool(running and running())
