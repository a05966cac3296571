"""Tables of Apache Spark: the same plan, with the work done where the rows are."""

from cio_frames.frames.guests import is_spark
from cio_frames.spark.chunks import map_chunks
from cio_frames.spark.plan import SparkPlan, plan_of_spark
from cio_frames.spark.table import SparkTable, read_spark

__all__ = ["SparkPlan", "SparkTable", "is_spark", "map_chunks", "plan_of_spark", "read_spark"]
