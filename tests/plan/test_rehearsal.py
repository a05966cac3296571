"""Rehearsals: random back-fills over real HTTP come out as their preview says."""

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import PlanRefusedError
from cio_frames.plan import rehearsal

BACKFILLS = int(os.environ.get("CIO_BACKFILLS", "20"))
"""How many random back-fills are rehearsed; 1,000 in the long run."""

NOW = datetime.now(UTC)
NAMES = ("View", "User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted",
         "Relationship Deleted")  # fmt: skip
CHECKS = cio.Checks(allow=NAMES)


class Dice:
    """Random plans of every call, about few people."""

    def __init__(self, seed):
        self.roll = random.Random(seed)
        self.pool = self.roll.choice([3, 10, 50])

    def user(self, empty=0.05):
        """Return a person reference."""
        n = self.roll.randrange(self.pool)
        spelled = [f"u{n}", f"u{n}", f"U{n}", f"m{n}@example.com", f"M{n}@example.com"]
        return None if self.roll.random() < empty else self.roll.choice(spelled)

    def email(self):
        """Return an address or none."""
        n = self.roll.randrange(self.pool)
        return self.roll.choice([None, f"m{n}@example.com", f"M{n}@example.com"])

    def visitor(self):
        """Return an anonymous id or none."""
        return self.roll.choice([None, f"a{self.roll.randrange(self.pool)}"])

    def table(self, **columns):
        """Return a table with as many rows as the dice say."""
        rows = range(self.roll.randrange(1, 25))
        return pl.DataFrame({name: [make() for _ in rows] for name, make in columns.items()},
                            infer_schema_length=None)  # fmt: skip

    def identify(self):
        """Return a plan of people."""
        table = self.table(
            id=self.user, email=self.email, v=self.visitor, n=lambda: self.roll.choice("abc"),
            at=lambda: f"2026-0{self.roll.randrange(1, 4)}-01T00:00:00Z",
            unsubscribed=lambda: self.roll.choice(["true", "false", None]),
        )  # fmt: skip
        timed = {"timestamp": "at"} if self.roll.random() < 0.5 else {}
        return table.cast(pl.String).cio.identify(
            user_id="id", anonymous_id="v", checks=CHECKS, **timed,
            nulls={"unsubscribed": self.roll.choice(["omit", "send"])},
        )  # fmt: skip

    def track(self):
        """Return a plan of events, some with reserved names."""
        table = self.table(
            e=lambda: self.roll.choice(NAMES) if self.roll.random() < 0.2 else "View",
            u=lambda: self.user(0.3), v=self.visitor, objectId=lambda: self.roll.choice(["g1", "g2"]),
            at=lambda: NOW - timedelta(days=self.roll.choice([1, 5, 20, 40])),
        )  # fmt: skip
        table = table.with_columns(pl.col("u", "v").cast(pl.String))
        return table.cio.track(
            event="e", user_id="u", anonymous_id="v", timestamp="at", checks=CHECKS
        )

    def page(self):
        """Return a plan of pages, some without an address."""
        table = self.table(u=lambda: self.user(0.3), v=self.visitor,
                           url=lambda: self.roll.choice([None, "https://example.com"]))  # fmt: skip
        return table.cast(pl.String).cio.page(
            name=cio.lit("Home"), user_id="u", anonymous_id="v", checks=CHECKS
        )

    def alias(self):
        """Return a plan of merges."""
        table = self.table(p=self.user, u=self.user).cast(pl.String)
        return table.cio.alias(previous_id="p", user_id="u", checks=CHECKS)

    def group(self):
        """Return a plan of objects and relationships."""
        table = self.table(g=lambda: self.roll.choice(["g1", "g2"]), u=lambda: self.user(0.2),
                           v=self.visitor).cast(pl.String)  # fmt: skip
        return table.cio.group(group_id="g", user_id="u", anonymous_id="v", checks=CHECKS)

    def form(self):
        """Return a plan of submissions."""
        table = self.table(e=self.email, x=lambda: self.roll.choice("abc")).cast(pl.String)
        return table.cio.form(form_id=cio.lit("news"), email="e", checks=CHECKS)

    def backfill(self):
        """Return several plans in order."""
        calls = ["identify"] * 3 + ["track"] * 2 + ["page", "alias", "group", "form"]
        plans = [getattr(self, self.roll.choice(calls))() for _ in range(self.roll.randrange(1, 6))]
        return cio.backfill(plans)

    def known(self):
        """Return an export, or none."""
        if self.roll.random() < 0.4:
            return None
        lines = [
            {
                "id": self.roll.choice([f"u{self.roll.randrange(self.pool)}", None]),
                "email": self.email(), "cio_id": f"k{n}", "anonymous_id": self.visitor(),
                "unsubscribed": self.roll.choice(["true", None]),
            }
            for n in range(self.roll.randrange(1, 8))
        ]  # fmt: skip
        names = ("id", "email", "cio_id", "anonymous_id", "unsubscribed")
        return pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String))

    def settings(self):
        """Return a workspace of any kind."""
        pick = self.roll.choice
        return cio.Workspace(
            auto_merge=pick([True, False]), anonymous_merge=pick([True, True, False]),
            email_updates=pick([True, False]),
            taken_identifier=pick(["separate", "update", "rekey"]),
            event_for_unknown=pick(["create", "create", "drop"]),
            late_anonymous=pick(["lost", "reidentify"]),
            alias_previous=pick(["id", "id-or-anonymous"]),
            merged_events=pick(["recent", "all"]), dedupe=pick(["calls", "events", "off"]),
        )  # fmt: skip


