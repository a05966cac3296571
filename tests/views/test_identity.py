"""The views of what is known beforehand: who is who, pictures, rehearsal, estimate, a story."""

import base64
import re
from functools import lru_cache

import polars as pl
import pytest
from inline_snapshot import snapshot

import cio_frames as cio
from cio_frames.identity.clusters import Cluster, Edge, Node
from cio_frames.plan.estimate import Estimate
from cio_frames.plan.rehearsal import DIFFERENCES, WITHOUT_EFFECT, Rehearsal
from cio_frames.views import graph

CLUSTER = Cluster(
    title="4 identifiers in 2 rows",
    nodes=(
        Node(name="u1", kind="id", person=1), Node(name="old", kind="id", person=0),
        Node(name="a@x.co", kind="email", person=1), Node(name="v1", kind="anonymous", person=2),
    ),
    edges=(
        Edge(start=0, end=2, outcome="one"), Edge(start=0, end=1, outcome="merged"),
        Edge(start=3, end=0, outcome="apart"),
    ),
    hidden=3,
)  # fmt: skip


def _people(ids, emails):
    return pl.DataFrame({"id": ids, "email": emails}).cio.identify(user_id="id")


def _merges(old, new):
    return pl.DataFrame({"former": old, "new": new}).cio.alias(previous_id="former", user_id="new")


def _backfill():
    """Return people of whom two share an address and two become one, with a visitor and an object."""
    shared = "a@example.com"
    events = pl.DataFrame({"v": ["v1"], "at": ["2026-01-01T00:00:00Z"]})
    members = pl.DataFrame({"g": ["g1"], "u": ["u2"]})
    return cio.backfill([
        _people(["u1", "u2", "old"], [shared, shared, None]),
        _merges(["old", "nobody"], ["u2", "u2"]),
        members.cio.group(group_id="g", user_id="u"),
        events.cio.track(event=cio.lit("Viewed"), anonymous_id="v", timestamp="at"),
    ])  # fmt: skip


def _estimate(**changed):
    values = {
        "label": "identify", "rows": 9, "requests": 3, "message_bytes": 900, "bytes": 1_000,
        "compressed_bytes": 400, "seconds": 2.0, "bound": "this machine", "new_profiles": 4,
        "removed_profiles": 0, "objects": 0, "price": None, "compared": True,
    }  # fmt: skip
    return Estimate(**values | changed)


def _rehearsal(*differences, label="identify"):
    compared = pl.DataFrame({"what": ["people"], "predicted": [9], "actual": [9]})
    return Rehearsal(
        compared=compared,
        differences=pl.DataFrame(list(differences), schema=DIFFERENCES, orient="row"),
        without_effect=WITHOUT_EFFECT.to_frame(),
        counts={"rows": 10, "rejected_local": 1, "requests": 1},
        label=label,
    )


def _html(thing):
    return thing._repr_mimebundle_()["text/html"]


def drawing(markup):
    """Return the drawing inside an image."""
    data = re.search(r'src="data:image/svg\+xml;base64,([^"]+)', str(markup)).group(1)
    return base64.b64decode(data).decode()


