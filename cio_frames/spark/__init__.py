"""Tables of Apache Spark: the same plan, with the work done where the rows are."""

from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.table import SparkTable, is_spark, read_spark

__all__ = ["SparkTable", "is_spark", "map_chunks", "read_spark"]
