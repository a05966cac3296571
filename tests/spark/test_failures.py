"""What Spark raises becomes an error of this package."""

from typing import Any

import pytest

from cio_frames.errors import CioError, FrameError, MappingError
from cio_frames.spark.failures import spark_failures

ON_EXECUTOR = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "/somewhere/pyspark/worker.py", line 1, in main
{}

\tat org.apache.spark.api.python.BasePythonRunner
"""


def raised(text: str, *, module: str = "pyspark.errors.exceptions.captured") -> Exception:
    """Return an exception as Spark makes it."""
    kind: Any = type("PythonException", (Exception,), {"__module__": module})
    made: Exception = kind(text)
    return made


def translated(error: Exception) -> CioError:
    """Return the error that a user gets."""
    with pytest.raises(CioError) as caught, spark_failures("the table was checked"):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("line", "kind", "sentence"),
    [
        ("cio_frames.errors.FrameError: Values of 'a' are odd. Cast it.", FrameError, "Values of 'a' are odd. Cast it."),
        ("cio_frames.errors.ColumnNotFoundError: There is no column 'x'.", MappingError, "There is no column 'x'."),
        ("polars.exceptions.ComputeError: secret value", FrameError, "Spark failed while the table was checked"),
        ("cio_frames.errors.Strange: secret", FrameError, "Spark failed while the table was checked"),
    ],
)  # fmt: skip
def test_an_error_of_an_executor_keeps_its_kind_and_sentence(
    line: str, kind: type[CioError], sentence: str
) -> None:
    """What this package raised on an executor is raised again; other texts, which may hold values, are not shown."""
    error = translated(raised(ON_EXECUTOR.format(line)))
    assert isinstance(error, kind)
    assert sentence in str(error)
    assert "secret" not in str(error)
    assert "Traceback" not in str(error)
    assert error.__cause__ is None


def test_what_spark_says_about_a_query_is_shown() -> None:
    """An error about a query, which no row has reached, is shown with Spark's first line."""
    kind: Any = type("AnalysisException", (Exception,), {"__module__": "pyspark.errors"})
    error = translated(kind("[UNRESOLVED_COLUMN] A column `x` cannot be resolved.\n'Sort ['x]"))
    assert str(error) == (
        "Spark failed while the table was checked. It does not accept the query: "
        "[UNRESOLVED_COLUMN] A column `x` cannot be resolved."
    )


@pytest.mark.parametrize("module", ["py4j.protocol", "grpc._channel", "pyspark.errors"])
def test_failures_of_every_layer_are_translated(module: str) -> None:
    """Errors of the bridge to Java and of Spark Connect become errors of this package."""
    assert isinstance(translated(raised("no connection", module=module)), FrameError)


def test_a_java_that_has_ended_is_an_error_of_this_package() -> None:
    """Where Java has ended, Python's own error of the connection is translated, too."""
    assert isinstance(translated(ConnectionRefusedError(111, "Connection refused")), FrameError)


def test_other_exceptions_are_left_alone() -> None:
    """An exception that is not of Spark is raised as it is."""
    with pytest.raises(ZeroDivisionError), spark_failures("the table was checked"):
        raise ZeroDivisionError