def test_who_is_who_in_a_notebook(read):
    """The preview reads from the verdict over the order and the conflicts down to the choices."""
    outline = read(_html(_backfill().identity())).outline

    end = outline.index("Assumptions behind this preview") + 1
    assert outline[:end] == snapshot(
        [
            "Who is who",
            "! 1 conflict",
            "identify (polars frame) + alias (polars frame) + group (polars frame) + track (polars frame)",
            "1 row will not have the effect you asked for. Open: alias_previous (1 row), taken_identifier (1 row). Compared with an empty workspace. For exact results, pass an export of your people as known=.",
            "rows",
            "7",
            "created",
            "1",
            "updated",
            "0",
            "merged",
            "1",
            "deleted",
            "0",
            "still anonymous",
            "1",
            "events",
            "0",
            "start campaigns",
            "0",
            "Conflicts",
            "! conflict",
            "identifier.replaced",
            "1 case, 1 row",
            "The e-mail address of u2 already belongs to the person with the identifier u1. That person is updated, and u2 replaces u1; no second profile is created. Open: taken_identifier.",
            "How to fix:",
            "Decide whether they are one person. If so, use one identifier in all rows of the person; if not, correct the e-mail address.",
            "1 example",
            "what would happen",
            "from rows",
            "The e-mail address of u2 already belongs to the person with the identifier u1. That person is updated, and u2 replaces u1; no second profile is created. Open: taken_identifier.",
            "0:1",
            "i note",
            "alias.previous-unknown",
            "1 case, 1 row",
            "'nobody' does not exist, so there is nothing to merge into u2. Open: alias_previous, taken_identifier.",
            "How to fix:",
            "Nothing is lost. If the person should exist, identify them first. To link an anonymous ID, use identify, not alias.",
            "1 example",
            "what would happen",
            "from rows",
            "'nobody' does not exist, so there is nothing to merge into u2. Open: alias_previous, taken_identifier.",
            "1:1",
            "Merges, which cannot be undone",
            "kept",
            "permanently removed",
            "why",
            "from rows",
            "open",
            "u2",
            "old",
            "alias, 0 events moved",
            "1:0",
            "taken_identifier",
            "Linked identifiers",
            "Each box is an identifier; equal numbers are the same final profile. Solid line: linked. Dashed: a row tried to link them, but Customer.io will refuse.",
            "5 identifiers in 5 rows: 1 profile (open: alias_previous, taken_identifier)",
            "Events of anonymous visitors",
            "outcome",
            "events",
            "no person was identified with the anonymous ID",
            "1",
            "Objects",
            "object",
            "people",
            "from rows",
            "open",
            "1/g1",
            "1",
            "2:0",
            "taken_identifier",
            "Open",
            "Results marked with one of these settings may differ, because Customer.io's documentation is contradictory or silent. settings=cio.Workspace(...) changes the assumption.",
            "setting",
            "assumed",
            "meaning",
            "rows",
            "alias_previous",
            "id",
            "previousId is looked up as a person only; an anonymous ID is not found",
            "1",
            "taken_identifier",
            "rekey",
            "a new id with the e-mail of a person who has another id replaces their former id",
            "1",
            "Identifiers per person",
            "identifiers",
            "groups",
            "4 to 9",
            "1",
            "Assumptions behind this preview",
        ]
    )


def test_who_is_who_in_a_terminal():
    """The same, with pictures in words, and without the settings that it took."""
    assert repr(_backfill().identity()) == snapshot("""\
Who is who · identify (polars frame) + alias (polars frame) + group (polars frame) + track
(polars frame) · ! 1 conflict

1 row will not have the effect you asked for. Open: alias_previous (1 row), taken_identifier (1
row). Compared with an empty workspace. For exact results, pass an export of your people as
known=.

rows             7
created          1
updated          0
merged           1
deleted          0
still anonymous  1
events           0
start campaigns  0

Conflicts
  [conflict] identifier.replaced · 1 case, 1 row
    The e-mail address of u2 already belongs to the person with the identifier u1. That person
    is updated, and u2 replaces u1; no second profile is created. Open: taken_identifier.
    How to fix: Decide whether they are one person. If so, use one identifier in all rows of the
    person; if not, correct the e-mail address.
      what would happen                                                                                                                                                                 from rows
      The e-mail address of u2 already belongs to the person with the identifier u1. That person is updated, and u2 replaces u1; no second profile is created. Open: taken_identifier.  0:1
  [note] alias.previous-unknown · 1 case, 1 row
    'nobody' does not exist, so there is nothing to merge into u2. Open: alias_previous,
    taken_identifier.
    How to fix: Nothing is lost. If the person should exist, identify them first. To link an
    anonymous ID, use identify, not alias.
      what would happen                                                                                       from rows
      'nobody' does not exist, so there is nothing to merge into u2. Open: alias_previous, taken_identifier.  1:1

Merges, which cannot be undone
  kept  permanently removed  why                    from rows  open
  u2    old                  alias, 0 events moved  1:0        taken_identifier

Linked identifiers
  - 5 identifiers in 5 rows: 1 profile (open: alias_previous, taken_identifier): u1 not linked
    to a@example.com; u2 linked to a@example.com; u2 merged with old; u2 merged with nobody.

Events of anonymous visitors
  outcome                                         events
  no person was identified with the anonymous ID       1

Objects
  object  people  from rows  open
  1/g1         1  2:0        taken_identifier

Open
  Results marked with one of these settings may differ, because Customer.io's documentation is
  contradictory or silent. settings=cio.Workspace(...) changes the assumption.
  setting           assumed  meaning                                                                           rows
  alias_previous    id       previousId is looked up as a person only; an anonymous ID is not found               1
  taken_identifier  rekey    a new id with the e-mail of a person who has another id replaces their former id     1

Identifiers per person
  identifiers  groups
  4 to 9       1\
""")


