"""Plans in files: what they hold, who approves them, and when they are applied."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.plan.apply import restored
from cio_frames.plan.plan import planned
from cio_frames.plan.saved_plan import message_digests

EVENTS = pl.DataFrame(
    {
        "id": ["u1", "u2", None, "u4"],
        "name": ["Ordered", "Ordered", "Viewed", "Viewed"],
        "at": ["2025-07-01T09:30:00Z"] * 4,
        "total": [1.5, None, 2.5, 3.0],
    }
)
ARGUMENTS = {"event": "name", "user_id": "id", "timestamp": "at"}


class Recorder:
    """Answers as Customer.io does, and keeps the bodies."""

    def __init__(self):
        self.bodies = []

    def client(self, **options):
        """Return a client that sends here."""
        return cio.connect(
            "eu", write_key="key", gzip=False, environ={}, transport=httpx.MockTransport(self._answer),
            **options,
        )  # fmt: skip

    def _answer(self, request):
        self.bodies.append(request.content)
        return httpx.Response(200, json={})


@pytest.fixture
def path(tmp_path):
    """Return where a plan is saved."""
    return tmp_path / "july.cioplan"


def track(table=EVENTS, **others):
    """Return a plan of events."""
    return cio.frame(table).track(**{**ARGUMENTS, **others})


def messages(plan):
    """Return all messages of a plan."""
    return plan.payloads(10_000)


TABLES = st.builds(
    lambda rows: pl.DataFrame(rows, schema={"id": pl.String, "name": pl.String, "n": pl.Int64, "x": pl.String}, orient="row"),
    st.lists(
        st.tuples(
            st.sampled_from(["u1", "u2", "u3", "007", None]), st.sampled_from(["A", "B"]),
            st.integers(-5, 5) | st.none(), st.text(max_size=4),
        ),
        min_size=1, max_size=12,
    ),
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    TABLES,
    st.sampled_from(["omit", "send"]),
    st.sampled_from([None, ["n"], {"number": "n", "x": "x"}]),
)
def test_a_restored_plan_makes_the_same_messages(tmp_path, table, nulls, properties):
    """Whatever the table and the arguments, the plan of a file makes the messages of the plan that was saved."""
    plan = cio.frame(table).track(
        event=cio.lit("Seen"), user_id="id", properties=properties, nulls=nulls,
        checks=cio.Checks(ignore=["value.empty"]), namespace="n",
    )  # fmt: skip
    saved = plan.save(tmp_path / "one.cioplan")
    again = restored(tmp_path / "one.cioplan", cio.read_plan(tmp_path / "one.cioplan"), table)
    assert messages(again) == messages(plan)
    assert message_digests(again.pipelines) == [saved.plans[0]["messages"]]


@pytest.mark.parametrize("arguments", [
    {"event": cio.lit("Seen"), "timestamp": cio.lit(datetime(2025, 7, 1, tzinfo=UTC))},
    {"event": "name", "properties": {"amount": "total"}, "key": ["id", "at"]},
    {"event": "name", "context": {"ip": cio.lit("10.0.0.1")}, "integrations": {"All": False}},
    {"event": "name", "hash": ["name"], "properties": ["name"], "timezone": "Europe/Berlin"},
])  # fmt: skip
def test_every_kind_of_argument_is_read_back(path, arguments):
    """Constants, times, lists, places and destinations come back from the file as they were."""
    plan = cio.frame(EVENTS).track(user_id="id", **arguments)
    plan.save(path)
    assert messages(restored(path, cio.read_plan(path), EVENTS)) == messages(plan)


def test_what_is_applied_is_what_was_reviewed(path, tmp_path):
    """The bodies of a plan that is applied are those of the plan itself, and the record names the plan."""
    sent, applied = Recorder(), Recorder()
    track().send(sent.client(), audit=tmp_path / "a", progress=False)
    saved = track().save(path, client=applied.client())
    run = cio.apply(path, EVENTS, applied.client(), audit=tmp_path / "b", progress=False)
    assert applied.bodies == sent.bodies
    assert saved.digest in run.notes[0]


def test_a_plan_that_was_applied_is_a_plan_as_before(path, tmp_path):
    """A plan that was passed to apply is later sent as itself: its record does not name the file, nor does an error."""
    plan, recorder = track(), Recorder()
    plan.save(path)
    with pytest.raises(cio.ArgumentError):
        cio.apply(path, plan, recorder.client(), audit=tmp_path / "a", progress=False, rows=1)
    run = plan.send(recorder.client(), audit=tmp_path / "a", progress=False)
    assert not any("saved plan" in note for note in run.notes)
    assert plan.pipelines.send_call.startswith("plan.send")


def test_a_backfill_is_applied_table_by_table(path, tmp_path):
    """Several plans are saved and applied together, with one table each, repairs included."""
    people = pl.DataFrame({"id": [1.0, 2.0], "plan": ["pro", "free"]})
    plans = cio.backfill([cio.frame(people).identify(user_id="id").fix("id.float"), track()])
    plans.save(path)
    with cio.sandbox() as workspace:
        run = cio.apply(
            path, [people, EVENTS], workspace.client(), audit=tmp_path / "a", progress=False
        )
        assert run.counts["delivered"] == 5
        assert set(workspace.people["id"]) == {"1", "2", "u1", "u2", "u4"}
    with pytest.raises(cio.MappingError, match="2 plans, but 1 table"):
        cio.apply(path, [people], Recorder().client(), progress=False)


CHANGES = {
    "a row more": lambda: track(pl.concat([EVENTS, EVENTS.head(1)])),
    "a row less": lambda: track(EVENTS.head(3)),
    "another order": lambda: track(EVENTS.reverse()),
    "another value": lambda: track(EVENTS.with_columns(total=pl.col("total") + 1)),
    "another type": lambda: track(EVENTS.with_columns(pl.col("total").cast(pl.String))),
    "another column": lambda: track(EVENTS.rename({"total": "amount"})),
    "another mapping": lambda: track(properties=[]),
    "another constant": lambda: track(event=cio.lit("Seen")),
    "another zone": lambda: track(timezone="Europe/Berlin"),
    "empty cells": lambda: track(nulls="send"),
    "another namespace": lambda: track(namespace="n"),
    "other checks": lambda: track(checks=cio.Checks(ignore=["id.missing"])),
    "a severity": lambda: track(checks=cio.Checks(severity={"text.markup": "reject"})),
    "an allowance": lambda: track(checks=cio.Checks(allow=["User Deleted"])),
    "a smaller limit": lambda: planned(_with(track(), message_bytes=30_000)),
    "another call": lambda: cio.frame(EVENTS).identify(user_id="id"),
}  # fmt: skip


def _with(plan, **values):
    from dataclasses import replace

    return replace(plan.pipeline, **values)


@pytest.mark.parametrize("name", CHANGES)
def test_every_change_is_refused(path, tmp_path, name):
    """Any change of table, mapping, checks or limits is refused with the difference, and nothing is sent."""
    recorder = Recorder()
    track().save(path)
    with pytest.raises(cio.PlanChangedError, match=r"reviewed .*, now ") as refused:
        cio.apply(path, CHANGES[name](), recorder.client(), audit=tmp_path / "a", progress=False)
    assert refused.value.differences
    assert recorder.bodies == []


def test_another_destination_is_refused(path, tmp_path):
    """A plan that was saved for one workspace is sent to no other."""
    recorder = Recorder()
    track().save(path, client=recorder.client())
    other = cio.connect(
        "us", write_key="key", environ={}, transport=httpx.MockTransport(recorder._answer)
    )
    with pytest.raises(cio.PlanChangedError, match="destination: region"):
        cio.apply(path, EVENTS, other, audit=tmp_path / "a", progress=False)
    with pytest.raises(cio.PlanChangedError, match="destination: strict"):
        cio.apply(path, EVENTS, recorder.client(strict=False), progress=False)
    assert recorder.bodies == []


def test_a_workspace_that_changed_is_refused(path, tmp_path):
    """A plan that was compared with an export is sent only if the preview comes out the same."""
    people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com", "b@example.com"]})
    plan = cio.frame(people).identify(user_id="id")
    plan.save(path, known=people.head(1))
    with pytest.raises(cio.PlanChangedError, match=r"identity preview: (creates|updates)"):
        cio.apply(
            path, people, Recorder().client(), known=people, audit=tmp_path / "a", progress=False
        )


def test_a_plan_expires(path, tmp_path):
    """After its time a plan is not applied any more; without a time it never expires."""
    track().save(path, expires=timedelta(seconds=-1))
    with pytest.raises(cio.SavedPlanError, match="it expired at"):
        cio.apply(path, EVENTS, Recorder().client(), audit=tmp_path / "a", progress=False)
    track().save(path, expires=None)
    assert cio.read_plan(path).expires is None


@pytest.mark.parametrize(("change", "problem"), [
    (lambda values: values["plans"][0]["counts"].update(valid=4), "changed after it was saved"),
    (lambda values: values["plans"][0]["arguments"]["fields"].update(event="at"), "changed after it was saved"),
    (lambda values: values.update(expires=None), "changed after it was saved"),
    (lambda values: values.update(format=99), "format 99"),
    (lambda values: values.pop("sha256"), "not a saved plan"),
], ids=["counts", "arguments", "expiry", "format", "hash"])  # fmt: skip
def test_a_file_that_was_edited_is_refused(path, change, problem):
    """Whoever edits a plan makes it worthless."""
    track().save(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(cio.SavedPlanError, match=problem):
        cio.read_plan(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"\xff", b'{"format": 1}', b"[" * 100_000]
)
def test_another_file_is_no_plan(path, content):
    """A file that is not a saved plan raises an error that says so."""
    path.write_bytes(content)
    with pytest.raises(cio.SavedPlanError, match="it is not a saved plan"):
        cio.read_plan(path)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.text("abcxyz0123456789@._-", min_size=6, max_size=20).map("v9q".__add__),
        min_size=2,
        max_size=6,
    )
)
def test_a_file_holds_no_value_of_the_table(tmp_path, values):
    """Neither identifiers nor attributes of anybody stand in the file, whatever is found about them."""
    table = pl.DataFrame({"id": [*values, "-"], "email": [*values, "none"], "note": [*values, "x"]})
    path = tmp_path / "people.cioplan"
    cio.frame(table).identify(user_id="id").save(path, known=table)
    text = path.read_text()
    assert not [value for value in values if value in text]


def test_expressions_and_rules_need_the_plan(path, tmp_path):
    """What a file cannot hold is shown in it, and the plan itself is asked for."""
    rule = cio.rule("total.small", pl.col("total") > 1, severity="warn")
    plan = track(event=pl.col("name").str.to_uppercase(), checks=cio.Checks(rules=[rule]))
    saved = plan.save(path)
    assert "to_uppercase" in json.dumps(saved.values()["plans"])
    assert "total.small" in json.dumps(saved.values()["plans"])
    recorder = Recorder()
    with pytest.raises(cio.SavedPlanError, match=r"pass it instead of the table"):
        cio.apply(path, EVENTS, recorder.client(), progress=False)
    run = cio.apply(path, plan, recorder.client(), audit=tmp_path / "a", progress=False)
    assert run.counts["delivered"] == 3


@pytest.mark.parametrize(("condition", "holds"), [
    ("rejected<1%", False), ("rejected<=25%", True), ("rejected < 2", True), ("rows>=4", True),
    ("creates<=3", True), ("creates<3", False), ("campaigns<=0", True), ("bytes>1_000_000", False),
])  # fmt: skip
def test_conditions_take_the_place_of_the_same_rows(path, tmp_path, condition, holds):
    """With a condition, another table is sent if it holds, and refused with the numbers if not."""
    track(EVENTS.head(2)).save(path)
    recorder = Recorder()

    def applied():
        return cio.apply(
            path, EVENTS, recorder.client(), only_if=condition, audit=tmp_path / "a", progress=False
        )

    if holds:
        assert applied().counts["delivered"] == 3
        return
    with pytest.raises(cio.PlanChangedError, match="only_if"):
        applied()
    assert recorder.bodies == []


def test_a_mapping_must_be_as_reviewed_under_conditions_too(path):
    """A condition lets rows differ, and nothing else."""
    track().save(path)
    with pytest.raises(cio.PlanChangedError, match="mapping"):
        cio.apply(path, track(properties=[]), Recorder().client(), only_if="rows>0", progress=False)


@pytest.mark.parametrize("condition", ["", "rejected", "rejected=0", "nonsense<1", "rejected<1%x"])
def test_an_invalid_condition_is_an_error(path, condition):
    """A condition that cannot be evaluated raises."""
    track().save(path)
    with pytest.raises(cio.MappingError, match=r"rejected<1%"):
        cio.apply(path, EVENTS, Recorder().client(), only_if=[condition], progress=False)


def test_a_second_person_approves(path, tmp_path):
    """A plan is sent only with the signature of an allowed key for this very content."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    keys = [cio.approval_key(directory=each, environ={}) for each in (mine, other)]
    track().save(path)
    recorder = Recorder()

    def applied():
        return cio.apply(
            path,
            EVENTS,
            recorder.client(),
            approved_by=keys[1:],
            audit=tmp_path / "a",
            progress=False,
        )

    with pytest.raises(cio.SavedPlanError, match="no one with an allowed key has approved"):
        applied()
    cio.approve(path, directory=mine, environ={})
    with pytest.raises(cio.SavedPlanError, match="no one with an allowed key has approved"):
        applied()
    approved = cio.approve(path, directory=other, environ={})
    assert [each["key"] for each in approved.approvals] == keys
    assert keys[1] in applied().notes[0]
    assert oct((other / "approval.key").stat().st_mode & 0o777) == "0o600"


