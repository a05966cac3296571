"""The page that says what is in the sample data, and which mistakes are planted."""

from collections.abc import Mapping

from accounts import FORM_ROWS_WITHOUT_EMAIL, KNOWN_ROLES, LEGACY_ALIASES, MAIL_ALIASES, TANGLED

CONTENTS = {
    "people.csv": "The customers. Numeric ids; 2 % have no email, about half an `anonymous_id`; dotted columns nest.",
    "people_dirty.csv": "Customers of the same shop as three exports pasted under each other: rows 0–139 from a notebook, 140–269 from a German spreadsheet, 270–384 from the old CRM, then 15 rows by hand.",  # noqa: RUF001
    "people_known.csv": "An export of the workspace's people before any of this is sent.",
    "events.parquet": "Web shop, club and app from 2024-11-01 to 2026-10-31: UTC milliseconds, a list of structs (`items`), a struct (`device`), many nulls. Before sign-up there is only an `anonymous_id`; 650 visitors never sign up; some visits lie more than 30 days before the sign-up.",
    "events.csv": "The tills of three stores: local times with offset, dotted property columns.",
    "companies.csv": "Companies that order for the office (object type 1) and tasting clubs (object type 2).",
    "memberships.csv": "Who belongs to which of them; `role` and `since` are relationship attributes.",
    "page_views.csv": "Page views since 2026-09-20, anonymous and known, with campaign columns. `pandas.read_csv` turns its `user_id` into floats, because some are empty.",
    "screens.csv": "Screens of the app since 2026-10-02, with app, device and system.",
    "aliases.csv": "Old profiles (`legacy-…` ids and addresses of `people_known.csv`) and the people to merge them into.",
    "form_submissions.csv": "What a newsletter form and a contact form received.",
}
PLANTED: dict[str, dict[str, int]] = {
    "people_known.csv": {
        "the same id and email as in `people.csv`": KNOWN_ROLES["same"],
        "the same, email in capitals": KNOWN_ROLES["email in capitals"],
        "email known, no id yet (gets its id: re-key)": KNOWN_ROLES["email only"],
        "id known with an older email (change of email fails)": KNOWN_ROLES["old email under the id"],
        "id and email known as two profiles, one without email, one without id (automatic merge; 2 rows each)": KNOWN_ROLES["two halves"],
        "id known with another email, email known with another id (conflict; 2 rows each)": KNOWN_ROLES["email of somebody else"],
        "email known under an id that `people.csv` does not have (conflict)": KNOWN_ROLES["email under an unknown id"],
        "somebody else holds the person's `anonymous_id`": KNOWN_ROLES["anonymous id of somebody else"],
        "profile that only `aliases.csv` speaks of": LEGACY_ALIASES + MAIL_ALIASES + len(TANGLED),
    },
    "aliases.csv": {"alias of an id to itself": 1, "chain of two": 1, "cycle of two": 1},
    "form_submissions.csv": {"no email": FORM_ROWS_WITHOUT_EMAIL},
}  # fmt: skip
PAGE = """\
# Sample data

Otterbrook is an invented shop for tea, coffee and paper with three stores and a subscription app. Nobody in these
files is real: names are drawn from small lists, addresses end in example.com, .org or .net, telephone numbers begin
with +1-555. The ids join across all files. `python sample_data/generate.py` makes everything here, this page included,
from seed {seed}; with `--check` it writes nothing and exits 1 if a file differs.

| File | Rows | What is in it | Planted |
| --- | ---: | --- | --- |
{table}
"""


def readme(rows: Mapping[str, int], *, seed: int, mistakes: Mapping[str, int]) -> str:
    """Write the page about these files, with their true counts."""
    lines = [
        f"| `{name}` | {rows[name]:,} | {what} | {_planted(name, mistakes)} |"
        for name, what in CONTENTS.items()
    ]
    return PAGE.format(table="\n".join(lines), seed=seed)


def _planted(name: str, mistakes: Mapping[str, int]) -> str:
    planted = {"people_dirty.csv": mistakes} | PLANTED
    counted = [f"{count}: {what}" for what, count in planted.get(name, {}).items()]
    return "<br>".join(counted) or "none"
