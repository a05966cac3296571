"""Ids in the plans of a back-fill that differ only in their written form: one person would become two."""

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
"""With more different ids in all plans, a sample of ids is compared, the same in each plan."""

_IDS = pl.Schema({"value": pl.String, "rows": pl.Int64})


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherForm:
    """Ids of one plan that another has in another form."""

    plan: int  # whose ids are unknown
    of: int  # the plan that has the people
    how: str  # the difference, one of `identity.known_forms.FORMS`
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
            f"{about}{many(self.ids, 'id')} in {many(self.rows, 'row')} of plan {self.plan} "
            f"{'is' if self.ids == 1 else 'are'} missing in plan {self.of}, which has the same in "
            f"another form ({pairs}). They differ in {self.how} only, and Customer.io would create "
            "separate people for them."
        )

    @property
    def hint(self) -> str:
        """What to do."""
        from cio_frames.identity.known_forms import REPAIRS

        return REPAIRS[self.how]


class IdCounts:
    """The different ids of a table with their rows, or a sample of them if there are too many.

    Attributes:
        share: How many ids each one of the sample stands for.
    """

    def __init__(self) -> None:
        self.share: int = 1
        self._parts = [_IDS.to_frame()]
        self._height, self._limit = 0, MOST_IDS

    def add(self, counted: pl.DataFrame) -> None:
        """Add the ids of a chunk, as `counted_ids` gives them."""
        self._parts.append(_sampled(counted, self.share))
        self._height += self._parts[-1].height
        while self._height > self._limit:
            self._parts = [self.counts(self.share)]
            self._height = self._parts[0].height
            if self._height > MOST_IDS:
                self.share *= 2
                self._parts = [_sampled(self._parts[0], self.share)]
                self._height = self._parts[0].height
            self._limit = max(MOST_IDS, 2 * self._height)

    def counts(self, share: int) -> pl.DataFrame:
        """Return the ids and their rows; one of `share` ids."""
        joined = pl.concat(self._parts).group_by("value").agg(pl.col("rows").sum())
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
    """Return the ids of a table, reading only the columns with ids."""
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
    people = [place for place, mapping in enumerate(mappings) if mapping.call.name == "identify"]
    pairs = _differing(ids, people=people or [0])
    columns = [_label(mapping) for mapping in mappings]
    groups = pairs.group_by("plan", "of", "how", maintain_order=True).agg(
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
    """Return ids that the plans of people do not have, with the id that they have in another form.

    Two forms in one plan of people are two people.
    """
    planned = ids.filter(pl.col("plan").is_in(people))
    first_plans = planned.group_by(known="value").agg(of=pl.col("plan").min())
    others = ids.join(first_plans.select(value="known", since="of"), on="value", how="left")
    if len(people) == 1:
        others = others.filter(pl.col("since").is_null())
    if others.is_empty():  # most often: all ids are known
        return others.with_columns(of=pl.lit(None, pl.Int64), known="value", how="value")
    from cio_frames.identity.known_forms import (  # for back-fills alone
        FORMS,
        difference_between,
        normalized_forms,
    )

    simplified = planned.select("plan", known="value", plain=normalized_forms("value")[-1])
    forms_per_plan = simplified.group_by("plan", "plain").agg(forms=pl.len())
    ambiguous = forms_per_plan.filter(pl.col("forms") > 1)["plain"].unique()
    others = others.with_columns(plain=normalized_forms("value")[-1]).filter(
        pl.col("since").is_null() | ~pl.col("plain").is_in(ambiguous.implode())
    )
    first = simplified.group_by("plain", "known").agg(of=pl.col("plan").min())
    pairs = others.join(first, on="plain").filter(
        pl.col("value") != pl.col("known"),
        pl.col("plan") != pl.col("of"),
        pl.col("since").is_null() | (pl.col("of") < pl.col("since")),
    )
    with_difference = pairs.with_columns(how=difference_between("value", "known"))
    same_plan = ids.select("plan", known="value", names_both=pl.lit(value=True))
    reported = with_difference.join(same_plan, on=["plan", "known"], how="left").filter(
        (pl.col("how") != FORMS[-1]) | pl.col("names_both").is_null()
    )
    return reported.sort("plan", "value", "of", "known").unique(
        ["value", "plan"], keep="first", maintain_order=True
    )


def _ids(counts_by_plan: Sequence[IdCounts]) -> tuple[pl.DataFrame, int]:
    """Return the different ids of each plan with their rows, and how many ids each one stands for."""
    share = max(counts.share for counts in counts_by_plan)
    while True:
        parts = [
            counts.counts(share).select("value", pl.lit(place, pl.Int64).alias("plan"), "rows")
            for place, counts in enumerate(counts_by_plan)
        ]
        if sum(part.height for part in parts) <= MOST_IDS:
            return pl.concat(parts), share
        share *= 2


def _sampled(ids: pl.DataFrame, share: int) -> pl.DataFrame:
    """Return one of `share` ids, with all forms of an id or none: forms differ at the ends only."""
    if share == 1:
        return ids
    middle = pl.col("value").str.strip_chars(" \t\u00a0\u200b\ufeff0.").str.to_lowercase()
    return ids.filter(middle.hash() % share == 0)


def _label(mapping: MessageMapping) -> str:
    field = mapping.find("user_id") or mapping.find("id")
    return "" if field is None else field.label
