"""Numbers as text, the same in HTML, terminals and progress lines."""

from cio_frames.values import many as many  # noqa: PLC0414 - the views take it from here

INTERRUPT = "Interrupt the kernel to stop; cio.resume(...) continues from there."
STEER = (
    "With wait=False: run.stop(), run.pause() and run.slow_down() in another cell. "
    "Otherwise, interrupt the kernel to stop; cio.resume(...) continues from there."
)
CTRL_C = "Ctrl-C stops; cio.resume(...) continues from there."

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_ROUNDED_UP = 0.9995
_FEW = 9.95
_SIXTY = 60
_ALL = 100


def resume_line(record: str) -> str:
    """Return what to type to finish a run; a new kernel needs the plan for the messages.

    Examples:
        >>> resume_line("audit/r")
        "cio.resume('audit/r', client, plan)"
    """
    return f"cio.resume({record!r}, client, plan)"


def number(value: int) -> str:
    """Return a count with thousands separators.

    Examples:
        >>> number(1234567)
        '1,234,567'
    """
    return f"{value:,}"


def size(value: int) -> str:
    """Return a number of bytes in a suitable unit.

    Examples:
        >>> size(950), size(475_000), size(6_420_000)
        ('950 B', '475 kB', '6.4 MB')
    """
    for unit, name in _UNITS:
        if value >= unit * _ROUNDED_UP:
            return f"{_short(value / unit)} {name}"
    return f"{value} B"


def duration(seconds: float) -> str:
    """Return a duration with useful precision.

    Examples:
        >>> duration(0.42), duration(7.31), duration(95), duration(7500)
        ('0.4 s', '7.3 s', '1 min 35 s', '2 h 5 min')
    """
    if seconds < _FEW:
        return f"{max(seconds, 0.0):.1f} s"
    rounded = round(seconds)
    if rounded < _SIXTY:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, _SIXTY)
    if minutes < _SIXTY:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, _SIXTY)
    return f"{number(hours)} h {minutes} min" if minutes else f"{number(hours)} h"


def rate(rows: int, *, seconds: float) -> str:
    """Return rows per second.

    Examples:
        >>> rate(20_000, seconds=2.5), rate(3, seconds=2), rate(3, seconds=0)
        ('8,000 rows/s', '1.5 rows/s', '-')
    """
    if seconds <= 0:
        return "-"
    return f"{_short(rows / seconds)} rows/s"


def percent(part: int, total: int) -> str:
    """Return a share; only an empty part is 0 % and only the total is 100 %.

    Examples:
        >>> percent(1, 3), percent(1, 20_000), percent(19_999, 20_000), percent(0, 0)
        ('33 %', '<1 %', '>99 %', '-')
    """
    if not total:
        return "-"
    share = round(_ALL * part / total)
    if share == 0 and part:
        return "<1 %"
    if share == _ALL and part < total:
        return ">99 %"
    return f"{share} %"


def _short(value: float) -> str:
    """Return small values with one decimal and large ones without."""
    return f"{value:.1f}" if value < _FEW else f"{value:,.0f}"
