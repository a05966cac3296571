"""A cluster on this machine: two executors of one core each. Without Java its tests skip."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.spark


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a cluster, and have one process start it for all of these tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents and "spark" in getattr(
            item, "fixturenames", ()
        ):
            item.add_marker(pytest.mark.spark)
            item.add_marker(pytest.mark.xdist_group("spark"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A classic session on two executors, each a process of its own."""
    if shutil.which("java") is None:
        pytest.skip("Java is missing: apt-get install default-jre-headless")
    sql = pytest.importorskip(
        "pyspark.sql", reason="pyspark is missing: pip install 'cio-frames[spark]'"
    )
    place = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": str(place / "local"),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.sql.shuffle.partitions": "4",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": (place / "events").as_uri(),
    }
    (place / "events").mkdir()
    os.environ["PYSPARK_PYTHON"] = sys.executable  # else executors take the first python3
    builder = sql.SparkSession.builder.master("local-cluster[2,1,1024]").appName("cio_frames")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
