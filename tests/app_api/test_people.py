"""The people of a workspace as a frame, and what `known=` makes of it."""

import asyncio
import logging
import os
import stat
import tempfile
import threading

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import cio_frames as cio
from cio_frames.errors import (
    AccessRefusedError,
    ArgumentError,
    ChoiceError,
    ExportError,
    MissingKeyError,
    PlanChangedError,
    WorkspaceReadError,
)
from cio_frames.identity.known_people import normalize_export as as_known
from cio_frames.workspaces.people import REQUESTED
from tests.app_api.conftest import CSV, client_of, export, file, host, response, zipped

PEOPLE = pl.DataFrame(
    {
        "id": ["u1", "u2", None, "007"],
        "email": ["ada@example.com", None, "bo@example.com", "Eve@example.com"],
        "attributes": [
            '{"unsubscribed": true, "note": "a \\"b\\",\\nc", "city": "Zoë ✓"}',
            '{"created_at": 1489014595, "score": 12.5, "address": {"city": "Oslo"}}',
            '{"cio_subscription_preferences": {"topics": {"topic_1": false}}}',
            '{"note": " x "}',
        ],
        "anonymous_ids": [["v1", "v2"], [], [], ["v3"]],
    }
)


@pytest.fixture(scope="module")
def served():
    """A workspace for a module's tests."""
    with cio.sandbox(app_rate=None) as workspace:
        yield workspace


@pytest.fixture
def workspace(served):
    """The same, with people in it."""
    served.reset()
    served.load(PEOPLE)
    return served


def test_people_are_read_as_they_are(workspace):
    """Identifiers and values come through quotes, lines and other scripts; what nobody has is empty."""
    found = workspace.client().people(
        attributes=["note", "city", "score", "address", "id", "nothing"], progress=False
    )

    assert found.columns == [*REQUESTED, "note", "city", "score", "address", "nothing"]
    assert set(found.dtypes) == {pl.String}
    assert found.select("id", "email", "note", "city", "score", "address", "nothing").rows() == [
        ("u1", "ada@example.com", 'a "b",\nc', "Zoë ✓", None, None, None),
        ("u2", None, None, None, "12.5", '{"city":"Oslo"}', None),
        (None, "bo@example.com", None, None, None, None, None),
        ("007", "Eve@example.com", " x ", None, None, None, None),
    ]
    assert found["unsubscribed"].to_list() == ["true", None, None, None]
    assert found["created_at"].to_list() == [None, "1489014595", None, None]
    assert found["anonymous_id"].to_list() == ["v1", None, None, "v3"]
    assert found["cio_id"].n_unique() == 4


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        pytest.param({"attribute": {"field": "note", "operator": "exists"}}, ["u1", "007"], id="exists"),
        pytest.param(
            {"not": {"attribute": {"field": "note", "operator": "exists"}}}, ["u2", None], id="not"
        ),
        pytest.param({"attribute": {"field": "score", "operator": "eq", "value": 12.5}}, ["u2"], id="eq"),
    ],
)  # fmt: skip
def test_people_are_filtered(workspace, condition, ids):
    """A filter is passed to the API unchanged."""
    found = workspace.client().people(filter=condition, progress=False)

    assert found["id"].to_list() == ids


def test_an_export_is_taken_up_again(workspace):
    """Its id is in the list of exports; nothing new is started; people are those of its start."""
    client = workspace.client()
    first = client.people(progress=False)
    listed = client.exports()
    workspace_people = pl.DataFrame({"id": ["new"]})
    workspace_people.cio.identify(user_id="id").send(
        client, audit=tempfile.mkdtemp(), progress=False
    )
    again = client.people(export=listed["export"][0], progress=False)

    assert listed.select("type", "status", "failed", "total").rows() == [
        ("customers", "done", False, 4)
    ]
    assert_frame_equal(first, again)
    assert client.exports().height == 1
    assert client.people(progress=False).height == 5


def test_an_empty_workspace_has_no_people(served):
    """The frame has its columns all the same."""
    served.reset()
    found = served.client().people(progress=False)

    assert (found.height, tuple(found.columns)) == (0, REQUESTED)


def test_an_export_that_takes_time_is_waited_for():
    """Progress shows the reason of a wait, and the number of people."""
    states = []
    with cio.sandbox(export_s=0.6) as slow:
        slow.load(PEOPLE)
        found = slow.client().people(progress=states.append)

    assert found.height == 4
    assert {state.phase for state in states} == {"reading"}
    assert any("prepares export 1" in state.waiting for state in states)
    assert "(export 1)" in states[-1].label


