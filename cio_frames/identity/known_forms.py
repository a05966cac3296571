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
    steps = [f"step {number}" for number in range(len(FORMS))]
    own = missing.with_columns(_plainer("value", steps))
    theirs = exported.with_columns(_plainer("known", steps))
    pairs = own.join(theirs, on=steps[-1])
    how = pl.coalesce(
        pl.when(pl.col(step) == pl.col(f"{step}_right")).then(pl.lit(form))
        for step, form in zip(steps[:-1], FORMS[:-1], strict=True)
    ).fill_null(FORMS[-1])
    found = pairs.with_columns(how.alias("how")).select("value", "known", "how")
    both = pl.col("known").is_in(given["value"].unique().implode())
    return found.filter((pl.col("how") != FORMS[-1]) | ~both)


def _plainer(column: str, steps: list[str]) -> list[pl.Expr]:
    """Return an id with one difference after the other taken away."""
    bare = pl.col(column).str.replace_all(INVISIBLE, "").str.strip_chars()
    is_decimal = bare.str.contains(r"^-?\d+\.0+$")
    whole = pl.when(is_decimal).then(bare.str.replace(r"\.0+$", "")).otherwise(bare)
    digits = whole.str.replace("^0+", "")
    is_padded = whole.str.contains(r"^0+\d+$") & (digits != "")
    short = pl.when(is_padded).then(digits).otherwise(whole)
    forms = (bare, whole, short, short.str.to_lowercase())
    return [form.alias(step) for form, step in zip(forms, steps, strict=True)]


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
