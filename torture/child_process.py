"""A sender in a child process: starts a run, or resumes the last one, until killed or done."""

import json
from pathlib import Path
from typing import Any

import cio_frames as cio
from cio_frames.errors import RunError
from torture.harness import fast_clock
from torture.inputs import Workload, random_rows
from torture.kill_points import KillPoint


def workload_of(job: dict[str, Any]) -> Workload:
    """Return the rows that a job describes."""
    names = ("people", "seed", "parts")
    frame = random_rows(job["rows"], **{name: job[name] for name in names})
    return Workload(frame=frame, batch_bytes=job["batch_bytes"], parts=job["parts"])


def run_job(job: dict[str, Any]) -> None:
    """Do a job; return when every row has its final state."""
    if job.get("kill_point"):
        KillPoint(*job["kill_point"]).install()
    workload = workload_of(job)
    client = cio.connect(
        endpoint=job["url"], write_key=job["write_key"], rate=None, attempt_s=0.5, environ={}
    )
    audit = Path(job["audit"])
    runs = sorted(path.parent for path in audit.glob("*/run.json"))
    with fast_clock(job.get("clock_factor", 0.02)):
        try:
            if not runs:
                workload.plan.send(client, audit=audit, progress=False, durability="process")
            elif job["continue_by"] == "resume":
                cio.resume(runs[-1], client, workload.plan, progress=False)
            else:
                workload.plan.send(client, audit=audit, progress=False, durability="process")
        except RunError as error:
            raise SystemExit(json.dumps(error.run.counts if error.run else str(error))) from error
