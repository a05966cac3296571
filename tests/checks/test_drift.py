"""A table beside those of earlier runs: real changes are reported, and mere variation is not."""

import random
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cio_frames as cio
from cio_frames.checks import (
    CATALOGUE,
    Drift,
    Profiler,
    RunsTest,
    TableProfile,
    profile_file,
)
from cio_frames.checks import profile as profile_module
from cio_frames.checks.comparison import Comparison, EarlierTable, tables_of_same_import
from cio_frames.checks.differences import DIFFERENCES
from cio_frames.errors import MappingError
from cio_frames.frames import ROW

NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
CODES = {check.code for check in CATALOGUE if isinstance(check.test, RunsTest)}
CITIES = [f"City {number}" for number in range(300)]
WORDS = [
    "a",
    "parcel",
    "that",
    "was",
    "late",
    "came",
    "back",
    "broken",
    "and",
    "nobody",
    "answered",
    "the",
    "phone",
    "at",
    "all",
]
Change = Callable[[pl.DataFrame], pl.DataFrame]


def people(rows: int = 500, *, seed: int = 1, at: datetime = NOW) -> pl.DataFrame:
    """Return the people of a night: an id, an address, and traits of every kind."""
    dice = random.Random(f"{seed} {rows}")
    return pl.DataFrame(
        {
            "id": [f"{dice.getrandbits(128):032x}" for _ in range(rows)],
            "email": [f"{dice.getrandbits(40):010x}@example.com" for _ in range(rows)],
            "plan": dice.choices(["free", "pro", "team"], [8, 3, 1], k=rows),
            "city": dice.choices(CITIES, [1 / (place + 1) for place in range(len(CITIES))], k=rows),
            "phone": [None if dice.random() < 0.05 else f"+49{dice.getrandbits(33)}" for _ in range(rows)],
            "spent": [round(dice.lognormvariate(3, 1), 2) for _ in range(rows)],
            "note": [" ".join(dice.choices(WORDS, k=dice.randint(4, 20))) for _ in range(rows)],
            "born": [NOW - timedelta(days=dice.randint(6_500, 30_000)) for _ in range(rows)],
            "joined": [at - timedelta(hours=dice.randint(1, 23)) for _ in range(rows)],
        },
        schema_overrides={"phone": pl.String},
    )  # fmt: skip


def events(rows: int = 500, *, seed: int = 1, ago: int = 0) -> pl.DataFrame:
    """Return the events of a day so many days ago, with two kinds of ids."""
    dice = random.Random(f"{seed} {rows} {ago}")
    return pl.DataFrame(
        {
            "user": [f"{dice.randint(0, 99_999):05d}" for _ in range(rows)],
            "when": [
                NOW - timedelta(days=ago, minutes=dice.randint(1, 1_440)) for _ in range(rows)
            ],
            "total": [round(dice.lognormvariate(3, 1), 2) for _ in range(rows)],
        }
    )


def profiled(
    frame: pl.DataFrame,
    call: str = "identify",
    *,
    table: str = "",
    namespace: str = "",
    **asked: Any,
) -> TableProfile:
    """Return the profile of a table that is read in one chunk."""
    asked = asked or {"user_id": "id"}
    pipeline = getattr(cio.frame(frame), call)(**asked).pipeline
    profiler = Profiler(pipeline.mapping, namespace=namespace, table=table)
    chunk = frame.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    profiler.add(profiler.part(pipeline.mapping.prepare(chunk)))
    return profiler.profile()


def tracked(frame: pl.DataFrame) -> TableProfile:
    """Return the profile of a table of events."""
    fields = {"event": cio.lit("Order"), "user_id": "user", "timestamp": "when"}
    return profiled(frame, "track", **fields)


