"""What a plan's report holds besides its sentences: repairs before and after, and findings to save."""

import base64
import csv
import io
import re
from typing import Any

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.plan.report import MOST_SAVED, plan_view

PEOPLE = {
    "id": ["u1", " u2", None, "u4"],
    "email": ["a@example.com", "b@example.com", "c@example.com", "=1+1"],
    "created_at": ["20.01.2024", "30.03.2024", "21.04.2024", None],
}


def html(plan: Any) -> str:
    """Return what a notebook shows of a plan."""
    return str(plan._repr_mimebundle_()["text/html"])


def saved(plan: Any) -> list[dict[str, str]]:
    """Return the rows of the file that a report's link saves."""
    link = re.search(r'download="findings.csv" href="data:text/csv;base64,([^"]+)"', html(plan))
    assert link
    return list(csv.DictReader(io.StringIO(base64.b64decode(link[1]).decode())))


def examples(plan: Any, code: str) -> list[tuple[int, str, str | None]]:
    """Return the examples of a finding: row, value, and what it is sent as after the repair."""
    findings = [each for each in plan_view(plan.pipeline).findings if each.code == code]
    return [(each.row, each.value, each.repaired) for view in findings for each in view.examples]


@pytest.mark.parametrize(
    "frame",
    [pl.DataFrame(PEOPLE), pl.LazyFrame(PEOPLE), pd.DataFrame(PEOPLE)],
    ids=["polars", "lazy", "pandas"],
)
def test_examples_show_what_a_repair_makes_of_them(frame):
    """An example of a finding that can be repaired has its value as it is and as it would be sent."""
    plan = frame.cio.identify(user_id="id")

    assert examples(plan, "id.padded") == [(1, " u2", "u2")]
    times = examples(plan, "time.day-first")
    assert [row for row, *_ in times] == [0, 1, 2]
    assert [str(after)[:10] for *_, after in times] == ["2024-01-20", "2024-03-30", "2024-04-21"]
    assert plan.fix("time.day-first").fix("id.padded").payloads(2)[1]["userId"] == "u2"
    assert "after the repair" in html(plan)
    assert "after the repair" in repr(plan)


def test_what_is_hidden_stays_hidden_after_a_repair():
    """Of a cell with sensitive data no part is shown, neither as it is nor as it would be sent."""
    rows = {"id": ["u1"] * 20, "note": [" 4111 1111 1111 1111"] * 20}
    plan = pl.DataFrame(rows).cio.identify(user_id="id")

    shown = html(plan) + repr(plan)
    assert "sensitive.card" in shown
    assert examples(plan, "value.padded") == [(0, "••••", None)]
    assert "1111 1111" not in shown


def test_the_list_of_findings_is_saved_by_a_link():
    """The file of the link has a line for each finding, of what the report shows, safe for spreadsheets."""
    plan = pl.DataFrame(PEOPLE).cio.identify(user_id="id")
    rows = saved(plan)

    assert [row["code"] for row in rows] == plan.summary["code"].to_list()
    (finding,) = [row for row in rows if row["code"] == "email.invalid"]
    assert finding["columns"] == '["email"]'
    assert '"row":3' in finding["examples"]


def test_no_value_is_kept_that_the_report_does_not_show():
    """Neither excluded rows nor further findings are in a report: a saved notebook would keep them."""
    rows = {"id": [None] * 9, "email": [f"person{place}" for place in range(9)]}
    drawn = html(pl.DataFrame(rows).cio.identify(user_id="id", checks=cio.Checks(allow=[])))
    data = "".join(
        base64.b64decode(each).decode() for each in re.findall(r"text/csv;base64,([^\"]+)", drawn)
    )

    kept = {place for place in range(9) if f"person{place}" in data}
    assert kept == {
        place for place in range(9) if f"person{place}" in re.sub('base64,[^"]+', "", drawn)
    }
    assert len(kept) < 9


def test_a_report_says_how_to_save_every_row():
    """For what a report does not hold there is a line to type, in the words of the user's library."""
    of_polars = html(pl.DataFrame(PEOPLE).cio.identify(user_id="id"))
    of_pandas = html(pd.DataFrame(PEOPLE).cio.identify(user_id="id"))

    assert "plan.findings.write_csv(&#34;findings.csv&#34;)" in of_polars
    assert "plan.rejected.write_csv(&#34;rejected.csv&#34;)" in of_polars
    assert "plan.rejected.to_csv(&#34;rejected.csv&#34;, index=False)" in of_pandas
    assert "Save as CSV" not in html(pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id"))


def test_a_long_list_is_not_in_the_report_twice():
    """Beyond a size the list is not held as a file too; the line to type remains."""
    rows = pl.DataFrame({"id": ["u1", "u2"]}).with_columns(
        pl.lit(f" {place}").alias(f"{'c' * 2000}{place}") for place in range(30)
    )
    view = plan_view(rows.cio.identify(user_id="id").pipeline)

    assert sum(len(name) for each in view.findings for name in each.columns) > MOST_SAVED
    assert not view.findings_csv
    assert view.save_steps
