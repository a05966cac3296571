"""The views of what is known beforehand: who is who, pictures, rehearsal, estimate, a story."""

import base64
import re
from dataclasses import replace

import pytest
from inline_snapshot import snapshot

from cio_frames.views import estimate, graph, identity, rehearsal
from cio_frames.views.estimate import EstimateView, Line
from cio_frames.views.graph import Edge, GraphView, Node
from cio_frames.views.identity import ConflictView, IdentityView
from cio_frames.views.narrative import narrated
from cio_frames.views.rehearsal import Compared, RehearsalView

GRAPH = GraphView(
    title="4 identifiers in 2 rows",
    nodes=(
        Node(name="u1", kind="id", person=1), Node(name="old", kind="id"),
        Node(name="a@x.co", kind="email", person=1), Node(name="v1", kind="anonymous", person=2),
    ),
    edges=(
        Edge(start=0, end=2), Edge(start=0, end=1, outcome="merged"),
        Edge(start=3, end=0, outcome="apart"),
    ),
    left=3,
)  # fmt: skip
CONFLICT = ConflictView(
    kind="identifier.taken", lines=2, rows=3, serious=True, sentence="It is taken.",
    hint="Correct it.", examples=(("It is taken.", "4, 7"),),
)  # fmt: skip
VIEW = IdentityView(
    source="identify (people.csv)",
    compared="Compared with the 5 people of the export.",
    figures=(("rows", "9"), ("created", "4")),
    created=4,
    updated=3,
    visitors=1,
    conflicts=(CONFLICT, replace(CONFLICT, kind="alias.self", serious=False)),
    merges=(("u1", "old", "alias, 2 events moved", "1:4"),),
    merged=1,
    fates=(("attributed", "12"),),
    groups=(("1/g1", "3", "2:1"),),
    objects=1,
    sizes=(("1", "5"),),
    pictures=(GRAPH,),
    advice=("Plan 1 comes too late.",),
    choices=(("dedupe", "calls", "once"),),
)
REHEARSAL = RehearsalView(
    source="identify", rows=10, sent=9, requests=1,
    compared=(Compared(what="people", predicted=9, actual=9),),
)  # fmt: skip
ESTIMATE = EstimateView(
    title="Estimate", source="identify", sentence="Everybody counts as new.",
    lines=(Line(what="requests", estimate="3", why="of 475 kB"),),
)  # fmt: skip


def drawing(markup):
    """Return the drawing inside an image."""
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)', str(markup)).group(1)
    return base64.b64decode(data).decode()


def test_who_is_who_in_a_notebook(read):
    """The preview reads from the verdict over the order and the conflicts down to the choices."""
    assert read(identity.html(VIEW)).outline == snapshot(
        [
            "Who is who",
            "! 2 conflicts",
            "identify (people.csv)",
            "2 conflicts: rows that do not come out as they ask. Compared with the 5 people of the export.",
            "rows",
            "9",
            "created",
            "4",
            "Order",
            "Plan 1 comes too late.",
            "Conflicts",
            "! conflict",
            "identifier.taken",
            "2 cases, 3 rows",
            "It is taken.",
            "Do:",
            "Correct it.",
            "1 example",
            "what would happen",
            "rows",
            "It is taken.",
            "4, 7",
            "i note",
            "alias.self",
            "2 cases, 3 rows",
            "It is taken.",
            "Do:",
            "Correct it.",
            "1 example",
            "what would happen",
            "rows",
            "It is taken.",
            "4, 7",
            "Merges, which cannot be undone",
            "kept",
            "removed for good",
            "why",
            "rows",
            "u1",
            "old",
            "alias, 2 events moved",
            "1:4",
            "Who hangs together",
            "A number is a person as they are in the end. A line says that rows name both: drawn through, they are one person; dashed, they stay apart whatever the rows say.",
            "4 identifiers in 2 rows (3 more identifiers not drawn)",
            "Events of anonymous visitors",
            "what becomes of them",
            "events",
            "attributed",
            "12",
            "Objects",
            "object",
            "people",
            "rows",
            "1/g1",
            "3",
            "2:1",
            "How many identifiers hang together",
            "identifiers",
            "clusters",
            "1",
            "5",
            "Where Customer.io's documents disagree",
            "setting",
            "taken",
            "meaning",
            "dedupe",
            "calls",
            "once",
        ]
    )


def test_who_is_who_in_a_terminal():
    """The same without pictures."""
    assert identity.text(VIEW) == snapshot("""\
Who is who · identify (people.csv) · ! 2 conflicts

2 conflicts: rows that do not come out as they ask. Compared with the 5 people of the export.

rows     9
created  4

Order
  - Plan 1 comes too late.

Conflicts
  [conflict] identifier.taken · 2 cases, 3 rows
    It is taken.
    Do: Correct it.
  [note] alias.self · 2 cases, 3 rows
    It is taken.
    Do: Correct it.

Merges, which cannot be undone
  kept  removed for good  why                    rows
  u1    old               alias, 2 events moved  1:4

Events of anonymous visitors
  attributed  12

Objects
  object  people  rows
  1/g1    3       2:1

How many identifiers hang together
  1  5\
""")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param({}, "! 2 conflicts", id="conflicts first"),
        pytest.param({"conflicts": ()}, "! 1 merge", id="then merges"),
        pytest.param({"conflicts": (), "merged": 0}, "✓ clear", id="then all is well"),
        pytest.param(
            {"conflicts": (), "merged": 0, "created": 0, "updated": 0}, "○ nobody", id="or nobody"
        ),
    ],
)
def test_the_verdict_is_the_worst_there_is(change, verdict):
    """Conflicts come before merges, and notes hold nothing up."""
    assert identity.text(replace(VIEW, **change)).splitlines()[0].endswith(verdict)


