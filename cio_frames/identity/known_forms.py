"""Ids of rows that differ from those of the export only in their spelling."""

from typing import Final

import polars as pl

from cio_frames.identity.conflicts import CONFLICTS, HINTS, OTHER_FORM
from cio_frames.identity.identifiers import ID, person_key
from cio_frames.identity.messages import IdentityColumns
from cio_frames.values.patterns import INVISIBLE

REFERENCES: Final = ("user", "previous", "id")
"""The columns of messages that can hold ids."""
FORMS: Final = ("white space", "a decimal point", "leading zeros", "case")
"""The differences, in the order in which they are removed."""
REPAIRS: Final = dict(zip(FORMS, (
    'Take the white space away where it is: plan.fix("id.padded"), or plan.fix("id.invisible").',
    'Write whole numbers without a point where there is one: plan.fix("id.float"), or plan.fix("id.float-text").',
    'Read the column as text where its zeros are lost (cio.scan, or dtype=str), or give them back, e.g. user_id=pl.col("id").cast(pl.String).str.zfill(4).',
    "Write the ids of both plans in the same case.",
), strict=True))  # fmt: skip
"""How to repair each difference. It makes one person out of two, so users must decide."""
SOURCE: Final = "reference 3.1 (ids are compared as they are)"


def other_forms(columns: IdentityColumns, workspace_people: pl.DataFrame | None) -> pl.DataFrame:
    """Return conflicts for ids that the export has in another form, one line each."""
    if workspace_people is None:
        return CONFLICTS.to_frame()
    exported = workspace_people["id"].drop_nulls().unique().to_frame("known")
    ids = pl.concat(_ids(frame) for frame in columns.frames())
    missing = ids.select("value").unique().join(
        exported, left_on="value", right_on="known", how="anti"
    )  # fmt: skip
    differing = pl.concat([
        _other_spellings(missing, exported, ids), _without_prefix(missing, workspace_people),
    ])  # fmt: skip
    first = differing.sort("known").unique("value", keep="first", maintain_order=True)
    places = ids.join(first, on="value").unique(["value", "plan", "row"]).sort("plan", "row")
    lines = places.group_by("value", "known", "how", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("count"), pl.struct("plan", "row").alias("rows")
    )
    return lines.select(
        pl.lit(OTHER_FORM).alias("kind"),
        pl.concat_list("value", "known").alias("ids"),
        "count",
        pl.format(
            "{} is not in the export, but {} is; they differ only in {}. To Customer.io, they are two "
            "different people.", _shown("value"), _shown("known"), "how",
        ).alias("sentence"),
        pl.lit(HINTS[OTHER_FORM]).alias("hint"),
        pl.lit(SOURCE).alias("source"),
        "rows",
        pl.lit(None, pl.String).alias("open"),
    ).cast(CONFLICTS)  # fmt: skip


def _ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the ids in all columns of messages: value, plan and row."""
    columns = [
        frame.filter(person_key(name).str.starts_with(ID)).select(
            pl.col(name).alias("value"), "plan", "row"
        )
        for name in REFERENCES
        if name in frame.columns
    ]
    return pl.concat(columns)


def _other_spellings(
    missing: pl.DataFrame, exported: pl.DataFrame, ids: pl.DataFrame
) -> pl.DataFrame:
    """Return ids that equal an exported one without white space, decimal point, zeros and case.

    Ids that differ only in case are two people if rows name both.
    """
    own = missing.with_columns(normalized_forms("value")[-1].alias("normalized"))
    theirs = exported.with_columns(normalized_forms("known")[-1].alias("normalized"))
    pairs = own.join(theirs, on="normalized")
    differences = pairs.select("value", "known", how=difference_between("value", "known"))
    has_both = pl.col("known").is_in(ids["value"].unique().implode())
    return differences.filter((pl.col("how") != FORMS[-1]) | ~has_both)


def difference_between(one: str, other: str) -> pl.Expr:
    """Return the first difference between two ids that are equal without all differences."""
    steps = zip(normalized_forms(one)[:-1], normalized_forms(other)[:-1], FORMS[:-1], strict=True)
    return pl.coalesce(
        pl.when(left == right).then(pl.lit(form)) for left, right, form in steps
    ).fill_null(FORMS[-1])


def normalized_forms(column: str) -> tuple[pl.Expr, ...]:
    """Return an id with one difference after the other removed."""
    bare = pl.col(column).str.replace_all(INVISIBLE, "").str.strip_chars()
    whole = bare.str.replace(r"^(-?\d+)\.0+$", "${1}")
    short = whole.str.replace(r"^0+([1-9]\d*)$", "${1}")
    return bare, whole, short, short.str.to_lowercase()


def _without_prefix(missing: pl.DataFrame, workspace_people: pl.DataFrame) -> pl.DataFrame:
    """Return ids that are an exported cio_id without its prefix."""
    cio_ids = workspace_people["cio_id"].drop_nulls().unique().to_frame("cio_id")
    return missing.join(cio_ids, left_on="value", right_on="cio_id").select(
        "value",
        ("cio_" + pl.col("value")).alias("known"),
        pl.lit("the prefix of a cio_id").alias("how"),
    )


def _shown(column: str) -> pl.Expr:
    """Return ids as sentences show them: quoted if white space could not be seen."""
    value = pl.col(column)
    hidden = value.str.contains(rf"^\s|\s$|{INVISIBLE}")
    return pl.when(hidden).then(pl.format("'{}'", value)).otherwise(value)
