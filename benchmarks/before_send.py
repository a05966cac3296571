"""What an analyst waits for before the send, beside the peers: a report, and columns of Python objects.

The peers are in an environment of their own; `--peers` names its interpreter:

    uv venv build/peers && uv pip install --python build/peers pandera[polars] pointblank great_expectations pandas orjson
    python -m benchmarks.before_send --peers build/peers/bin/python
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

from benchmarks.inputs import events_file
from benchmarks.measure import AS_INSTALLED

OURS = """
import cio_frames as cio
plan = cio.scan(PATH).cio.track(event="event", user_id="user_id", timestamp="occurred_at")
plan._repr_mimebundle_()
assert plan.counts["rejected"] == 0
"""
PANDERA = """
import polars as pl, pandera.polars as pa
filled = {name: pa.Column(nullable=False) for name in ("occurred_at",)}
pa.DataFrameSchema({
    "event": pa.Column(str, pa.Check.str_length(min_value=1)),
    "user_id": pa.Column(str, pa.Check.str_matches(r"^user-\\d+$")),
    "order_id": pa.Column(str, unique=True),
    "amount": pa.Column(float, pa.Check.ge(0)),
    "currency": pa.Column(str, pa.Check.isin(["EUR", "USD", "GBP"])), **filled,
}).validate(pl.read_parquet(PATH), lazy=True)
"""
POINTBLANK = """
import polars as pl, pointblank as pb
done = (
    pb.Validate(pl.read_parquet(PATH)).col_vals_not_null(["event", "user_id", "occurred_at"])
    .col_vals_regex("user_id", r"^user-\\d+$").rows_distinct(["order_id"]).col_vals_ge("amount", 0)
    .col_vals_in_set("currency", ["EUR", "USD", "GBP"]).interrogate()
)
assert done.all_passed()
done.get_tabular_report()
"""
GREAT_EXPECTATIONS = """
import pandas as pd, great_expectations as gx
batch = gx.get_context(mode="ephemeral").data_sources.pandas_default.read_dataframe(pd.read_parquet(PATH))
expected = gx.expectations
rules = [expected.ExpectColumnValuesToNotBeNull(column=name) for name in ("event", "user_id", "occurred_at")]
rules += [
    expected.ExpectColumnValuesToMatchRegex(column="user_id", regex=r"^user-\\d+$"),
    expected.ExpectColumnValuesToBeUnique(column="order_id"),
    expected.ExpectColumnValuesToBeBetween(column="amount", min_value=0),
    expected.ExpectColumnValuesToBeInSet(column="currency", value_set=["EUR", "USD", "GBP"]),
]
assert batch.validate(gx.ExpectationSuite(name="rules", expectations=rules)).success
"""
VALUES = """
import time
values = [{"a": row, "b": [f"t{row % 9}", "u"], "c": {"d": row / 3}} for row in range(200_000)]
"""
COLUMN = f"""
import pandas as pd, polars as pl
from cio_frames.frames import read
{VALUES}
frame = pd.DataFrame({{"device": pd.Series(values, dtype=object)}})
began = time.process_time()
read(frame)
print((time.process_time() - began) / len(values) * 1e6)
"""
LOOP = f"""
import json, orjson
{VALUES}
began = time.process_time()
for value in values:
    WRITE(value)
print((time.process_time() - began) / len(values) * 1e6)
"""


def report(name: str, code: str, *, path: Path, python: str) -> None:
    """Print what a process needs to look at a file: processor seconds, and its peak of memory."""
    env = os.environ | AS_INSTALLED
    process = subprocess.Popen([python, "-c", code.replace("PATH", repr(str(path)))], env=env)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    failed = "" if status == 0 else ", FAILED"
    print(f"report of {path.stem}, {name}: {cpu_s:.2f} cpu s, {peak_mb:.0f} MB{failed}")


def column(name: str, code: str, *, python: str) -> None:
    """Print the microseconds of processor time that each Python object takes."""
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    print(f"200,000 dictionaries, {name}: {float(done.stdout):.2f} us each")


def main() -> None:
    """Measure this package, and the peers where their interpreter is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()) / "cio_frames-benchmarks")
    parser.add_argument("--peers", help="the interpreter of an environment with the peers")
    asked = parser.parse_args()
    path = events_file(asked.folder, asked.rows)
    report("ours", OURS, path=path, python=sys.executable)
    column("ours", COLUMN, python=sys.executable)
    if asked.peers:
        report("pandera", PANDERA, path=path, python=asked.peers)
        report("pointblank", POINTBLANK, path=path, python=asked.peers)
        report("great_expectations", GREAT_EXPECTATIONS, path=path, python=asked.peers)
        for write in ("json.dumps", "orjson.dumps"):
            column(write, LOOP.replace("WRITE", write), python=asked.peers)


if __name__ == "__main__":
    main()
