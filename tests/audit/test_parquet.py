"""Plans and parts of the record as Parquet files: every value comes back, and little is written."""

import subprocess
import sys
from io import BytesIO

import polars as pl
import pyarrow.parquet as pq
import pytest

from cio_frames.audit.parquet import decode, encode
from cio_frames.audit.row_states import row_states
from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA
from cio_frames.audit.segment_progress import plan_of
from torture.scripted_run import KEY, segment


def planned(*, rejected: int = 0, rows: int = 4) -> pl.DataFrame:
    """Return the plan of a segment."""
    made = segment(0, first=0, sizes=(rows,), rejected=rejected)
    return plan_of(made, pii="hmac", key=KEY, id_key=KEY)


@pytest.mark.parametrize(("rows", "rejected"), [(4, 0), (4, 2), (1, 0), (0, 2), (0, 0)])
def test_a_plan_comes_back_as_it_was(rows, rejected):
    """What is the same in all rows, missing in all or in some, or different, is read again."""
    plan = planned(rows=rows, rejected=rejected)

    data = encode(plan, schema=PLAN_SCHEMA, run_id="run")

    assert decode(data, schema=PLAN_SCHEMA, path="plan").equals(plan)


def test_a_plan_has_texts_that_are_the_same_in_all_rows_once():
    """They are no column of the file: only what differs is written for each row."""
    data = encode(planned(), schema=PLAN_SCHEMA, run_id="run")

    names = set(pq.read_schema(BytesIO(data)).names)

    assert names.isdisjoint({"call", "state", "code", "error"})
    assert names >= {"row", "message_id", "person_key", "batch", "position"}


def test_a_part_has_plain_types():
    """A tool that knows nothing of Arrow's own types reads texts, whole numbers and UTC times."""
    part = PART_SCHEMA.to_frame().vstack(
        planned().select(
            pl.col(name) if name in PLAN_SCHEMA else pl.lit(None, kind).alias(name)
            for name, kind in PART_SCHEMA.items()
        )
    )

    data = encode(part, schema=PART_SCHEMA, run_id="run")

    assert pl.read_parquet(data).equals(part)
    assert b"ARROW:schema" not in pq.ParquetFile(BytesIO(data)).metadata.metadata


def test_the_record_loads_no_pandas():
    """Plans and parts are written and read without it: it takes longer to load than they do."""
    script = (
        "import sys\n"
        "from cio_frames.audit.parquet import decode, encode\n"
        "from cio_frames.audit.row_states import row_states\n"
        "from cio_frames.audit.schema import PART_SCHEMA, PLAN_SCHEMA\n"
        "from tests.audit.test_parquet import planned\n"
        "assert 'pandas' not in sys.modules\n"
        "data = encode(planned(), schema=PLAN_SCHEMA, run_id='run')\n"
        "plan = decode(data, schema=PLAN_SCHEMA, path='plan')\n"
        "encode(row_states(plan, (), run_id='run'), schema=PART_SCHEMA, run_id='run')\n"
        "sys.exit('pandas' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603 - a script of this test


class Pool:
    """Counts how often memory is given back."""

    def __init__(self):
        self.times = 0

    def release_unused(self):
        """Take note."""
        self.times += 1


def test_memory_is_given_back_once_for_a_segment(monkeypatch):
    """To give it back takes longer than to write a plan, whose part follows soon: the part does it for both."""
    pool = Pool()
    monkeypatch.setattr("pyarrow.default_memory_pool", lambda: pool)
    plan = planned()

    encode(plan, schema=PLAN_SCHEMA, run_id="run")
    after_plan = pool.times
    encode(row_states(plan, (), run_id="run"), schema=PART_SCHEMA, run_id="run")

    assert (after_plan, pool.times) == (0, 1)