def earlier(*profiles: TableProfile, days: int = 1) -> list[EarlierTable]:
    """Return the tables of earlier runs, the latest first, as many days apart."""
    return [
        EarlierTable(
            run_id=f"run-{n}", created=NOW - timedelta(days=days * n), workspaces={"p": "1"},
            profile=profile,
        )
        for n, profile in enumerate(profiles, 1)
    ]  # fmt: skip


def findings(
    now: TableProfile, before: Iterable[EarlierTable], *, limits: Drift | None = None
) -> dict[str, list[tuple[str | None, str]]]:
    """Return what is found, by code."""
    limits = limits or Drift()
    same = tables_of_same_import(now, before, most=limits.runs)
    if not same:
        return {}
    compared = Comparison(now=now, at=NOW, earlier=same, limits=limits)
    differences = {code: list(find(compared)) for code, find in DIFFERENCES.items()}
    return {code: each for code, each in differences.items() if each}


def set_to(**columns: pl.Expr) -> Change:
    """Return a change of some columns."""
    return lambda frame: frame.with_columns(**columns)


def where(share: float) -> pl.Expr:
    """Return an expression that is true in a share of the rows."""
    return pl.int_range(pl.len()) < pl.len() * share


ID = pl.col("id")
UUID = pl.concat_str(
    [ID.str.slice(start, size) for start, size in ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))], separator="-"
)  # fmt: skip
NUMBER = pl.int_range(100_000, 100_000 + pl.len())
SOME_ZEROS = pl.when(where(0.05)).then(pl.format("0{}", NUMBER)).otherwise(pl.format("9{}", NUMBER))
NUMBERS = pl.format("9{}", NUMBER)
BEFORE: Change = set_to()

CASES: dict[str, list[tuple[Change, Change, Change]]] = {
    # before, what is found, and what is nearly the same and is not
    "drift.volume": [
        (BEFORE, lambda frame: frame.head(200), lambda frame: frame.head(300)),
        (BEFORE, lambda frame: frame.clear(), lambda frame: frame.head(251)),
        (BEFORE, lambda frame: pl.concat([frame] * 3), lambda frame: pl.concat([frame] * 2)),
    ],
    "drift.column-gone": [
        (BEFORE, lambda frame: frame.drop("plan"), lambda frame: frame.select(frame.columns[::-1])),
        (
            set_to(rare=pl.when(where(0.1)).then(1)), lambda frame: frame.drop("rare"),
            lambda frame: frame.drop("rare").head(60),
        ),
    ],
    "drift.column-new": [
        (BEFORE, set_to(score=pl.int_range(pl.len())), set_to(score=pl.lit(None, pl.Int64))),
    ],
    "drift.column-renamed": [
        (BEFORE, lambda frame: frame.rename({"email": "E-Mail"}), lambda frame: frame.drop("email")),
        (BEFORE, lambda frame: frame.rename({"city": "place"}), lambda frame: frame.drop("city")),
    ],
    "drift.type": [
        (BEFORE, set_to(spent=pl.col("spent").cast(pl.String)), set_to(spent=pl.col("spent").cast(pl.Int32))),
        (BEFORE, set_to(born=pl.col("born").dt.date()), set_to(born=pl.lit(None, pl.String))),
    ],
    "drift.empty": [
        (BEFORE, set_to(phone=pl.when(where(0.6)).then("phone")), set_to(phone=pl.when(where(0.95)).then("phone"))),
        (BEFORE, set_to(plan=pl.when(where(0.6)).then("plan").otherwise(pl.lit(""))), set_to(plan=pl.lit("-"))),
        (set_to(phone=pl.when(where(0.4)).then("phone")), set_to(phone=pl.lit("+4930")), set_to(phone=pl.when(where(0.45)).then("phone"))),
    ],
    "drift.distinct": [
        (BEFORE, set_to(city=pl.lit("Berlin")), set_to(city=pl.col("city").str.head(7))),
        (BEFORE, set_to(plan=pl.format("plan {}", NUMBER)), lambda frame: frame.head(300)),
    ],
    "drift.range": [
        (BEFORE, set_to(spent=pl.col("spent") * 100), set_to(spent=pl.col("spent") * 3)),
        (BEFORE, set_to(spent=pl.col("spent") / 1_000), set_to(spent=-pl.col("spent"))),
        (BEFORE, set_to(joined=pl.lit(datetime(1970, 1, 1, tzinfo=UTC))), set_to(joined=pl.col("joined") - timedelta(days=90))),
        (BEFORE, set_to(born=pl.lit(datetime(1, 1, 1, tzinfo=UTC))), set_to(born=pl.col("born") - timedelta(days=400))),
    ],
    "drift.length": [
        (BEFORE, set_to(note=pl.col("note").str.head(10)), set_to(note=pl.col("note").str.head(40))),
    ],
    "drift.id-form": [
        (set_to(id=UUID), set_to(id=NUMBERS), set_to(id=ID.reverse())),
        (set_to(id=UUID), set_to(id=ID.str.to_uppercase()), BEFORE),
        (set_to(id=NUMBERS), set_to(id=pl.when(where(0.3)).then("email").otherwise(NUMBERS)), set_to(id=pl.format("1{}", NUMBERS))),
        (set_to(id=SOME_ZEROS), set_to(id=NUMBERS), set_to(id=SOME_ZEROS.reverse())),
        (set_to(id=pl.format("cus_{}", NUMBER)), set_to(id=pl.format("usr_{}", NUMBER)), set_to(id=pl.format("cus_1{}", NUMBER))),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "case"),
    [
        pytest.param(code, case, id=f"{code}-{number}")
        for code, cases in CASES.items()
        for number, case in enumerate(cases)
    ],
)
def test_a_code_finds_what_changed_and_not_what_is_nearly_the_same(code, case):
    """Each code has a change that it finds, after one run and after several, and one beside it."""
    before, bad, good = case
    nights = earlier(*(profiled(before(people(seed=seed))) for seed in range(3)))
    tonight = before(people(seed=9))

    for known in (nights[:1], nights):
        assert code in findings(profiled(bad(tonight)), known)
        assert code not in findings(profiled(good(tonight)), known)


