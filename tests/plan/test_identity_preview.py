"""The identity preview of plans and back-fills."""

import gc
import re

import pandas as pd
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import IdentityRefusedError, MappingError
from cio_frames.views import markup

PEOPLE = {
    "id": ["u1", "u2", "u3"],
    "email": ["ada@example.com", "ada@example.com", "cy@example.com"],
    "visitor": ["v1", None, None],
}


def people(**columns):
    """Plan to identify a few people, two of whom claim one address."""
    return pl.DataFrame(PEOPLE | columns).cio.identify(user_id="id", anonymous_id="visitor")


def events(users, visitors=None):
    """Plan an event for each user."""
    frame = pl.DataFrame(
        {"u": users, "v": visitors or [None] * len(users)}, schema={"u": pl.String, "v": pl.String}
    )
    return frame.cio.track(event=cio.lit("Joined"), user_id="u", anonymous_id="v")


def test_a_plan_shows_who_is_who():
    """People, conflicts and counts of a plan, before anything is sent."""
    preview = people().identity()

    assert preview.people["id"].to_list() == ["u2", "u3"]
    assert preview.people["open"].to_list() == ["taken_identifier", None]
    assert preview.conflicts["kind"].to_list() == ["identifier.replaced"]
    assert preview.conflicts["rows"].to_list() == [[{"plan": 0, "row": 1}]]
    assert preview.summary["creates"] == 2


def test_a_backfill_has_one_preview():
    """Plans are applied one after the other, and rows name their plan."""
    preview = cio.backfill([people(), events(["u1", "u9"])]).identity()

    rows = dict(preview.people.select("id", "events").rows())
    assert rows == {"u1": 1, "u2": 0, "u3": 0, "u9": 1}
    assert preview.people["rows"].to_list()[-1] == [{"plan": 1, "row": 1}]


def test_frames_come_back_in_the_users_library(libraries):
    """Frames of pandas give frames of pandas, all others frames of polars."""
    for name, make in libraries.items():
        plan = make(PEOPLE).cio.identify(user_id="id") if name != "arrow" else None
        plan = plan or cio.frame(make(PEOPLE)).identify(user_id="id")
        kind = pd.DataFrame if name.startswith("pandas") else pl.DataFrame
        preview = plan.identity()

        for frame in (preview.people, preview.merges, preview.conflicts, preview.groups, preview.changes,
                      preview.relationships, preview.attribution, preview.clusters, preview.choices):  # fmt: skip
            assert isinstance(frame, kind)
        assert len(preview.people) == 2


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame], ids=["polars", "pandas"])
def test_an_export_of_any_library_shows_who_is_known(library):
    """Numeric ids of an export are the ids of the rows."""
    known = library({"id": [1, 2], "email": ["ada@example.com", None]})
    plan = pl.DataFrame({"id": ["1", "3"]}).cio.identify(user_id="id")

    preview = plan.identity(known)

    assert preview.people["action"].to_list() == ["update", "create"]


def test_an_export_without_identifiers_is_refused():
    """A table of anything else cannot be the known people."""
    with pytest.raises(MappingError, match="known="):
        people().identity(pl.DataFrame({"name": ["Ada"]}))


def test_rows_that_are_not_sent_change_nobody():
    """A row that a check rejects is not in the preview."""
    plan = pl.DataFrame({"id": ["u1", None]}).cio.identify(user_id="id")

    assert plan.identity().summary["rows"] == 1


def test_reject_leaves_out_the_rows_that_cause_conflicts():
    """The rest is previewed without conflict, and `.plan` sends exactly that."""
    preview = people().identity(on_conflict="reject")

    assert preview.conflicts.height == 0
    assert preview.people["id"].to_list() == ["u1", "u3"]
    assert preview.plan.counts["rejected"] == 1
    assert preview.plan.rejected["reasons"].to_list() == ["identity.conflict"]
    assert preview.plan.rejected["id"].to_list() == ["u2"]


def test_reject_works_for_backfills():
    """Rows are left out of the plan they are in."""
    aliases = pl.DataFrame({"old": ["u9", "u2"], "new": ["u8", "u1"]})
    backfill = cio.backfill([people(), aliases.cio.alias(previous_id="old", user_id="new")])

    separate = cio.Workspace(taken_identifier="separate")
    preview = backfill.identity(on_conflict="reject", settings=separate)

    assert isinstance(preview.plan, cio.Backfill)
    assert [plan.counts["rejected"] for plan in preview.plan.plans] == [1, 1]
    assert preview.conflicts["kind"].to_list() == ["alias.previous-unknown"]  # holds nothing up


def test_refuse_raises_without_naming_anybody():
    """The error counts conflicts by kind, holds the preview, and has no identifier in its text."""
    with pytest.raises(
        IdentityRefusedError, match=r"1 conflict in 1 row\. Open: taken_identifier"
    ) as caught:
        people().identity(on_conflict="refuse")

    assert "ada" not in str(caught.value)
    assert caught.value.preview.summary["conflicts"] == 1
    assert caught.value.findings[0]["code"] == "identifier.replaced"


