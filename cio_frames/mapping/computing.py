"""What is raised where the fields of rows cannot be computed."""

from collections.abc import Iterator
from contextlib import contextmanager

from cio_frames.errors import CioError, FrameError, MappingError, translated
from cio_frames.frames.table import RUN_IT_ALONE
from cio_frames.mapping.message_mapping import MessageMapping


@contextmanager
def computing(mapping: MessageMapping) -> Iterator[None]:
    """Turn what is raised while fields are computed into an error without values in it.

    Raises:
        MappingError: One of the user's expressions, or a step of their lazy frame, fails.
        FrameError: There are no expressions, so it is the table that cannot be read.
    """
    has_expressions = any(slot.how == "expression" for slot in mapping.slots)

    def failed(kind: str) -> CioError:
        if has_expressions:
            return MappingError(
                f"The fields cannot be computed ({kind}): an expression, or a step of the lazy "
                "frame, fails on some rows. Run it alone with frame.select(...) to see where."
            )
        return FrameError(f"The table failed while it was read ({kind}). {RUN_IT_ALONE}")

    with translated(failed, others=has_expressions):
        yield
