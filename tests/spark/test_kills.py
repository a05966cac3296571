"""Executors, Python workers and a driver are killed while a table is sent."""

import shutil

import pytest

from torture.spark import killed

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.xdist_group("spark")]


def test_nothing_is_lost_or_doubled() -> None:
    """Whatever is killed, every event arrives once and in order, and is recorded as delivered."""
    if shutil.which("java") is None:
        pytest.skip("Java is missing: apt-get install default-jre-headless")
    pytest.importorskip("pyspark", reason="pyspark is missing: pip install 'cio-frames[spark]'")
    (line,) = killed(
        seed=5, rows=8_000, kills=2, drivers=1, partitions=3, master="local-cluster[2,1,1024]",
        wait_s=0.5, every_s=4.0,
    )  # fmt: skip
    assert line.states == {"delivered": 8_000}