def test_refuse_lets_clean_plans_through():
    """Without conflicts there is a preview."""
    assert (
        people(email=["a@x.co", "b@x.co", "c@x.co"])
        .identity(on_conflict="refuse")
        .summary["creates"]
        == 3
    )


def test_an_unknown_policy_is_refused():
    """There are three policies."""
    with pytest.raises(MappingError, match="report"):
        people().identity(on_conflict="ignore")


def test_settings_of_the_workspace_count():
    """What a workspace is set up to do changes what would happen."""
    known = pl.DataFrame({"id": ["u1", None], "email": [None, "a@example.com"]})
    plan = pl.DataFrame({"id": ["u1"], "email": ["a@example.com"]}).cio.identify(user_id="id")

    merged = plan.identity(known).summary["merges"]
    kept = plan.identity(known, settings=cio.Workspace(auto_merge=False)).summary["merges"]

    assert (merged, kept) == (1, 0)


def test_the_assumed_settings_are_shown():
    """Where the documents disagree, the preview says which side it took."""
    choices = people().identity().choices

    assert choices.columns == ["setting", "value", "meaning", "default", "source", "settled"]
    assert choices["default"].all()
    assert choices.filter("settled")["setting"].to_list() == ["anonymous_age"]


def test_one_person_is_explained():
    """The story of an address, in sentences."""
    text = repr(people().identity().explain("ADA@example.com"))

    assert "u1 is new; a profile is created." in text
    assert "u2 replaces u1" in text
    assert "Open: taken_identifier." in text


def test_progress_is_shown_for_large_plans_or_whoever_asks():
    """A function gets the states, with all rows in the end."""
    states = []

    people().identity(progress=states.append)

    assert states[0].total == 3
    assert states[-1].planned == 3


