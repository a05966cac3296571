"""Runs from a session of Spark Connect, which has no driver in this process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cio_frames as cio

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.xdist_group("spark")]


def test_a_run_of_spark_connect(tmp_path: Path) -> None:
    """All rows arrive, once, and are recorded."""
    if shutil.which("java") is None:
        pytest.skip("Java is missing: apt-get install default-jre-headless")
    pytest.importorskip("grpc", reason="pip install 'pyspark[connect]'")
    with cio.sandbox(write_key="cio_live_connect") as workspace:
        command = [sys.executable, "-m", "tests.spark.connect_driver", workspace.url, str(tmp_path)]
        ended = subprocess.run(  # noqa: S603 - a program of these tests
            command, capture_output=True, text=True, check=False, env={**os.environ}, timeout=900
        )
        assert ended.returncode == 0, ended.stderr[-4_000:]
        result = json.loads(ended.stdout.splitlines()[-1])
        assert workspace.messages.height == 400
    assert "connect" in result["kind"]
    assert (result["rows"], result["delivered"], result["failed"]) == (400, 400, 0)
    assert cio.audit(tmp_path).verify().is_empty()
