"""What is raised where the fields of rows cannot be computed."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from cio_frames.errors import FrameError, MappingError
from cio_frames.mapping.message_mapping import MessageMapping


@contextmanager
def computing(mapping: MessageMapping) -> Iterator[None]:
    """Turn what polars raises while it computes fields into an error without values in it.

    Raises:
        MappingError: One of the user's expressions, or a step of their lazy frame, fails.
        FrameError: There are no expressions, so it is the table that cannot be read.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        kind = type(error).__name__
        if any(slot.how == "expression" for slot in mapping.slots):
            raise MappingError(
                f"The fields cannot be computed ({kind}): an expression, or a step of the lazy "
                "frame, fails on some rows. Run it alone with frame.select(...) to see where."
            ) from None
        raise FrameError(
            f"The table failed while it was read ({kind}). "
            "Run frame.collect() to see the step that fails."
        ) from None
