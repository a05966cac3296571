"""Fixtures that several rooms share."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

FrameOf = Callable[[Mapping[str, Sequence[Any]]], Any]

LIBRARIES: Mapping[str, FrameOf] = {
    "pandas": pd.DataFrame,
    "pandas-nullable": lambda data: pd.DataFrame(data).convert_dtypes(),
    "pandas-arrow": lambda data: pa.table(dict(data)).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda data: pl.DataFrame(dict(data)),
    "polars-lazy": lambda data: pl.LazyFrame(dict(data)),
    "arrow": lambda data: pa.table(dict(data)),
}

ENDS_AFTER_FORK = hasattr(os, "fork") and tuple(map(int, pl.__version__.split(".")[:2])) >= (2, 1)
"""Whether a forked child that has polars loaded can end: before 2.1 it hangs, also with polars alone."""

SLOW = tuple(
    f"tests/{slow}"
    for slow in (
        "audit/test_crash.py", "catalogue/", "checks/test_catalogue.py::test_a_check_finds",
        "checks/test_prefilters.py", "cli/test_demo.py",
        "cli/test_send.py::test_a_command_that_is_stopped", "cli/test_terminals.py",
        "identity/test_messages.py", "identity/test_preview.py::test_shortcuts",
        "plan/test_components.py", "plan/test_passes.py", "plan/test_reconcile.py", "plan/test_rehearsal.py",
        "plan/test_undo.py::test_a_run_is_undone",
        "run/test_exit.py::test_an_iterator", "run/test_histories.py", "run/test_exit.py::test_a_run_that_breaks",
        "sandbox/test_faults.py", "security/test_environment.py", "security/test_source.py",
        "sending/test_scheduler.py::test_prescribed", "test_accessors.py::test_pandas",
        "test_benchmarks.py", "test_public_api.py", "test_validation.py",
        "test_without_extras.py", "torture/", "views/test_html.py", "views/test_marimo.py",
    )
)  # fmt: skip
"""What takes most of the time, as the beginnings of the names of tests."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of short runs."""
    parser.addoption(
        "--every", type=int, default=1, help="of the cases of a test, run every so-manieth"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that take most of the time, and leave out cases as far as it was asked for.

    CIO_SHORT does so with those tests alone, and with those of browsers.
    """
    cases: Counter[str] = Counter()
    every, short = config.getoption("--every"), int(os.environ.get("CIO_SHORT", "1"))
    kept, left_out = [], []
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
        name = item.nodeid.partition("[")[0]
        is_long = any(map(item.get_closest_marker, ("slow", "browser")))
        (left_out if cases[name] % max(every, short if is_long else 1) else kept).append(item)
        cases[name] += 1
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture
def libraries() -> Mapping[str, FrameOf]:
    """Return how each library makes a frame from a dictionary of columns."""
    return LIBRARIES


@pytest.fixture(params=LIBRARIES)
def frame_of(request: pytest.FixtureRequest) -> FrameOf:
    """Make a frame of each library in turn from a dictionary of columns."""
    return LIBRARIES[request.param]


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """An S3 on this machine with a bucket; Arrow finds it by the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="secret",
    )  # fmt: skip
    client.create_bucket(Bucket="lake")
    client.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield "s3a://lake"
    moto.stop()
    moto._server.server_close()