@pytest.mark.parametrize(
    ("plans", "verdict"),
    [
        pytest.param([_people(["u1", "u2"], ["a@x.co"] * 2)], "! 1 conflict", id="conflicts first"),
        pytest.param(
            [_people(["u1", "u2"], ["a@x.co", "b@x.co"]), _merges(["u2", "gone"], ["u1", "u1"])],
            "! 1 merge",
            id="then merges",
        ),
        pytest.param([_people(["u1"], ["a@x.co"])], "✓ clear", id="then all is well"),
        pytest.param([_people([], [])], "○ no one", id="or nobody"),
    ],
)
def test_the_verdict_is_the_worst_there_is(plans, verdict):
    """Conflicts come before merges, and notes hold nothing up."""
    assert repr(cio.backfill(plans).identity()).splitlines()[0].endswith(verdict)


def _acts(names, people):
    checks = cio.Checks(allow=["User Deleted", "User Suppressed"])
    return pl.DataFrame({"e": names, "u": people}).cio.track(event="e", user_id="u", checks=checks)


def test_deletions_are_named_first():
    """The headline warns of people who are deleted or suppressed, before conflicts."""
    plans = [
        _acts(["User Deleted", "User Suppressed"], ["u1", "u2"]),
        _people(["u3", "u4"], ["a@x.co"] * 2),
    ]
    shown = " ".join(repr(cio.backfill(plans).identity()).split())

    assert shown.split(" · ")[2].startswith("! 1 deleted")
    assert "1 person would be permanently deleted. 1 person would be suppressed: deleted" in shown
    assert "1 row will not have the effect you asked for." in shown


def test_a_person_who_is_created_again_after_a_deletion_is_reported():
    """The preview reports it under "Order"."""
    shown = " ".join(repr(_acts(["User Deleted", "View"], ["u1", "u1"]).identity()).split())

    assert "Order - 1 person is deleted and created again by a later row" in shown


def test_rows_that_would_be_dropped_are_named_first():
    """The headline counts the rows whose message id an earlier row has."""
    table = pl.DataFrame({"u": ["u1", "u1"], "m": ["m1", "m1"]})
    shown = repr(table.cio.track(event=cio.lit("E"), user_id="u", message_id="m").identity())

    assert shown.splitlines()[0].endswith("! 1 dropped")
    assert "1 row would be dropped because an earlier row has the same message ID." in shown


def test_a_long_list_says_how_much_there_is():
    """Merges and objects that are not shown are counted."""
    ids = [f"u{number}" for number in range(30)]
    members = pl.DataFrame({"g": ids, "u": ids}).cio.group(group_id="g", user_id="u")
    merged = _merges(ids[1:], ["u0"] * 29)

    shown = repr(cio.backfill([_people(ids, [None] * 30), members, merged]).identity())

    assert "Merges, which cannot be undone, the first 12 of 29" in shown
    assert "Objects, the first 8 of 30" in shown


def test_empty_parts_are_left_out(read):
    """A preview without anything has no table but that of the settings it took."""
    reading = read(_html(_people([], []).identity()))

    assert [name for name, _ in reading.elements].count("table") == 1
    assert not {"Order", "Conflicts", "Objects", "Linked identifiers"} & set(reading.outline)


def test_a_picture_says_in_words_what_it_shows():
    """Whoever cannot see it reads it."""
    assert graph.description(CLUSTER) == snapshot(
        "4 identifiers in 2 rows: u1 linked to a@x.co; u1 merged with old; v1 not linked to u1 and 3 more identifiers."
    )


def test_a_picture_is_an_image_with_a_box_for_each_identifier():
    """Boxes are in three columns, with a line for each link; dashed lines are links that are refused."""
    markup = graph.draw(CLUSTER)
    svg = drawing(markup)

    assert str(markup).startswith("<img ")
    assert svg.count("<rect") == 4
    assert svg.count("<path") == 3
    assert svg.count("stroke-dasharray") == 1
    assert [int(x) for x in re.findall(r'<rect x="(\d+)', svg)] == [320, 320, 630, 10]


def test_boxes_are_placed_next_to_their_neighbours():
    """E-mails stand in the order of the ids they belong to, so that lines do not cross."""
    ids = tuple(Node(name=f"u{n}", kind="id", person=n) for n in range(3))
    mails = tuple(Node(name=f"m{n}", kind="email", person=n) for n in range(3))
    edges = tuple(Edge(start=n, end=5 - n, outcome="one") for n in range(3))
    cluster = Cluster(title="t", nodes=ids + mails, edges=edges, hidden=0)

    places = graph._positions(cluster)

    assert [places[n][1] for n in range(3)] == [places[5 - n][1] for n in range(3)]


