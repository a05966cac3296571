"""cio_frames: all checks, deterministic ids, gzip, and the audit of every row."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cio_frames as cio


def main(path: str, url: str, *, gzip: bool) -> None:
    """Send a file of events."""
    client = cio.connect(endpoint=url, write_key="benchmark", rate=None, gzip=gzip)
    plan = cio.scan(path).cio.track(event="event", user_id="user_id", timestamp="occurred_at")
    with TemporaryDirectory() as folder:
        run = plan.send(client, audit=Path(folder), progress=False)
    print(run.counts["delivered"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], gzip="plain" not in sys.argv[3:])
