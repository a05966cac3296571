"""Where the program runs, which display fits there, and what the output can show."""

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
class Environment:
    """Where the program runs.

    Attributes:
        marimo: In a cell of a marimo notebook.
        kernel: In a cell of a Jupyter notebook.
        widgets: ipywidgets is installed.
        vscode: The front end is VS Code, which does not show every release of ipywidgets.
        tty: Standard error is a terminal.
    """

    marimo: bool = False
    kernel: bool = False
    widgets: bool = False
    vscode: bool = False
    tty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The properties of a text output.

    Attributes:
        encoding: Its encoding.
        columns: The width of a line; None if lines may have any length.
    """

    encoding: str = "utf-8"
    columns: int | None = None

    def can_encode(self, text: str) -> bool:
        """Return whether the encoding has all characters of a text.

        Examples:
            >>> Output(encoding="cp437").can_encode("é"), Output(encoding="cp437").can_encode("✓")
            (True, False)
        """
        return self.escape(text) == text

    def escape(self, text: str) -> str:
        r"""Return the text with escapes for the characters that the encoding does not have.

        Examples:
            >>> print(Output(encoding="ascii").escape("Zoë"))
            Zo\xeb
        """
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)


_OUTPUT: ContextVar[Output | None] = ContextVar("output", default=None)


def output() -> Output:
    """Return the output that text is currently made for: standard output, or that of `writing_to`."""
    return _OUTPUT.get() or output_of(sys.stdout)


@contextmanager
def writing_to(target: Output) -> Iterator[None]:
    """Make text for another output within the block."""
    token = _OUTPUT.set(target)
    try:
        yield
    finally:
        _OUTPUT.reset(token)


def output_of(stream: object) -> Output:
    """Return the properties of a stream; the variable `COLUMNS` overrides its width.

    Args:
        stream: A text stream, a substitute for one, or None.

    Examples:
        >>> import io
        >>> output_of(io.TextIOWrapper(io.BytesIO(), encoding="cp437"))
        Output(encoding='cp437', columns=None)
    """
    setting = variable("COLUMNS") or ""
    columns = int(setting) if setting.isdecimal() else 0
    return Output(encoding=_encoding(stream), columns=columns or _terminal_columns(stream))


def _encoding(stream: object) -> str:
    """Return the encoding of a stream, UTF-8 if it has none."""
    name = getattr(stream, "encoding", None)
    try:
        return codecs.lookup(name).name if name else "utf-8"
    except (LookupError, TypeError):
        return "ascii"


def _terminal_columns(stream: Any) -> int | None:
    """Return the width of a terminal; a kernel's streams are not terminals, even if started from one."""
    if _in_kernel(sys.modules):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (AttributeError, OSError, TypeError, ValueError):
        return None


def pick_display(wanted: object, environment: Environment) -> Kind:
    """Return the display that fits.

    Args:
        wanted: `"auto"` or `True`, `False` or `None`, or one of the kinds.
        environment: Where the program runs.

    Returns:
        The kind of display.

    Raises:
        MappingError: `wanted` is something else.

    Examples:
        >>> pick_display("auto", Environment(kernel=True, widgets=True))
        'widget'
    """
    if wanted is None or wanted is False:
        return "off"
    if wanted in KINDS:
        return wanted
    if wanted is not True and wanted != "auto":
        raise MappingError(f"progress={wanted!r} is not one of: auto, False, {', '.join(KINDS)}.")
    if environment.marimo:
        return "marimo"
    if environment.kernel:
        return "widget" if environment.widgets and not environment.vscode else "html"
    return "terminal" if environment.tty else "lines"


def detect(
    *,
    modules: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> Environment:
    """Detect where the program runs, without importing anything heavy.

    Args:
        modules: The loaded modules, `sys.modules` if not given.
        environ: Read instead of the environment.
        stream: Where progress would be written, standard error if not given.
    """
    loaded = sys.modules if modules is None else modules
    shell = _shell(loaded)
    names = getattr(shell, "user_ns", {})
    return Environment(
        marimo=_in_marimo(loaded),
        kernel=_in_kernel(loaded),
        widgets=importlib.util.find_spec("ipywidgets") is not None,
        vscode=variable("VSCODE_PID", environ=environ) is not None or "__vsc_ipynb_file__" in names,
        tty=bool(getattr(stream or sys.stderr, "isatty", bool)()),
    )


def execution() -> int | None:
    """Return the number of the input that IPython executes, None outside IPython."""
    count = getattr(_shell(sys.modules), "execution_count", None)
    return count if isinstance(count, int) else None


def _shell(modules: Mapping[str, Any]) -> object:
    get_ipython = getattr(modules.get("IPython"), "get_ipython", None)
    return get_ipython() if get_ipython else None


def _in_kernel(modules: Mapping[str, Any]) -> bool:
    return getattr(_shell(modules), "kernel", None) is not None


def _in_marimo(modules: Mapping[str, Any]) -> bool:
    running = getattr(modules.get("marimo"), "running_in_notebook", None)
    return bool(running and running())
