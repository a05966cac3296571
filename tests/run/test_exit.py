"""A script that ends while its run goes on: what is under way is finished, and all is on record."""

import subprocess
import sys

import cio_frames as cio
from benchmarks.measure import sink

ROWS = 100_000
SCRIPT = """
import sys, time
import cio_frames as cio
from benchmarks.inputs import events
plan = cio.frame(events({rows})).track(event="event", user_id="user_id", timestamp="occurred_at")
client = cio.connect(endpoint=sys.argv[1], write_key="k", rate=None)
run = plan.send(client, audit=sys.argv[2], progress=False, wait=False)
while not run.counts["delivered"]:
    time.sleep(0.01)
"""


def test_a_script_that_ends_leaves_a_complete_record(tmp_path):
    """No row is lost or in doubt, nothing failed, and what is left can be resumed."""
    with sink(latency_ms=80) as url:
        script = [sys.executable, "-c", SCRIPT.format(rows=ROWS), url, str(tmp_path)]
        ended = subprocess.run(  # noqa: S603 - a script of this test
            script, capture_output=True, text=True, check=True, timeout=120
        )

    assert ended.stderr == ""
    audit = cio.audit(tmp_path)
    (run,) = audit.runs.to_dicts()
    assert (run["state"], run["stopped"]) == ("stopped", "INTERRUPTED")
    assert (run["rows"], run["in_doubt"]) == (ROWS, 0)
    assert 0 < run["delivered"] < ROWS == run["delivered"] + run["pending"]
    assert audit.verify().is_empty()
