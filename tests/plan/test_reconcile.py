"""Did it arrive? Every seeded difference is found, and none where there is none."""

import random
from datetime import UTC, datetime, timedelta

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AccessRefusedError, ArgumentError, AuditError, MissingKeyError
from cio_frames.plan import reconciler
from cio_frames.plan.arrived import arrived
from cio_frames.plan.event_sample import most_missing
from tests.plan.test_rehearsal import BACKFILLS, Dice

SEEDED = 1_000
NAMES = ("tier", "city", "score", "is_vip", "tags", "born", "note")


def people(count, roll):
    """Return people with attributes of every type; some cells are empty."""

    def some(make):
        return [make() if roll.random() < 0.9 else None for _ in range(count)]

    return pl.DataFrame({
        "id": [f"u{n}" for n in range(count)],
        "email": [f"M{n}@Example.com" for n in range(count)],
        "tier": some(lambda: roll.choice(["pro", "free", "007"])),
        "city": some(lambda: roll.choice(["Oslo", 'Zoë, the "2nd"', "a\nb"])),
        "score": some(lambda: roll.choice([0.5, 7.0, 1e20])),
        "is_vip": some(lambda: roll.choice([True, False])),
        "tags": some(lambda: roll.choice([["a"], ["b", "c"]])),
        "born": some(lambda: datetime(2000, 1, roll.randrange(1, 28), tzinfo=UTC)),
        "note": [roll.choice(["x", "y"]) for _ in range(count)],
    })  # fmt: skip


@pytest.fixture(scope="module")
def served():
    """A workspace for a module's tests."""
    with cio.sandbox(app_rate=None, page=False) as workspace:
        yield workspace


@pytest.fixture
def workspace(served):
    """The same, empty."""
    served.reset()
    return served


def sent(plan, workspace, folder, **options):
    """Send a plan."""
    return plan.send(workspace.client(), audit=folder, progress=False, **options)


def exported(workspace, *names):
    """Return an export of the workspace as a file has it: texts only."""
    return workspace.client().people(attributes=names, progress=False)


def kinds(result):
    """Return kind, id and attribute of each difference."""
    return sorted(result.differences.select("kind", "id", "name").rows(), key=str)


def test_every_seeded_difference_is_found_in_an_export(workspace, tmp_path):
    """A thousand values, attributes and people that are otherwise, each with its kind, and no other."""
    roll = random.Random(seed := 20)
    print("seed", seed)
    run = sent(people(1_000, roll).cio.identify(user_id="id"), workspace, tmp_path)
    held = exported(workspace, *NAMES)
    rows, wanted, lost = held.to_dicts(), [], set()
    filled = [
        (line, name) for line, row in enumerate(rows) for name in NAMES if row[name] is not None
    ]
    for line in roll.sample(range(len(rows)), 100):
        lost.add(line)
        wanted.append(("not there", rows[line]["id"], None))
    for line, name in roll.sample([each for each in filled if each[0] not in lost], SEEDED - 100):
        kind = roll.choice(["not there", "other value"])
        rows[line][name] = None if kind == "not there" else f"{rows[line][name]}?"
        wanted.append((kind, rows[line]["id"], name))
    seeded = pl.DataFrame(
        [row for line, row in enumerate(rows) if line not in lost], schema=held.schema
    )
    clean = run.reconcile(held, progress=False)
    result = run.reconcile(seeded, progress=False)

    assert clean.differences.is_empty()
    assert clean.is_as_expected
    assert kinds(result) == sorted(wanted, key=str)
    assert result.counts["not_there"] + result.counts["other_value"] == SEEDED
    assert result.differences["row"].null_count() == 0


