"""A user's script, for tests that interrupt one: `python -m torture.script JOB`."""

import json
import sys
from pathlib import Path

import cio_frames as cio
from torture.child_process import workload_of


def main() -> None:
    """Send the rows that a job describes, as a user would."""
    job = json.loads(Path(sys.argv[1]).read_text())
    client = cio.connect(endpoint=job["url"], write_key=job["write_key"], rate=None, environ={})
    run = workload_of(job).plan.send(client, audit=job["audit"])
    sys.stdout.write(f"{run}\n")


if __name__ == "__main__":
    main()
