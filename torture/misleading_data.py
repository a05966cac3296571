"""T26 to T29: repeated answers, changed parts of a record, many earlier runs, a clock set back."""

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Self
from unittest.mock import patch

import polars as pl

import cio_frames as cio
from cio_frames.audit import AuditWriter, earlier_runs, pseudonyms
from cio_frames.clock import utc_now
from cio_frames.errors import AuditCorruptError
from cio_frames.sandbox import Faults
from cio_frames.sending import scheduler
from cio_frames.sending.clock import Clock
from cio_frames.sending.events import RunFinished
from torture.checker import Verdict
from torture.harness import Line, fast_clock, require, require_clean, set_up
from torture.inputs import Workload, random_rows
from torture.scripted_run import INFO, ScriptedRun, segment

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost: [^\r]+", re.IGNORECASE)


class Repeater:
    """A proxy in front of a workspace that sends every answer twice.

    Args:
        host: Host and port of the workspace.
        pause_s: Seconds between the two; None sends both in one packet.
    """

    def __init__(self, host: str, *, pause_s: float | None) -> None:
        self._host = host.encode()
        self._pause_s = pause_s
        self._is_up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_up.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._is_up.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = self._host.decode().split(":")
        server_reader, server_writer = await asyncio.open_connection(address, int(port))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                request = await _read_message(reader)
                server_writer.write(_HOST.sub(b"\r\nhost: " + self._host, request, count=1))
                answer = await _read_message(server_reader)
                writer.write(answer + (answer if self._pause_s is None else b""))
                if self._pause_s is not None:
                    await asyncio.sleep(self._pause_s)
                    writer.write(answer)
        writer.close()
        server_writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def repeated_answers(*, seed: int, rows: int, pause_s: float | None) -> Line:
    """Send every answer twice: no copy is taken for the answer to the next request (T26).

    Args:
        seed: Decides the rows, and which requests fail.
        rows: How many rows.
        pause_s: Seconds between an answer and its repeat; None for one packet.
    """
    workload = Workload(frame=random_rows(rows, people=rows // 10, seed=seed), batch_bytes=2_000)
    what = "answers twice, " + ("one packet" if pause_s is None else f"{pause_s:g} s later")
    with fast_clock(), set_up("T26", what, seed=seed, faults=Faults(failed=0.3)) as harness:
        with Repeater(harness.workspace.url.removeprefix("http://"), pause_s=pause_s) as proxy:
            client = cio.connect(
                endpoint=proxy.url, write_key=harness.workspace.write_key, rate=None, environ={}
            )
            harness.send(workload, client)
        line = harness.line(workload)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "everything arrives")
    return line


def changed_parts(*, seed: int, rows: int = 400) -> Line:
    """Save parts with other states: every send and resume raises, and nothing is sent (T27)."""
    workload = Workload(frame=random_rows(rows, people=rows // 10, seed=seed), batch_bytes=4_000)
    with set_up("T27", "parts that were changed", seed=seed) as harness:
        harness.workspace.faults = Faults(unauthorized=1.0, first=4)
        run = harness.send(workload)
        before = harness.line(workload)
        harness.workspace.faults, requests = "none", harness.workspace.counts["requests"]
        errors = 0
        for part in sorted((run.audit / "parts").iterdir()):
            data = part.read_bytes()
            pl.read_parquet(part).with_columns(state=pl.lit("delivered")).write_parquet(part)
            for send in (harness.send, partial(harness.resume, directory=run.audit)):
                try:
                    send(workload)
                except AuditCorruptError:
                    errors += 1
            part.write_bytes(data)
        sent = harness.workspace.counts["requests"] - requests
        harness.resume(workload, run.audit)
        line = harness.line(workload, errors=errors, sent=sent)
    require_clean(before)
    require_clean(line)
    require(errors > 0 and errors % 2 == 0, line, "send and resume each reject every part")
    require(sent == 0, line, "no request is made")
    require(line.states == {"delivered": rows}, line, "with the original parts the run finishes")
    return line


def many_runs(count: int, *, seed: int, max_s: float) -> Line:
    """Send with many earlier runs in the record: looking them up is quick (T28)."""
    workload = Workload(frame=random_rows(200, people=20, seed=seed))
    with set_up("T28", f"{count:,} earlier runs", seed=seed) as harness:
        client = harness.client()
        for number in range(count):
            _write_run(harness.audit, number, workspaces=client.workspaces)
        started = time.perf_counter()
        before = earlier_runs(harness.audit, workspaces=client.workspaces)
        rows = before.rows.height if before else 0
        took_s = time.perf_counter() - started
        run = harness.send(workload, client)
        line = harness.line(
            workload, record=cio.audit(run.audit).messages, took_s=took_s, rows=rows
        )
    require_clean(line)
    require(rows == _ROWS_PER_RUN, line, "every message is listed once")
    require(took_s < max_s, line, f"the earlier runs are looked up in {took_s:.2f} s")
    return replace(line, note=f"{count:,} earlier runs are looked up in {took_s:.2f} s")


_ROWS_PER_RUN = 5


def _write_run(audit: Path, number: int, *, workspaces: dict[str, str]) -> None:
    info = replace(INFO, run_id=f"20260301T120000000Z-{number:06d}", workspaces=workspaces)
    writer = AuditWriter.start(audit, info, key=pseudonyms.key(), durability="process")
    run, planned = ScriptedRun(writer), segment(0, first=0, sizes=(3, 2))
    run.plan(planned)
    for batch in planned.batches:
        run.deliver(batch)
    writer(RunFinished(at=run.at))


def clock_set_back(*, seed: int, rows: int) -> Line:
    """Lose the answers to forms and set the clock back: no form is submitted twice (T29)."""
    frame = pl.DataFrame({"email": [f"u{n}@example.com" for n in range(rows)]})
    plan = cio.frame(frame).form(form_id=cio.lit("news"))
    with set_up("T29", "forms, clock set back", seed=seed) as harness:
        harness.workspace.faults = Faults(failed_after=1.0)
        with _clock_ahead(timedelta(days=2)):
            run = plan.send(harness.client(), audit=harness.audit, progress=False)
        in_doubt = run.counts["in_doubt"]
        harness.workspace.faults = "none"
        plan.send(harness.client(), audit=harness.audit, progress=False)
        cio.resume(run.audit, harness.client(), plan, progress=False)
        submissions = harness.workspace.forms["submissions"].sum()
        line = Line(
            test=harness.test,
            what=harness.what,
            rows=rows,
            requests=harness.workspace.counts["requests"],
            verdict=Verdict(duplicated_after_dedupe=submissions - rows),
            seed=seed,
            seconds=time.monotonic() - harness.started,
            facts={"in_doubt": in_doubt, "submissions": submissions},
        )
    require_clean(line)
    require(in_doubt == rows, line, "every answer was lost")
    return line


@contextlib.contextmanager
def _clock_ahead(by: timedelta) -> Iterator[None]:
    """Set the sender's clock ahead of the machine's."""
    with patch.object(scheduler, "Clock", partial(Clock, now=lambda: utc_now() + by)):
        yield