def test_every_code_is_in_the_table():
    """No code goes without a case; that of periods has a test of its own."""
    assert CODES - set(CASES) == {"drift.period"}
    assert set(DIFFERENCES) == CODES


def test_a_finding_names_the_earlier_run_and_both_figures():
    """So that a reader can look up what was sent then."""
    nights = earlier(*(profiled(people(rows)) for rows in (1_003, 980, 1_050)))

    differences = findings(profiled(people(100)), nights)

    assert differences["drift.volume"] == [
        (None, "It is 100 now. In run run-1 it was 1,003, and in the last 3 runs 980 to 1,050.")
    ]


def test_the_cases_find_nothing_else():
    """A change of one column is reported for that column alone."""
    before = earlier(profiled(people()))

    differences = findings(profiled(people(seed=2).with_columns(city=pl.lit("Berlin"))), before)

    assert {code: [column for column, _ in each] for code, each in differences.items()} == {
        "drift.distinct": ["city"]
    }


def test_tiny_tables_raise_no_alarm():
    """Shares, sizes and lengths of fewer than 30 rows are neither reported nor compared with."""
    few = people(20).with_columns(
        phone=pl.lit(None, pl.String), note=pl.lit("x"), spent=pl.lit(1e9)
    )

    assert not findings(profiled(few), earlier(profiled(people(25))))
    assert set(findings(profiled(few), earlier(profiled(people(500))))) == {"drift.volume"}
    assert not findings(profiled(people(5_000)), earlier(profiled(people(10))))


