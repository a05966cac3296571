"""What must not be believed: answers said twice, changed parts, a clock that went back."""

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
from cio_frames.audit import AuditWriter, earlier, pseudonyms
from cio_frames.clock import utc_now
from cio_frames.errors import AuditCorruptError
from cio_frames.sandbox import Faults
from cio_frames.sending import scheduler
from cio_frames.sending.clock import Clock
from cio_frames.sending.events import RunFinished
from torture.checker import Verdict
from torture.harness import Line, bench, hurried, require, require_clean
from torture.inputs import Input, people
from torture.scripted_run import INFO, Driver, segment

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


_HOST = re.compile(rb"\r\nhost: [^\r]+", re.IGNORECASE)


class Repeater:
    """A proxy that leads to a workspace, and gives every answer twice.

    Args:
        host: Where it leads, as host and port.
        pause_s: Seconds between the two; None for one packet.
    """

    def __init__(self, host: str, *, pause_s: float | None) -> None:
        self._host = host.encode()
        self._pause_s = pause_s
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._up.set()
        await self._over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address, port = self._host.decode().split(":")
        there, back = await asyncio.open_connection(address, int(port))
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                asked = await _message(reader)
                back.write(_HOST.sub(b"\r\nhost: " + self._host, asked, count=1))
                said = await _message(there)
                writer.write(said + (said if self._pause_s is None else b""))
                if self._pause_s is not None:
                    await asyncio.sleep(self._pause_s)
                    writer.write(said)
        writer.close()
        back.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def doubled(*, seed: int, rows: int, pause_s: float | None) -> Line:
    """Repeat every answer: none is taken for the answer to the next request (T26).

    Args:
        seed: Decides the rows, and which requests the workspace refuses to take.
        rows: How many rows.
        pause_s: Seconds between an answer and its repeat; None for one packet.
    """
    given = Input(frame=people(rows, people=rows // 10, seed=seed), batch_bytes=2_000)
    what = "answers twice, " + ("one packet" if pause_s is None else f"{pause_s:g} s later")
    with hurried(), bench("T26", what, seed=seed, faults=Faults(failed=0.3)) as put:
        with Repeater(put.workspace.url.removeprefix("http://"), pause_s=pause_s) as proxy:
            client = cio.connect(
                endpoint=proxy.url, write_key=put.workspace.write_key, rate=None, environ={}
            )
            put.send(given, client)
        line = put.line(given)
    require_clean(line)
    require(line.states == {"delivered": rows}, line, "everything arrives")
    return line


def forged(*, seed: int, rows: int = 400) -> Line:
    """Save parts again with other states: nothing is skipped for them, and nothing is sent (T27).

    Args:
        seed: Decides the rows.
        rows: How many rows.
    """
    given = Input(frame=people(rows, people=rows // 10, seed=seed), batch_bytes=4_000)
    with bench("T27", "parts that were changed", seed=seed) as put:
        put.workspace.faults = Faults(unauthorized=1.0, first=4)
        run = put.send(given)
        whole = put.line(given)
        put.workspace.faults, requests = "none", put.workspace.counts["requests"]
        refused = 0
        for part in sorted((run.audit / "parts").iterdir()):
            data = part.read_bytes()
            pl.read_parquet(part).with_columns(state=pl.lit("delivered")).write_parquet(part)
            for send in (put.send, partial(put.resume, directory=run.audit)):
                try:
                    send(given)
                except AuditCorruptError:
                    refused += 1
            part.write_bytes(data)
        sent = put.workspace.counts["requests"] - requests
        put.resume(given, run.audit)
        line = put.line(given, refused=refused, sent=sent)
    require_clean(whole)
    require_clean(line)
    require(refused > 0 and refused % 2 == 0, line, "each way of sending refuses each part")
    require(sent == 0, line, "no request is made")
    require(line.states == {"delivered": rows}, line, "with its own parts the run is finished")
    return line


def many_runs(count: int, *, seed: int, most_s: float) -> Line:
    """Send beside many earlier runs: looking them up takes no time that a user would notice (T28).

    Args:
        count: How many earlier runs.
        seed: Decides the rows.
        most_s: The most seconds that all of them may take.
    """
    given = Input(frame=people(200, people=20, seed=seed))
    with bench("T28", f"{count:,} earlier runs", seed=seed) as put:
        client = put.client()
        for number in range(count):
            _record(put.audit, number, workspaces=client.workspaces)
        started = time.perf_counter()
        before = earlier(put.audit, workspaces=client.workspaces)
        found = before.rows.height if before else 0
        took_s = time.perf_counter() - started
        run = put.send(given, client)
        line = put.line(given, record=cio.audit(run.audit).messages, took_s=took_s, found=found)
    require_clean(line)
    require(found == _ROWS_OF_EARLIER, line, "every message is found once")
    require(took_s < most_s, line, f"the earlier runs are looked up in {took_s:.2f} s")
    return replace(line, note=f"{count:,} earlier runs are looked up in {took_s:.2f} s")


_ROWS_OF_EARLIER = 5


def _record(audit: Path, number: int, *, workspaces: dict[str, str]) -> None:
    info = replace(INFO, run_id=f"20260301T120000000Z-{number:06d}", workspaces=workspaces)
    writer = AuditWriter.start(audit, info, key=pseudonyms.key(), durability="process")
    driver, made = Driver(writer), segment(0, first=0, sizes=(3, 2))
    driver.plan(made)
    for batch in made.batches:
        driver.deliver(batch)
    writer(RunFinished(at=driver.at))


def clock_back(*, seed: int, rows: int) -> Line:
    """Lose the answers of forms, and set the clock back: no form is submitted twice (T29).

    Args:
        seed: Only told.
        rows: How many submissions.
    """
    frame = pl.DataFrame({"email": [f"u{n}@example.com" for n in range(rows)]})
    plan = cio.frame(frame).form(form_id=cio.lit("news"))
    with bench("T29", "forms, clock set back", seed=seed) as put:
        put.workspace.faults = Faults(failed_after=1.0)
        with _ahead(timedelta(days=2)):
            run = plan.send(put.client(), audit=put.audit, progress=False)
        doubtful = run.counts["in_doubt"]
        put.workspace.faults = "none"
        plan.send(put.client(), audit=put.audit, progress=False)
        cio.resume(run.audit, put.client(), plan, progress=False)
        came = put.workspace.forms["submissions"].sum()
        line = Line(
            test=put.test,
            what=put.what,
            rows=rows,
            requests=put.workspace.counts["requests"],
            verdict=Verdict(duplicated_after_dedupe=came - rows),
            seed=seed,
            seconds=time.monotonic() - put.started,
            facts={"in_doubt": doubtful, "submissions": came},
        )
    require_clean(line)
    require(doubtful == rows, line, "every answer was lost")
    return line


@contextlib.contextmanager
def _ahead(by: timedelta) -> Iterator[None]:
    """Let the sender's clock be ahead of that of the machine."""
    with patch.object(scheduler, "Clock", partial(Clock, now=lambda: utc_now() + by)):
        yield