@pytest.mark.parametrize("needs_key", [False, True])
def test_links_with_and_without_the_key_work(needs_key):
    """Whether a link needs the key is not documented: both ways are read."""
    with cio.sandbox(link_needs_key=needs_key) as other:
        other.load(PEOPLE)
        assert other.client().people(progress=False).height == 4


def test_a_client_with_an_app_key_alone_reads_and_does_not_send(workspace, tmp_path):
    """The key that is missing is named before anything is sent."""
    client = cio.connect(endpoint=workspace.url, app_api_key=workspace.app_api_key, environ={})
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    assert client.people(progress=False).height == 4
    with pytest.raises(MissingKeyError, match="write_key"):
        plan.send(client, audit=tmp_path, progress=False)


@pytest.mark.parametrize("ask", ["people", "exports", "attributes", "activities"])
def test_reading_needs_the_app_key(workspace, ask):
    """Every way to read names the key that is missing, and the variable."""
    client = cio.connect(endpoint=workspace.url, write_key="k", environ={})
    given = [["u1"]] if ask == "attributes" else []
    with pytest.raises(MissingKeyError, match=r"app_api_key.*CIO_APP_API_KEY"):
        getattr(client, ask)(*given)


def test_a_wrong_key_is_refused(workspace):
    """The error is of its own kind."""
    client = cio.connect(endpoint=workspace.url, app_api_key="wrong", environ={})
    with pytest.raises(AccessRefusedError):
        client.people(progress=False)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("<html><body>Sign in</body></html>", "none of the columns id, email, cio_id", id="html"),
        pytest.param("a,b\n1,2\n", "none of the columns id, email, cio_id, but a, b", id="columns"),
        pytest.param("id,email\nu1,a@example.com\n", "it has 1 people of 2", id="short"),
        pytest.param("id,email\nu1,a,b,c\nu2,b\n", "no CSV file as expected", id="ragged"),
        pytest.param("id,email\nu1,\xff\n".encode("latin-1"), "no CSV file as expected", id="encoding"),
        pytest.param(zipped(CSV, CSV), "ZIP archive", id="two-files"),
        pytest.param(zipped(CSV)[:-30], "ZIP archive", id="cut-archive"),
        pytest.param("", "no CSV file as expected", id="empty"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_an_error(content, words):
    """The error has the id of the export, what is wrong and what to do, and no value of the file."""
    app = host(seven=export(total=2), csv=file(content))
    with pytest.raises(ExportError, match=r"export=7\)") as caught:
        client_of(app).people(progress=False)

    assert words in str(caught.value)
    assert "u1" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CSV, id="plain"),
        pytest.param(zipped(CSV), id="zip"),
        pytest.param("\ufeff" + CSV, id="byte-order-mark"),
        pytest.param(CSV.replace("\n", "\r\n"), id="other-line-ends"),
        pytest.param('"id","email","cio_id"\n"u1","ada@example.com","c1"\n"u2","","c2"\n', id="quoted"),
        pytest.param(" id,email ,cio_id\nu1,ada@example.com,c1\nu2,,c2\n", id="blanks-in-names"),
        pytest.param(CSV.replace("cio_id", "cio_id,id").replace("c1", "c1,u1").replace("c2", "c2,u2"), id="twice"),
    ],
)  # fmt: skip
def test_the_form_of_the_file_is_not_relied_on(content):
    """What is not documented may be one way or another: the people are the same."""
    found = client_of(host(seven=export(total=2), csv=file(content))).people(progress=False)

    assert found.select("id", "email", "cio_id").rows() == [
        ("u1", "ada@example.com", "c1"), ("u2", None, "c2"),
    ]  # fmt: skip
    assert tuple(found.columns) == REQUESTED


def test_columns_that_nobody_asked_for_are_kept():
    """They stand behind the others, in their order."""
    content = "plan,id,email,cio_id,city\npro,u1,,c1,Oslo\n"
    found = client_of(host(csv=file(content))).people(attributes=["rank"], progress=False)

    assert found.columns == [*REQUESTED, "rank", "plan", "city"]
    assert found.row(0, named=True)["city"] == "Oslo"


