"""Two runs of one table at the same time: the second one is refused, however close they start."""

from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pytest

import cio_frames as cio


def forms():
    """Return a plan of submissions, which have no id by which a repeat could be known."""
    frame = pl.DataFrame({"email": [f"p{number}@example.com" for number in range(20)]})
    return cio.frame(frame).form(form_id=cio.lit("f1"), email="email")


def test_a_second_run_of_a_table_under_way_is_refused(tmp_path):
    """It says which run to wait for; afterwards nothing is left to send."""
    with cio.sandbox() as workspace:
        client = workspace.client()
        first = forms().send(client, audit=tmp_path, progress=False, wait=False)
        first.pause()
        with pytest.raises(cio.AuditLockedError, match=first.run_id):
            forms().send(client, audit=tmp_path, progress=False)
        first.go_on()
        first.wait()
        again = forms().send(client, audit=tmp_path, progress=False)

        assert again.counts["skipped_done"] == 20
        assert workspace.forms["submissions"].sum() == 20


def test_another_table_and_another_workspace_are_not_refused(tmp_path):
    """Only what would be sent twice waits."""
    other = cio.frame(pl.DataFrame({"id": ["u1"]})).identify(user_id="id")
    with cio.sandbox() as workspace, cio.sandbox() as elsewhere:
        first = forms().send(workspace.client(), audit=tmp_path, progress=False, wait=False)
        first.pause()
        assert other.send(workspace.client(), audit=tmp_path, progress=False).counts["delivered"]
        run = forms().send(elsewhere.client(), audit=tmp_path, progress=False)
        assert run.counts["delivered"] == 20
        first.go_on()
        first.wait()


def test_starts_at_the_same_moment_submit_each_form_once(tmp_path):
    """Each of several starts sends, is refused, or finds everything done."""

    def start(client):
        try:
            return forms().send(client, audit=tmp_path, progress=False).counts["delivered"]
        except cio.AuditLockedError:
            return 0

    with cio.sandbox() as workspace, ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(start, [workspace.client() for _ in range(6)]))

        assert sum(counts) == 20
        assert workspace.forms["submissions"].sum() == 20
