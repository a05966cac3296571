"""The preview: frames with the rows behind each line, and the same with and without shortcuts."""

import os
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cio_frames.identity import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STREAMS = int(os.environ.get("CIO_STREAMS", "120"))
"""How many random back-fills are compared; 10,000 in the long run."""


def identify(user=None, visitor=None, **traits):
    """Build an identify call."""
    return {"userId": user, "anonymousId": visitor, "traits": traits}


def track(user=None, visitor=None, name="View", days=1):
    """Build a track call of some days ago."""
    at = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"userId": user, "anonymousId": visitor, "event": name, "timestamp": at}


def alias(previous, user):
    """Build an alias call."""
    return {"previousId": previous, "userId": user}


def places(rows):
    """Return plan and row as pairs."""
    return [(row["plan"], row["row"]) for row in rows]


def test_people_have_their_rows_and_their_events(preview_of):
    """Each person has the rows that are about them; events are counted."""
    preview = preview_of([
        ("identify", [identify("u1", email="a@x.co"), identify("u2"), identify("u1", plan="pro")]),
        ("track", [track("u1"), track("a@x.co"), track("u3"), track(None, "v9")]),
    ])  # fmt: skip

    lines = [
        (row["id"], row["email"], row["action"], row["events"], places(row["rows"]))
        for row in preview.people.iter_rows(named=True)
    ]
    assert lines == [
        ("u1", "a@x.co", "create", 2, [(0, 0), (0, 2)]),
        ("u2", None, "create", 0, [(0, 1)]),
        ("u3", None, "create", 1, [(1, 2)]),
        (None, None, "anonymous", 1, [(1, 3)]),
    ]
    assert preview.people["known"].to_list() == [True, True, True, False]


def test_people_of_the_export_are_updated_and_not_created(preview_of):
    """With an export, who is there is updated, and who no row is about is not shown."""
    known = {
        "id": ["u1", None, "u8"], "email": ["A@x.co", "b@x.co", "c@x.co"],
        "cio_id": ["c1", "c2", "c8"],
    }  # fmt: skip
    preview = preview_of(
        [("identify", [identify("u1", email="a@x.co"), identify("u2", email="b@x.co")])],
        known=known,
    )

    lines = preview.people.select("id", "email", "cio_id", "action").rows()
    assert lines == [("u1", "A@x.co", "c1", "update"), ("u2", "b@x.co", "c2", "update")]
    assert preview.summary["creates"] == 0
    assert preview.summary["people"] == 3


def test_only_a_cio_id_of_the_export_is_listed(preview_of):
    """The model's own made-up cio_ids never show."""
    preview = preview_of([
        ("identify", [identify("u1", email="a@x.co"), identify("u2", email="a@x.co")]),
        ("alias", [alias("u2", "u1")]),
    ])  # fmt: skip

    shown = [preview.people.drop("person"), preview.merges, preview.conflicts]
    assert "c1000" not in "".join(str(frame.to_dicts()) for frame in shown)
    assert preview.people["cio_id"].null_count() == preview.people.height


def test_merges_have_the_kept_and_the_removed_person_and_the_row(preview_of):
    """A merge has both sides, its cause and what becomes of the events."""
    preview = preview_of([
        ("identify", [identify("u1"), identify("old", email="o@x.co")]),
        ("track", [track("old", days=2), track("old", days=50)]),
        ("alias", [alias("old", "u1")]),
    ])  # fmt: skip

    assert preview.merges.to_dicts() == [{
        "kept": "u1", "removed": ["old", "o@x.co"], "why": "alias", "irreversible": True,
        "removed_existed": False, "events_moved": 1, "events_later": 1, "events_lost": 0,
        "rows": [{"plan": 2, "row": 0}], "open": "merged_events",
    }]  # fmt: skip
    assert preview.people.select("id", "email", "events").rows() == [("u1", "o@x.co", 2)]


def test_an_automatic_merge_of_existing_people_is_listed_as_automatic(preview_of):
    """Two profiles of the export with one identifier each become one."""
    known = {"id": ["u1", None], "email": [None, "a@x.co"], "cio_id": ["c1", "c2"]}
    preview = preview_of([("identify", [identify("u1", email="a@x.co")])], known=known)

    merge = preview.merges.to_dicts()[0]
    assert (merge["why"], merge["removed_existed"], merge["kept"]) == ("auto-merge", True, "u1")
    assert merge["removed"] == ["cio_c2", "a@x.co"]
    assert preview.summary["people"] == 1


