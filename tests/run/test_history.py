"""The record as a notebook shows it: a readable text, and a card with more details."""

import httpx2
import polars as pl
import pytest

import cio_frames as cio
from cio_frames.errors import AuditCorruptError, RunStoppedError


@pytest.fixture
def audit(tmp_path):
    """The record of a run in which one row of three was left out."""
    plan = pl.DataFrame({"id": ["u1", None, "u3"]}).cio.identify(user_id="id")
    with cio.sandbox() as workspace:
        plan.send(workspace.client(), audit=tmp_path, progress=False)
    return cio.audit(tmp_path)


def test_a_story_is_a_text_and_a_card(audit):
    """Printed it is sentences; in a notebook it has the state and what is known as well."""
    story = audit.explain(row=1)

    shown = story._repr_mimebundle_()
    assert isinstance(story, str)
    assert shown["text/plain"] == story
    assert "It was not sent: id.missing" in story
    assert "rejected locally" in shown["text/html"]
    assert story.upper() == str(story).upper()


def test_the_record_shows_every_run(audit):
    """The card and the text show the same counts; the repr stays one line."""
    shown = audit._repr_mimebundle_()

    assert shown["text/plain"] == str(audit)
    assert "finished" in shown["text/html"]
    assert "some rows not sent" in shown["text/html"]
    assert "\n" not in repr(audit)


def test_payloads_are_a_list_and_a_card():
    """Messages are plain dictionaries in a list, and JSON in a notebook."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")

    payloads = plan.payloads()

    assert payloads == [payloads[0]]
    assert payloads[0]["userId"] == "u1"
    assert "&#34;userId&#34;: &#34;u1&#34;" in payloads._repr_mimebundle_()["text/html"]
    assert payloads._repr_mimebundle_()["text/plain"] == repr(payloads)


def _refused_run(plan, folder):
    """Return the run of a plan whose every request is answered with 401."""
    refusing = httpx2.MockTransport(lambda _: httpx2.Response(401, json={}))
    client = cio.connect(write_key="k", transport=refusing, environ={})
    with pytest.raises(RunStoppedError) as stopped:
        plan.send(client, audit=folder, progress=False)
    return stopped.value.run


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(lambda run, to, plan: plan.send(to, audit=run.audit.parent), id="send"),
        pytest.param(lambda run, to, plan: cio.resume(run.audit, to, plan), id="resume"),
    ],
)
def test_a_part_that_was_saved_again_settles_nothing(tmp_path, way):
    """Rows that were never sent, and that a changed part calls delivered, are not passed over."""
    plan = pl.DataFrame({"id": [f"u{n}" for n in range(22)]}).cio.identify(user_id="id")
    asked = []
    run = _refused_run(plan, tmp_path)
    (part,) = (run.audit / "parts").iterdir()
    pl.read_parquet(part).with_columns(state=pl.lit("delivered")).write_parquet(part)
    taking = httpx2.MockTransport(lambda it: asked.append(it) or httpx2.Response(200, json={}))
    client = cio.connect(write_key="k", transport=taking, environ={})

    with pytest.raises(AuditCorruptError, match=f"{part.name}: changed after it was written"):
        way(run, client, plan)
    assert not asked
