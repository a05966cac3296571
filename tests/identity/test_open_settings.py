"""What rests on a setting on which the documents disagree is marked with its name."""

import re
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cio_frames.checks.texts import check_texts
from cio_frames.identity import CHOICES, Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B = "a@x.co", "b@x.co"
FRAMES = ("people", "merges", "conflicts", "groups", "relationships", "attribution", "changes")
OWN = {"rows", "row", "number", "count", "person", "other", "hint", "source", "open"}
"""Columns that are no statement, or that name people by keys of the preview."""


def identify(user=None, visitor=None, **traits):
    """Build an identify call."""
    return {"userId": user, "anonymousId": visitor, "traits": traits}


def track(user=None, visitor=None, days=1, **more):
    """Build a track call of some days ago."""
    at = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"userId": user, "anonymousId": visitor, "event": "View", "timestamp": at, **more}


def alias(previous, user):
    """Build an alias call."""
    return {"previousId": previous, "userId": user}


PEOPLE = [identify("u1"), identify("u2")]
LINKED = {"id": ["u1"], "anonymous_id": ["v"]}
CASES = {
    "alias_previous": ([("track", [track(None, "v")]), ("identify", PEOPLE), ("alias", [alias("v", "u1")])], None, FRAMES),
    "alias_unknown": ([("identify", [identify("u2", email=A)]), ("alias", [alias("u2", "u1")])], None, FRAMES[1:]),
    "attribute_order": ([("identify", [{**identify("u1", plan=plan), "timestamp": at} for plan, at in (("b", "2026-02-02T00:00:00Z"), ("a", "2026-02-01T00:00:00Z"))])], None, ("conflicts", "changes")),
    "dedupe": ([("track", [track(None, "v")]),
                ("identify", [{**identify("u1"), "messageId": "m"}, {**identify("u2", "v", email=A), "messageId": "m"}]),
                ("track", [track("u2"), track(None, "w"), {**track("u1"), "messageId": "n"}, {**track("u1", days=2), "messageId": "n"}]),
                ("group", [{"userId": "u2", "groupId": "g"}, {"userId": "u1", "groupId": "g", "messageId": "m"}, {"userId": "u1", "groupId": "h"}])], None, FRAMES),
    "email_trait": ([("identify", [identify(None, "v", email=A), identify("u1")])], None, FRAMES),
    "email_updates": ([("identify", [identify("u1", email=A), identify("u1", email=B)])], None, FRAMES),
    "event_for_unknown": ([("track", [track("u1"), track(None, "v")])], None, FRAMES),
    "form_identifiers": ([("identify", [identify("u1")]), ("form", [{"data": {"id": "u1", "email": A}}])], None, FRAMES),
    "group_for_unknown": ([("group", [{"userId": "u1", "groupId": "g"}])], None, FRAMES),
    "invalid_email": ([("identify", [identify("u1", email="nobody"), identify("u2", email="nobody"), identify("u3", email="x y@x.co")]),
                       ("group", [{"userId": "u1", "groupId": "g"}])], None, FRAMES),
    "late_anonymous": ([("identify", [identify("u1", "v")]), ("track", [track(None, "v")])], LINKED, FRAMES),
    "merged_events": ([("identify", PEOPLE), ("track", [track("u2", days=40), track("u2")]), ("alias", [alias("u2", "u1")])], None, FRAMES),
    "merged_relationships": ([("identify", PEOPLE), ("group", [{"userId": "u2", "groupId": "g"}]), ("alias", [alias("u2", "u1")])], None, FRAMES),
    "object_order": ([("group", [{"groupId": "g", "traits": {"plan": plan}, "timestamp": at} for plan, at in (("b", "2026-02-02T00:00:00Z"), ("a", "2026-02-01T00:00:00Z"))])], None, FRAMES),
    "page_without_url": ([("identify", PEOPLE), ("page", [{"userId": "u1", "name": "Home"}])], None, FRAMES),
    "taken_identifier": ([("identify", [identify("u1", email=A), identify("u2", email=A)]), ("track", [track("u1")]),
                          ("group", [{"userId": "u2", "groupId": "g"}])], None, FRAMES),
}  # fmt: skip
SILENT = ("anonymous_traits", "empty_user", "null_attribute", "object_type_place")
"""Settings that decide about attributes alone, or about messages that no plan makes: a preview says
nothing of them."""