@pytest.mark.parametrize("older", ["mail", "id"])
def test_an_automatic_merge_names_the_survivor_by_what_it_was_called(preview_of, older):
    """The kept person is named by the identifier it had before it took over the other's."""
    mail, plain = {"id": None, "email": "a@x.co"}, {"id": "u1", "email": None}
    lines = [mail, plain] if older == "mail" else [plain, mail]
    known = {name: [line[name] for line in lines] for name in ("id", "email")}
    preview = preview_of([("identify", [identify("u1", email="a@x.co")])], known=known)

    names = {"mail": "a@x.co", "id": "u1"}
    gone = names.pop("id" if older == "mail" else "mail")
    assert preview.merges.select("kept", "removed").rows() == [(*names.values(), [gone])]


def test_an_alias_names_the_survivor_by_what_it_was_called(preview_of):
    """A person with an e-mail alone who takes over an id by a merge is named by the e-mail."""
    preview = preview_of([
        ("identify", [identify("old"), identify(None, email="a@x.co")]),
        ("alias", [alias("old", "a@x.co")]),
    ])  # fmt: skip

    assert preview.merges.select("kept", "removed").rows() == [("a@x.co", ["old"])]


REMOVED = {
    "of the export": ({"id": ["u1"], "email": ["a@x.co"]}, [track("u1", name="User Deleted")], [("u1", "a@x.co", "delete", [(0, 0)])]),
    "suppressed": ({"id": ["u1"]}, [track("u1", name="User Suppressed")], [("u1", None, "suppress", [(0, 0)])]),
    "not in the export": ({"id": ["u2"]}, [track("u1", name="User Deleted")], []),
    "suppressed and unknown": ({"id": ["u2"]}, [track("m@x.co", name="User Suppressed")], [(None, "m@x.co", "suppress", [(0, 0)])]),
    "without an export": (None, [track("u1", name="User Deleted")] * 2, [("u1", None, "delete", [(0, 0), (0, 1)])]),
    "after an event": (
        None, [track("u1"), track("u1", name="User Deleted"), track("u1", name="User Deleted")],
        [("u1", None, "delete", [(0, 0), (0, 1)])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REMOVED)
def test_people_whom_rows_delete_or_suppress_are_listed(preview_of, case):
    """Each has a line with the action and the rows; who is not in the export is not deleted."""
    known, messages, expected = REMOVED[case]
    preview = preview_of([("track", messages)], known=known)

    gone = preview.people.filter(pl.col("action").is_in(["delete", "suppress"]))
    lines = [
        (row["id"], row["email"], row["action"], places(row["rows"]))
        for row in gone.iter_rows(named=True)
    ]
    assert lines == expected
    assert preview.summary["deletes"] + preview.summary["suppresses"] == len(expected)


@pytest.mark.parametrize(
    ("plans", "known", "again"),
    [
        ([("track", [track("u1", name="User Deleted"), track("u1")])], {"id": ["u1"]}, 1),
        ([("track", [track("u1", name="User Deleted"), track("u1")])], None, 1),
        ([("track", [track("u1", name="User Deleted")]), ("identify", [identify("u1")])], {"id": ["u1"]}, 1),
        ([("track", [track("u1", name="User Deleted")]), ("identify", [identify("A@x.co")])],
         {"id": ["u1"], "email": ["a@x.co"]}, 1),
        ([("track", [track("u1"), track("u1", name="User Deleted")])], None, 0),
        ([("track", [track("u1", name="User Suppressed"), track("u1")])], {"id": ["u1"]}, 0),
        ([("track", [track("u1", name="User Deleted"), track("u2")])], {"id": ["u1"]}, 0),
        ([("track", [track("u1", name="User Deleted"), track("u1")])], {"id": ["u2"]}, 0),
    ],
)  # fmt: skip
def test_people_who_are_deleted_and_made_again_are_counted(preview_of, plans, known, again):
    """A later row or event about a deleted person makes a new one, under any identifier of the old."""
    assert preview_of(plans, known=known).summary["created_again"] == again


CONFLICTS = {
    "identifier.taken": [("identify", [identify("u1", email="a@x.co"), identify("u2", email="b@x.co"), identify("u2", email="a@x.co")])],
    "identifier.replaced": [("identify", [identify("u1", email="a@x.co"), identify("u2", email="a@x.co")])],
    "identifier.fixed": [("identify", [identify("u1", email="a@x.co"), identify("u1", email="b@x.co")])],
    "anonymous.not-reusable": [("identify", [identify("u1", "v"), identify("u2", "v")])],
    "alias.primary-unknown": [("alias", [alias("u1", "u2")])],
    "alias.previous-unknown": [("identify", [identify("u1")]), ("alias", [alias("u2", "u1")])],
    "alias.self": [("identify", [identify("u1")]), ("alias", [alias("u1", "u1")])],
    "alias.incomplete": [("alias", [alias(None, "u1")])],
    "cio-id.unknown": [("identify", [identify("cio_abc")])],
    "person.missing": [("identify", [identify(None)])],
    "person.unknown": [("track", [track("u1", name="Relationship Deleted")])],
    "identifier.suppressed": [("track", [track("u1", name="User Suppressed"), track("u1")])],
    "form.no-identifier": [("form", [{"data": {"name": "Ada"}}])],
    "form.two-identifiers": [("form", [{"data": {"id": "u1", "email": "a@x.co"}}])],
    "attribute.read-only": [("identify", [identify("u1", cio_id="x")])],
    "object.missing": [("group", [{"userId": "u1"}])],
}  # fmt: skip


@pytest.mark.parametrize("kind", CONFLICTS)
def test_a_conflict_names_the_last_row_and_says_what_to_do(preview_of, kind):
    """Each kind of conflict has its row, a sentence, a hint and a source."""
    plans = CONFLICTS[kind]
    preview = preview_of(plans)

    line = preview.conflicts.filter(pl.col("kind") == kind).to_dicts()[0]
    assert places(line["rows"]) == [(len(plans) - 1, len(plans[-1][1]) - 1)]
    assert line["sentence"].endswith(".")
    assert line["hint"]
    assert line["source"].startswith("reference")


def test_conflicts_of_one_kind_and_cause_are_one_line(preview_of):
    """The same refusal again and again is one line with all its rows."""
    rows = [identify("u1", email="a@x.co")] + [
        identify("u1", email="b@x.co", n=n) for n in range(4)
    ]
    preview = preview_of([("identify", rows)])

    assert preview.conflicts["count"].to_list() == [4]
    assert places(preview.conflicts["rows"][0]) == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_a_placeholder_that_holds_everybody_together_is_a_conflict(preview_of):
    """More identifiers than one person can have are reported, with the culprit first."""
    rows = [identify("guest", email=f"m{n}@x.co") for n in range(30)]
    preview = preview_of([("identify", rows)], largest=20)

    line = preview.conflicts.filter(pl.col("kind") == "cluster.too-large").to_dicts()[0]
    assert line["ids"][0] == "guest"
    assert line["count"] == 30
    assert preview.summary["largest_cluster"] == 31


def test_too_many_rows_of_one_person_are_a_conflict_too(preview_of):
    """A placeholder without further identifiers shows by its rows."""
    rows = [identify("guest", n=n) for n in range(51)]
    preview = preview_of([("identify", rows)], largest=5)

    assert preview.conflicts["kind"].to_list() == ["cluster.too-large"]
    assert preview.conflicts["count"].to_list() == [51]


def test_a_large_family_within_the_limit_is_none(preview_of):
    """As many identifiers as are allowed are no conflict."""
    rows = [identify("u1", f"v{n}") for n in range(19)]
    preview = preview_of([("identify", rows)], largest=20)

    assert preview.conflicts.height == 0


OUTCOMES = {
    "linked": ({}, [("track", [track(None, "v")]), ("identify", [identify("u1", "v")])]),
    "anonymous": ({}, [("track", [track(None, "v")])]),
    "off": ({"anonymous_merge": False},
            [("track", [track(None, "v")]), ("identify", [identify("u1", "v")])]),
    "expired": ({"anonymous_age": "timestamp"},
                [("track", [track(None, "v", days=40)]), ("identify", [identify("u1", "v")])]),
}  # fmt: skip


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_of_an_anonymous_event(preview_of, outcome):
    """Attribution says for each visitor what happens to the events, why, and in which rows."""
    settings, plans = OUTCOMES[outcome]
    preview = preview_of(plans, settings=Settings(**settings))

    line = preview.attribution.to_dicts()[0]
    assert (line["anonymous_id"], line["outcome"], line["events"]) == ("v", outcome, 1)
    assert places(line["rows"]) == [(0, 0)]
    assert line["why"]
    assert preview.summary["anonymous_events"] == {outcome: 1}


def test_events_of_a_visitor_linked_long_ago_come_too_late(preview_of):
    """An anonymous id that the export has is linked already: its events stay anonymous."""
    preview = preview_of(
        [("track", [track(None, "v")])], known={"id": ["u1"], "anonymous_id": ["v"]}
    )

    assert preview.attribution["outcome"].to_list() == ["late"]


def test_groups_list_objects_and_who_belongs_to_them(preview_of):
    """Objects have their people and rows; relationships name both sides."""
    rows = [
        {"userId": "u1", "groupId": "g1", "traits": {}},
        {"anonymousId": "v1", "groupId": "g1"},
        {"groupId": "g2", "traits": {"objectTypeId": "2"}},
    ]
    preview = preview_of([("identify", [identify("u1")]), ("group", rows)])

    lines = [
        (
            row["object_type_id"],
            row["object_id"],
            row["people"],
            row["visitors"],
            places(row["rows"]),
        )
        for row in preview.groups.iter_rows(named=True)
    ]
    assert lines == [("1", "g1", 1, 1, [(1, 0), (1, 1)]), ("2", "g2", 0, 0, [(1, 2)])]
    assert preview.relationships.select("object_id", "id", "anonymous_id").rows() == [
        ("g1", "u1", None), ("g1", None, "v1"),
    ]  # fmt: skip


def test_the_summary_counts_what_the_frames_show(preview_of):
    """The numbers of the summary are those of the frames."""
    preview = preview_of([
        ("identify", [identify("u1", email="a@x.co"), identify("u2", email="a@x.co")]),
        ("track", [track("u1"), track("u9", days=60), track("u2", name="User Deleted")]),
    ])  # fmt: skip

    summary = preview.summary
    assert summary["rows"] == 5
    assert summary["creates"] == preview.people.filter(pl.col("action") == "create").height == 2
    assert summary["open"] == {"event_for_unknown": 2, "taken_identifier": 2}
    assert (summary["deletes"], summary["created_by_events"]) == (1, 2)
    assert (summary["events"], summary["campaign_events"]) == (2, 1)
    assert summary["conflicts"] == 1


def test_a_repeated_message_changes_nothing_and_is_reported(preview_of):
    """The second message with an id is ignored, and its row says so."""
    message = {**identify("u1"), "messageId": "m1"}
    preview = preview_of([("identify", [message, message])])

    assert preview.summary["repeated"] == 1
    assert preview.changes.select("rule", "row").rows() == [
        ("person.created", 0), ("message.duplicate", 1),
    ]  # fmt: skip


def dated(user, days, **traits):
    """Build an identify of some days ago."""
    at = (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {**identify(user, **traits), "timestamp": at}


KEPT = {
    "an older row": ([("identify", [dated("u1", 1, plan="a", n=1), dated("u1", 5, plan="b", n=2)])], None, 2, [(0, 1)]),
    "the same value": ([("identify", [dated("u1", 1, plan="a"), dated("u1", 5, plan="a")])], None, 0, []),
    "a newer row": ([("identify", [dated("u1", 5, plan="a"), dated("u1", 1, plan="b")])], None, 0, []),
    "another attribute": ([("identify", [dated("u1", 1, plan="a"), dated("u1", 5, n=1)])], None, 0, []),
    "another person": ([("identify", [dated("u1", 1, plan="a"), dated("u2", 5, plan="b")])], None, 0, []),
    "a plan without times before it": (
        [("identify", [identify("u1", plan="a")]), ("identify", [dated("u1", 1, plan="b")])], None, 1, [(1, 0)],
    ),
    "under the e-mail": (
        [("identify", [dated("u1", 1, plan="a"), dated("a@x.co", 5, plan="b")])],
        {"id": ["u1"], "email": ["a@x.co"]}, 1, [(0, 1)],
    ),
    "a form before it": (
        [("form", [{"data": {"email": "a@x.co", "plan": "a"}}]), ("identify", [dated("a@x.co", 5, plan="b")])],
        None, 1, [(1, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("case", KEPT)
def test_attributes_that_keep_a_newer_value_are_counted(preview_of, case, whole):
    """A value of an earlier time has no effect; it is reported with its row, unless the person has it already."""
    plans, known, count, rows = KEPT[case]
    preview = preview_of(plans, known=known, whole=whole)

    stale = preview.conflicts.filter(pl.col("kind") == "attribute.stale")
    assert preview.summary["attributes_kept"] == count
    assert [place for line in stale["rows"] for place in places(line)] == rows


class Dice:
    """Random back-fills in which messages meet now and then."""

    def __init__(self, seed):
        self.roll = random.Random(seed)
        self.pool = self.roll.choice([3, 10, 40, 200])

    def user(self):
        """Return a person reference, seldom an odd one."""
        n = self.roll.randrange(self.pool)
        odd = [None, "", "cio_k1", "cio_zz", "n/a@b"]
        plain = [f"u{n}", f"u{n}", f"u{n}", f"U{n}", f"m{n}@x.co", f"M{n}@X.co"]
        return self.roll.choice(odd if self.roll.random() < 0.06 else plain)

    def email(self):
        """Return an address, in any case, or something else, or none."""
        n = self.roll.randrange(self.pool)
        return self.roll.choice([None, f"m{n}@x.co", f"m{n}@x.co", f"M{n}@X.co", f"u{n}"])

    def visitor(self):
        """Return an anonymous id, sometimes spelled as an id is."""
        n = self.roll.randrange(self.pool)
        return self.roll.choice([None, None, f"a{n}", f"u{n}"])

    def message(self, call, number):
        """Return one message of a call."""
        roll = self.roll
        days = roll.choice([1, 10, 40])
        message = {
            "messageId": f"id{number if roll.random() < 0.95 else max(0, number - roll.randrange(5))}",
            "userId": self.user(),
            "anonymousId": self.visitor(),
            "timestamp": roll.choice(
                [
                    None,
                    (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.500Z"),
                    "2026-02-01",
                ]
            ),
        }
        message |= getattr(self, call)(message)
        return {name: value for name, value in message.items() if value is not None}

    def identify(self, message):
        """Add traits, seldom those that mean more than an attribute."""
        own = str(message["userId"] or "")[1:]
        traits = {"email": self.email() if self.roll.random() < 0.5 else f"m{own}@x.co"}
        traits |= {"plan": self.roll.choice("abc")} if self.roll.random() < 0.5 else {}
        more = {"id": self.user(), "objectId": "g1", "anonymous_id": "a1", "cio_id": "x"}
        return {"traits": traits | {k: v for k, v in more.items() if self.roll.random() < 0.04}}

    def track(self, message):
        """Add a name, sometimes a reserved one."""
        reserved = ["User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted",
                    "Relationship Deleted", "Application Opened", " ", ""]  # fmt: skip
        user = None if self.roll.random() < 0.3 else message["userId"]
        name = self.roll.choice(reserved) if self.roll.random() < 0.1 else "View"
        more = {"properties": {"objectId": "g1"}, "context": {"device": {"token": "t"}}}
        return {"userId": user, "event": name, **more}

    def page(self, _):
        """Add what makes a page, or not."""
        return {"name": "Home", "properties": {"url": self.roll.choice(["https://x.co", None, ""])}}

    def group(self, _):
        """Add an object."""
        return {"groupId": self.roll.choice(["g1", "g2"]), "traits": {}}

    def alias(self, _):
        """Add whom to merge away."""
        return {"previousId": self.roll.choice([self.user(), "a1", "a2"])}

    def form(self, _):
        """Return a submission."""
        data = {"email": self.email(), "id": self.user() if self.roll.random() < 0.2 else None}
        return {"data": {k: v for k, v in data.items() if v}}

    def plans(self):
        """Return a back-fill."""
        calls = ["identify"] * 4 + ["track"] * 3 + ["page", "group", "alias", "form"]
        number = 0
        for _ in range(self.roll.randrange(1, 5)):
            call, messages = self.roll.choice(calls), []
            for _ in range(self.roll.randrange(1, 14)):
                messages.append(self.message(call, number))
                number += 1
            yield call, messages

    def known(self):
        """Return an export, sometimes with lines that share identifiers, or none."""
        if self.roll.random() < 0.4:
            return None
        lines = []
        for n in range(self.roll.randrange(1, 8)):
            k = self.roll.randrange(self.pool)
            lines.append({
                "id": self.roll.choice([f"u{k}", f"u{k}", None]),
                "email": self.roll.choice([f"m{k}@x.co", f"M{k}@x.co", self.email(), None]),
                "cio_id": f"k{n}" if self.roll.random() < 0.8 else None,
                "anonymous_id": self.visitor(),
            })  # fmt: skip
        names = ("id", "email", "cio_id", "anonymous_id")
        return pl.DataFrame(lines, schema=dict.fromkeys(names, pl.String))

    def settings(self):
        """Return a workspace of any kind."""
        pick = self.roll.choice
        return Settings(
            identifiers=pick([("id", "email")] * 6 + [("id",), ("email",)]),
            auto_merge=pick([True, False]), anonymous_merge=pick([True, True, False]),
            email_updates=pick([True, False]),
            taken_identifier=pick(["separate", "update", "rekey"]),
            event_for_unknown=pick(["create", "create", "drop"]),
            late_anonymous=pick(["lost", "reidentify"]),
            alias_previous=pick(["id", "id-or-anonymous"]),
            alias_unknown=pick(["nothing", "create"]),
            merged_events=pick(["recent", "all"]), dedupe=pick(["calls", "events", "off"]),
            email_trait=pick(["identifies", "attribute"]),
            page_without_url=pick(["dropped", "named"]),
            anonymous_age=pick(["received", "timestamp"]),
            group_for_unknown=pick(["create", "object-only"]),
        )  # fmt: skip


def comparable(preview):
    """Return everything in a preview, without its own internal names."""
    people = preview.people.drop_nulls("person")
    names = dict(people.select("person", pl.coalesce("id", "email", "cio_id")).iter_rows())
    changes = preview.changes.drop("number").with_columns(
        pl.col("person").is_null(), pl.col("other").replace(dict(preview.labels))
    )
    counted = preview.event_counts.with_columns(pl.col("person").replace(names))
    frames = {
        "people": preview.people.drop("person"), "merges": preview.merges,
        "conflicts": preview.conflicts, "groups": preview.groups,
        "relationships": preview.relationships, "attribution": preview.attribution,
        "changes": changes, "counted": counted, "clusters": preview.clusters.drop("cluster"),
    }  # fmt: skip
    rows = {name: Counter(map(str, frame.iter_rows())) for name, frame in frames.items()}
    return rows | {"summary": preview.summary}


SEEDS = (304, 519, 1260)
"""Back-fills whose preview once differed with and without shortcuts."""


@pytest.mark.parametrize("seeds", [SEEDS, *(range(block, STREAMS, 8) for block in range(8))])
def test_shortcuts_change_nothing(preview_of, seeds):
    """Leaving independent messages out of the model gives the same preview as applying everything."""
    for seed in seeds:
        dice = Dice(seed)
        settings, known, plans = dice.settings(), dice.known(), list(dice.plans())

        short = preview_of(plans, known=known, settings=settings)
        whole = preview_of(plans, known=known, settings=settings, whole=True)

        assert comparable(short) == comparable(whole), f"seed {seed}"


SHARED = {
    "an-alias-of-a-visitor-with-events-only": (
        None, [("track", [track(None, "a1")]), ("alias", [alias("a1", "u1")])],
    ),
    "an-alias-of-a-visitor-of-an-identify": (
        None, [("identify", [identify("u2", "a1")]), ("alias", [alias("a1", "u1")])],
    ),
    "two-identifiers-of-a-person-in-the-export": (
        {"id": ["u1"], "email": ["a@x.co"]},
        [
            (
                "identify",
                [
                    identify("a@x.co", plan="new"),
                    identify("u1", plan="old", cio_id="k1") | {"timestamp": "2026-02-01"},
                ],
            )
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("known", "plans"), SHARED.values(), ids=SHARED)
def test_messages_with_a_shared_identifier_need_the_model(preview_of, known, plans):
    """Messages that share a person in the export, or a visitor, have the same preview without shortcuts."""
    short = preview_of(plans, known=known)
    whole = preview_of(plans, known=known, whole=True)

    assert comparable(short) == comparable(whole)


def test_values_of_strange_types_go_through_the_model(preview_of):
    """Numbers as ids, lists as traits and the like are not plain, and still come out the same."""
    plans = [
        ("identify", [identify(5, email="a@x.co"), {"userId": "5", "traits": []}, identify("u1", email=7)]),
        ("track", [{"userId": "5", "event": 3}, {"userId": "5", "event": "View", "timestamp": 5}]),
        ("page", [{"userId": "5", "properties": {"url": 1}}]),
    ]  # fmt: skip

    assert comparable(preview_of(plans)) == comparable(preview_of(plans, whole=True))


def test_a_deletion_of_an_unknown_person_is_reported_once(preview_of):
    """Without an export they are listed as deleted; with one that lacks them, as unknown."""
    plans = [("track", [{"userId": "u1", "event": "User Deleted"}])]

    alone, compared = preview_of(plans), preview_of(plans, known={"id": ["u2"]})

    assert alone.people.select("id", "action").rows() == [("u1", "delete")]
    assert alone.conflicts.is_empty()
    assert compared.conflicts["kind"].to_list() == ["person.unknown"]
    assert "delete" not in compared.people["action"]