def test_a_long_list_of_merges_says_how_many_there_are():
    """What is not shown is counted."""
    assert "the first 1 of 2,000" in identity.text(replace(VIEW, merged=2000))
    assert "the first 1 of 300" in identity.text(replace(VIEW, objects=300))


def test_empty_parts_are_left_out(read):
    """A preview without anything has no empty tables."""
    bare = IdentityView(
        source="identify", compared="", figures=(), created=0, updated=0, visitors=0
    )

    assert "table" not in [name for name, _ in read(identity.html(bare)).elements]


def test_a_picture_says_in_words_what_it_shows():
    """Whoever cannot see it reads it."""
    assert graph.told(GRAPH) == snapshot(
        "4 identifiers in 2 rows: u1 with a@x.co; u1 merged with old; v1 apart from u1 and 3 more identifiers."
    )


def test_a_picture_is_an_image_with_a_chip_for_each_identifier():
    """Chips in three columns, and a line for each tie; those that stay apart are dashed."""
    markup = graph.html(GRAPH)
    svg = drawing(markup)

    assert str(markup).startswith("<img ")
    assert svg.count("<rect") == 4
    assert svg.count("<path") == 3
    assert svg.count("stroke-dasharray") == 1
    assert [int(x) for x in re.findall(r'<rect x="(\d+)', svg)] == [320, 320, 630, 10]


def test_chips_are_placed_next_to_their_neighbours():
    """E-mails stand in the order of the ids they belong to, so that lines do not cross."""
    ids = tuple(Node(name=f"u{n}", kind="id", person=n) for n in range(3))
    mails = tuple(Node(name=f"m{n}", kind="email", person=n) for n in range(3))
    edges = tuple(Edge(start=n, end=5 - n) for n in range(3))
    view = GraphView(title="t", nodes=ids + mails, edges=edges)

    places = graph._places(view)

    assert [places[n][1] for n in range(3)] == [places[5 - n][1] for n in range(3)]


def test_hostile_names_stay_text_in_pictures(hostile, read):
    """No identifier becomes an element of the drawing, or ends its attribute."""
    view = GraphView(title=hostile, nodes=(Node(name=hostile, kind="id"),), edges=())
    markup = graph.html(view)

    names = {name for name, _ in read(drawing(markup)).elements}
    assert names <= {"svg", "text", "rect"}
    assert [name for name, _ in read(markup).elements] == ["img"]


def test_hostile_values_stay_text_in_views(hostile, read):
    """Identifiers, sentences and labels are text wherever they are drawn."""
    views = [
        identity.html(replace(
            VIEW, source=hostile, advice=(hostile,), groups=((hostile, "1", "1"),),
            merges=((hostile, hostile, "why", "1"),),
            conflicts=(replace(CONFLICT, sentence=hostile, examples=((hostile, "1"),)),),
        )),
        rehearsal.html(replace(REHEARSAL, differences=(("people", hostile, 1, 0),), differing=1)),
        estimate.html(replace(ESTIMATE, source=hostile)),
        narrated(hostile, [hostile]).html,
    ]  # fmt: skip
    plain = [
        identity.html(VIEW),
        rehearsal.html(replace(REHEARSAL, differences=(("people", "x", 1, 0),), differing=1)),
        estimate.html(ESTIMATE),
        narrated("x", ["x"]).html,
    ]

    for drawn, expected in zip(views, plain, strict=True):
        kinds = {name for name, _ in read(drawn).elements}
        assert kinds <= {name for name, _ in read(expected).elements}
        assert not read(drawn).other


def test_a_rehearsal_in_a_terminal():
    """Counts of both sides, and each difference."""
    assert rehearsal.text(REHEARSAL) == snapshot("""\
Rehearsal · identify · ✓ identical

9 rows of 10 went in 1 request to a private workspace on this machine. Everything came as the
preview says.

what    predicted  came
people          9     9\
""")
    assert rehearsal.text(
        replace(REHEARSAL, differences=(("people", "u1", 1, 0),), differing=30)
    ) == snapshot("""\
Rehearsal · identify · ✕ 30 differences

9 rows of 10 went in 1 request to a private workspace on this machine. 30 differences between
the preview and what came.

what    predicted  came
people          9     9

The first 1 differences
  what    which  predicted  came
  people  u1             1     0\
""")


def test_an_estimate_in_a_terminal():
    """Before a run there are reasons, after it there are outcomes."""
    assert estimate.text(ESTIMATE) == snapshot("""\
Estimate · identify

Everybody counts as new.

what      estimate  because
requests  3         of 475 kB\
""")
    after = replace(ESTIMATE, lines=(Line(what="requests", estimate="3", actual="4"),))
    assert estimate.text(after) == snapshot("""\
Estimate · identify

Everybody counts as new.

what      estimate  outcome
requests  3         4\
""")