def test_a_back_fill_of_another_period_is_recognised():
    """Rows of last winter are not measured by those of last night; a broken column is found all the same."""
    nightly = earlier(*(tracked(events(seed=n, ago=n)) for n in range(1, 5)))
    winter = pl.concat([events(4_000, seed=8, ago=300), events(4_000, seed=9, ago=330)])

    differences = findings(tracked(winter), nightly)

    assert set(differences) == {"drift.period"}
    assert "2026-11 to 2026-11" in differences["drift.period"][0][1]
    as_text = winter.with_columns(total=pl.col("total").cast(pl.String))
    assert "drift.type" in findings(tracked(as_text), nightly)
    assert "drift.volume" in findings(tracked(events(4_000)), nightly)


def test_a_table_of_all_events_gets_longer():
    """A full export each month spans one month more each time, and is compared with the last one."""
    months = [
        tracked(pl.concat([events(200 + 5 * n, ago=30 * n), events(200, ago=400)])) for n in (1, 2)
    ]

    differences = findings(
        tracked(pl.concat([events(50), events(50, ago=400)])), earlier(*months, days=30)
    )

    assert set(differences) == {"drift.volume"}


@pytest.mark.parametrize("other", ["call", "namespace", "event", "columns", "workspace"])
def test_other_imports_are_not_compared(other):
    """Another call, namespace, event, workspace, or quite other columns make another import."""
    orders = events()
    fields = {"event": cio.lit("Order"), "user_id": "user", "timestamp": "when"}
    before = {
        "call": lambda: profiled(orders, "page", user_id="user", timestamp="when"),
        "namespace": lambda: profiled(orders, "track", **fields, namespace="b"),
        "event": lambda: profiled(orders, "track", **{**fields, "event": cio.lit("Refund")}),
        "columns": lambda: tracked(orders.select("user", "when", a="total", b="total", c="total", d="total")),
        "workspace": lambda: tracked(orders),
    }[other]()  # fmt: skip
    known = [*earlier(before)]
    if other == "workspace":
        known = [
            EarlierTable(run_id="a", created=NOW, profile=tracked(orders), workspaces={"p": "1"}),
            EarlierTable(run_id="b", created=NOW, profile=before, workspaces={"p": "2"}),
        ]

    same = tables_of_same_import(tracked(orders.head(20)), known, most=14)

    assert [each.run_id for each in same] == (["a"] if other == "workspace" else [])


def test_files_of_several_countries_are_compared_with_their_own():
    """Where the name of the file, but for its digits, was sent before, only its runs count."""

    def of(country: str, rows: int, night: int) -> TableProfile:
        frame, table = people(rows, seed=night), f"{country}_2026-11-{night}.csv"
        return profiled(frame, table=table, user_id="id")

    nights = [of(*table) for n in (3, 2, 1) for table in (("de", 900, n), ("us", 100, n))]

    assert "drift.volume" in findings(of("de", 120, 4), earlier(*nights))
    assert "drift.volume" not in findings(of("us", 120, 4), earlier(*nights))


def test_an_import_whose_mapping_is_proposed_reports_the_column_it_lost():
    """The next best column is taken for the id without a word; the comparison has one."""
    before = earlier(profiled(people().rename({"id": "user_id"}), user_id="user_id"))
    asked = people(seed=2).rename({"id": "customer_number"})

    differences = findings(profiled(asked, user_id="customer_number"), before)

    assert differences["drift.column-renamed"] == [
        ("customer_number", 'Run run-1 had the column "user_id" instead.')
    ]


def test_small_tables_belong_to_what_is_usual():
    """A table that is tiny on some nights is measured by these as well."""
    nights = [profiled(people(rows)) for rows in (40, 9, 60)]

    assert "drift.volume" not in findings(profiled(people(8)), earlier(*nights))
    assert "drift.volume" in findings(profiled(people(8)), earlier(nights[0], nights[2]))


WEEK = (1_000, 1_000, 1_000, 1_000, 1_000, 150, 200)


