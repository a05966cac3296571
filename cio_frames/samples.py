"""The sample data of an invented shop."""

from pathlib import Path

import polars as pl

from cio_frames.errors import ChoiceError
from cio_frames.frames import scan

_PACKAGED = Path(__file__).with_name("sample_data")
_CHECKOUT = Path(__file__).parents[1] / "sample_data"
FOLDER = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
"""The folder of the files: in the installed package, or beside it in a checkout."""


def samples(name: str) -> pl.DataFrame:
    """Return a table of the sample data: made-up customers, events, companies and forms.

    The ids are the same in all tables. `people_dirty` has the mistakes of real exports.

    Args:
        name: "people", "people_dirty", "people_known", "events", "companies", "memberships",
            "page_views", "screens", "aliases" or "form_submissions".

    Returns:
        A polars frame; `.to_pandas()` makes it one of pandas.

    Raises:
        ChoiceError: There is no such table.

    Examples:
        >>> import cio_frames as cio
        >>> people = cio.samples("people")
        >>> people.height, people.cio.identify(user_id="id").counts["valid"]
        (2000, 2000)
    """
    files = {path.stem: path for path in sorted(FOLDER.glob("*.csv"))}
    files["events"] = FOLDER / "events.parquet"
    ChoiceError.require("name", name, tuple(files))
    return scan(files[name]).collect()
