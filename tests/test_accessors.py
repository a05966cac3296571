"""`.cio` on every frame: there without loading anything, and each verb with the same arguments."""

import inspect
import subprocess
import sys
import warnings

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import cio_frames as cio
from benchmarks.measure import sink
from cio_frames.accessors import Frame
from cio_frames.errors import ArgumentError
from cio_frames.frames import read
from cio_frames.registration import register
from cio_frames.spec import CALLS

VERBS = [name for name in CALLS if name != "form_action"]
SHARED = [
    "timestamp", "context", "integrations", "message_id", "key", "nulls", "dots", "timezone", "hash",
    "checks", "namespace",
]  # fmt: skip
MOST_MODULES = 180
LATER = {
    "cio_frames.audit.row_states", "cio_frames.cli", "cio_frames.identity.model", "cio_frames.plan.estimate",
    "cio_frames.plan.identity_preview", "cio_frames.plan.rehearsal", "cio_frames.sandbox.sandbox",
}  # fmt: skip
"""Modules that are loaded when something is sent, previewed or rehearsed."""
OWN = {
    "identify": ["user_id", "anonymous_id", "traits"],
    "track": ["event", "user_id", "anonymous_id", "group_id", "properties"],
    "page": ["name", "user_id", "anonymous_id", "properties"],
    "screen": ["name", "user_id", "anonymous_id", "properties"],
    "group": ["group_id", "user_id", "anonymous_id", "object_type_id", "traits", "relationship"],
    "alias": ["previous_id", "user_id"],
    "form": ["form_id", "email", "id", "fields", "mapping"],
}


def run(code: str) -> str:
    """Run code in a fresh interpreter, with warnings as errors, and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_are_keyword_only(verb):
    """Each verb takes its own arguments, then those that all share, all of them by name."""
    parameters = dict(inspect.signature(getattr(Frame, verb)).parameters)
    parameters.pop("self")
    shared = ["timezone", "hash", "checks", "namespace"] if verb == "form" else SHARED

    shared = [name for name in shared if name not in ("hash", "dots") or verb != "alias"]

    assert list(parameters) == [*OWN[verb], *shared]
    assert {each.kind for each in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_are_documented(verb):
    """Each verb says what it does, what each argument is, what it raises, and shows an example."""
    doc = inspect.getdoc(getattr(Frame, verb)) or ""
    names = [name for name in inspect.signature(getattr(Frame, verb)).parameters if name != "self"]

    assert doc.startswith("Plan to ")
    assert all(f"\n    {name}: " in doc for name in names)
    assert "Raises:\n    MappingError" in doc
    assert ">>> " in doc


def test_verbs_are_those_of_the_calls():
    """There is a verb for each call and no other."""
    verbs = [name for name in vars(Frame) if not name.startswith("_")]

    assert sorted(verbs) == sorted(VERBS)
    assert sorted(OWN) == sorted(VERBS)


def test_every_frame_has_the_accessor(frame_of):
    """The accessor and `cio.frame` are the same verbs for every library that has accessors."""
    frame = frame_of({"id": ["u1"], "plan": ["pro"]})
    wanted = [{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}}]

    plans = [cio.frame(frame)] + ([frame.cio] if hasattr(frame, "cio") else [])

    for verbs in plans:
        (message,) = verbs.identify(user_id="id").payloads()
        assert message.pop("messageId")
        assert [message] == wanted
    assert len(plans) == (1 if type(frame).__module__.startswith("pyarrow") else 2)


def test_frame_takes_a_table_that_was_read():
    """A table that was read once can be passed again."""
    table = read(pl.DataFrame({"id": ["u"]}))

    assert cio.frame(table).identify(user_id="id").pipeline.table is table


def test_plans_come_back_in_the_users_library(frame_of):
    """Findings and rejected rows of pandas frames are pandas frames, else polars frames."""
    plan = cio.frame(frame_of({"id": ["u1", None], "n": [1, 2]})).identify(user_id="id")

    kind = pd.DataFrame if plan.pipeline.table.library == "pandas" else pl.DataFrame
    assert isinstance(plan.findings, kind)
    assert isinstance(plan.rejected, kind)
    assert list(plan.rejected["reasons"]) == ["id.missing"]


def test_the_accessor_says_what_it_can_do():
    """Shown alone, the accessor lists its verbs."""
    assert all(verb in repr(pl.DataFrame({"a": [1]}).cio) for verb in VERBS)


def test_registering_twice_is_silent():
    """Registering again warns of nothing and changes nothing."""
    before = pd.DataFrame.cio, pl.DataFrame.cio, pl.LazyFrame.cio

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register()

    assert (pd.DataFrame.cio, pl.DataFrame.cio, pl.LazyFrame.cio) == before


LOADED = """
import sys, polars
before = set(sys.modules)
import cio_frames
{}
print(*sorted(set(sys.modules) - before))
"""


def loaded(code=""):
    """Return the modules of this package and the other libraries that an import and code load."""
    names = run(LOADED.format(code)).split()
    others = {name.partition(".")[0] for name in names} - {"cio_frames", *sys.stdlib_module_names}
    return [name for name in names if name.startswith("cio_frames")], others


def test_importing_loads_nothing_that_is_not_used():
    """A fresh import loads what registers the accessors, and the errors."""
    assert loaded() == (["cio_frames", "cio_frames.errors", "cio_frames.registration"], set())


def test_a_plan_loads_nothing_that_it_does_not_use():
    """A first plan loads two small libraries beside polars, and what makes and checks a plan."""
    own, others = loaded("polars.DataFrame({'id': ['u1']}).cio.identify(user_id='id')")

    assert others - {"typing_extensions"} == {"msgspec", "platformdirs"}  # msgspec takes it along
    assert len(own) <= MOST_MODULES, own
    assert set(own) & LATER == set()


FIRST_SEND = """
frame = polars.DataFrame({{'id': ['u1', 'u2'], 'email': ['ada@example.com', 'bob@example.com']}})
client = cio_frames.connect(endpoint={url!r}, write_key='k')
assert frame.cio.identify(user_id='id').send(client, audit={audit!r}, progress=False).counts['delivered'] == 2
"""
NOT_SENT_WITH = {
    "cyclopts", "jinja2", "pandas", "phonenumbers", "rustworkx", "starlette", "uvicorn",
}  # fmt: skip


def test_a_first_send_loads_nothing_that_it_does_not_use(tmp_path):
    """A first send loads no server, no command line, no graphs and no model of identities."""
    with sink() as url:
        own, others = loaded(FIRST_SEND.format(url=url, audit=str(tmp_path)))

    assert others & NOT_SENT_WITH == set()
    assert len(own) <= MOST_MODULES, own
    assert set(own) & (LATER - {"cio_frames.audit.row_states"}) == set()


MOST_DATACLASSES = 140

COUNTED = """
import dataclasses
made = []
process = dataclasses._process_class
def counted(kind, *a, **k):
    made.extend([kind] * kind.__module__.startswith("cio_frames."))
    return process(kind, *a, **k)
