"""What type checkers must know of the public names. Checked by mypy and pyright, never run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import pandas as pd
import polars as pl
import pyarrow as pa

import cio_frames as cio
from cio_frames.frames.read import ArrowStream

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
    assert_type(client, cio.Client)
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
assert_type(cio.suggest(people, "track"), pd.DataFrame)
assert_type(cio.suggest(pl.DataFrame({"id": ["u1"]}), "track"), pl.DataFrame)
assert_type(cio.suggest(pl.LazyFrame({"id": ["u1"]}), "identify"), pl.DataFrame)
assert_type(cio.frame([{"id": "u1"}]), cio.Frame[cio.Plan])
arrow: ArrowStream = pa.table({"id": ["u1"]})  # pyarrow has no types of its own
assert_type(cio.frame(arrow), cio.Frame[cio.Plan])
assert_type(plan.identity(known=people).summary, dict[str, Any])
plan.rehearse(known=[{"id": "u1"}], progress=lambda state: print(state.total))
plan.estimate(known=events, progress="lines")
cio.sandbox(faults="flaky", keep="counts", seed=7).faults = cio.Faults(failed=0.1)
assert_type(cio.__version__, str)
refused: type[cio.CioError] = cio.errors.PlanRefusedError
try:
    plan.send(client)
except cio.PlanRefusedError as error:
    assert_type(error.findings, tuple[Mapping[str, Any], ...])
checks = cio.Checks(ignore=["time"], severity={"id.missing": "refuse"})


async def sent() -> cio.Run:
    """Send and let others go on."""
    return await form.asend(client)
