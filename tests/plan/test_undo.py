"""Undo: random runs are undone on the embedded workspace, except for what the undo lists as not undone."""

import json
import os
import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.audit import former_people
from cio_frames.errors import AuditCorruptError, AuditError, MappingError, MissingKeyError
from cio_frames.plan import people_before, undo_current
from cio_frames.plan.undo_tables import MOST_SETS, layers

UNDONE = int(os.environ.get("CIO_UNDONE", "16"))
"""How many random runs are undone; 500 in the long run."""

NOW = datetime.now(UTC)
NAMES = ("View", "User Deleted", "User Suppressed", "User Unsuppressed", "Object Deleted",
         "Relationship Deleted")  # fmt: skip
CHECKS = cio.Checks(allow=NAMES)
SENT = {"progress": False, "durability": "process"}
COMPARED = ("attribute", "identifier", "person", "object", "relationship")


class Dice:
    """Random workspaces and plans of every call, about few people and objects."""

    def __init__(self, seed):
        self.roll = random.Random(seed)
        self.pool = self.roll.choice([2, 5, 12])
        self.takes_back = self.roll.random() < 0.4  # whether rows delete, suppress and merge
        self.has_visitors = self.roll.random() < 0.4
        # Whether there was a run before. An export has no age of profiles except created_at.
        self.has_first = self.roll.random() < 0.5

    def pick(self, *values):
        """Return one of some values."""
        return self.roll.choice(values)

    def number(self):
        """Return the number of a person."""
        return self.roll.randrange(self.pool)

    def user(self):
        """Return a person reference."""
        n = self.number()
        return self.pick(f"u{n}", f"u{n}", f"u{n}", f"m{n}@example.com", f"M{n}@example.com")

    def table(self, **columns):
        """Return a table with as many rows as the dice say."""
        rows = range(self.roll.randrange(1, 12))
        return pl.DataFrame({name: [make() for _ in rows] for name, make in columns.items()},
                            infer_schema_length=None)  # fmt: skip

    def identify(self, *, is_first=False):
        """Return a plan of people."""
        table = self.table(
            id=self.user, email=lambda: self.pick(None, f"m{self.number()}@example.com"),
            v=lambda: self.pick(None, f"a{self.number()}") if self.has_visitors else None,
            plan=lambda: self.pick("free", "pro", None), score=lambda: self.pick(1, 2, None),
            unsubscribed=lambda: self.pick("true", "false", None),
        ).with_columns(pl.col("v", "email", "plan", "unsubscribed").cast(pl.String))  # fmt: skip
        named = {} if is_first else {"anonymous_id": "v"}
        return table.cio.identify(
            user_id="id", traits=["email", "plan", "score", "unsubscribed"], checks=CHECKS,
            nulls={"plan": self.pick("omit", "send")}, **named,
        )  # fmt: skip

    def track(self):
        """Return a plan of events, some with reserved names."""
        acts = 0.3 if self.takes_back else 0
        table = self.table(
            e=lambda: self.pick(*NAMES) if self.roll.random() < acts else "View",
            u=self.user, objectId=lambda: self.pick("g1", "g2"),
            at=lambda: NOW - timedelta(days=self.pick(1, 5, 40)),
        )  # fmt: skip
        return table.cio.track(event="e", user_id="u", timestamp="at", checks=CHECKS)

    def alias(self):
        """Return a plan of merges."""
        if not self.takes_back:
            return self.identify()
        return self.table(p=self.user, u=self.user).cio.alias(
            previous_id="p", user_id="u", checks=CHECKS
        )

    def group(self, *, is_first=False):
        """Return a plan of objects and relationships."""
        table = self.table(
            g=lambda: self.pick("g1", "g2", "g3"),
            u=lambda: self.pick(None, self.user()),
            v=lambda: self.pick(None, f"a{self.number()}") if self.has_visitors else None,
            city=lambda: self.pick("Rome", "Oslo", None), size=lambda: self.pick(1, 2, None),
            role=lambda: self.pick("admin", "guest", None),
        ).with_columns(pl.col("u", "v", "city", "role").cast(pl.String))  # fmt: skip
        named = {} if is_first else {"anonymous_id": "v"}
        return table.cio.group(
            group_id="g", user_id="u", traits=["city", "size"], relationship=["role"], checks=CHECKS,
            nulls={"city": self.pick("omit", "send")}, **named,
        )  # fmt: skip

    def form(self):
        """Return a plan of submissions."""
        table = self.table(
            e=lambda: f"m{self.number()}@example.com", plan=lambda: self.pick("a", "b")
        )
        return table.cio.form(form_id=cio.lit("news"), email="e", checks=CHECKS)

    def backfill(self):
        """Return several plans in order."""
        calls = ["identify"] * 4 + ["track", "alias", "group", "group", "form"]
        return cio.backfill(
            [getattr(self, self.pick(*calls))() for _ in range(self.roll.randrange(1, 5))]
        )

    def known(self):
        """Return people who are there from the beginning."""
        lines = [
            {
                "id": self.pick(f"u{n}", f"u{n}", None), "email": self.pick(f"m{n}@example.com", None),
                "cio_id": f"k{n}",
                "created_at": None if self.has_first else self.pick(1_700_000_000, None),
                "attributes": json.dumps({
                    name: value for name, value in (
                        ("plan", self.pick("free", "pro", 7, None)), ("score", self.pick(1, "2", None)),
                        ("tags", self.pick(["a"], None)),
                        ("cio_subscription_preferences", self.pick({"topics": {"topic_1": False}}, None)),
                    ) if value is not None
                }),
            }
            for n in self.roll.sample(range(self.pool), self.roll.randrange(1, self.pool + 1))
        ]  # fmt: skip
        texts = dict.fromkeys(("id", "email", "cio_id"), pl.String)
        schema = {**texts, "created_at": pl.Int64, "attributes": pl.String}
        return pl.DataFrame(lines, schema=schema)

    def settings(self):
        """Return a workspace of any kind."""
        return cio.Workspace(
            auto_merge=self.pick(True, False), email_updates=self.pick(True, False),
            taken_identifier=self.pick("separate", "update", "rekey"),
            event_for_unknown=self.pick("create", "create", "drop"),
            group_for_unknown=self.pick("create", "create", "object-only"),
            merged_relationships=self.pick("move", "drop"),
            attribute_order=self.pick("timestamp", "arrival"),
        )  # fmt: skip


