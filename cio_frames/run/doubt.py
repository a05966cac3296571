"""Messages in doubt: sent, without a clear answer. Which of them may be sent again by itself.

A repeat is harmless as long as Customer.io remembers the message id. No source says for how long
(reference 3.7); a day is what other services of the kind promise at least.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, get_args

import polars as pl

from cio_frames.errors import ChoiceError

InDoubt = Literal["resend", "skip", "report"]
"""What to do with messages in doubt: send again, take as arrived, or leave them in doubt."""

REMEMBERED = timedelta(hours=24)

AUTOMATIC: Mapping[str, timedelta] = MappingProxyType(
    {
        "track": REMEMBERED,
        "page": REMEMBERED,
        "screen": REMEMBERED,
        "identify": REMEMBERED,
        "group": REMEMBERED,
        "alias": REMEMBERED,
        "form": timedelta(0),
    }
)
"""How long after its first attempt a message is sent again without asking. A form submission has
no id: a repeat is a second submission, and starts campaigns again (reference 5)."""


OVERWRITING = ("identify", "group")
"""Calls that set attributes: repeated, they replace what was written since (reference 3.7)."""


def require_in_doubt(in_doubt: object) -> None:
    """Raise unless it is None or one of the words.

    Raises:
        ChoiceError: It is something else.
    """
    if in_doubt is not None:
        ChoiceError.require("in_doubt", in_doubt, get_args(InDoubt))


def resent(rows: pl.DataFrame, *, now: datetime, in_doubt: InDoubt | None) -> pl.Series:
    """Return which of the rows in doubt are sent again.

    Args:
        rows: Columns call and first_attempt_at.
        now: The present.
        in_doubt: What the user wants; None leaves it to the call and the age.
    """
    if in_doubt is not None:
        return pl.repeat(in_doubt == "resend", rows.height, dtype=pl.Boolean, eager=True)
    window = pl.col("call").replace_strict(dict(AUTOMATIC), return_dtype=pl.Duration("ms"))
    # A clock that went back makes an age negative; how far it is off counts like an age.
    age = (pl.lit(now) - pl.col("first_attempt_at")).abs()
    return rows.select((age < window).fill_null(value=False)).to_series()
