"""Read people, preview a table against them, reconcile and plan an undo: seconds, and peak memory.

Run it as `python -m benchmarks.people [people]`. An embedded workspace holds the people in a process
of its own; another one reads them with an App API key, and previews as many rows, a tenth of them new. A
third one sends people to a server that keeps nothing, and reconciles the run with an export of them; a
fourth one sends such rows, and plans the undo.
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
    """Return people of whom no two share an identifier."""
    number = pl.int_range(count, dtype=pl.Int64)
    return pl.select(
        pl.format("user-{}", number).alias("id"),
        pl.format("user{}@example.com", number).alias("email"),
        pl.format("City {}", number % 100).alias("city"),
    )


def serve(count: int) -> None:
    """Hold people, say where they are, and wait until nobody reads any more."""
    with cio.sandbox() as workspace:
        workspace.load(people(count).with_columns(attributes=pl.lit('{"plan":"pro","score":7}')))
        print(workspace.url, workspace.app_api_key, flush=True)
        sys.stdin.read()


def read(count: int, *, url: str, key: str) -> None:
    """Read people, preview rows against them, and print what it took."""
    began = time.perf_counter()
    client = cio.connect(endpoint=url, app_api_key=key, environ={})
    known = client.people(attributes=["plan", "score"], progress=False)
    exported, read_mb = time.perf_counter() - began, peak()
    assert known.height == count
    del known
    rows = people(count + count // 10).tail(count)
    plan = cio.frame(rows).identify(user_id="id")
    began = time.perf_counter()
    found = plan.identity(known=client, progress=False)
    previewed = time.perf_counter() - began
    assert found.summary["creates"] == count // 10
    print("| people | export s | its peak MB | export and preview s | peak MB |")
    print("|---|---|---|---|---|")
    print(f"| {count:,} | {exported:.1f} | {read_mb:,.0f} | {previewed:.1f} | {peak():,.0f} |")


def reconcile(count: int) -> None:
    """Send people, compare them with an export of which every thousandth differs, and print what it took."""
    rows = people(count).with_columns(
        score=pl.int_range(count) % 7, is_vip=pl.int_range(count) % 2 == 0
    )
    plan = cio.frame(rows).identify(user_id="id")
    export = rows.select(pl.all().cast(pl.String), cio_id=pl.format("k{}", pl.int_range(count)))
    is_other = pl.int_range(count) % 1_000 == 0
    held = export.with_columns(score=pl.when(is_other).then(pl.lit("9")).otherwise("score"))
    with sink() as url, TemporaryDirectory() as folder:
        client = cio.connect(endpoint=url, write_key="k", environ={})
        run = plan.send(client, audit=folder, progress=False)
        for before in (None, export.select("id", "email", "cio_id", "city")):
            began, used = time.perf_counter(), time.process_time()
            found = run.reconcile(held, before=before, progress=False)
            took, used = time.perf_counter() - began, time.process_time() - used
            assert found.differences.height == -(-count // 1_000)
            what = "reconcile" if before is None else "reconcile with people before"
            print(
                f"| {what} | {count:,} | {took:.1f} s | {used:.1f} s of processor | {peak():,.0f} MB |"
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
        began = time.perf_counter()
        found = run.undo(before)
        took = time.perf_counter() - began
    assert found.summary["people_deleted"] == count // 10
    assert found.summary["attributes_restored"] == count - count // 10
    print("| people | undo-plan s | peak MB before | peak MB |")
    print("|---|---|---|---|")
    print(f"| {count:,} | {took:.1f} | {sent_mb:,.0f} | {peak():,.0f} |")


def peak() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count: int) -> None:
    """Hold and read people in two processes."""
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