def test_an_approval_cannot_be_moved_to_another_plan(path, tmp_path):
    """A signature that was copied from another plan, or forged, is none."""
    key = cio.approval_key(directory=tmp_path, environ={})
    track(EVENTS.head(1)).save(path)
    approvals = cio.approve(path, directory=tmp_path, environ={}).approvals
    track().save(path)
    for stolen in (list(approvals), [{"key": key, "at": "", "signature": "AAAA"}], [{"key": key}]):
        values = json.loads(path.read_text()) | {"approvals": stolen}
        path.write_text(json.dumps(values))
        with pytest.raises(cio.SavedPlanError, match="no one with an allowed key has approved"):
            cio.apply(path, EVENTS, Recorder().client(), approved_by=[key], progress=False)


def test_an_invalid_key_is_an_error():
    """What stands in the environment in place of a key is refused without being shown."""
    with pytest.raises(cio.ConfigError, match="CIO_APPROVAL_KEY does not hold a key") as refused:
        cio.approval_key(environ={"CIO_APPROVAL_KEY": "c2hvcnQ="})
    assert "c2hvcnQ" not in str(refused.value)


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    """A path that cannot be written is a typed error."""
    with pytest.raises(cio.SavedPlanError, match="it cannot be written"):
        track().save(tmp_path / "missing" / "july.cioplan")


def test_a_review_shows_what_is_decided(path):
    """Text, HTML and Markdown show counts, findings, repairs, constants, reasons and hashes."""
    table = EVENTS.with_columns(card=pl.lit("4111 1111 1111 1111"))
    checks = cio.Checks(allow_sensitive={"card": "numbers of a | test"})
    saved = track(table, event=cio.lit("Seen"), checks=checks).save(path)
    drawn = saved._repr_mimebundle_()
    for text in (drawn["text/plain"], drawn["text/html"], saved.markdown()):
        assert "id.missing" in text
        assert saved.digest in text
        assert "Seen" in text
    assert r"numbers of a \| test" in saved.markdown()
    assert Path(path).read_text().startswith('{\n "format": 1,')
