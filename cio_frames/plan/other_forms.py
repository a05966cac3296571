"""Ids of a back-fill's plans that differ only in how they are written, so that one person becomes two."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import polars as pl

from cio_frames.errors import engine_errors
from cio_frames.frames import Table
from cio_frames.identity.known_forms import FORMS, REPAIRS, differing, plainer
from cio_frames.mapping import MessageMapping, computing, person_ids
from cio_frames.values import many
from cio_frames.values.patterns import EMAIL

CODE = "id.other-form"
EXAMPLES = 3
MOST_IDS = 1_000_000
"""More different ids of all plans are compared by a sample of them, the same of each plan."""

_IDS = pl.Schema({"value": pl.String, "plan": pl.Int64, "rows": pl.Int64})


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherForm:
    """Ids of one plan that another has in another form."""

    plan: int  # whose ids are nobody
    of: int  # the plan that has the people
    how: str  # in what they differ, one of `FORMS`
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
        return REPAIRS[self.how]


@engine_errors("the ids of the plans were compared")
def other_forms(parts: Sequence[tuple[Table, MessageMapping]]) -> list[OtherForm]:
    """Return the ids of each plan that only another plan has, in another form, the most first.

    Each table is read once, its columns of ids only.
    """
    ids, share = _ids(parts)
    people = [place for place, (_, mapping) in enumerate(parts) if mapping.call.name == "identify"]
    found = _differing(ids, people=people or [0])
    columns = [_label(mapping) for _, mapping in parts]
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
    plain = planned.select("plan", known="value", plain=plainer("value")[-1])
    forms = plain.group_by("plan", "plain").agg(forms=pl.len())
    apart = forms.filter(pl.col("forms") > 1)["plain"].unique()
    given = given.with_columns(plain=plainer("value")[-1]).filter(
        pl.col("since").is_null() | ~pl.col("plain").is_in(apart.implode())
    )
    first = plain.group_by("plain", "known").agg(of=pl.col("plan").min())
    pairs = given.join(first, on="plain").filter(
        pl.col("value") != pl.col("known"),
        pl.col("plan") != pl.col("of"),
        pl.col("since").is_null() | (pl.col("of") < pl.col("since")),
    )
    named = pairs.with_columns(how=differing("value", "known"))
    same_plan = ids.select("plan", known="value", names_both=pl.lit(value=True))
    told = named.join(same_plan, on=["plan", "known"], how="left").filter(
        (pl.col("how") != FORMS[-1]) | pl.col("names_both").is_null()
    )
    return told.sort("plan", "value", "of", "known").unique(
        ["value", "plan"], keep="first", maintain_order=True
    )


def _ids(parts: Sequence[tuple[Table, MessageMapping]]) -> tuple[pl.DataFrame, float]:
    """Return the different ids of each plan with their rows, and how many ids each stands for."""
    share, height, limit = 1, 0, MOST_IDS
    kept = [_IDS.to_frame()]
    for place, (table, mapping) in enumerate(parts):
        for values in _values(table, mapping):
            counted = values.group_by("value").agg(rows=pl.len().cast(pl.Int64))
            part = counted.select("value", pl.lit(place, pl.Int64).alias("plan"), "rows")
            kept.append(_sampled(part, share))
            height += kept[-1].height
            while height > limit:
                kept = [_joined(kept)]
                height = kept[0].height
                if height > MOST_IDS:
                    share *= 2
                    kept = [_sampled(kept[0], share)]
                    height = kept[0].height
                limit = max(MOST_IDS, 2 * height)
    return _joined(kept), share


def _joined(kept: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(kept).group_by("value", "plan").agg(pl.col("rows").sum())


def _sampled(ids: pl.DataFrame, share: int) -> pl.DataFrame:
    """Return one of so many ids, all forms of one id alike: what can differ is at the ends."""
    if share == 1:
        return ids
    middle = pl.col("value").str.strip_chars(" \t\u00a0\u200b\ufeff0.").str.to_lowercase()
    return ids.filter(middle.hash() % share == 0)


def _values(table: Table, mapping: MessageMapping) -> Iterator[pl.DataFrame]:
    """Yield the ids of rows, addresses left out: those are compared without case and spaces anyway."""
    if not list(person_ids(mapping)):
        return
    own = mapping
    if not mapping.steps:  # a repair may look at other columns
        named = {name for text in person_ids(mapping) for name in text.meta.root_names()}
        own = replace(mapping, fields=tuple(f for f in mapping.fields if f.name in named))
    chunks = table.chunks()
    with closing(chunks), computing(mapping):
        for chunk in chunks:
            prepared = own.filled(chunk)
            texts = [prepared.select(text.alias("value")) for text in person_ids(mapping)]
            values = pl.concat(texts).drop_nulls()
            yield values.filter(~pl.col("value").str.contains(EMAIL))


def _label(mapping: MessageMapping) -> str:
    field = mapping.find("user_id") or mapping.find("id")
    return "" if field is None else field.label
