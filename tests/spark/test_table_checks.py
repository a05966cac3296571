"""What only the whole table shows is the same on Spark as locally, however the rows are spread."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.checks import CATALOGUE, OfLinks, TableTest
from cio_frames.errors import FrameError
from cio_frames.frames import ROW, fingerprint
from cio_frames.plan.pipeline import Pipeline
from cio_frames.spark import read_spark, table_parts
from cio_frames.spark.chunks import chunks_of
from cio_frames.spark.table_checks import MOST_ROWS, table_findings
from cio_frames.spark.table_parts import FINDINGS, KEYED, NO_ROWS, OF_FINGERPRINT, TableWork
from cio_frames.validation import as_texts, check_table
from tests.catalogue.test_codes import NOW, TABLE, Asked
from tests.catalogue.test_laws import ASKED, EXAMPLES, LAW, tables

WHOLE = {check.code: check.test for check in CATALOGUE if isinstance(check.test, TableTest)}
Told = list[tuple[Any, ...]]
Frames = list[pl.DataFrame]


def pipeline_of(frame: Any, verb: str, asked: dict[str, Any]) -> Pipeline:
    """Return how a frame becomes messages, as of a fixed time."""
    return replace(getattr(cio.frame(frame), verb)(**asked).pipeline, clock=lambda: NOW)


def of_case(asked: Asked) -> Pipeline:
    """Return the same of a table of the catalogue."""
    verb, data, arguments = asked
    return pipeline_of(pl.DataFrame(data, strict=False), verb, arguments)


def locally(pipeline: Pipeline) -> Told:
    """Return what the local check of the whole table finds."""
    found = check_table(pipeline.table, checks=pipeline.applied, scope=pipeline.scope())
    return told(as_texts(found))


def told(*findings: pl.DataFrame) -> Told:
    """Return findings in an order that does not depend on how they were found."""
    rows = (row for each in findings for row in each.select(FINDINGS.names()).rows())
    return sorted(rows, key=repr)


class Executors:
    """Partitions of a table, and what functions make of them, brought together as Spark would."""

    def __init__(self, pipeline: Pipeline, *, partitions: int, chunk_rows: int) -> None:
        rows = pl.concat(pipeline.table.chunks())
        size = -(-rows.height // partitions)
        self.partitions = list(rows.iter_slices(size))
        self.chunk_rows = chunk_rows
        self.work = TableWork.of(
            pipeline.applied, scope=pipeline.scope(), schema=pipeline.table.schema(), buckets=3
        )

    def each(self, function: Callable[..., Iterator[pl.DataFrame]], **asked: Any) -> Frames:
        """Return what a function makes of each partition."""
        own = partial(function, work=self.work, **asked)
        return [part for rows in self.partitions for part in own(self.chunks(rows))]

    def chunks(self, rows: pl.DataFrame) -> Iterator[pa.Table]:
        """Yield rows in chunks of Arrow."""
        yield from chunks_of(rows.to_arrow().to_batches(), rows=self.chunk_rows)

    def findings(self) -> tuple[Told, str]:
        """Return what is found, and the fingerprint."""
        work = self.work
        parts = pl.concat(self.each(table_parts.gather)).sort("split", "bucket", "first")
        found = pl.concat(list(table_parts.merge(self.chunks(parts), work=work)))
        states = states_in(found)
        of_table, again = table_parts.judged(work, states)
        packed = {number: table_parts.packed(state) for number, state in again.items()}
        looked = pl.concat([found.clear(), *self.each(table_parts.look_again, states=packed)])
        of_table += table_parts.recounted(work, again, states_in(looked))
        of_rows = [part.drop_nulls("code") for part in (found, looked)]
        of_others = [*self.of_keys(found), *self.of_links()]
        whole = table_parts.fingerprint_of(states[OF_FINGERPRINT], schema=work.schema)
        return told(*map(as_texts, of_table), *of_rows, *of_others), whole.text

    def of_keys(self, found: pl.DataFrame) -> Frames:
        """Return what is found of keys in question."""
        suspects = found.drop_nulls("key").select("number", "key", what="value")
        keys = dict(suspects.group_by("number").len().rows())
        rows = pl.concat([KEYED.to_frame(), *self.each(table_parts.keyed, tests=sorted(keys))])
        about = rows.join(suspects, on=["number", "key"]).sort("number", "key", "row")
        return list(table_parts.tell(self.chunks(about), work=self.work, keys=keys))

    def of_links(self) -> Frames:
        """Return what is found of merges."""
        findings = []
        for number, check in enumerate(self.work.checks):
            test = self.work.test(number)
            if isinstance(test.finish, OfLinks):
                every = pl.concat(
                    [
                        table_parts.LINKS.to_frame(),
                        *self.each(table_parts.links, aggregate=test.aggregate),
                    ]
                )
                own = test.finish(every, NO_ROWS, self.work.scope)["row"]
                links = every.filter(pl.col("row").is_in(own.implode()))
                findings += table_parts.tell_links(
                    self.chunks(links), work=self.work, number=number
                )
                assert check.code.startswith("alias.")
        return findings


def states_in(found: pl.DataFrame) -> dict[int, Frames]:
    """Return the states among what was found."""
    return table_parts.states_of(found.drop_nulls("part").select("number", "part").rows())


@pytest.mark.parametrize("code", WHOLE)
@pytest.mark.parametrize("chunk_rows", [1, 7])
def test_rows_of_a_case_may_lie_in_any_partition(code: str, chunk_rows: int) -> None:
    """Partitions of a row or a few find what the whole table shows, with the same words."""
    for asked in TABLE[code]:
        pipeline = of_case(asked)
        found, text = Executors(pipeline, partitions=3, chunk_rows=chunk_rows).findings()
        assert found == locally(pipeline)
        assert text == fingerprint(pipeline.table)
    assert any(each[1] == code for each in locally(of_case(TABLE[code][0])))
