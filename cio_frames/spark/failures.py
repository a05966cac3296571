"""Turns the errors of Spark into errors of this package."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cio_frames import errors
from cio_frames.errors import CioError, FrameError

_FOREIGN: Final = ("pyspark", "py4j", "grpc")
_RAISED: Final = re.compile(
    r"cio_frames\.errors\.(\w+): (.+?)(?:\n\s*(?:at |JVM |\n)|\Z)", re.DOTALL
)
"""An error of this package that was raised on an executor, in the text of Spark's error."""
_ABOUT_QUERIES: Final = ("AnalysisException", "ParseException")
"""Errors of Spark that are about the query, before any row is read."""


@contextmanager
def spark_failures(step: str) -> Iterator[None]:
    """Raise errors of this package for those of Spark, without their text if it may hold values.

    Args:
        step: The end of the sentence "Spark failed while ...".

    Raises:
        CioError: The kind that was raised on an executor, if it was one of this package.
        FrameError: Spark failed otherwise.
    """
    try:
        yield
    except CioError:
        raise
    except Exception as error:
        is_of_spark = type(error).__module__.partition(".")[0] in _FOREIGN
        if not is_of_spark and not isinstance(error, ConnectionError):  # Java has ended
            raise
        raise _error_of(error, step) from None


def _error_of(error: Exception, step: str) -> CioError:
    match = _RAISED.search(str(error))
    kind = getattr(errors, match[1], None) if match else None
    if match is not None and isinstance(kind, type) and issubclass(kind, CioError):
        raised = kind.__new__(kind)
        Exception.__init__(raised, match[2].strip())
        return raised
    name = type(error).__name__
    if name in _ABOUT_QUERIES:
        reason = str(error).strip().partition("\n")[0]
        return FrameError(f"Spark failed while {step}. It does not accept the query: {reason}")
    return FrameError(
        f"Spark failed while {step} ({name}). The log of Spark says why; "
        "df.count() shows whether the frame itself can be computed."
    )