def test_hostile_names_stay_text_in_pictures(hostile, read):
    """No identifier becomes an element of the drawing, or ends its attribute."""
    node = Node(name=hostile, kind="id", person=0)
    markup = graph.draw(Cluster(title=hostile, nodes=(node,), edges=(), hidden=0))

    names = {name for name, _ in read(drawing(markup)).elements}
    assert names <= {"svg", "text", "rect"}
    assert [name for name, _ in read(markup).elements] == ["img"]


def test_hostile_values_stay_text_in_views(hostile, read):
    """Identifiers, sentences and labels are text wherever they are drawn."""
    for drawn, expected in zip(_views(hostile), _views("x"), strict=True):
        reading = read(drawn)
        kinds = {name for name, _ in reading.elements}
        assert kinds <= {name for name, _ in read(expected).elements} | {"details", "summary"}
        assert not reading.other


@lru_cache(maxsize=2)
def _views(words):
    text = words.encode(errors="replace").decode()  # frames hold no lone surrogates
    preview = _people([text, "u2"], ["a@x.co"] * 2).identity()
    rehearsal = _rehearsal(("people", text, 1, 0), label=words)
    views = (rehearsal, _estimate(label=words, bound=words), preview.explain(text), preview)
    return [_html(view) for view in views]


def test_a_rehearsal_in_a_terminal():
    """Counts of both sides, and each difference."""
    assert repr(_rehearsal()) == snapshot("""\
Rehearsal · identify · ✓ identical

9 of 10 rows were sent in 1 request to a private workspace on this machine. Everything arrived
as predicted.

what    predicted  actual
people          9       9\
""")
    differences = [("people", f"u{number}", 1, 0) for number in range(30)]
    assert repr(_rehearsal(*differences)).split("u1 ")[0] == snapshot("""\
Rehearsal · identify · ✕ 30 differences

9 of 10 rows were sent in 1 request to a private workspace on this machine. 30 differences
between the preview and the result.

what    predicted  actual
people          9       9

The first 20 differences
  what    which  predicted  actual
  people  u0             1       0
  people  \
""")


def test_an_estimate_in_a_terminal():
    """Each quantity has what it rests on, if that is worth knowing."""
    assert repr(_estimate(price=12.5, compared=False)) == snapshot("""\
Estimate · identify

Without known= (an export of the workspace's people), everyone counts as new.

what               estimate                            note
rows to send       9
requests           3
bytes              1.0 kB
bytes, compressed  about 400 B                         from a sample of at most 2,000 rows of each plan
time               about 2.0 s                         limited by this machine
new profiles       at most 4                           billable; anonymous visitors are not counted
profiles removed   0                                   by merges and deletions, permanently
objects            none
price              at most 12.50 for the new profiles\
""")


@pytest.mark.parametrize(
    ("users", "verdict"),
    [
        pytest.param(["u1"], "✓ clear", id="a person who is there"),
        pytest.param(["u1", "u9"], "? 1 open setting", id="somebody unknown"),
    ],
)
def test_nothing_open_is_called_clear(users, verdict):
    """What an event does for somebody unknown is open, and headline and lead say so."""
    joined = pl.DataFrame({"id": users}).cio.track(event=cio.lit("Joined"), user_id="id")

    preview = joined.identity(known=pl.DataFrame({"id": ["u1"]}))

    assert repr(preview).splitlines()[0].endswith(verdict)
    for shown in preview._repr_mimebundle_().values():
        assert ("Open: event_for_unknown (1 row)." in shown) == ("open" in verdict)


def test_an_estimate_and_a_rehearsal_name_what_they_rest_on():
    """New profiles by events are open, and so is that everything comes as predicted."""
    joined = pl.DataFrame({"id": ["u9"]}).cio.track(event=cio.lit("Joined"), user_id="id")
    certain = _people(["u1"], ["a@x.co"])

    for shown in (joined.estimate(), joined.rehearse()):
        assert "Open: event_for_unknown" in repr(shown)
    for shown in (certain.estimate(), certain.rehearse()):
        assert "Open:" not in repr(shown)


def test_the_headline_says_how_many_people_would_be_created():
    """It says that every row finds its person only where nobody is created."""
    plan = pl.DataFrame({"id": ["7", "8"]}).cio.identify(user_id="id")

    assert "1 profile would be created" in str(plan.identity(known=pl.DataFrame({"id": ["7"]})))