dataclasses._process_class = counted
import polars, cio_frames
{}
print(len(made))
"""


def test_a_first_send_makes_few_dataclasses(tmp_path):
    """To make one takes half a millisecond: what views and answers are made of is none."""
    with sink() as url:
        made = int(run(COUNTED.format(FIRST_SEND.format(url=url, audit=str(tmp_path)))))

    assert 50 < made <= MOST_DATACLASSES


def test_a_command_loads_no_other():
    """The command line loads no other command and no server to send."""
    own, others = loaded("from cio_frames.cli import main; main(['send'])")

    assert "cio_frames.cli.send" in own
    others_of = {f"cio_frames.cli.{name}" for name in ("audit", "check", "demo", "sandbox")}
    assert set(own) & others_of == set()
    assert others & (NOT_SENT_WITH - {"cyclopts"}) == set()


@pytest.mark.parametrize("name", ["audit", "samples", "sandbox"])
def test_a_function_is_not_replaced_by_the_room_of_its_name(name):
    """Whichever is loaded first, the package's name stays the function's."""
    room = f"import cio_frames as cio, cio_frames.{name}\n"
    call = f"print(callable(cio.{name}), '{name}' in dir(cio))"

    assert (
        run(room + call)
        == run(f"import cio_frames as cio; cio.{name}\n{room}{call}")
        == "True True"
    )


AFTER = "print(pd.DataFrame({'id': ['u']}).cio.identify(user_id='id').counts['valid'])"
FINDERS = "print(sum(getattr(f, 'name', '') == 'pandas' for f in sys.meta_path))"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import sys, pandas as pd, cio_frames", id="pandas-first"),
        pytest.param("import sys, cio_frames, pandas as pd", id="pandas-later"),
        pytest.param(
            "import sys, cio_frames, importlib.util as u; u.find_spec('pandas'); import pandas as pd",
            id="looked-for-first",
        ),
        pytest.param("import sys, cio_frames, pandas.api, pandas as pd", id="a-part-of-it"),
        pytest.param(
            "import sys, importlib, cio_frames; importlib.reload(cio_frames); import pandas as pd",
            id="reloaded-before",
        ),
        pytest.param(
            "import sys, importlib, cio_frames, pandas as pd; importlib.reload(cio_frames)",
            id="reloaded-after",
        ),
    ],
)
def test_pandas_gets_the_accessor_whenever_it_comes(code):
    """In whatever order the two are imported, `.cio` is there and no import hook stays behind."""
    assert run(f"{code}; {AFTER}; {FINDERS}").split() == ["1", "0"]


def test_frames_of_spark_get_the_accessor_once_pyspark_is_loaded():
    """`.cio` is on Spark's frames in whatever order the two are imported, and pyspark is not loaded for it."""
    pytest.importorskip("pyspark")
    has_it = "print('cio' in dir(pyspark.sql.DataFrame))"

    assert run("import cio_frames, sys; print('pyspark' in sys.modules)") == "False"
    assert run(f"import cio_frames, pyspark.sql; {has_it}") == "True"
    assert run(f"import pyspark.sql, cio_frames; {has_it}") == "True"


