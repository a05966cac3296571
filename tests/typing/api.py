"""What type checkers must know of the public names. Checked by mypy and pyright, never run."""

from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import polars as pl

import cio_frames as cio

people = pd.DataFrame({"id": ["u1"], "email": ["ada@example.com"]})

plan = cio.frame(people).identify(user_id="id", traits=["email"], nulls={"email": "send"})
assert_type(plan, cio.Plan)
assert_type(plan.counts, dict[str, int])
assert_type(plan.payloads(3), list[dict[str, Any]])
assert_type(plan.fix("id.float"), cio.Plan)

events = cio.scan("events/*.parquet")
assert_type(events, pl.LazyFrame)
tracked = cio.frame(events).track(event=cio.lit("Order Completed"), user_id="id", timestamp="at")
page = cio.frame(events).page(name="title", user_id="id", context={"page.url": "url"})
screen = cio.frame(events).screen(name="title", anonymous_id="visitor")
group = cio.frame(events).group(group_id="company", user_id="id", relationship=["role"])
merged = cio.frame(events).alias(previous_id="old", user_id="id")
form = cio.frame(events).form(form_id=cio.lit("contact"), email="email", fields={"topic": "about"})

backfill = cio.backfill([plan, tracked, page, screen, group, merged])
assert_type(backfill, cio.Backfill)

with cio.sandbox() as workspace:
    client = workspace.client()
    run = backfill.send(client, audit=Path("audit"), wait=False)
    assert_type(run, cio.Run)
    run.pause()
    run.go_on()
    run.slow_down()
    run.rate = 20.0
    run.stop()
    assert_type(run.wait(), cio.Run)
    assert_type(cio.resume(run.audit, client, backfill), cio.Run)
    assert_type(workspace.people, pl.DataFrame)

client = cio.connect("eu", write_key="k", rate=None)
assert_type(client.endpoint, str)
assert_type(cio.audit("audit"), cio.Audit)
assert_type(cio.audit("audit").explain(row=1), str)
checks = cio.Checks(ignore=["time"], severity={"id.missing": "refuse"})


async def sent() -> cio.Run:
    """Send and let others go on."""
    return await form.asend(client)