def night(number: int, *, seed: int) -> pl.DataFrame:
    """Return the healthy table of a night: fewer rows on weekends, and everything varies a little."""
    dice = random.Random(f"{seed} {number}")
    rows = round(WEEK[number % 7] * dice.uniform(0.8, 1.25) / 2)
    frame = people(rows, seed=seed * 1_000 + number, at=NOW - timedelta(days=30 - number))
    lost = dice.uniform(0.0, 0.06)
    return frame.with_columns(
        phone=pl.when(~where(lost)).then("phone"), spent=pl.col("spent") * dice.uniform(0.7, 1.5)
    )


BREAKS: dict[str, Change] = {
    "drift.volume": lambda frame: frame.head(20),
    "drift.column-gone": lambda frame: frame.drop("spent"),
    "drift.column-renamed": lambda frame: frame.rename({"email": "mail"}),
    "drift.column-new": set_to(score=pl.int_range(pl.len())),
    "drift.type": set_to(spent=pl.col("spent").cast(pl.String)),
    "drift.empty": set_to(email=pl.when(where(0.5)).then("email")),
    "drift.distinct": set_to(city=pl.lit("Berlin")),
    "drift.range": set_to(spent=pl.col("spent") * 1_000),
    "drift.length": set_to(note=pl.col("note").str.head(3)),
    "drift.id-form": set_to(id=NUMBER.cast(pl.String)),
}


@pytest.mark.parametrize("seed", range(2))
def test_healthy_nights_raise_no_alarm_and_each_break_is_found_on_its_night(seed):
    """Thirty nights with weekends and noise are quiet from the second week on; a break never is."""
    print(f"seed {seed}")
    nights = [night(number, seed=seed) for number in range(31)]
    profiles = [profiled(frame) for frame in nights]
    broken_on = {code: 14 + 16 * place // len(BREAKS) for place, code in enumerate(BREAKS)}
    weekends_seen = 7

    for number in range(1, 31):
        before = earlier(*reversed(profiles[:number]))
        differences = set(findings(profiles[number], before))
        assert differences <= ({"drift.volume"} if number < weekends_seen else set()), number
        for code, change in BREAKS.items():
            if broken_on[code] == number:
                assert code in findings(profiled(change(nights[number])), before), code


def test_one_broken_night_does_not_hide_the_next():
    """A run that was sent in spite of a finding is left out of a full range, as the extreme that it is."""
    nights = [profiled(people(rows)) for rows in (40, *[900] * 13)]

    assert "drift.volume" in findings(profiled(people(60)), earlier(*nights))


@pytest.mark.parametrize(
    ("code", "loose", "change"),
    [
        ("drift.volume", {"volume": 0.9}, lambda frame: frame.head(100)),
        ("drift.volume", {"volume": 1.0}, lambda frame: frame.clear()),
        ("drift.empty", {"share": 0.5}, set_to(plan=pl.when(where(0.6)).then("plan"))),
        ("drift.distinct", {"distinct": 0.001}, set_to(city=pl.lit("Berlin"))),
        ("drift.length", {"length": 20}, set_to(note=pl.col("note").str.head(10))),
        ("drift.range", {"magnitude": 1_000}, set_to(spent=pl.col("spent") * 100)),
    ],
)
def test_limits_are_arguments(code, loose, change):
    """What is found with the usual limits is not with wider ones."""
    before, now = earlier(profiled(people())), profiled(change(people(seed=2)))

    assert code in findings(now, before)
    assert code not in findings(now, before, limits=Drift(**loose))


@pytest.mark.parametrize("wrong", [{"share": 0}, {"volume": 1.5}, {"length": 0.5}, {"runs": 0}])
def test_limits_that_are_none_are_refused(wrong):
    """A limit outside its range is an error that names it."""
    with pytest.raises(MappingError, match=next(iter(wrong))):
        Drift(**wrong)


LAW = settings(
    max_examples=25, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
LETTERS = st.characters(categories=["L"], min_codepoint=128)  # keys of the file are ASCII
CELLS = {
    "id": st.text("qwxz-_", min_size=8, max_size=12) | st.none(),
    "text": st.text(LETTERS, min_size=8, max_size=20) | st.sampled_from(["", "a red one", None]),
    "number": st.floats(allow_nan=True) | st.none(),
    "whole": st.integers(-(2**40), 2**40) | st.none(),
    "yes": st.booleans() | st.none(),
    "moment": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)) | st.none(),  # noqa: DTZ001
    "words": st.lists(st.text(LETTERS, min_size=8, max_size=9), max_size=2) | st.none(),
}
TYPES = {
    "id": pl.String, "text": pl.String, "number": pl.Float64, "whole": pl.Int64, "yes": pl.Boolean,
    "moment": pl.Datetime("us"), "words": pl.List(pl.String),
}  # fmt: skip
TABLES = st.lists(st.fixed_dictionaries(CELLS), max_size=60).map(
    lambda rows: pl.DataFrame(rows, schema=TYPES)
)


