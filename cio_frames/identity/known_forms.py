"""Identifiers of rows that differ from those of the export only in how they are written."""

from typing import Final

import polars as pl

from cio_frames.identity.conflicts import CONFLICTS, HINTS, OTHER_FORM
from cio_frames.identity.identifiers import ID, person_key
from cio_frames.identity.messages import IdentityColumns
from cio_frames.values.patterns import INVISIBLE

REFERENCES: Final = ("user", "previous", "id")
"""The columns of messages that can hold ids."""
FORMS: Final = ("white space", "a decimal point", "leading zeros", "case")
"""What can differ, in the order in which it is taken away."""
REPAIRS: Final = {
    FORMS[
        0
    ]: 'Take the white space away where it is: plan.fix("id.padded"), or plan.fix("id.invisible").',
    FORMS[
        1
    ]: 'Write whole numbers without a point where there is one: plan.fix("id.float"), or plan.fix("id.float-text").',
    FORMS[
        2
    ]: 'Read the column as text where its zeros are lost (cio.scan, or dtype=str), or give them back, e.g. user_id=pl.col("id").cast(pl.String).str.zfill(4).',
    FORMS[3]: "Write the ids of both plans in the same case.",
}
"""How the forms become one. It joins people who were two, so it is for the user to decide."""
SOURCE: Final = "reference 3.1 (ids are compared as they are)"


def other_forms(columns: IdentityColumns, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return as conflicts the ids that the export has in another form, one line each."""
    if known is None:
        return CONFLICTS.to_frame()
    exported = known["id"].drop_nulls().unique().to_frame("known")
    given = pl.concat(_given(frame) for frame in columns.frames())
    missing = given.select("value").unique().join(
        exported, left_on="value", right_on="known", how="anti"
    )  # fmt: skip
    differing = pl.concat([_written_otherwise(missing, exported, given), _bare(missing, known)])
    first = differing.sort("known").unique("value", keep="first", maintain_order=True)
    places = given.join(first, on="value").unique(["value", "plan", "row"]).sort("plan", "row")
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


def _given(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the ids of messages with their places, each also where a row names several."""
    texts = [name for name in REFERENCES if name in frame.columns]
    each = [
        frame.filter(person_key(name).str.starts_with(ID)).select(
            pl.col(name).alias("value"), "plan", "row"
        )
        for name in texts
    ]
    return pl.concat(each)


def _written_otherwise(
    missing: pl.DataFrame, exported: pl.DataFrame, given: pl.DataFrame
) -> pl.DataFrame:
    """Return ids that are one of the export once white space, decimals, zeros and case are gone.

    Ids that differ in case alone are two people if rows name both.
    """
    own = missing.with_columns(plainer("value")[-1].alias("plain"))
    theirs = exported.with_columns(plainer("known")[-1].alias("plain"))
    pairs = own.join(theirs, on="plain")
    found = pairs.select("value", "known", differing("value", "known").alias("how"))
    both = pl.col("known").is_in(given["value"].unique().implode())
    return found.filter((pl.col("how") != FORMS[-1]) | ~both)


def differing(one: str, other: str) -> pl.Expr:
    """Return in what two ids differ, of those that are one without all differences."""
    steps = zip(plainer(one)[:-1], plainer(other)[:-1], FORMS[:-1], strict=True)
    return pl.coalesce(
        pl.when(mine == theirs).then(pl.lit(form)) for mine, theirs, form in steps
    ).fill_null(FORMS[-1])


def plainer(column: str) -> tuple[pl.Expr, ...]:
    """Return an id with one difference after the other taken away."""
    bare = pl.col(column).str.replace_all(INVISIBLE, "").str.strip_chars()
    whole = bare.str.replace(r"^(-?\d+)\.0+$", "${1}")
    short = whole.str.replace(r"^0+([1-9]\d*)$", "${1}")
    return bare, whole, short, short.str.to_lowercase()


def _bare(missing: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return ids that are a cio_id of the export without its prefix."""
    given = known["cio_id"].drop_nulls().unique().to_frame("cio_id")
    return missing.join(given, left_on="value", right_on="cio_id").select(
        "value",
        ("cio_" + pl.col("value")).alias("known"),
        pl.lit("the prefix of a cio_id").alias("how"),
    )


def _shown(column: str) -> pl.Expr:
    """Return ids as a sentence shows them: in quotation marks where white space would be unseen."""
    value = pl.col(column)
    hidden = value.str.contains(rf"^\s|\s$|{INVISIBLE}")
    return pl.when(hidden).then(pl.format("'{}'", value)).otherwise(value)