def test_every_seeded_difference_is_found_by_a_client(workspace, tmp_path):
    """The time of an attribute shows whether its value was written later."""
    roll = random.Random(seed := 21)
    print("seed", seed)
    now = datetime.now(UTC)
    run = sent(people(300, roll).cio.identify(user_id="id"), workspace, tmp_path / "a")
    picked = roll.sample(range(300), 150)
    later, other, removed = picked[:50], picked[50:100], picked[100:130]
    table = pl.DataFrame({
        "id": [f"u{n}" for n in later + other + removed],
        "note": ["z"] * 100 + [None] * 30,
        "at": [now + timedelta(hours=1)] * 50 + [now + timedelta(seconds=20)] * 80,
    })  # fmt: skip
    sent(table.cio.identify(user_id="id", timestamp="at", nulls="send", checks=cio.Checks(ignore=["time.future"])),
         workspace, tmp_path / "b")  # fmt: skip
    gone = pl.DataFrame({"id": [f"u{n}" for n in picked[130:]]})
    deletion = gone.cio.track(
        event=cio.lit("User Deleted"), user_id="id", checks=cio.Checks(allow=["User Deleted"])
    )
    sent(deletion, workspace, tmp_path / "c")
    result = run.reconcile(progress=False)

    assert {(kind, who) for kind, who, name in kinds(result) if name == "note"} == {
        *(("written later", f"u{n}") for n in later),
        *(("other value", f"u{n}") for n in other),
        *(("not there", f"u{n}") for n in removed),
    }
    assert {who for kind, who, name in kinds(result) if name is None} == {
        f"u{n}" for n in picked[130:]
    }