class State:
    """What a workspace holds."""

    def __init__(self, workspace):
        self.people, self.objects = workspace.people, workspace.objects
        self.relationships = workspace.relationships.filter(pl.col("person").is_not_null())
        self.visits = workspace.relationships.filter(pl.col("person").is_null())

    def persons(self):
        """Return identifiers and attributes by cio_id."""
        return {
            row["cio_id"]: {"id": row["id"], "email": row["email"], **_attributes(row)}
            for row in self.people.iter_rows(named=True)
        }

    def things(self):
        """Return the attributes of objects by type and id."""
        return {_key(row): json.loads(row["attributes"]) for row in self.objects.to_dicts()}

    def related(self, same):
        """Return the attributes of relationships by object and person."""
        return {
            (_key(row), same.get(row["person"], row["person"])): json.loads(row["attributes"])
            for row in self.relationships.to_dicts()
        }


def _attributes(row):
    return {f".{name}": value for name, value in json.loads(row["attributes"]).items()}


def _key(row):
    return f"{row['object_type_id']}/{row['object_id']!r}"


def label(person, cio_id):
    """Return how a reader knows somebody."""
    return person["id"] or person["email"] or f"cio_{cio_id}"


def differing(before, after):
    """Return what is not as it was, as what, who and name."""
    was, now = before.persons(), after.persons()
    same = _matched(was, now)
    remaining = _of_objects(before.things(), after.things()) | _of_people(was, now, same)
    labels = {key: label(each, key) for key, each in (now | was).items()}
    mine, theirs = before.related({}), after.related(same)
    for each in {*mine, *theirs}:
        if mine.get(each) != theirs.get(each):
            remaining.add(("relationship", labels[each[1]], each[0]))
    return remaining | {("relationship", None, _key(row)) for row in after.visits.to_dicts()}


