"""Ids of a back-fill's plans that differ only in how they are written, so that one person becomes two."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import Table
from cio_frames.mapping import MessageMapping, computing, person_ids
from cio_frames.values import many
from cio_frames.values.patterns import EMAIL

CODE = "id.other-form"
EXAMPLES = 3
MOST_IDS = 1_000_000
"""More different ids of all plans are compared by a sample of them, the same of each plan."""

_IDS = pl.Schema({"value": pl.String, "rows": pl.Int64})


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherForm:
    """Ids of one plan that another has in another form."""

    plan: int  # whose ids are nobody
    of: int  # the plan that has the people
    how: str  # in what they differ, one of `identity.known_forms.FORMS`
    column: str
    ids: int
    rows: int
    examples: tuple[tuple[str, str], ...]
    sampled: bool  # whether the counts are estimates

    @property
    def message(self) -> str:
        """What is wrong, in sentences."""
        about = "About " if self.sampled else ""
        pairs = ", ".join(f"{one!r} for {other!r}" for one, other in self.examples)
        return (
            f"{about}{many(self.ids, 'id')} in {many(self.rows, 'row')} of plan {self.plan + 1} "
            f"{'is' if self.ids == 1 else 'are'} nobody in plan {self.of + 1}, which has the same in "
            f"another form ({pairs}). They differ in {self.how} only, and Customer.io would make "
            "other people of them."
        )

    @property
    def hint(self) -> str:
        """What to do."""
        from cio_frames.identity.known_forms import REPAIRS

        return REPAIRS[self.how]


class IdCounts:
    """The different ids of a table with their rows, or of so many ids one where there are too many.

    Attributes:
        share: How many ids each stands for.
    """

    def __init__(self) -> None:
        self.share: int = 1
        self._kept = [_IDS.to_frame()]
        self._height, self._limit = 0, MOST_IDS

    def add(self, counted: pl.DataFrame) -> None:
        """Add the ids of a chunk, as `counted_ids` gives them."""
        self._kept.append(_sampled(counted, self.share))
        self._height += self._kept[-1].height
        while self._height > self._limit:
            self._kept = [self.counts(self.share)]
            self._height = self._kept[0].height
            if self._height > MOST_IDS:
                self.share *= 2
                self._kept = [_sampled(self._kept[0], self.share)]
                self._height = self._kept[0].height
            self._limit = max(MOST_IDS, 2 * self._height)

    def counts(self, share: int) -> pl.DataFrame:
        """Return the ids and their rows; of so many ids one."""
        joined = pl.concat(self._kept).group_by("value").agg(pl.col("rows").sum())
        return _sampled(joined, share)


def counted_ids(prepared: pl.DataFrame, mapping: MessageMapping) -> pl.DataFrame:
    """Return the ids of prepared rows and how many rows name each.

    Addresses are left out: they are compared without case and spaces anyway.
    """
    texts = [prepared.select(text.alias("value")) for text in person_ids(mapping)]
    values = pl.concat([_IDS.to_frame().select("value"), *texts]).drop_nulls()
    ids = values.filter(~pl.col("value").str.contains(EMAIL))
    return ids.group_by("value").agg(rows=pl.len().cast(pl.Int64))


def read_ids(table: Table, mapping: MessageMapping) -> IdCounts:
    """Return the ids of a table, in a pass over its columns of ids only."""
    counts = IdCounts()
    if not list(person_ids(mapping)):
        return counts
    own = mapping
    if not mapping.steps:  # a repair may look at other columns
        named = {name for text in person_ids(mapping) for name in text.meta.root_names()}
        own = replace(mapping, fields=tuple(f for f in mapping.fields if f.name in named))
    with closing(table.chunks()) as chunks, computing(mapping):
        for chunk in chunks:
            counts.add(counted_ids(own.filled(chunk), mapping))
    return counts


@engine_errors("the ids of the plans were compared")
def other_forms(mappings: Sequence[MessageMapping], counts: Sequence[IdCounts]) -> list[OtherForm]:
    """Return the ids of each plan that only another plan has, in another form, the most first."""
    ids, share = _ids(counts)
    people = [place for place, each in enumerate(mappings) if each.call.name == "identify"]
    found = _differing(ids, people=people or [0])
    columns = [_label(mapping) for mapping in mappings]
    groups = found.group_by("plan", "of", "how", maintain_order=True).agg(
        ids=pl.col("value").n_unique(),
        rows=pl.col("rows").sum(),
        examples=pl.concat_list("value", "known").head(EXAMPLES),
    )
    forms = [
        OtherForm(
            plan=row["plan"],
            of=row["of"],
            how=row["how"],
            column=columns[row["plan"]],
            ids=round(row["ids"] * share),
            rows=round(row["rows"] * share),
            examples=tuple((one, other) for one, other in row["examples"]),
            sampled=share > 1,
        )
        for row in groups.iter_rows(named=True)
    ]
    return sorted(forms, key=lambda form: -form.rows)


def _differing(ids: pl.DataFrame, *, people: Sequence[int]) -> pl.DataFrame:
    """Return ids that are nobody where people are planned, with the id that is somebody there.

    Two forms that one plan of people has are two people, whoever else names them.
    """
    planned = ids.filter(pl.col("plan").is_in(people))
    known = planned.group_by(known="value").agg(of=pl.col("plan").min())
    given = ids.join(known.select(value="known", since="of"), on="value", how="left")
    if len(people) == 1:
        given = given.filter(pl.col("since").is_null())
    if given.is_empty():  # mostly everybody is known, and no id is looked at closely
        return given.with_columns(of=pl.lit(None, pl.Int64), known="value", how="value")
    from cio_frames.identity.known_forms import (
        FORMS,
        difference_between,
        normalized_forms,
    )  # for back-fills alone

    plain = planned.select("plan", known="value", plain=normalized_forms("value")[-1])
    forms = plain.group_by("plan", "plain").agg(forms=pl.len())
    apart = forms.filter(pl.col("forms") > 1)["plain"].unique()
    given = given.with_columns(plain=normalized_forms("value")[-1]).filter(
        pl.col("since").is_null() | ~pl.col("plain").is_in(apart.implode())
    )
    first = plain.group_by("plain", "known").agg(of=pl.col("plan").min())
    pairs = given.join(first, on="plain").filter(
        pl.col("value") != pl.col("known"),
        pl.col("plan") != pl.col("of"),
        pl.col("since").is_null() | (pl.col("of") < pl.col("since")),
    )
    named = pairs.with_columns(how=difference_between("value", "known"))
    same_plan = ids.select("plan", known="value", names_both=pl.lit(value=True))
    told = named.join(same_plan, on=["plan", "known"], how="left").filter(
        (pl.col("how") != FORMS[-1]) | pl.col("names_both").is_null()
    )
    return told.sort("plan", "value", "of", "known").unique(
        ["value", "plan"], keep="first", maintain_order=True
    )


def _ids(each: Sequence[IdCounts]) -> tuple[pl.DataFrame, int]:
    """Return the different ids of each plan with their rows, and how many ids each stands for."""
    share = max(counts.share for counts in each)
    while True:
        parts = [
            counts.counts(share).select("value", pl.lit(place, pl.Int64).alias("plan"), "rows")
            for place, counts in enumerate(each)
        ]
        if sum(part.height for part in parts) <= MOST_IDS:
            return pl.concat(parts), share
        share *= 2


def _sampled(ids: pl.DataFrame, share: int) -> pl.DataFrame:
    """Return one of so many ids, all forms of one id alike: what can differ is at the ends."""
    if share == 1:
        return ids
    middle = pl.col("value").str.strip_chars(" \t\u00a0\u200b\ufeff0.").str.to_lowercase()
    return ids.filter(middle.hash() % share == 0)


def _label(mapping: MessageMapping) -> str:
    field = mapping.find("user_id") or mapping.find("id")
    return "" if field is None else field.label