def in_chunks(frame: pl.DataFrame, sizes: list[int]) -> TableProfile:
    """Return the profile of a table that is read in chunks of these sizes, over and over."""
    mapping = frame.cio.identify(user_id="id").pipeline.mapping
    profiler, start, turn = Profiler(mapping), 0, 0
    numbered = frame.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
    while start < frame.height:
        size = sizes[turn % len(sizes)]
        profiler.add(profiler.part(mapping.prepare(numbered.slice(start, size))))
        start, turn = start + size, turn + 1
    return profiler.profile()


@LAW
@given(
    frame=TABLES, sizes=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    first=st.sampled_from([5, 10_000]),
)  # fmt: skip
def test_the_profile_does_not_depend_on_the_chunks(frame, sizes, first):
    """Chunks of any sizes add up to the profile of the whole, also where not all rows are looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "FIRST_ROWS", first)
        patch.setattr(profile_module, "MIN_VALUES", 3)
        patch.setattr(profile_module, "MAX_PARTS", 2)
        patch.setattr(profile_module, "SKETCH", 8)
        whole = in_chunks(frame, [max(1, frame.height)])

        assert in_chunks(frame, sizes) == whole


@LAW
@given(frame=TABLES, seed=st.integers(0, 9))
def test_a_table_does_not_differ_from_itself(frame, seed):
    """Neither does it with its rows in another order."""
    before = earlier(profiled(frame))

    assert not findings(profiled(frame), before)
    assert not findings(profiled(frame.sample(fraction=1, shuffle=True, seed=seed)), before)


@LAW
@given(frame=TABLES)
def test_no_text_of_the_table_is_in_the_profile(frame):
    """Whatever the file says of a column, it quotes none of its values."""
    written = profile_file([profiled(frame)], run_id="r").decode()
    decoded = str(msgspec.json.decode(written))

    texts = [*frame["id"], *frame["text"], *frame["words"].explode(empty_as_null=True)]
    assert not [text for text in texts if text and (text in written or text in decoded)]


def test_ranges_are_coarse_and_not_of_few_ids_or_secrets():
    """Numbers are recorded by their order of magnitude, times by their month, and some not at all."""
    frame = people(60).with_columns(card=pl.lit(4.5e7), code=ID)
    plan = frame.cio.identify(
        user_id="id", hash=["code"], checks=cio.Checks(allow_sensitive={"card": "asked for"})
    )
    profile = plan.pipeline.before_send.profile
    columns = {column.column: column for column in profile.columns}

    assert columns["spent"].least in (0.1, 1.0)
    assert re.fullmatch(r"\d{4}-\d{2}", columns["born"].most)
    for name in ("id", "card", "code"):
        assert (columns[name].least, columns[name].most, columns[name].magnitude) == (None,) * 3
    assert columns["code"].length is None
    few = {column.column: column for column in profiled(people(20)).columns}
    assert few["spent"].least is few["born"].least is None
    without = {column.column: column for column in profile.without_ranges().columns}
    assert without["spent"].least is without["note"].longest is None
    assert without["phone"].filled == columns["phone"].filled