def test_the_collector_is_as_it_was():
    """The garbage collector pauses for the preview only, even when it fails."""
    people().identity()
    assert gc.isenabled()

    with pytest.raises(ZeroDivisionError):
        people().identity(progress=lambda _: 1 // 0)
    assert gc.isenabled()


def test_the_report_shows_conflicts_merges_and_pictures():
    """Text and HTML have the same content, and the pictures are images."""
    preview = people().identity()
    shown = preview._repr_mimebundle_()

    assert "identifier.replaced" in shown["text/plain"] == repr(preview)
    assert "identifier.replaced" in shown["text/html"]
    for each in shown.values():
        assert "Open: taken_identifier" in each
    assert 'src="data:image/svg+xml;base64,' in shown["text/html"]
    assert "<svg" not in shown["text/html"]
    assert "<script" not in shown["text/html"].replace(str(markup._script()), "", 1)


def test_an_order_that_loses_something_is_in_the_report():
    """The preview warns, and the advice proposes an order."""
    backfill = cio.backfill([people(), events([None], ["v1"])])

    assert "backfill.advice()" in repr(backfill.identity())
    assert backfill.advice().order == (1, 0)
    assert not backfill.advice().clean


def test_the_advised_order_can_be_taken():
    """`order="advised"` sends anonymous events before the people."""
    backfill = cio.backfill([people(), events([None], ["v1"])], order="advised")

    assert [plan.call for plan in backfill.plans] == ["track", "identify"]
    assert backfill.advice().clean
    assert "fine as it is" in repr(backfill.advice())


def test_a_plan_that_belongs_on_both_sides_must_be_split():
    """Anonymous events before the people, events with user_id after them: one plan cannot."""
    plans = [people(), events([None, "u3"], ["v1", None])]

    with pytest.raises(MappingError, match="Split it"):
        cio.backfill(plans, order="advised")
    advice = cio.backfill(plans).advice()
    assert (advice.order, advice.torn) == (None, (1,))
    assert "plan 1 (track)" in repr(advice)


def test_an_unknown_order_is_refused():
    """There are two orders."""
    with pytest.raises(MappingError, match="advised"):
        cio.backfill([people()], order="best")


def test_a_preview_is_fast_to_read():
    """Row numbers in the report carry their plan where there are several."""
    text = repr(cio.backfill([people(), events(["u1"])]).identity())

    assert re.search(r"Who is who · identify \(polars frame\) \+ track", text)


def test_the_report_has_merges_groups_and_sizes():
    """What happens to pairs and objects is shown with rows, the rest is counted."""
    ids = [f"u{n}" for n in range(12)]
    members = pl.DataFrame({"g": ["acme"] * 12, "u": ids}).cio.group(group_id="g", user_id="u")
    aliases = pl.DataFrame({"old": ids[1:], "new": ["u0"] * 11})
    backfill = cio.backfill([
        pl.DataFrame({"id": ids}).cio.identify(user_id="id"),
        members,
        aliases.cio.alias(previous_id="old", user_id="new"),
    ])  # fmt: skip

    text = repr(backfill.identity())

    assert re.search(r"u0 +u1 +alias, 0 events moved +2:0", text)
    assert re.search(r"1/acme +1 +1:0, 1:1, 1:2, 1:3 and 8 more", text)
    assert re.search(r"10 to 99 +1", text)


def test_events_that_a_merge_loses_are_shown():
    """Events older than 29 days follow later, or are lost, and the report counts them."""
    frame = pl.DataFrame({"u": ["u1", "u2"], "at": ["2020-01-01T00:00:00Z"] * 2})
    backfill = cio.backfill([
        frame.cio.track(event=cio.lit("Joined"), user_id="u", timestamp="at"),
        pl.DataFrame({"old": ["u2"], "new": ["u1"]}).cio.alias(previous_id="old", user_id="new"),
    ])  # fmt: skip

    assert "alias, 0 events moved, 1 older can follow" in repr(backfill.identity())
    recent = backfill.identity(settings=cio.Workspace(merged_events="recent"))
    assert "alias, 0 events moved, 1 lost" in repr(recent)
    for preview in (backfill.identity(), recent):
        assert re.search(r"u1 +u2 .* event_for_unknown, merged_events", repr(preview))


def test_a_huge_cluster_is_drawn_in_part():
    """A picture shows the identifiers that matter most and counts the others."""
    frame = pl.DataFrame({"id": ["guest"] * 60, "email": [f"m{n}@example.com" for n in range(60)]})
    html = frame.cio.identify(user_id="id").identity()._repr_mimebundle_()["text/html"]

    assert "37 more identifiers not drawn" in html


def test_advice_reads_in_a_notebook():
    """Text and HTML of the advice have the same sentences."""
    shown = cio.backfill([people(), events([None], ["v1"])]).advice()._repr_mimebundle_()

    assert "sends 1 event of anonymous visitors" in shown["text/plain"]
    assert "Send them in this order: plan 1 (track), plan 0 (identify)." in shown["text/html"]


def test_a_better_order_can_take_several_looks():
    """What one order hides the next look finds: a group call would create u2 again after the alias."""
    frame = pl.DataFrame({"old": ["u2"], "new": ["u1"]})
    aliases = frame.cio.alias(previous_id="old", user_id="new")
    groups = pl.DataFrame({"company": ["g"], "u": ["u2"]}).cio.group(
        group_id="company", user_id="u"
    )

    named = people(email=["a@x.co", "b@x.co", "c@x.co"])
    backfill = cio.backfill([aliases, groups, named], order="advised")

    assert [plan.call for plan in backfill.plans] == ["identify", "group", "alias"]


@pytest.mark.parametrize("looked", [False, True])
def test_a_run_reminds_of_the_conflicts_that_a_preview_predicted(looked, tmp_path):
    """All rows count as delivered, so the summary says what was predicted; without a preview, nothing."""
    plan = people()
    if looked:
        plan.identity()
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)

    assert run.counts["delivered"] == 3
    assert [note for note in run.notes if "1 row will not have the effect it asks for" in note] == (
        list(run.notes) if looked else []
    )
    assert bool(run.notes) is looked
    assert ("identifier.replaced (1)" in repr(run)) is looked


def test_a_run_without_the_rows_in_conflict_reminds_of_nothing(tmp_path):
    """Conflicts that are left out are none of the plan that is sent."""
    kept = people().identity(on_conflict="reject").plan
    with cio.sandbox() as workspace:
        run = kept.send(workspace.client(), audit=tmp_path, progress=False)

    assert run.notes == ()


class Counted:
    """Counts the rows that a rule of the user's own is applied to."""

    def __init__(self):
        self.rows = 0

    def checks(self, severity):
        """Return checks with a rule that no row fails."""

        def note(values):
            self.rows += len(values)
            return values != ""

        good = pl.col("id").map_batches(note, return_dtype=pl.Boolean)
        return cio.Checks(rules=[cio.rule("own.counted", good, severity=severity)])


def test_rows_are_not_checked_again_after_the_report():
    """A preview applies the checks once; after the report it takes its word for each row."""
    counted = Counted()
    frame = pl.DataFrame({"id": ["u1", "u2", None]})
    plan = frame.cio.identify(user_id="id", checks=counted.checks("reject"))

    first = plan.identity().summary
    alone = counted.rows
    repr(plan)
    counted.rows = 0

    assert plan.identity().summary == first
    assert (alone, counted.rows) == (3, 0)


def test_warnings_are_not_looked_for():
    """Only what rejects a row matters to a preview."""
    counted = Counted()
    frame = pl.DataFrame({"id": ["u1", "u2"]})
    frame.cio.identify(user_id="id", checks=counted.checks("warn")).identity()

    assert counted.rows == 0
