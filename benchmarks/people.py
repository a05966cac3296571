"""Read people, preview a table against them, reconcile and plan an undo: time and peak memory.

Run it as `python -m benchmarks.people [people]`. One process runs an embedded workspace with the
people; a second one reads them with an App API key and previews as many rows, a tenth of them new; a
third one sends people to a sink and reconciles the run with an export of them; a fourth one sends
such rows and plans the undo.
"""

import resource
import subprocess
import sys
import tempfile
import time
from tempfile import TemporaryDirectory

import polars as pl

import cio_frames as cio
from benchmarks.measure import sink

PEOPLE = 1_000_000


def people(count: int) -> pl.DataFrame:
    """Return people without shared identifiers."""
    number = pl.int_range(count, dtype=pl.Int64)
    return pl.select(
        pl.format("user-{}", number).alias("id"),
        pl.format("user{}@example.com", number).alias("email"),
        pl.format("City {}", number % 100).alias("city"),
    )


def serve(count: int) -> None:
    """Serve people, print the address and key, and wait until standard input is closed."""
    with cio.sandbox() as workspace:
        workspace.load(people(count).with_columns(attributes=pl.lit('{"plan":"pro","score":7}')))
        print(workspace.url, workspace.app_api_key, flush=True)
        sys.stdin.read()


def read(count: int, *, url: str, key: str) -> None:
    """Read people, preview rows against them, and print time and memory."""
    start = time.perf_counter()
    client = cio.connect(endpoint=url, app_api_key=key, environ={})
    exported = client.people(attributes=["plan", "score"], progress=False)
    export_s, read_mb = time.perf_counter() - start, peak()
    assert exported.height == count
    del exported
    rows = people(count + count // 10).tail(count)
    plan = cio.frame(rows).identify(user_id="id")
    start = time.perf_counter()
    preview = plan.identity(known=client, progress=False)
    preview_s = time.perf_counter() - start
    assert preview.summary["creates"] == count // 10
    print("| people | export s | its peak MB | export and preview s | peak MB |")
    print("|---|---|---|---|---|")
    print(f"| {count:,} | {export_s:.1f} | {read_mb:,.0f} | {preview_s:.1f} | {peak():,.0f} |")


def reconcile(count: int) -> None:
    """Send people, reconcile with an export where every thousandth differs, and print time and memory."""
    rows = people(count).with_columns(
        score=pl.int_range(count) % 7, is_vip=pl.int_range(count) % 2 == 0
    )
    plan = cio.frame(rows).identify(user_id="id")
    export = rows.select(pl.all().cast(pl.String), cio_id=pl.format("k{}", pl.int_range(count)))
    is_changed = pl.int_range(count) % 1_000 == 0
    workspace_people = export.with_columns(
        score=pl.when(is_changed).then(pl.lit("9")).otherwise("score")
    )
    with sink() as url, TemporaryDirectory() as folder:
        client = cio.connect(endpoint=url, write_key="k", environ={})
        run = plan.send(client, audit=folder, progress=False)
        for before in (None, export.select("id", "email", "cio_id", "city")):
            start, cpu_start = time.perf_counter(), time.process_time()
            result = run.reconcile(workspace_people, before=before, progress=False)
            wall_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
            assert result.differences.height == -(-count // 1_000)
            what = "reconcile" if before is None else "reconcile with people before"
            print(
                f"| {what} | {count:,} | {wall_s:.1f} s | {cpu_s:.1f} s of processor | {peak():,.0f} MB |"
            )


def undo(count: int) -> None:
    """Send rows that change nine tenths of the people and create the others, and plan the undo."""
    before = people(count).with_columns(plan=pl.lit("free"), score=pl.lit("7"))
    rows = people(count + count // 10).tail(count).with_columns(plan=pl.lit("pro"))
    with cio.sandbox(keep="counts") as workspace, tempfile.TemporaryDirectory() as folder:
        run = (
            cio.frame(rows)
            .identify(user_id="id")
            .send(workspace.client(), audit=folder, progress=False)
        )
        sent_mb = peak()
        start = time.perf_counter()
        undo_plan = run.undo(before)
        wall_s = time.perf_counter() - start
    assert undo_plan.summary["people_deleted"] == count // 10
    assert undo_plan.summary["attributes_restored"] == count - count // 10
    print("| people | undo-plan s | peak MB before | peak MB |")
    print("|---|---|---|---|")
    print(f"| {count:,} | {wall_s:.1f} | {sent_mb:,.0f} | {peak():,.0f} |")


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count: int) -> None:
    """Run each part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.people", str(count)]
    with subprocess.Popen(
        [*command, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        subprocess.run([*command, *server.stdout.readline().split()], check=True)
        server.communicate("")
    subprocess.run([*command, "reconcile"], check=True)
    subprocess.run([*command, "undo"], check=True)


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    match sys.argv[2:]:
        case ["serve"]:
            serve(size)
        case ["reconcile"]:
            reconcile(size)
        case ["undo"]:
            undo(size)
        case [address, secret]:
            read(size, url=address, key=secret)
        case _:
            main(size)