def _of_people(was, now, same):
    remaining = {("person", label(held, key), None) for key, held in now.items() if key not in same}
    there = {own: now[other] for other, own in same.items()}
    for key, person in was.items():
        held = there.get(key)
        if held is None:
            remaining.add(("person", label(person, key), None))
            continue
        names = (name for name in {*person, *held} if _other(person, held, name))
        remaining |= {
            ("attribute" if name[0] == "." else "identifier", label(person, key), name.strip("."))
            for name in names
        }
    return remaining


def _other(person, held, name):
    return (name in person) != (name in held) or person[name] != held[name]


def _matched(was, now):
    """Return the former cio_id of everybody who was there, also under a new profile."""
    same = {key: key for key in now if key in was}
    for key, person in was.items():
        holders = [
            other
            for kind in ("id", "email")
            for other, held in now.items()
            if other not in was and _folded(held, kind) == _folded(person, kind) is not None
        ]
        anew = next((other for other in holders if other not in same), None)
        if key not in now and anew is not None:
            same[anew] = key
    return same


def _folded(person, kind):
    value = person[kind]
    return value.lower() if value and kind == "email" else value


def _of_objects(was, now):
    remaining = {("object", key, None) for key in was.keys() ^ now.keys()}
    for key in was.keys() & now.keys():
        names = {*was[key], *now[key]}
        remaining |= {
            ("object", key, name) for name in names if was[key].get(name) != now[key].get(name)
        }
    return remaining


def named(undo):
    """Return what an undo lists as not undone: what, who and name."""
    compared = undo.not_undone.filter(pl.col("what").is_in(COMPARED))
    return set(compared.select("what", "who", "name").rows())


def undone(run, before, **options):
    """Return the undo of a run."""
    return run.undo(
        before.people, objects=before.objects, relationships=before.relationships, **options
    )


@pytest.mark.parametrize("block", range(4))
def test_a_run_is_undone(block, tmp_path):
    """Random runs are undone on the embedded workspace: all that stays is named, and nothing else."""
    for seed in range(block, UNDONE, 4):
        dice = Dice(seed)
        settings, folder = dice.settings(), tmp_path / str(seed)
        with cio.sandbox(settings=settings, page=False) as workspace:
            workspace.load(dice.known())
            client = workspace.client()
            if dice.has_first:
                first = cio.backfill([dice.identify(is_first=True), dice.group(is_first=True)])
                first.send(client, audit=folder / "first", **SENT)
            before = State(workspace)
            run = dice.backfill().send(client, audit=folder / "run", **SENT)
            undo = undone(run, before, settings=settings)
            if not undo.is_empty:
                undo.plan.send(client, audit=folder / "undo", **SENT)
            left = differing(before, State(workspace))
        assert left == named(undo), f"seed {seed}: {left ^ named(undo)}\n{undo}"


@pytest.fixture
def workspace():
    """A workspace with two people, of whom one has an e-mail address alone."""
    with cio.sandbox(page=False) as made:
        made.load([
            {"id": "u1", "email": "a@example.com", "cio_id": "k1", "attributes": '{"plan":"pro","n":1}'},
            {"id": None, "email": "b@example.com", "cio_id": "k2", "attributes": '{"plan":"free"}'},
        ])  # fmt: skip
        yield made


PEOPLE = pl.DataFrame({
    "id": ["u1", "b@example.com", "u3"], "plan": ["free", "pro", "new"], "n": [2, 2, 2],
})  # fmt: skip


def sent(workspace, table, folder, **options):
    """Send people, and return the state before and the run."""
    before = State(workspace)
    run = (
        cio.frame(table)
        .identify(user_id="id", nulls="send")
        .send(workspace.client(), audit=folder, **SENT, **options)
    )
    return before, run


def test_people_come_back_whatever_names_them(workspace, tmp_path):
    """By cio_id where the export has it: by id, by e-mail address, and new people are deleted."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    undo = undone(run, before)
    assert undo.not_undone.is_empty()
    assert undo.summary["people_deleted"] == 1
    assert undo.plan.plans[0].payloads(1)[0]["userId"] == "cio_k1"
    undo.plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


def test_people_without_a_cio_id_are_named_by_what_they_have(workspace, tmp_path):
    """An export without cio_ids does as well, as long as no identifier has to change."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    undo = run.undo(before.people.drop("cio_id"))
    named_by = [message["userId"] for plan in undo.plan.plans for message in plan.payloads()]
    assert named_by == ["u1", "b@example.com", "b@example.com", "u3"]
    undo.plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