def test_an_order_is_for_spark_frames():
    """Rows of other tables have an order, so `order_by` is refused for them."""
    verbs = cio.frame(pl.DataFrame({"id": ["u1"]}), order_by="id")

    with pytest.raises(ArgumentError, match="Sort the table first"):
        verbs.identify(user_id="id")


def test_pandas_keeps_its_own_loader():
    """After its import pandas looks to the import system as if nothing had been done."""
    code = "import cio_frames, pandas; print(type(pandas.__loader__).__module__, pandas.__spec__.loader is pandas.__loader__)"

    assert run(code).endswith("True")
    assert "cio_frames" not in run(code)


def test_a_missing_pandas_is_no_matter():
    """Where pandas cannot be found, importing it fails as it always does."""
    code = (
        "import sys, cio_frames\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'After' in type(f).__name__]\n"
        "try:\n    import pandas\nexcept ModuleNotFoundError as error:\n    print(error.name)"
    )

    assert run(code) == "pandas"


def test_constants_are_for_every_row():
    """`cio.lit` is one value for all rows, of its own type."""
    frame = pl.DataFrame({"id": ["u", "v"]})

    plan = frame.cio.track(user_id="id", event=cio.lit("E"), properties={"n": cio.lit(5)})

    assert [(row["event"], row["properties"]) for row in plan.payloads()] == [("E", {"n": 5})] * 2


def test_expressions_are_taken_as_they_are():
    """A polars expression feeds a field on pandas frames too."""
    frame = pd.DataFrame({"first": ["a"], "last": ["b"]})

    (message,) = frame.cio.identify(
        user_id=pl.format("{}.{}", "first", "last"), traits=[]
    ).payloads()

    assert message["userId"] == "a.b"


def test_context_and_integrations_are_sent_from_one_column_each():
    """Structs, and the dicts of pandas, are the context; an empty cell is none."""
    rows = {
        "id": ["u1", "u2"],
        "ctx": [{"ip": "192.0.2.7", "page": {"url": "https://example.com/"}}, None],
        "to": [{"All": True, "Slack": False}, None],
    }
    kept = []
    for frame in (pl.DataFrame(rows), pd.DataFrame(rows), pa.table(rows)):
        plan = cio.frame(frame).identify(user_id="id", context="ctx", integrations="to")
        kept.append([
            {name: value for name, value in message.items() if name != "messageId"}
            for message in plan.payloads()
        ])  # fmt: skip

    assert kept[0] == [
        {
            "type": "identify",
            "userId": "u1",
            "context": rows["ctx"][0],
            "integrations": rows["to"][0],
        },
        {"type": "identify", "userId": "u2"},
    ]
    assert kept[1:] == [kept[0], kept[0]]


def test_words_of_the_context_are_checked_inside_structs():
    """A channel that Customer.io does not know is reported, wherever in the structs it is."""
    frame = pl.DataFrame({"id": ["u1"], "ctx": [{"channel": "Server"}]})

    plan = frame.cio.identify(user_id="id", context="ctx")

    assert [(row["code"], row["column"]) for row in plan.findings.to_dicts()] == [
        ("field.word", "context.channel")
    ]


def test_dots_in_names_nest_and_are_reported_unless_they_are_kept():
    """A nested column is named in one finding; a kept dot is a part of the name, and no finding."""
    frame = pl.DataFrame({"id": ["u1"], "address.city": ["Oslo"], "address.zip": ["0150"]})

    nested = frame.cio.identify(user_id="id")
    kept = frame.cio.identify(user_id="id", dots="keep")
    one = frame.cio.identify(user_id="id", dots={"address.zip": "keep"})

    assert [plan.payloads()[0]["traits"] for plan in (nested, kept, one)] == [
        {"address": {"city": "Oslo", "zip": "0150"}},
        {"address.city": "Oslo", "address.zip": "0150"},
        {"address": {"city": "Oslo"}, "address.zip": "0150"},
    ]
    nested_findings = nested.findings.filter(pl.col("code") == "column.nested")
    assert nested_findings.select("row", "value").rows() == [(None, "address.city, address.zip")]
    assert "column.nested" not in kept.findings["code"]
    assert one.findings.filter(pl.col("code") == "column.nested")["value"].to_list() == [
        "address.city"
    ]
