"""One life of a sender: begin to send, or take up what earlier lives left, until killed or done."""

import json
from pathlib import Path
from typing import Any

import cio_frames as cio
from cio_frames.errors import RunError
from torture.harness import hurried
from torture.inputs import Input, people
from torture.kill_points import Fuse


def given_by(order: dict[str, Any]) -> Input:
    """Return the rows that an order describes."""
    names = ("people", "seed", "parts")
    frame = people(order["rows"], **{name: order[name] for name in names})
    return Input(frame=frame, batch_bytes=order["batch_bytes"], parts=order["parts"])


def live(order: dict[str, Any]) -> None:
    """Do what an order says; returns when every row has its end."""
    if order.get("fuse"):
        Fuse(*order["fuse"]).arm()
    given = given_by(order)
    client = cio.connect(
        endpoint=order["url"], write_key=order["write_key"], rate=None, attempt_s=0.5, environ={}
    )
    audit = Path(order["audit"])
    runs = sorted(path.parent for path in audit.glob("*/run.json"))
    with hurried(order.get("hurry", 0.02)):
        try:
            if not runs:
                given.plan.send(client, audit=audit, progress=False, durability="process")
            elif order["again"] == "resume":
                cio.resume(runs[-1], client, given.plan, progress=False)
            else:
                given.plan.send(client, audit=audit, progress=False, durability="process")
        except RunError as error:
            raise SystemExit(json.dumps(error.run.counts if error.run else str(error))) from error