@pytest.mark.parametrize("seed", range(max(BACKFILLS // 8, 1)))
def test_there_is_no_difference_where_there_is_none(seed, tmp_path):
    """Random back-fills against random people: what a client or an export returns is as expected."""
    dice = Dice(seed + 5_000)
    backfill, known = dice.backfill(), dice.known()
    settings = cio.Workspace(
        attribute_order=dice.roll.choice(["timestamp", "arrival"]),
        taken_identifier=dice.roll.choice(["rekey", "update", "separate"]),
    )
    with cio.sandbox(settings=settings, app_rate=None, page=False) as workspace:
        if known is not None:
            workspace.load(known)
        run = sent(backfill, workspace, tmp_path)
        options = {"before": known, "settings": settings, "progress": False}
        results = [
            run.reconcile(**options, events=5, seed=seed),
            run.reconcile(workspace.people, **options),
            run.reconcile(exported(workspace, "n", "x", "unsubscribed"), **options),
        ]

    for each in results:
        assert each.differences.is_empty(), (seed, each)
        assert each.is_as_expected
        assert each.notes == tuple(dict.fromkeys(each.notes))


def test_a_backfill_is_compared_as_a_whole(workspace, tmp_path):
    """Later plans win, and a difference names the last row that wrote about the person."""
    first = pl.DataFrame({"id": ["u1", "u2"], "tier": ["free", "free"]})
    second = pl.DataFrame({"id": ["u2"], "tier": ["pro"]})
    run = sent(
        cio.backfill([first.cio.identify(user_id="id"), second.cio.identify(user_id="id")]), workspace, tmp_path
    )  # fmt: skip
    held = pl.DataFrame({"id": ["u1", "u2"], "tier": ["free", "free"]})
    result = run.reconcile(held, progress=False)

    assert result.differences.select("kind", "expected", "actual", "plan", "row").rows() == [
        ("other value", "pro", "free", 1, 0)
    ]


def test_only_what_the_run_wrote_is_compared(workspace, tmp_path):
    """Attributes that were there before, and those of others, are no differences."""
    workspace.load(
        [{"id": "u1", "email": "a@example.com", "attributes": '{"tier": "free", "old": "x"}'}]
    )
    run = sent(
        pl.DataFrame({"id": ["u1"], "tier": ["pro"]}).cio.identify(user_id="id"),
        workspace,
        tmp_path,
    )
    held = pl.DataFrame(
        {
            "id": ["u1", "u9"],
            "email": ["b@example.com", None],
            "tier": ["pro", "y"],
            "old": ["z", "z"],
        }
    )
    for before in (
        None,
        pl.DataFrame({"id": ["u1"], "email": ["a@example.com"], "tier": ["free"]}),
    ):
        result = run.reconcile(held, before=before, progress=False)
        assert result.differences.is_empty()
        assert result.counts["expected"] == len(["person", "id", "tier"])


def test_people_are_found_by_whatever_they_are_called(workspace, tmp_path):
    """By cio_id where an export gave it, else by id, else by e-mail, whatever its case."""
    before = pl.DataFrame({"cio_id": ["k1"], "id": ["u1"], "email": ["a@example.com"]})
    workspace.load(before)
    table = pl.DataFrame(
        {"id": ["u1", "u2"], "email": [None, "B@example.com"], "tier": ["pro", "pro"]}
    )
    run = sent(table.cio.identify(user_id="id"), workspace, tmp_path)
    held = pl.DataFrame({
        "cio_id": ["k1", "k2"], "id": ["renamed", "u2"], "email": ["x@example.com", "b@EXAMPLE.com"],
        "tier": ["pro", "basic"],
    })  # fmt: skip
    result = run.reconcile(held, before=before, progress=False)

    assert kinds(result) == [("other value", "u1", "id"), ("other value", "u2", "tier")]


def test_people_who_were_merged_since_cannot_be_checked(workspace, tmp_path):
    """Where the workspace has one person for two of the run, the other one is not checkable."""
    table = pl.DataFrame(
        {"id": ["u1", "u2"], "email": [None, "b@example.com"], "tier": ["pro", "free"]}
    )
    run = sent(table.cio.identify(user_id="id"), workspace, tmp_path / "a")
    merge = pl.DataFrame({"kept": ["u1"], "gone": ["u2"]}).cio.alias(
        previous_id="gone", user_id="kept"
    )
    sent(merge, workspace, tmp_path / "b")
    results = [
        run.reconcile(progress=False),
        run.reconcile(exported(workspace, "tier"), progress=False),
    ]

    for each in results:
        assert kinds(each) == [("not checkable", "u2", None)]
        assert "merged since" in each.differences["note"][0]


def test_whom_the_run_removed_must_be_gone(workspace, tmp_path):
    """Deleted and merged people who are there all the same are found, unless they are new ones."""
    before = pl.DataFrame({"cio_id": ["k1", "k2", "k3"], "id": ["u1", "u2", "u3"]})
    workspace.load(before)
    deletion = pl.DataFrame({"id": ["u1"]}).cio.track(
        event=cio.lit("User Deleted"), user_id="id", checks=cio.Checks(allow=["User Deleted"])
    )
    merge = pl.DataFrame({"p": ["u2"], "u": ["u3"]}).cio.alias(previous_id="p", user_id="u")
    run = sent(cio.backfill([deletion, merge]), workspace, tmp_path)
    gone = run.reconcile(before=before, progress=False)
    there = run.reconcile(before, before=before, progress=False)
    again = run.reconcile(before.with_columns(cio_id="id"), before=before, progress=False)

    assert gone.is_as_expected
    assert kinds(there) == [("other value", "u1", None), ("other value", "u2", None)]
    assert [kind for kind, *_ in kinds(again)] == ["written later", "written later"]


def test_a_column_that_an_export_lacks_is_reported(workspace, tmp_path):
    """Attributes that it does not have are not checkable, and no difference."""
    run = sent(people(9, random.Random(1)).cio.identify(user_id="id"), workspace, tmp_path)
    result = run.reconcile(exported(workspace, "tier").drop("unsubscribed"), progress=False)

    assert result.differences.is_empty()
    assert result.counts["not_checkable"] > 9
    assert any("The export has no column" in note for note in result.notes)


def test_attributes_may_be_one_column_of_json(workspace, tmp_path):
    """As `workspace.people` has them; what is not in it is not there."""
    run = sent(people(9, random.Random(1)).cio.identify(user_id="id"), workspace, tmp_path)
    held = workspace.people
    lost = held.with_columns(attributes=pl.col("attributes").str.replace('"note":"."', '"nota":1'))

    assert run.reconcile(held, progress=False).counts["not_checkable"] == 0
    assert {name for _, _, name in kinds(run.reconcile(lost, progress=False))} == {"note"}


def test_preferences_are_compared_part_by_part(workspace, tmp_path):
    """A topic that was set must be as it was set; the others are not compared."""
    name = "cio_subscription_preferences.topics.topic_1"
    plan = pl.DataFrame({"id": ["u1"], name: [True]}).cio.identify(user_id="id", dots="keep")
    run = sent(plan, workspace, tmp_path)
    held = [
        pl.DataFrame({"id": ["u1"], "cio_subscription_preferences": [f'{{"topics":{{"topic_1":{choice},"topic_2":false}}}}']})
        for choice in ("true", "false")
    ]  # fmt: skip

    assert run.reconcile(held[0], progress=False).is_as_expected
    assert kinds(run.reconcile(held[1], progress=False)) == [("other value", "u1", name)]


def event_plan(count, days):
    """Return a plan of events of a tenth as many people, so many days ago."""
    now = datetime.now(UTC)
    return pl.DataFrame({
        "who": [f"u{n // 10}" for n in range(count)], "name": [f"E{n % 2}" for n in range(count)],
        "at": [now - timedelta(days=days, minutes=n // 4) for n in range(count)], "n": range(count),
    }).cio.track(event="name", user_id="who", timestamp="at")  # fmt: skip


def test_a_sample_of_events_is_looked_for(workspace, tmp_path):
    """All of them are there, and the report says what that means for the others."""
    run = sent(event_plan(30, 2), workspace, tmp_path)
    result = run.reconcile(progress=False, events=12, seed=7)
    text = " ".join(repr(result).split())

    assert (result.events.checked, result.events.of, result.events.missing) == (12, 30, 0)
    assert result.events.at_most == most_missing(0, checked=12, of=30) == 5
    assert "0 of 12 events that were looked up are missing: at most 17 % of the 30 events" in text
    assert "(5) are missing, with 95% confidence (seed 7)" in text
    assert run.reconcile(progress=False).events.at_most == 0


def test_missing_events_are_found(workspace, tmp_path):
    """Events of people who are gone, and those that the workspace lost, are missing."""
    run = sent(event_plan(20, 2), workspace, tmp_path)
    workspace.reset()
    sent(event_plan(20, 3), workspace, tmp_path / "b")  # events of other times
    result = run.reconcile(progress=False)

    assert result.events.missing == result.events.checked == 20
    assert result.differences["what"].to_list() == ["event"] * 20
    assert result.differences["plan"].to_list() == [0] * 20
    assert sorted(result.differences["row"]) == list(range(20))


def test_events_of_the_moment_are_found_by_their_name(workspace, tmp_path):
    """Without a time they are near that of the answer; of several alike, as many must be there."""
    table = pl.DataFrame({"who": ["u1"] * 3, "n": [1, 2, 3]})
    run = sent(table.cio.track(event=cio.lit("E"), user_id="who", checks=cio.Checks(ignore=["time.now"])),
               workspace, tmp_path)  # fmt: skip
    result = run.reconcile(progress=False)

    assert (result.events.checked, result.events.missing) == (3, 0)


def test_events_that_cannot_be_looked_for_are_counted(workspace, tmp_path):
    """Those of visitors, old ones, and all where there is no client."""
    old, now = event_plan(20, 45), event_plan(20, 1)
    visits = pl.DataFrame({"v": [f"a{n}" for n in range(5)]}).cio.page(
        name=cio.lit("Home"), anonymous_id="v", properties={"url": cio.lit("https://example.com")}
    )
    run = sent(cio.backfill([old, now, visits]), workspace, tmp_path)
    read, export = run.reconcile(progress=False), run.reconcile(workspace.people, progress=False)
    counts = read.compared.filter(pl.col("what") == "events").row(0, named=True)

    assert (counts["expected"], counts["as_expected"], counts["not_checkable"]) == (45, 20, 25)
    assert any(note.startswith("25 events cannot be looked up") for note in read.notes)
    assert export.events is None
    assert any(note.startswith("20 events can be looked up with a client") for note in export.notes)


@pytest.mark.parametrize(
    ("missing", "checked", "of", "at_most"),
    [
        (0, 300, 10**9, 9_936_065),  # 1 - 0.05 ** (1 / 300), as binomial as it gets
        (1, 10, 10**9, 394_163_297),  # Clopper-Pearson: 0.39416
        (0, 59, 10**9, 49_509_000),
        (0, 5, 10, 3),  # C(7, 5) / C(10, 5) = 8.3 %; with four missing it is 2.4 %
        (3, 10, 10, 3),
        (0, 0, 7, 7),
        (7, 7, 9, 9),
    ],
)
def test_the_bound_is_exact(missing, checked, of, at_most):
    """As tables of the binomial and the hypergeometric distribution have it."""
    assert most_missing(missing, checked=checked, of=of) == pytest.approx(at_most, rel=1e-3)


def altered(run, **states):
    """Return the rows of a run with other states, by row."""
    record = cio.audit(run.audit).messages
    wanted = {int(row.removeprefix("row")): state for row, state in states.items()}
    return record.with_columns(
        state=pl.col("row").replace_strict(wanted, default=pl.col("state"), return_dtype=pl.String)
    )


def test_what_has_not_arrived_is_not_expected(workspace, tmp_path):
    """Rows that are pending, refused or blocked leave nothing; those that an earlier run sent do."""
    plan = pl.DataFrame({"id": [f"u{n}" for n in range(5)], "tier": ["pro"] * 5}).cio.identify(
        user_id="id"
    )
    run = sent(plan, workspace, tmp_path)
    record = altered(
        run, row0="pending", row1="rejected_server", row2="blocked", row3="skipped_done"
    )
    result = reconciler.compare(plan.pipelines, record, pl.DataFrame({"id": ["u9"]}))

    assert [each.row for each in arrived(plan.pipelines, record)] == [3, 4]
    assert kinds(result) == [("not there", "u3", None), ("not there", "u4", None)]


def test_what_is_in_doubt_is_neither_there_nor_not(workspace, tmp_path):
    """What rows in doubt may have changed is not checkable; what others wrote still is."""
    table = pl.DataFrame({"id": ["u1", "u2", "u1", "u3"], "tier": ["a", "b", "c", "d"]})
    plan = table.with_columns(city=pl.Series(["x", "y", None, "z"])).cio.identify(user_id="id")
    run = sent(plan, workspace, tmp_path)
    held = workspace.people
    wrong = pl.DataFrame({"id": ["u1", "u2"], "tier": ["?", "?"], "city": ["?", "?"]})
    record = altered(run, row2="in_doubt", row3="in_doubt")
    right, other = (reconciler.compare(plan.pipelines, record, each) for each in (held, wrong))

    assert {kind for kind, *_ in kinds(right)} == {"not checkable"}
    assert kinds(other) == [
        ("not checkable", "u1", "tier"), ("other value", "u1", "city"),
        ("other value", "u2", "city"), ("other value", "u2", "tier"),
    ]  # fmt: skip
    assert any(note.startswith("2 rows are in doubt") for note in other.notes)


def test_a_resumed_run_and_another_process_reconcile_too(workspace, tmp_path):
    """It works with the plan; without it, or with another one, the error says what to pass."""
    table = pl.DataFrame({"id": ["u1"], "tier": ["pro"]})
    plan = table.cio.identify(user_id="id")
    audit = sent(plan, workspace, tmp_path).audit
    client = workspace.client()
    again = cio.resume(audit, client, progress=False).reconcile(progress=False)
    del plan

    assert again.is_as_expected
    assert cio.reconcile(
        audit, client, table.cio.identify(user_id="id"), progress=False
    ).is_as_expected
    with pytest.raises(AuditError, match=r"cio\.reconcile\('.*', client, plan\)"):
        cio.reconcile(audit, client)
    for other in (table.with_columns(tier=pl.lit("x")).cio.identify(user_id="id"),
                  table.cio.identify(user_id="id", traits={"level": "tier"})):  # fmt: skip
        with pytest.raises(AuditError, match="was not made from this plan"):
            cio.reconcile(audit, client, other)


def test_a_client_that_cannot_read_fails_at_once(workspace, tmp_path):
    """Without an App API key, with a wrong one, or as what was held before."""
    run = sent(pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id"), workspace, tmp_path)
    keys = {"endpoint": workspace.url, "write_key": workspace.write_key, "environ": {}}
    with pytest.raises(MissingKeyError):
        run.reconcile(cio.connect(**keys))
    with pytest.raises(AccessRefusedError):
        run.reconcile(cio.connect(**keys, app_api_key="wrong"), progress=False)
    with pytest.raises(ArgumentError, match="an export as a table"):
        run.reconcile(before=workspace.client())


class Refuses(httpx2.AsyncHTTPTransport):
    """Refuses one path of the App API."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    async def handle_async_request(self, request):
        """Pass other requests on."""
        if self.path in request.url.path:
            return httpx2.Response(403, json={"meta": {"error": "not allowed"}})
        return await super().handle_async_request(request)


@pytest.mark.parametrize(
    ("path", "note"),
    [
        ("customers/attributes", "values that were written after"),
        ("activities", "No events were looked"),
    ],
)
def test_what_can_be_read_is_compared(workspace, tmp_path, monkeypatch, path, note):
    """Where a key may export people and not more, the report says what that leaves open."""
    monkeypatch.setattr(reconciler, "MAX_READ_BY_NAME", 0)
    plan = cio.backfill([
        pl.DataFrame({"id": ["u1"], "tier": ["pro"]}).cio.identify(user_id="id"), event_plan(4, 1),
    ])  # fmt: skip
    run = sent(plan, workspace, tmp_path)
    sent(
        pl.DataFrame({"id": ["u1"], "tier": ["free"]}).cio.identify(user_id="id"),
        workspace,
        tmp_path / "b",
    )
    client = cio.connect(
        endpoint=workspace.url,
        app_api_key=workspace.app_api_key,
        transport=Refuses(path),
        environ={},
    )
    result = run.reconcile(client, progress=False)

    assert kinds(result) == [("other value", "u1", "tier")]
    assert any(note in each for each in result.notes)
    assert (result.events is None) == (path == "activities")


def test_many_people_are_exported_and_those_who_differ_are_asked_for(
    workspace, tmp_path, monkeypatch
):
    """The times of their attributes show what was written later; progress shows how long it takes."""
    monkeypatch.setattr(reconciler, "MAX_READ_BY_NAME", 0)
    now, states = datetime.now(UTC), []
    table = pl.DataFrame({"id": ["u1", "u2", "u3"], "tier": ["pro"] * 3})
    run = sent(table.cio.identify(user_id="id"), workspace, tmp_path)
    later = pl.DataFrame({"id": ["u1"], "tier": ["x"], "at": [now + timedelta(minutes=30)]})
    sent(later.cio.identify(user_id="id", timestamp="at", checks=cio.Checks(ignore=["time.future"])),
         workspace, tmp_path / "b")  # fmt: skip
    result = run.reconcile(progress=states.append)

    assert kinds(result) == [("written later", "u1", "tier")]
    assert result.is_as_expected
    assert result.differences["written_at"][0] > now + timedelta(minutes=29)
    assert any(state.label.startswith("1 person of 127.0.0.1") for state in states)
    assert any("about 0.1 s" in state.label for state in states)


@pytest.mark.parametrize("pii", ["hmac", "ids", "full"])
def test_what_is_kept_says_as_much_of_people_as_the_record(workspace, tmp_path, pii):
    """Identifiers are keyed hashes, nothing or themselves; values stand only with `pii="full"`."""
    table = pl.DataFrame(
        {"id": ["canary-id"], "email": ["canary@example.com"], "tier": ["canary-pro"]}
    )
    run = sent(table.cio.identify(user_id="id"), workspace, tmp_path, pii=pii)
    run.reconcile(table.with_columns(tier=pl.lit("canary-free")), progress=False)
    audit = cio.audit(run.audit)
    (line,) = audit.reconciliations.to_dicts()
    kept = pl.read_parquet(line["file"])
    content = b"".join(path.read_bytes() for path in run.audit.glob("reconciled/*"))

    assert (line["other_value"], line["as_expected"], line["held"]) == (1, 3, "the export")
    assert kept.select("kind", "name", "plan", "row").rows() == [("other value", "tier", 0, 0)]
    assert (b"canary" in content) == (pii == "full")
    assert kept["id"][0] == audit.messages["person_key"][0]
    assert (kept["id"][0] is None) == (pii == "ids")
    assert audit.verify().is_empty()


def test_a_changed_reconciliation_is_found(workspace, tmp_path):
    """Either of its files, and one that is gone."""
    run = sent(pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id"), workspace, tmp_path)
    for _ in range(3):
        run.reconcile(progress=False)
    audit = cio.audit(tmp_path)
    summaries, data = (sorted(run.audit.glob(f"reconciled/*.{end}")) for end in ("json", "parquet"))
    summaries[0].write_text(
        summaries[0].read_text().replace('"as_expected": 1', '"as_expected": 2')
    )
    data[1].write_bytes(b"PAR1")
    data[2].unlink()

    assert audit.verify()["file"].to_list() == [
        f"reconciled/{path.name}" for path in (summaries[0], data[1], data[2])
    ]
    with pytest.raises(AuditError, match="changed after it was written"):
        _ = audit.reconciliations


def test_a_report_is_drawn_as_text_and_html(workspace, tmp_path):
    """With the counts, the differences, who they are about, and the row."""
    table = pl.DataFrame({"id": ["u1", "u2"], "tier": ["pro", "<b>"]})
    run = sent(table.cio.identify(user_id="id"), workspace, tmp_path)
    good = run.reconcile(progress=False)
    bad = run.reconcile(pl.DataFrame({"id": ["u2"], "tier": ["x"]}), progress=False)
    shown = bad._repr_mimebundle_()

    assert "✓ as expected" in repr(good)
    assert "holds 2 of 2 people and 4 of 4 attributes as expected" in " ".join(repr(good).split())
    assert "✕ 2 differences" in shown["text/plain"]
    assert "&lt;b&gt;" in shown["text/html"]
    assert "<b>" not in shown["text/html"]