def test_an_undo_that_deletes_people_says_how_to_allow_it(workspace, tmp_path):
    """The error, the report and the estimate name the same call; nothing is sent."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    client = cio.connect("eu", write_key="key", environ={})
    plan = undone(run, before).plan
    call = 'undo.plan.send(client, allow={"deletions": 1})'
    with pytest.raises(cio.AllowanceError) as raised:
        plan.send(client, audit=tmp_path, **SENT)
    assert str(raised.value).splitlines()[-1].strip() == call
    for shown in (plan, plan.estimate(progress=False)):
        assert call in " ".join(repr(shown).split())


def test_an_undo_is_undone(workspace, tmp_path):
    """The undo of an undo gives back what the run had made, and its own undo what was before."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    made = State(workspace)
    first = undone(run, before).plan.send(workspace.client(), audit=tmp_path, **SENT)
    between = State(workspace)
    second = undone(first, made)
    again = second.plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert differing(made, State(workspace)) == named(second)
    undone(again, between).plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


@pytest.mark.parametrize("other", [False, True])
def test_an_undo_that_is_sent_twice_does_nothing_more(workspace, tmp_path, other):
    """Who was created again since is not deleted, and what was set since stays, in whichever record."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    undo = undone(run, before)
    undo.plan.send(workspace.client(), audit=tmp_path, **SENT)
    sent(workspace, PEOPLE.with_columns(plan=pl.lit("later")), tmp_path)
    later = State(workspace)
    folder = tmp_path / "other" if other else tmp_path
    undone(run, before).plan.send(workspace.client(), audit=folder, **SENT)
    assert not differing(later, State(workspace))


def test_a_run_that_changed_nothing_has_nothing_to_undo(workspace, tmp_path):
    """The report says so, and so does the error of asking for the plan."""
    same = pl.DataFrame({"id": ["u1"], "plan": ["pro"], "n": [1]})
    before, run = sent(workspace, same, tmp_path)
    undo = undone(run, before)
    assert undo.is_empty
    assert "Nothing differs from before the run." in repr(undo)
    with pytest.raises(MappingError, match="nothing to undo"):
        _ = undo.plan
    with pytest.raises(MappingError, match="nothing to undo"):
        undo.save(tmp_path / "undo")


def test_what_the_export_does_not_have_is_left_alone(workspace, tmp_path):
    """An attribute without a column has no known former value, so it is neither restored nor cleared."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    known = before.people.select("id", "email", "cio_id", plan=pl.lit("pro"))
    undo = run.undo(known)
    assert set(undo.not_undone.select("row", "what", "name").rows()) == {
        (0, "attribute", "n"), (1, "attribute", "n"),
    }  # fmt: skip
    assert all(
        "n" not in message.get("traits", {})
        for plan in undo.plan.plans
        for message in plan.payloads()
    )


def test_values_that_are_the_same_as_text_are_unchanged(workspace, tmp_path):
    """An export of the App API has texts: a number that was written again is not sent back."""
    client = workspace.client()
    known = client.people(attributes=["plan", "n"], progress=False)
    _, run = sent(workspace, pl.DataFrame({"id": ["u1"], "plan": ["pro"], "n": [1]}), tmp_path)
    assert run.undo(known).is_empty


def test_objects_are_left_alone_unless_it_is_known_which_there_were(workspace, tmp_path):
    """Without objects= and relationships= each row says what it may have changed."""
    groups = pl.DataFrame({"g": ["g1", "g2"], "u": ["u1", "u1"]})
    before = State(workspace)
    run = groups.cio.group(group_id="g", user_id="u").send(
        workspace.client(), audit=tmp_path, **SENT
    )
    undo = run.undo(before.people)
    assert undo.is_empty
    assert undo.not_undone.select("row", "what").rows() == [
        (0, "object"), (0, "relationship"), (1, "object"), (1, "relationship"),
    ]  # fmt: skip
    undone(run, before).plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


