"""Plans of Apache Spark frames: the same as local plans, with the work done on the executors."""

from typing import TYPE_CHECKING, Any

from cio_frames.errors import MissingLibraryError
from cio_frames.frames.unsupported import is_spark
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.plan import SparkPlan, plan_of_spark
from cio_frames.spark.table import SparkTable, read_spark

if TYPE_CHECKING:
    from cio_frames.spark.data_source import CustomerIO

__all__ = [
    "CustomerIO",
    "SparkPlan",
    "SparkTable",
    "is_spark",
    "map_chunks",
    "plan_of_spark",
    "read_spark",
]


def __getattr__(name: str) -> Any:
    """Import the data source on first use, since it needs pyspark 4 or later."""
    if name != "CustomerIO":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from cio_frames.spark.data_source import CustomerIO
    except ImportError:
        raise MissingLibraryError(
            "pyspark 4 or later", wanted='format("customerio")', install="'pyspark>=4'"
        ) from None
    return CustomerIO