def test_the_file_is_private_and_gone_afterwards(monkeypatch, tmp_path):
    """Only the owner can read the directory, and nothing is left of it, also after an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    modes = []

    def look(_request):
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("cio-export-*"))
        return file("a,b\n1,2\n")

    with pytest.raises(ExportError):
        client_of(host(csv=look)).people(progress=False)

    if os.name == "posix":
        assert modes == [0o700]
    assert list(tmp_path.glob("cio-export-*")) == []


def test_an_interrupt_shows_how_to_resume_the_export(monkeypatch):
    """The export continues at Customer.io; the note has its id, and no thread is left."""
    app = host(seven=export("pending"))
    client = client_of(app)

    def interrupt(state):
        if "(export 7)" in state.label:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        client.people(progress=interrupt)

    assert "client.people(export=7)" in "".join(caught.value.__notes__)
    assert [each.name for each in threading.enumerate() if each.name == "cio_frames"] == []


def test_logs_name_neither_people_nor_links(workspace, caplog):
    """With everything logged, no address of a request is: it can name a person, or be a signed link."""
    client = workspace.client()
    with caplog.at_level(logging.DEBUG):
        client.people(progress=False)
        client.activities("ada@example.com", id_type="email")

    logged = "\n".join(
        each.getMessage() for each in caplog.records if not each.name.startswith("uvicorn")
    )  # the server's own log is another matter
    assert "httpcore" in caplog.text
    assert "ada" not in logged
    assert "/exports/" not in logged


def test_people_are_read_inside_an_event_loop(workspace):
    """A notebook has a loop of its own."""

    async def cell():
        return workspace.client().people(progress=False)

    assert asyncio.run(cell()).height == 4


class TestKnown:
    """`known=client` is the same as passing what the client reads."""

    rows = pl.DataFrame(
        {
            "id": ["u1", "u2", "u9", "7"],
            "email": ["ada@example.com", "two@example.com", "bo@example.com", "new@example.com"],
            "unsubscribed": [False, None, None, None],
        }
    )

    def plan(self):
        """Return a plan."""
        return self.rows.cio.identify(user_id="id")

    def test_previews_are_equal(self, workspace):
        """Creates, updates, conflicts and opt-outs are those of the frame."""
        client = workspace.client()
        read, given = (
            self.plan().identity(known=known) for known in (client, client.people(progress=False))
        )

        assert read.summary == given.summary
        assert read.summary["opt_outs_ended"] == 1
        assert (read.summary["updates"], read.summary["creates"]) == (3, 1)
        assert read.conflicts["kind"].to_list() == ["identifier.other-form"]
        for name in ("people", "merges", "conflicts", "changes"):
            assert_frame_equal(getattr(read, name), getattr(given, name))

    def test_people_are_read_once_for_a_plan_and_a_client(self, workspace):
        """Preview, estimate and rehearsal share them; another plan and another client read again."""
        client, plan = workspace.client(), self.plan()
        plan.identity(known=client)
        estimate = plan.estimate(known=client)
        rehearsal = plan.rehearse(known=client, progress=False)
        assert client.exports().height == 1

        plan.identity(known=workspace.client())
        self.plan().identity(known=client)

        assert client.exports().height == 3
        assert (estimate.new_profiles, estimate.compared) == (1, True)
        assert rehearsal.as_predicted

    def test_backfills_read_too(self, workspace):
        """Advice, previews and the advised order take a client."""
        client = workspace.client()
        events = pl.DataFrame({"id": ["u1"]}).cio.track(event=cio.lit("Joined"), user_id="id")
        backfill = cio.backfill([events, self.plan()])
        backfill.advice(known=client)

        assert backfill.identity(known=client).summary["updates"] >= 1
        assert client.exports().height == 1
        assert len(cio.backfill([events, self.plan()], order="advised", known=client).plans) == 2

    def test_pandas_plans_take_a_client(self, workspace):
        """The preview comes in pandas; what the client reads is polars, as nothing of pandas went in."""
        pandas = pytest.importorskip("pandas")
        plan = self.rows.to_pandas().cio.identify(user_id="id")

        assert isinstance(plan.identity(known=workspace.client()).people, pandas.DataFrame)

    def test_a_saved_plan_is_compared_with_the_present_workspace(self, workspace, tmp_path):
        """It is applied while the same people exist, and is an error when others do."""
        client, plan, path = workspace.client(), self.plan(), tmp_path / "people.cioplan"
        plan.save(path, known=client)
        options = {"known": client, "audit": tmp_path / "audit", "progress": False}
        pl.DataFrame({"id": ["7"]}).cio.identify(user_id="id").send(
            client, audit=tmp_path / "audit", progress=False
        )
        for table in (plan, self.rows):
            with pytest.raises(PlanChangedError, match="creates"):
                cio.apply(path, table, client, **options)

        workspace.reset()
        workspace.load(PEOPLE)
        assert cio.apply(path, plan, client, **options).counts["delivered"] == 4

    def test_what_cannot_be_read_raises(self, workspace):
        """Nothing is previewed as if there were no people."""
        client = cio.connect(endpoint=workspace.url, app_api_key="wrong", environ={})
        for ask in ("identity", "estimate", "rehearse"):
            with pytest.raises(AccessRefusedError):
                getattr(self.plan(), ask)(known=client, progress=False)


IDS = st.text("aé,\"'\n 01", min_size=1, max_size=6).filter(lambda text: text == text.strip())
ROWS = st.lists(
    st.fixed_dictionaries({"id": IDS, "note": st.none() | st.text(max_size=5)}),
    min_size=1, max_size=6, unique_by=lambda row: row["id"],
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(rows=ROWS)
def test_any_people_come_through(served, rows):
    """Whatever identifiers and values are made of, what is loaded is what is read."""
    served.reset()
    for row in rows:  # an empty text cannot be told from none in a file of texts
        row["note"] = row["note"] or None
    served.load([{"id": row["id"], "attributes": {"note": row["note"]}} for row in rows])
    found = served.client().people(attributes=["note"], progress=False)

    assert found.select("id", "note").to_dicts() == rows
    assert as_known(found)["id"].to_list() == [row["id"] for row in rows]


def test_attributes_are_read_by_the_hundred(served):
    """Two hundred and one people take three requests; who is not there has no row."""
    served.reset()
    served.load([{"id": f"u{n}", "email": f"u{n}@example.com"} for n in range(201)])
    client = served.client()
    before = served.counts["requests"]
    found = client.attributes([f"u{n}" for n in range(202)][::-1])

    assert served.counts["requests"] - before == 3
    assert found["id"].to_list() == [f"u{n}" for n in range(201)][::-1]
    assert client.attributes(["U3@example.com"], id_type="email")["id"].to_list() == ["u3"]
    cio_id = found["cio_id"][0]
    assert client.attributes([cio_id], id_type="cio_id")["cio_id"].to_list() == [cio_id]
    assert client.attributes([]).height == 0


def test_attributes_have_values_and_times(served, tmp_path):
    """Values are texts, and each has the time at which it was set."""
    served.reset()
    client = served.client()
    people = pl.DataFrame(
        {"id": ["u1"], "plan": ["pro"], "unsubscribed": [True], "at": ["2026-01-02T03:04:05Z"]}
    )
    people.cio.identify(user_id="id", timestamp="at").send(client, audit=tmp_path, progress=False)
    (row,) = client.attributes(["u1"]).to_dicts()

    assert row["unsubscribed"] is True
    assert '"plan":"pro"' in row["attributes"]
    assert '"plan":1767323045' in row["timestamps"]


def test_activities_are_read_page_by_page(served, tmp_path):
    """The latest come first; names, types and a number of them can be selected."""
    served.reset()
    client = served.client()
    events = pl.select(n=pl.int_range(250)).select(
        id=pl.when(pl.col("n") < 230).then(pl.lit("u1")).otherwise(pl.lit("u2")),
        event=pl.format("Event {}", pl.col("n") % 2), n="n",
    )  # fmt: skip
    events.cio.track(user_id="id", event="event").send(client, audit=tmp_path, progress=False)

    assert client.activities("u1").height == 230
    assert client.activities().height == 250
    assert client.activities("u2", name="Event 0").height == 10
    assert client.activities("u1", type="page").is_empty()
    few = client.activities("u1", most=7)
    assert few.height == 7
    assert few["data"].to_list() == client.activities("u1")["data"].head(7).to_list()
    assert few.row(0, named=True)["type"] == "event"


def test_wrong_calls_are_errors(served):
    """A single text, and a kind of identifier that there is not."""
    client = served.client()
    with pytest.raises(ArgumentError, match="several identifiers"):
        client.attributes("u1")
    for ask in (
        lambda: client.attributes(["u1"], id_type="phone"),
        lambda: client.activities("u1", id_type="x"),
    ):
        with pytest.raises(ChoiceError, match="id_type"):
            ask()
    with pytest.raises(WorkspaceReadError, match="nobody in the workspace has this id") as caught:
        client.activities("nobody")
    assert caught.value.status == 404


def test_an_answer_of_another_form_is_an_error():
    """The names in it are shown, and no value."""
    app = host()
    app.answers = {
        "/attributes": [response(200, people=["ada@example.com"])],
        "/exports": [response(200, exports={})],
    }
    client = client_of(app)
    for ask in (lambda: client.attributes(["u1"]), client.exports):
        with pytest.raises(WorkspaceReadError, match="not of the documented form") as caught:
            ask()
        assert "ada" not in str(caught.value)


def test_a_form_submission_is_an_activity(tmp_path):
    """Who has submitted a form has it among their activities, as an event."""
    submitted = pl.DataFrame({"email": ["a@example.com"]})
    plan = submitted.cio.form(form_id=cio.lit("f"), email="email")
    with cio.sandbox() as workspace:
        plan.send(workspace.client(), audit=tmp_path, progress=False)
        found = workspace.client().activities("a@example.com", id_type="email")

    assert found["type"].to_list() == ["event"]