def lines(frame):
    """Return what each line says, with the settings it is marked with; also of its sentence."""
    settings_by_content = {}
    for row in frame.iter_rows(named=True):
        marks = row["open"]
        content = {name: value for name, value in row.items() if name not in OWN}
        if "sentence" in content:
            assert (f"Open: {marks}." in content["sentence"]) == (marks is not None)
            content["sentence"] = content["sentence"].partition(" Open:")[0]
        settings_by_content.setdefault(str(content), set()).update((marks or "").split(", "))
    return settings_by_content


def test_every_open_setting_has_a_case():
    """Each question that the documents leave open has its case, or decides nothing that a preview has."""
    assert {name for name, choice in CHOICES.items() if not choice.is_answered} == {*CASES, *SILENT}


@pytest.mark.parametrize("setting", CASES)
def test_what_another_side_would_change_is_marked(preview_of, setting):
    """Each line that another side of the setting would not say names the setting."""
    plans, known, frames = CASES[setting]
    for taken in CHOICES[setting].options:
        preview = preview_of(plans, known=known, settings=Settings(**{setting: taken}))
        for side in CHOICES[setting].options:
            other = preview_of(plans, known=known, settings=Settings(**{setting: side}))
            unmarked = [
                (name, taken, content)
                for name in frames
                for content, marks in lines(getattr(preview, name)).items()
                if content not in lines(getattr(other, name)) and setting not in marks
            ]
            assert unmarked == []
        if setting not in ("attribute_order", "dedupe", "page_without_url") or taken == next(
            iter(CHOICES[setting].options)
        ):
            assert setting in preview.summary["open"]


@pytest.mark.parametrize("setting", SILENT)
def test_settings_about_attributes_change_nothing_in_a_preview(preview_of, setting):
    """A preview is the same whichever side is taken, and marks nothing."""
    rows = [identify(None, "v", plan="a"), identify("u1", "v", plan=None), identify("u1", plan="b")]
    previews = [
        preview_of([("identify", rows)], settings=Settings(**{setting: side}))
        for side in CHOICES[setting].options
    ]

    assert all(preview.summary == previews[0].summary for preview in previews)
    assert previews[0].summary["open"] == {}


def test_what_is_settled_is_not_marked(preview_of):
    """People, events, merges and conflicts that no open setting decides have no mark."""
    known = {"id": ["u1", "u2", None], "email": [A, None, B]}
    preview = preview_of([
        ("identify", [identify("u1", "v", email=A), identify("u2", email=A), identify("u3", email=B)]),
        ("track", [track("u1"), track(None, "v"), track(None, "w")]),
        ("group", [{"userId": "u1", "groupId": "g"}]),
        ("alias", [alias("u2", "u1")]),
    ], known=known)  # fmt: skip

    assert preview.summary["open"] == {}
    assert preview.conflicts["kind"].to_list() == ["identifier.taken"]
    assert preview.merges.height == 1
    assert all(
        getattr(preview, name)["open"].null_count() == getattr(preview, name).height
        for name in FRAMES
    )


def test_checks_name_settings_that_are_there():
    """What a check says to rest on an open setting is one of the open questions."""
    consequences = "\n".join(texts.consequence for texts in check_texts().values())
    named = {
        name
        for names in re.findall(r"Open: ([a-z_, ]+)\.", consequences)
        for name in names.split(", ")
    }

    assert named == {
        "attribute_order", "dedupe", "email_updates", "form_identifiers", "object_order", "page_without_url",
        "taken_identifier",
    }  # fmt: skip
    assert named < CASES.keys()


def test_rows_are_counted_for_each_setting(preview_of):
    """The summary says how many rows rest on each open setting."""
    preview = preview_of([("track", [track("u1"), track("u2"), track("u1")])])

    assert preview.summary["open"] == {"event_for_unknown": 2}
    assert preview.people.select("id", "open").rows() == [
        ("u1", "event_for_unknown"), ("u2", "event_for_unknown"),
    ]  # fmt: skip
    assert isinstance(preview.people["open"].dtype, pl.String)
