"""What starts, ends, deletes or merges in Customer.io is sent only if its number was named."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.plan.allowance_counts import AllowanceCounts
from cio_frames.plan.allowances import KINDS
from cio_frames.plan.plan import planned
from cio_frames.values.number_words import number_words

NOW = datetime.now(UTC)
NEW, OLD, FUTURE = NOW - timedelta(hours=1), NOW - timedelta(days=40), NOW + timedelta(minutes=2)
CHECKS = cio.Checks(allow=["User Deleted", "Object Deleted"], triggers=["Renewed", "/renew", "r"])


class Host:
    """Answers as Customer.io does, and counts the requests."""

    def __init__(self, status=200):
        self.requests = 0
        self.status = status

    @property
    def client(self):
        """A client that sends here."""
        return cio.connect(
            "eu", write_key="key", site_id="site", track_api_key="key", environ={},
            transport=httpx.MockTransport(self._answer),
        )  # fmt: skip

    def _answer(self, request):
        self.requests += 1
        if "forms" in request.url.path:
            return httpx.Response(204)
        return httpx.Response(self.status, json={})


@pytest.fixture
def host():
    """Return where plans are sent."""
    return Host()


def people(**columns):
    """Return a plan of people."""
    return pl.DataFrame(columns).cio.identify(user_id="id", checks=CHECKS)


def events(*rows, call="track", timestamp="at", **others):
    """Return a plan of events, from pairs of name and time."""
    names, times = [row[0] for row in rows], [row[1] for row in rows]
    table = pl.DataFrame({"id": [f"u{n}" for n in range(len(rows))], "name": names, "at": times})
    named = "event" if call == "track" else "name"
    verb = getattr(table.cio, call)
    checks = replace(CHECKS, severity={"time.missing": "warn", "time.future": "warn"})
    return verb(user_id="id", timestamp=timestamp, checks=checks, **{named: "name"}, **others)


CASES = {
    "recent": (lambda: events(("A", NEW), ("A", NEW), ("A", OLD)), "campaigns", 2),
    "future": (lambda: events(("A", FUTURE), ("A", OLD)), "campaigns", 1),
    "undated": (lambda: events(("A", OLD), ("A", NEW), timestamp=None), "campaigns", 2),
    "empty times": (lambda: events(("A", None), ("A", OLD)), "campaigns", 1),
    "named": (lambda: events(("Renewed", OLD), ("Renewed", OLD), ("A", OLD)), "campaigns", 2),
    "named and recent": (lambda: events(("Renewed", OLD), ("Renewed", NEW)), "campaigns", 2),
    "pages": (lambda: events(("/renew", OLD), ("/", NEW), ("/", OLD), call="page"), "campaigns", 2),
    "screens": (lambda: events(("r", OLD), ("s", OLD), call="screen"), "campaigns", 1),
    "forms": (
        lambda: pl.DataFrame({"email": ["a@x.org", "b@x.org"]}).cio.form(
            form_id=cio.lit("f"), email="email"
        ),
        "campaigns",
        2,
    ),
    "what acts starts nothing": (
        lambda: events(("Application Opened", NEW), ("A", NEW)), "campaigns", 1,
    ),
    "opt-outs": (lambda: people(id=["u1", "u2"], unsubscribed=[False, True]), "opt_outs", 1),
    "opt-outs in words": (
        lambda: people(id=["u1", "u2", "u3"], unsubscribed=["false", "true", "0"]), "opt_outs", 2,
    ),
    "opt-outs that nobody checks": (
        lambda: pl.DataFrame({"id": ["u1"], "unsubscribed": [False]}).cio.identify(
            user_id="id", checks=cio.Checks(ignore=["trait"])
        ),
        "opt_outs",
        1,
    ),
    "cleared opt-outs": (
        lambda: pl.DataFrame({"id": ["u1"], "unsubscribed": [None]}, schema_overrides={"unsubscribed": pl.Boolean}).cio.identify(
            user_id="id", nulls="send"
        ),
        "opt_outs",
        1,
    ),
    "deletions": (
        lambda: events(("User Deleted", NEW), ("User Deleted", OLD), ("A", OLD)), "deletions", 2,
    ),
    "aliases": (
        lambda: pl.DataFrame({"old": ["u1", "u2"], "new": ["v1", "v2"]}).cio.alias(
            previous_id="old", user_id="new"
        ),
        "merges",
        2,
    ),
    "automatic merges": (
        lambda: people(id=["u1", "b@x.org", "u1"], email=[None, None, "b@x.org"]), "merges", 1,
    ),
    "excluded rows": (
        lambda: pl.DataFrame({"id": ["u1", None, "-"], "e": ["A"] * 3}).cio.track(
            user_id="id", event="e"
        ),
        "campaigns",
        1,
    ),
    "back-fill": (
        lambda: cio.backfill([people(id=["u0"]), events(("A", NEW)), events(("B", NEW))]),
        "campaigns",
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_number_is_needed(host, tmp_path, name):
    """Without the number, and below it, nothing is sent; with it, above it and in words all is."""
    make, kind, number = CASES[name]

    def send(audit, **options):
        return make().send(host.client, audit=tmp_path / audit, progress=False, **options)

    for given_ in ({}, {"allow": {kind: number - 1}}):
        with pytest.raises(cio.AllowanceError) as refused:
            send("a", **given_)
        assert refused.value.needed == {kind: number}
        assert refused.value.allowed == given_.get("allow", {})
    assert f'plan.send(client, allow={{"{kind}": {number}}})' in str(refused.value)
    assert host.requests == 0
    for place, given_ in enumerate((number, number_words(number + 1))):
        run = send(f"{place}", allow={kind: given_})
        assert run.counts["delivered"] == run.counts["rows"] - run.counts["rejected_local"]


def test_what_does_none_of_it_needs_no_number(host, tmp_path):
    """Old events and people are sent as ever."""
    plan = cio.backfill([people(id=["u0"], email=["a@x.org"]), events(("A", OLD))])
    assert plan.send(host.client, audit=tmp_path, progress=False).counts["delivered"] == 2


def test_the_error_names_all_of_it(host):
    """The message has a line for each number, what it is, and what to type."""
    plan = cio.backfill(
        [
            people(id=["u1", "b@x.org", "u1"], email=[None, None, "b@x.org"], unsubscribed=[False] * 3),
            events(("A", NEW), ("B", None), ("Renewed", OLD), ("User Deleted", OLD)),
        ]
    )  # fmt: skip
    with pytest.raises(cio.PlanRefusedError) as refused:
        plan.send(host.client, progress=False, allow={"campaigns": 2, "deletions": 9})
    assert str(refused.value) == (
        "Nothing was sent, because it does more than was allowed:\n"
        "  campaigns: 1 event counted as happening now, which can start campaigns; 1 event less than 72 "
        "hours old, which can start campaigns; 1 event named in Checks(triggers=...), which can start "
        "campaigns (2 allowed)\n"
        "  opt_outs: 3 rows can subscribe people again (0 allowed)\n"
        "  deletions: 1 event deletes or suppresses, which cannot be undone (9 allowed)\n"
        "  merges: 1 person is merged by identify, which cannot be undone (counted without the people of "
        "the workspace; see plan.identity(known=...)) (0 allowed)\n"
        "To allow it:\n"
        '    plan.send(client, allow={"campaigns": 3, "opt_outs": 3, "deletions": 1, "merges": 1})'
    )


@pytest.mark.parametrize(("allow", "error", "message"), [
    ({"campaign": 1}, cio.ChoiceError, "Did you mean 'campaigns'"),
    ({"campaigns": -1}, cio.ArgumentError, "not a number from 0 on"),
    ({"campaigns": True}, cio.ArgumentError, "not a number from 0 on"),
    ({"campaigns": 1.0}, cio.ArgumentError, "not a number from 0 on"),
    ({"campaigns": "some"}, cio.ArgumentError, "thirty-seven"),
    ({"campaigns": None}, cio.ArgumentError, "not a number from 0 on"),
    ({1: 1}, cio.ChoiceError, "campaigns"),
    (37, cio.ArgumentError, 'allow={"campaigns": 37}'),
    (["campaigns"], cio.ArgumentError, 'allow={"campaigns": 37}'),
])  # fmt: skip
def test_an_invalid_allowance_is_an_error(host, allow, error, message):
    """A wrong allowance raises before anything is checked."""
    with pytest.raises(error, match=message.replace("{", r"\{")):
        events(("A", NEW)).send(host.client, allow=allow)


def test_triggers_are_a_list():
    """One text would be read as its letters."""
    with pytest.raises(cio.MappingError, match=r"triggers=\['Renewed'\]"):
        _ = (
            pl.DataFrame({"id": ["u1"]})
            .cio.identify(user_id="id", checks=cio.Checks(triggers="Renewed"))
            .counts
        )


def test_a_task_that_waits_is_refused_too(host, tmp_path):
    """`asend` needs the number as well."""
    plan = events(("A", NEW))
    with pytest.raises(cio.AllowanceError):
        asyncio.run(plan.asend(host.client, audit=tmp_path, progress=False))
    assert host.requests == 0

    async def sent():
        run = await plan.asend(host.client, audit=tmp_path, progress=False, allow={"campaigns": 1})
        return await asyncio.to_thread(run.wait)

    assert asyncio.run(sent()).counts["delivered"] == 1


def test_on_this_machine_only_numbers_that_were_given_count(tmp_path):
    """A workspace on this machine takes everything; with `allow` it is as strict as Customer.io."""
    plan = events(("A", NEW), ("B", NEW))
    with cio.sandbox() as workspace:
        client = workspace.client()
        for allow in ({}, {"campaigns": 1}):
            with pytest.raises(cio.AllowanceError):
                plan.send(client, audit=tmp_path / "a", progress=False, allow=allow)
        assert workspace.counts["requests"] == 0
        for place, options in enumerate(({}, {"allow": {"campaigns": "two"}})):
            run = plan.send(client, audit=tmp_path / f"{place}", progress=False, **options)
            assert run.counts["delivered"] == 2
        assert plan.rehearse(progress=False).as_predicted


def test_a_resumed_run_asks_no_more(tmp_path):
    """What was allowed stands in the record, and the rest is sent without another word."""
    host, plan = Host(status=401), events(("A", NEW))
    with pytest.raises(cio.RunStoppedError) as stopped:
        plan.send(host.client, audit=tmp_path, progress=False, allow={"campaigns": "one"})
    run = stopped.value.run
    record = json.loads((run.audit / "run.json").read_bytes())
    assert '"allow": {"campaigns": 1}' in json.dumps(record)
    host.status = 200
    rest = cio.resume(run.audit, host.client, plan, progress=False)
    assert rest.counts["delivered"] == 1


def test_a_repeat_needs_the_number_again(host, tmp_path):
    """Rows that an earlier run has delivered count too."""
    plan = events(("A", NEW))
    plan.send(host.client, audit=tmp_path, progress=False, allow={"campaigns": 1})
    with pytest.raises(cio.AllowanceError):
        plan.send(host.client, audit=tmp_path, progress=False)
    again = plan.send(host.client, audit=tmp_path, progress=False, allow={"campaigns": 1})
    assert again.counts["skipped_done"] == 1


def test_a_saved_plan_says_what_it_needs(host, tmp_path):
    """The file and its report name the numbers, and `apply` takes them."""
    path, table = tmp_path / "one.cioplan", pl.DataFrame({"id": ["u1", "u2"]})
    plan = table.cio.track(user_id="id", event=cio.lit("A"))
    saved = plan.save(path)
    assert saved.allowances == cio.read_plan(path).allowances == {"campaigns": 2}
    assert 'allow={"campaigns": 2}' in repr(saved)
    with pytest.raises(cio.AllowanceError, match=r"cio\.apply\(path, table, client, allow=\{"):
        cio.apply(path, table, host.client, audit=tmp_path, progress=False)
    assert host.requests == 0
    run = cio.apply(
        path, table, host.client, audit=tmp_path, progress=False, allow={"campaigns": 2}
    )
    assert run.counts["delivered"] == 2


@pytest.mark.parametrize("condition", ["campaigns<=2", "opt_outs<1", "deletions<1", "merges<1"])
def test_each_number_is_a_condition(tmp_path, condition):
    """Jobs can be bounded by each of them."""
    path, table = tmp_path / "one.cioplan", pl.DataFrame({"id": ["u1", "u2"]})
    table.cio.track(user_id="id", event=cio.lit("A")).save(path)
    allow = {"campaigns": 3}
    run = cio.apply(
        path, table, Host().client, only_if=condition, audit=tmp_path, progress=False, allow=allow
    )
    assert run.counts["delivered"] == 2
    more = pl.concat([table, pl.DataFrame({"id": ["u3"]})])
    with pytest.raises(cio.PlanChangedError, match="reviewed <=2, now 3"):
        cio.apply(path, more, Host().client, only_if="campaigns<=2", progress=False, allow=allow)


def test_report_and_estimate_say_what_to_type():
    """Both have the line that sends; of a plan for this machine the report has none."""
    plan = events(("A", NEW))
    line = 'plan.send(client, allow={"campaigns": 1})'
    assert line in repr(plan)
    assert line in repr(cio.backfill([people(id=["u1"]), plan]))
    assert repr(cio.backfill([people(id=["u1"]), plan])).count("allow=") == 1
    assert plan.estimate().allowances == {"campaigns": 1}
    assert "allow=" not in repr(events(("A", OLD)))
    with cio.sandbox() as workspace:
        plan.estimate(workspace.client())
        assert line not in repr(plan)


def test_events_get_older_until_they_are_sent(host, tmp_path):
    """What was recent when the plan was checked, and is not when it is sent, needs no number."""
    moment = [datetime(2026, 11, 1, 12, tzinfo=UTC)]
    times = [moment[0] - timedelta(hours=hours) for hours in (71, 71, 1)]
    plan = events(("A", times[0]), ("Renewed", times[1]), ("A", times[2]))
    plan = planned(replace(plan.pipeline, clock=lambda: moment[0]))
    for hours, number in ((0, 3), (1, 3), (1.1, 2), (72, 1)):
        moment[0] = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(hours=hours)
        with pytest.raises(cio.AllowanceError) as refused:
            plan.send(host.client, audit=tmp_path, progress=False)
        assert refused.value.needed == {"campaigns": number}


def test_the_preview_is_asked_only_where_people_can_merge(host, tmp_path):
    """Plans whose rows name nobody by an address alone are not previewed, however they are linked."""
    visits = pl.DataFrame({"visitor": ["v1", "v2"], "at": [OLD] * 2})
    known = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@x.org"] * 2, "visitor": ["v1", "v2"]})
    plan = cio.backfill(
        [
            visits.cio.track(anonymous_id="visitor", event=cio.lit("A"), timestamp="at"),
            known.cio.identify(user_id="id", anonymous_id="visitor"),
        ]
    )
    plan.send(host.client, audit=tmp_path, progress=False)
    assert plan.pipelines.components is not None
    assert plan.pipelines.last_preview is None


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "b@x.org", "c@x.org", None]),
        st.sampled_from(["A", "Renewed", "User Deleted", "Application Opened", None]),
        st.sampled_from([NEW, OLD, FUTURE, None]),
        st.sampled_from([None, "b@x.org", "c@x.org"]),
        st.sampled_from([None, True, False]),
    ),
    min_size=1,
    max_size=8,
)


def _backfill(rows):
    names = {"id": pl.String, "name": pl.String, "at": pl.Datetime("ms", "UTC"), "email": pl.String}
    table = pl.DataFrame(rows, schema={**names, "unsubscribed": pl.Boolean}, orient="row")
    checks = replace(CHECKS, severity={"time.missing": "warn", "time.future": "warn"})
    pairs = table.select(old="id", new="email").filter(pl.col("old") != pl.col("new")).unique("old")
    return cio.backfill(
        [
            table.cio.identify(user_id="id", traits=["email", "unsubscribed"], checks=checks),
            table.cio.track(
                user_id="id", event="name", timestamp="at", properties=[], checks=checks
            ),
            pairs.cio.alias(previous_id="old", user_id="new"),
        ]
    )


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ROWS)
def test_the_numbers_of_the_error_are_exact(tmp_path_factory, rows):
    """Whatever the tables, the numbers of the error are enough, and one less of any of them is not."""
    folder = tmp_path_factory.mktemp("audit")
    host, plan = Host(), _backfill(rows)
    options = {"audit": folder, "progress": False, "durability": "process"}
    try:
        plan.send(host.client, **options)
    except cio.AllowanceError as error:
        needed = error.needed
    except cio.PlanRefusedError:  # no row can be sent
        return
    else:
        return
    sent = [row for row in rows if row[0] is not None and row[1] is not None]
    recorded = [row for row in sent if row[1] in ("A", "Renewed")]
    assert needed.get("campaigns", 0) == sum(
        row[2] != OLD or row[1] == "Renewed" for row in recorded
    )
    assert needed.get("deletions", 0) == sum(row[1] == "User Deleted" for row in sent)
    assert needed.get("opt_outs", 0) == sum(row[0] is not None and row[4] is False for row in rows)
    for plan_ in (plan, _backfill(rows)):  # of the other one nothing is known yet
        for kind in needed:
            with pytest.raises(cio.AllowanceError):
                plan_.send(host.client, **options, allow=needed | {kind: needed[kind] - 1})
    assert host.requests == 0
    run = _backfill(rows).send(host.client, **options, allow=needed)
    assert run.counts["rejected_server"] == run.counts["pending"] == 0


def test_counts_of_parts_are_those_of_the_whole():
    """What chunks come to, added up, is what all rows come to."""
    rows = pl.DataFrame(
        {
            "undated": [True, False, False, False], "recent": [False, True, True, False],
            "minute": [None, 7, None, None], "is_named": [False, True, False, True],
            "named": [False, False, False, True], "deletions": [False, False, True, True],
        }
    )  # fmt: skip
    whole = AllowanceCounts.of(rows)
    parts = AllowanceCounts.joined(AllowanceCounts.of(rows[place]) for place in range(4))
    assert whole.campaigns(NOW) == parts.campaigns(NOW)
    assert (whole.deletions, whole.campaigns(NOW).total) == (2, 4)
    assert KINDS == ("campaigns", "opt_outs", "deletions", "merges")