def test_a_profile_that_took_over_an_older_one_is_not_deleted(workspace, tmp_path):
    """Else everything of the older profile would be gone with the new one."""
    workspace.reset()
    workspace.load([{"id": "u1", "cio_id": "k1", "attributes": '{"plan":"pro"}'}])
    before = State(workspace)
    people = pl.DataFrame({"id": ["n1"]}).cio.identify(user_id="id")
    merge = pl.DataFrame({"old": ["u1"], "new": ["n1"]}).cio.alias(previous_id="old", user_id="new")
    run = cio.backfill([people, merge]).send(workspace.client(), audit=tmp_path, **SENT)
    undo = undone(run, before)
    assert undo.summary["people_deleted"] == 0
    assert {"merge", "person"} <= set(undo.not_undone["what"])
    assert any("older one in a merge" in why for why in undo.not_undone["why"])


def test_somebody_who_was_deleted_is_created_again(workspace, tmp_path):
    """Attributes and relationships come back with a new profile; what was its history does not."""
    client = workspace.client()
    groups = pl.DataFrame({"g": ["g1"], "u": ["u1"], "role": ["admin"]})
    groups.cio.group(group_id="g", user_id="u", relationship=["role"]).send(
        client, audit=tmp_path / "first", **SENT
    )
    before = State(workspace)
    gone = pl.DataFrame({"u": ["u1"], "e": ["User Deleted"]})
    run = gone.cio.track(event="e", user_id="u", checks=CHECKS).send(client, audit=tmp_path, **SENT)
    undo = undone(run, before)
    assert undo.not_undone.select("row", "what", "who").rows() == [(0, "history", "u1")]
    undo.plan.send(client, audit=tmp_path, **SENT)
    after = State(workspace)
    assert after.people["cio_id"].to_list() != before.people["cio_id"].to_list()
    assert not differing(before, after)


def test_what_a_time_in_the_future_has_set_stays(workspace, tmp_path):
    """An undo counts as of now, so that it cannot replace what the run wrote with a later time."""
    rows = pl.DataFrame({"id": ["u1"], "plan": ["free"], "at": [NOW + timedelta(hours=1)]})
    before = State(workspace)
    run = rows.cio.identify(
        user_id="id", timestamp="at", checks=cio.Checks(severity={"time.future": "warn"})
    ).send(workspace.client(), audit=tmp_path, **SENT)
    undo = undone(run, before)
    assert undo.not_undone.select("what", "name").rows() == [("attribute", "plan")]
    assert "in the future" in undo.not_undone["why"].item()
    undo.plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert differing(before, State(workspace)) == named(undo)


def test_events_are_reported_row_by_row(workspace, tmp_path):
    """Each row says whether it may have started campaigns; a person whom an event made is deleted."""
    events = pl.DataFrame({"u": ["u1", "e1"], "at": [NOW - timedelta(days=9), NOW]})
    before = State(workspace)
    run = events.cio.track(event=cio.lit("View"), user_id="u", timestamp="at").send(
        workspace.client(), audit=tmp_path, **SENT
    )
    undo = undone(run, before)
    assert undo.not_undone.select("row", "what", "who", "name").rows() == [
        (0, "event", "u1", "View"), (1, "event", "e1", "View"),
    ]  # fmt: skip
    assert ["campaigns" in why for why in undo.not_undone["why"]] == [False, True]
    assert undo.summary["people_deleted"] == 1


def test_a_refusal_of_mail_comes_back(workspace, tmp_path):
    """Somebody who was subscribed by mistake is not any more, and the row says that mails may be out."""
    workspace.reset()
    workspace.load([{"id": "u1", "attributes": '{"unsubscribed":true}'}])
    rows = pl.DataFrame({"id": ["u1"], "unsubscribed": [False]})
    before, run = sent(workspace, rows, tmp_path)
    undo = undone(run, before)
    assert undo.not_undone.select("row", "what", "name").rows() == [(0, "mail", "unsubscribed")]
    undo.plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


