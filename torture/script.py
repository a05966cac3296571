"""A user's script, for tests that interrupt one: `python -m torture.script ORDER`."""

import json
import sys
from pathlib import Path

import cio_frames as cio
from torture.child_process import given_by


def main() -> None:
    """Send what an order describes, as a user would."""
    order = json.loads(Path(sys.argv[1]).read_text())
    client = cio.connect(endpoint=order["url"], write_key=order["write_key"], rate=None, environ={})
    run = given_by(order).plan.send(client, audit=order["audit"])
    sys.stdout.write(f"{run}\n")


if __name__ == "__main__":
    main()