@pytest.mark.parametrize("block", range(4))
def test_what_the_preview_says_is_what_happens(block):
    """Random back-fills leave the sandbox as their preview says: people, merges, objects, events."""
    for seed in range(block, BACKFILLS, 4):
        dice = Dice(seed)
        backfill, known, settings = dice.backfill(), dice.known(), dice.settings()

        result = backfill.rehearse(known=known, settings=settings, progress=False)

        assert result.as_predicted, f"seed {seed}: {result}"


def plan():
    """Return a plan that merges, and one that does not."""
    people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com", "b@example.com"]})
    aliases = pl.DataFrame({"old": ["u2"], "new": ["u1"]})
    return cio.backfill([
        people.cio.identify(user_id="id"), aliases.cio.alias(previous_id="old", user_id="new"),
    ])  # fmt: skip


def test_a_rehearsal_is_identical_only_where_all_that_was_sent_has_its_effect():
    """What comes as predicted and changes nothing is counted, each with its reason."""
    people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com"] * 2})
    events = pl.DataFrame({"u": ["u1", "u1", "u1"], "m": ["m1", "m1", "m2"]})
    result = cio.backfill([
        people.cio.identify(user_id="id"),
        events.cio.track(event=cio.lit("E"), user_id="u", message_id="m"),
    ]).rehearse(progress=False, settings=cio.Workspace(taken_identifier="separate"))  # fmt: skip

    text = " ".join(repr(result).split())
    assert result.as_predicted
    assert not result.identical
    assert result.without_effect.select("rule", "rows").rows() == [
        ("identifier.taken", 1), ("message.duplicate", 1),
    ]  # fmt: skip
    assert "a@example.com already belongs to another person (u1)" in text
    assert "! as predicted: some rows ignored" in text
    assert "identical" not in text


def test_a_rehearsal_says_identical():
    """Text and HTML say so, with the counts of both sides."""
    result = plan().rehearse(progress=False)

    assert "✓ identical" in repr(result)
    assert "✓ identical" in result._repr_mimebundle_()["text/html"]
    assert result.compared.filter(pl.col("what") == "merges").rows() == [("merges", 1, 1)]
    assert result.differences.height == 0