@pytest.mark.parametrize("asked", ["client", "export"])
@pytest.mark.parametrize("few", [0, 5_000])
def test_what_others_have_changed_since_stays(workspace, tmp_path, monkeypatch, asked, few):
    """With current= a value that the run did not write is left alone, and so is a person in use."""
    monkeypatch.setattr(undo_current, "MAX_READ_BY_NAME", few)
    before, run = sent(workspace, PEOPLE, tmp_path)
    since = pl.DataFrame({"id": ["u1", "u3"], "plan": ["vip", "vip"]})
    sent(workspace, since, tmp_path / "since")
    client = workspace.client()
    undo = undone(run, before, current=client if asked == "client" else workspace.people)
    assert set(undo.not_undone.select("row", "what", "name").rows()) == {
        (0, "attribute", "plan"), (2, "person", None),
    }  # fmt: skip
    undo.plan.send(client, audit=tmp_path, **SENT)
    assert differing(before, State(workspace)) == named(undo)
    again = undone(run, before, current=workspace.people)
    assert again.is_empty
    assert named(again) == named(undo)


def test_a_profile_that_was_there_before_is_not_deleted(workspace, tmp_path):
    """An export of a part of the workspace lacks people; what is known of them now contradicts."""
    before, run = sent(workspace, pl.DataFrame({"id": ["u1"], "plan": ["free"]}), tmp_path)
    part = before.people.filter(pl.col("cio_id") == "k2")
    assert undone_with(run, part).summary["people_deleted"] == 1
    current = pl.DataFrame(
        {"id": ["u1"], "cio_id": ["k1"], "created_at": [1_700_000_000], "plan": ["free"]}
    )
    undo = undone_with(run, part, current=current)
    assert undo.is_empty
    assert "before the run" in undo.not_undone["why"].item()
    assert "Make sure that it has all people" in repr(undone_with(run, part))


def undone_with(run, known, **options):
    """Return the undo of a run with an export."""
    return run.undo(known, **options)


def test_a_run_that_was_stopped_and_resumed_is_undone(workspace, tmp_path):
    """What arrived is undone, whenever that was; what did not is left alone."""
    many = pl.select(id=pl.format("n{}", pl.int_range(60))).with_columns(plan=pl.lit("x"))
    before, client = State(workspace), workspace.client()
    plan = pl.concat([PEOPLE.select("id", "plan"), many]).cio.identify(user_id="id")
    run = plan.send(client, audit=tmp_path, wait=False, **SENT)
    run.stop()
    run.wait()
    arrived = run.counts["delivered"]
    assert undone(run, before).summary["people_deleted"] == max(arrived - 2, 0)
    ended = cio.resume(run.audit, client, plan, progress=False)
    undone(ended, before).plan.send(client, audit=tmp_path / "undo", **SENT)
    assert not differing(before, State(workspace))


def test_rows_that_were_refused_or_skipped_are_not_undone(workspace, tmp_path):
    """What Customer.io does not have, and what an earlier run has sent, is none of the run's."""
    sent(workspace, PEOPLE, tmp_path)
    before, run = sent(workspace, PEOPLE, tmp_path)
    assert run.counts["skipped_done"] == 3
    assert undone(run, before).is_empty


