"""The application: its commands, their examples, and the exit codes of errors."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from cyclopts import App, CycloptsError

import cio_frames
from cio_frames.cli.exit_codes import Exit, exit_of, exits_table
from cio_frames.cli.help import HelpFormatter
from cio_frames.cli.hints import cli_advice
from cio_frames.cli.output import echo_error
from cio_frames.errors import CioError
from cio_frames.views import text

_ABOUT = """Plan, check, preview, send and audit tables for Customer.io.

Tables are CSV, JSON, Excel, Arrow or Parquet files. Keys come from the environment only: CIO_WRITE_KEY; for forms \
CIO_SITE_ID and CIO_TRACK_API_KEY; to read the workspace CIO_APP_API_KEY. Start with `cio-frames demo`, which needs no account."""

_STOP_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

_COMMANDS = (
    (
        "check:check",
        """cio-frames check people.csv --call identify --user-id id
cio-frames check people.csv --call identify --fix safe --rejected left.csv
cio-frames check "events/*.parquet" --call track --event name --format json
cio-frames check people.csv --call identify --user-id id --known workspace""",
    ),
    (
        "check:preview",
        """cio-frames preview orders.csv --call track --user-id id --timestamp ordered_at \
--lit "event=Order Completed" --properties "total,plan=tier"
cio-frames preview people.csv --call identify --rows 1 --format json""",
    ),
    (
        "send:send",
        """cio-frames send people.csv --call identify --user-id id --to sandbox
cio-frames send people.csv --call identify --user-id id --endpoint http://127.0.0.1:8099
cio-frames send people.csv --call identify --user-id id --to eu --audit audit""",
    ),
    (
        "send:resume",
        """cio-frames resume audit/20261121T093000000Z-k3f9q2 people.csv \
--call identify --user-id id --to eu""",
    ),
    (
        "reconcile:reconcile",
        """cio-frames reconcile audit/20261121T093000000Z-k3f9q2 people.csv \
--call identify --user-id id
cio-frames reconcile audit/20261121T093000000Z-k3f9q2 people.csv \
--call identify --user-id id --known export.csv --before before.csv""",
    ),
    (
        "saved_plans:plan",
        """cio-frames plan orders.parquet --call track --event name --user-id id --to eu --out july.cioplan
cio-frames plan people.csv --call identify --user-id id --out people.cioplan --expires never""",
    ),
    (
        "saved_plans:show",
        "cio-frames show july.cioplan\ncio-frames show july.cioplan --format markdown",
    ),
    ("saved_plans:approve", "cio-frames approve july.cioplan\ncio-frames approve --key"),
    (
        "saved_plans:apply",
        """cio-frames apply july.cioplan orders.parquet --to eu
cio-frames apply july.cioplan orders.parquet --to eu --approved-by ed25519:KEY --yes
cio-frames apply nightly.cioplan people.csv --to eu --yes --only-if "rejected<1%" --only-if "creates<=500\"""",
    ),
    (
        "audit:audit",
        """cio-frames audit audit
cio-frames audit audit --failed --csv failed.csv
cio-frames audit audit --run 20261121T093000000Z-k3f9q2 --explain 17
cio-frames audit audit --verify""",
    ),
    (
        "undo:undo",
        """cio-frames undo audit/20261121T093000000Z-k3f9q2 people.csv --call identify --user-id id \
--known before.parquet --out undo
cio-frames apply undo/undo.cioplan undo/*.parquet --to eu""",
    ),
    ("sandbox:sandbox", "cio-frames sandbox\ncio-frames sandbox --port 0"),
    ("demo:demo", "cio-frames demo\ncio-frames demo --data sample_data --audit audit/demo"),
)
"""Module and function of each command, and its examples."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The words after `cio-frames`; those of this process if not given.

    Returns:
        The exit code, one of `cio_frames.cli.exit_codes.Exit`.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        with _signals_as_interrupts():
            result = _app(words)(
                words, print_error=False, exit_on_error=False, result_action="return_value"
            )
    except (CioError, CycloptsError, KeyboardInterrupt) as error:
        echo_error(_message(error))
        return exit_of(error) or Exit.USAGE
    return result if isinstance(result, Exit) else Exit.OK


@contextmanager
def _signals_as_interrupts() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP like an interrupt, unless they are ignored, as with `nohup`."""
    is_main = threading.current_thread() is threading.main_thread()  # others cannot set handlers
    signals = [
        number for number in _STOP_SIGNALS if is_main and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in signals:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def _app(words: Sequence[str]) -> App:
    """Return the application with the command that the words name, or with all commands."""
    app = App(
        name="cio-frames",
        help=_ABOUT,
        help_epilogue=exits_table(),
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        version=lambda: f"cio-frames {cio_frames.__version__}",
        suppress_keyboard_interrupt=False,
    )
    named = [row for row in _COMMANDS if words[:1] == [row[0].partition(":")[2]]]
    for position, (command, examples) in enumerate(named or _COMMANDS):
        module, _, name = command.partition(":")
        function = getattr(import_module(f"cio_frames.cli.{module}"), name)
        app.command(function, help_epilogue=_epilogue(examples), sort_key=position)
    return app


def _epilogue(examples: str) -> str:
    commands = map(text.command, examples.splitlines())
    return "\n".join(("Examples:", *commands, "", exits_table()))


def _message(error: BaseException) -> str:
    if isinstance(error, CycloptsError):
        return f"{error} See `cio-frames --help`."
    if isinstance(error, KeyboardInterrupt):
        return cli_advice(" ".join(("Interrupted.", *getattr(error, "__notes__", ()))))
    return cli_advice(str(error))