def test_a_rehearsal_leaves_nothing_behind(tmp_path, monkeypatch):
    """There is no record, neither here nor where temporary files are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    plan().rehearse(progress=False)

    assert list(Path(tmp_path).iterdir()) == []


def test_a_wrong_preview_is_found_out(monkeypatch):
    """If the preview is wrong, the rehearsal lists each difference."""
    preview = rehearsal.identity_preview

    def wrong(*args, **options):
        predicted = preview(*args, **options)
        vars(predicted)["people"] = predicted.people.with_columns(pl.lit(5).alias("events"))
        return predicted

    monkeypatch.setattr(rehearsal, "identity_preview", wrong)
    result = plan().rehearse(progress=False)

    assert not result.identical
    assert result.differences.rows() == [
        ("people", "u1 / a@example.com [] 0 events", 0, 1),
        ("people", "u1 / a@example.com [] 5 events", 1, 0),
    ]
    assert "✕ 2 differences" in repr(result)


def test_a_refused_plan_is_not_rehearsed():
    """What may not be sent is not rehearsed either."""
    frame = pl.DataFrame({"u": ["u1"], "e": ["User Deleted"]})

    with pytest.raises(PlanRefusedError):
        frame.cio.track(event="e", user_id="u").rehearse(progress=False)


def test_events_of_groups_come_as_predicted():
    """An event with a group alone belongs to no person, and one that names a person as well belongs to them."""
    frame = pl.DataFrame({"org": ["g1", "g2", None], "user": [None, "u1", None]})
    plan = frame.cio.track(event=cio.lit("Plan Changed"), group_id="org", user_id="user")

    rehearsal = plan.rehearse(progress=False)

    assert plan.counts["valid"] == 2
    assert [message.get("userId") for message in plan.payloads()] == [None, "u1"]
    assert [message["groupId"] for message in plan.payloads()] == ["g1", "g2"]
    assert rehearsal.identical
    assert ("events of groups", 1, 1) in rehearsal.compared.rows()
    assert ("total people", 1, 1) in rehearsal.compared.rows()


def test_a_rehearsal_shows_one_display_and_no_run():
    """Preview and run are shown as those of the rehearsal, and no run is shown as arrived."""
    states = []
    pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id").rehearse(progress=states.append)

    assert {state.label for state in states} == {"the rehearsal of identify"}


def test_what_a_rehearsal_leaves_behind_says_that_nothing_left(capsys):
    """In a terminal the last line is not that of a run, but says that it was a rehearsal."""
    pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id").rehearse(progress="lines")

    shown = capsys.readouterr().err
    assert "nothing left this machine" in shown.splitlines()[-1]
    assert "Customer.io" not in shown


def test_a_large_rehearsal_compares_what_the_model_has_not_applied():
    """Where most rows meet no others, they and those that do come as predicted."""
    people = pl.select(n=pl.int_range(1_500)).select(
        id=pl.format("u{}", "n"), email=pl.format("m{}@example.com", pl.min_horizontal("n", 1_490))
    )
    events = pl.DataFrame({"user": [f"u{n % 700}" for n in range(1_500)], "n": range(1_500)})
    backfill = cio.backfill([
        people.cio.identify(user_id="id"), events.cio.track(event=cio.lit("View"), user_id="user"),
    ])  # fmt: skip

    result = backfill.rehearse(progress=False, settings=cio.Workspace(taken_identifier="separate"))

    assert result.as_predicted, result
    assert result.compared.rows()[:2] == [("people", 1_500, 1_500), ("total people", 1_500, 1_500)]
    assert result.without_effect.select("rule", "rows").rows() == [("identifier.taken", 9)]


def test_a_rehearsal_compares_attributes(monkeypatch):
    """All attributes of a small table are compared, with their conversions; differences are reported."""
    table = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", None], "born": ["2000-01-02", None]})
    whole = table.cio.identify(user_id="id").rehearse(progress=False)
    expected = rehearsal.expected

    def wrong(*args, **options):
        wanted = expected(*args, **options)
        next(iter(wanted.people)).attributes["tier"] = "free"
        return wanted

    monkeypatch.setattr(rehearsal, "expected", wrong)
    other = table.cio.identify(user_id="id").rehearse(progress=False)

    assert ("attributes", 4, 4) in whole.compared.rows()
    assert ("attributes", 4, 3) in other.compared.rows()
    assert other.differences.rows() == [("attributes", "u1: tier is pro, not free", 1, 0)]


def test_a_large_rehearsal_compares_the_attributes_of_a_part(monkeypatch):
    """The attributes of a sample of rows are compared, also those of people who were there before."""
    monkeypatch.setattr(rehearsal, "COMPARED_ROWS", 100)
    table = pl.select(n=pl.int_range(1_000)).select(
        id=pl.format("u{}", pl.col("n") // 2), **{f"a{place}": "n" for place in range(3)}
    )
    known = pl.DataFrame({"id": [f"u{n}" for n in range(200)]})
    result = table.cio.identify(user_id="id").rehearse(known, progress=False)

    assert result.as_predicted
    assert ("attributes (100 rows)", 400, 400) in result.compared.rows()