def test_an_undo_in_another_process_needs_the_plan(workspace, tmp_path):
    """The plan must be the one that the run was made from; the error says how to pass it."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    plan = cio.frame(PEOPLE).identify(user_id="id", nulls="send")
    assert cio.undo(run.audit, before.people, plan=plan).summary == run.undo(before.people).summary
    other = cio.frame(PEOPLE.head(2)).identify(user_id="id", nulls="send")
    with pytest.raises(AuditError, match="was not made from this plan"):
        cio.undo(run.audit, before.people, plan=other)
    directory = run.audit
    del run
    with pytest.raises(AuditError, match="Pass the original plan"):
        cio.undo(directory, before.people)


def test_what_known_has_to_be(workspace, tmp_path):
    """Without an export from before there is no undo, and a client reads only the people of now."""
    _, run = sent(workspace, PEOPLE, tmp_path)
    with pytest.raises(MappingError, match="keep_undo=True"):
        run.undo()
    with pytest.raises(MappingError, match="as they are"):
        run.undo(workspace.client())


def test_an_undo_is_saved_and_applied(workspace, tmp_path):
    """Its tables are for their owner only, and the saved plan is applied to them, nothing else."""
    before, run = sent(workspace, PEOPLE, tmp_path)
    client = workspace.client()
    undone(run, before).save(tmp_path / "undo", client=client)
    files = sorted((tmp_path / "undo").glob("*.parquet"))
    assert [oct(path.stat().st_mode)[-3:] for path in files] == ["600"] * len(files)
    assert '"pro"' not in (tmp_path / "undo" / "undo.cioplan").read_text()
    cio.apply(
        tmp_path / "undo" / "undo.cioplan", [cio.scan(path) for path in files], client,
        audit=tmp_path, **SENT,
    )  # fmt: skip
    assert not differing(before, State(workspace))


SECRETS = pl.DataFrame({"id": ["u1", "b@example.com", "u3"], "plan": ["changed"] * 3})


@pytest.mark.parametrize("few", [0, 5_000])
def test_the_former_people_are_kept_encrypted(workspace, tmp_path, monkeypatch, few):
    """Nothing of them stands in the record in clear, and the undo needs no export."""
    monkeypatch.setattr(people_before, "MAX_READ_BY_NAME", few)
    workspace.reset()
    workspace.load(
        [{"id": "u1", "email": "ada@example.com", "attributes": '{"plan":"verysecret"}'}]
    )
    before, run = sent(workspace, SECRETS, tmp_path, keep_undo=True)
    held = b"".join(path.read_bytes() for path in run.audit.rglob("*") if path.is_file())
    assert not any(word in held for word in (b"verysecret", b"ada@example"))
    assert oct((run.audit / former_people.NAME).stat().st_mode)[-3:] == "600"
    assert cio.audit(run.audit).verify().is_empty()
    run.undo().plan.send(workspace.client(), audit=tmp_path, **SENT)
    assert not differing(before, State(workspace))


def test_a_file_of_former_people_that_was_changed_is_refused(workspace, tmp_path):
    """verify() names the file, and the undo does not use it."""
    _, run = sent(workspace, SECRETS, tmp_path, keep_undo=True)
    path = run.audit / former_people.NAME
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert cio.audit(run.audit).verify()["file"].to_list() == [former_people.NAME]
    with pytest.raises(AuditCorruptError, match="changed, or encrypted with another key"):
        run.undo()
    path.unlink()
    assert cio.audit(run.audit).verify()["file"].to_list() == [former_people.NAME]
    with pytest.raises(AuditCorruptError, match="cannot be read"):
        run.undo()


def test_pieces_of_former_people_stay_in_their_places(monkeypatch):
    """A file in several pieces is read back, and one whose pieces are exchanged, or of another run, is not."""
    monkeypatch.setattr(former_people, "PIECE_BYTES", 100)
    people, key = pl.DataFrame({"id": [f"u{n}" for n in range(200)]}), "0" * 64
    data = former_people.encrypt(people, run_id="r1", key=key)
    assert former_people.decrypt(data, run_id="r1", key=key).equals(people)
    first = 12 + 8 + 100 + 16
    exchanged = data[first : 2 * first] + data[:first] + data[2 * first :]
    for other, run_id in ((exchanged, "r1"), (data[:first], "r1"), (data[:-3], "r1"), (data, "r2")):
        with pytest.raises(AuditCorruptError):
            former_people.decrypt(other, run_id=run_id, key=key)


def test_keeping_people_needs_the_key_that_reads_them(workspace, tmp_path):
    """Nothing is sent without it."""
    client = cio.connect(endpoint=workspace.url, write_key=workspace.write_key, environ={})
    with pytest.raises(MissingKeyError):
        cio.frame(PEOPLE).identify(user_id="id").send(
            client, audit=tmp_path, keep_undo=True, **SENT
        )
    assert workspace.counts["messages"] == 0


def test_each_value_has_a_column_of_its_type():
    """Values of several types stand in several frames; many different sets are cleared one by one."""
    rows = [
        ((f"u{n}",), {"x": value}) for n, value in enumerate(["a", "b", 1, [1, 2], {"k": True}])
    ]
    frames = [frame for frame, _, _ in layers(rows, ["person"])]
    assert [frame["x"].to_list() for frame in frames] == [["a", "b"], [1], [[1, 2]], [{"k": True}]]
    sets = [((f"u{n}",), {f"a{n}": None, "b": None}) for n in range(MOST_SETS + 1)]
    cleared = [(body, nulls, frame.height) for frame, body, nulls in layers(sets, ["person"])]
    assert (["b"], "send", MOST_SETS + 1) in cleared
    assert len(cleared) == MOST_SETS + 2
