"""How `--help` is laid out: two calm columns, the same everywhere."""

import textwrap
from typing import Any

_INDENT = "  "
_LABEL_CHARACTERS = 24
_WIDTH = 96


class Manual:
    """A help formatter of cyclopts: names on the left, wrapped sentences on the right.

    The unused `options` are part of the protocol that cyclopts calls.
    """

    def __call__(self, console: Any, options: Any, panel: Any) -> None:  # noqa: ARG002
        """Print one group of options or commands."""
        if not panel.entries:
            return
        _print(console, f"{panel.title}:")
        for entry in panel.entries:
            _print(console, _entry(_label(entry), _told(console, entry), width=_width(console)))
        _print(console, "")

    def render_usage(self, console: Any, options: Any, usage: Any) -> None:  # noqa: ARG002
        """Print the first line."""
        _print(console, f"Usage: {_plain(console, usage)}\n")

    def render_description(self, console: Any, options: Any, description: Any) -> None:  # noqa: ARG002
        """Print what a command is for."""
        paragraphs = _plain(console, description).split("\n\n")
        wrapped = (_filled(" ".join(words.split()), width=_width(console)) for words in paragraphs)
        _print(console, "\n\n".join(wrapped) + "\n")


def _entry(label: str, told: str, *, width: int) -> str:
    start = _INDENT + label.ljust(_LABEL_CHARACTERS)
    beside = len(label) < _LABEL_CHARACTERS
    hanging = " " * (len(_INDENT) + _LABEL_CHARACTERS)
    words = _filled(told, width=width, first=start if beside else hanging, rest=hanging)
    return words if beside else f"{_INDENT}{label}\n{words}"


def _filled(words: str, *, width: int, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        words, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def _label(entry: Any) -> str:
    return ", ".join(entry.display_labels_with_metavar)


def _told(console: Any, entry: Any) -> str:
    parts = [" ".join(_plain(console, entry.description).split())]
    if entry.choices:
        parts.append(f"[{' | '.join(entry.choices)}]")
    if entry.default:
        parts.append(f"[default: {entry.default}]")
    if entry.required:
        parts.append("[required]")
    return " ".join(filter(None, parts))


def _plain(console: Any, drawn: Any) -> str:
    """Return what the console would print, unwrapped."""
    with console.capture() as printed:
        console.print(drawn, markup=False, highlight=False, soft_wrap=True, end="")
    return "\n".join(line.rstrip() for line in printed.get().splitlines()).strip()


def _print(console: Any, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _width(console: Any) -> int:
    return min(int(console.width), _WIDTH)
