"""A program that ends while its runs go on: requests in flight are finished, and a message says what is left."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

import cio_frames as cio
from benchmarks.inputs import events
from benchmarks.measure import sink
from cio_frames.audit import recover
from tests.conftest import ENDS_AFTER_FORK

ROWS = 60_000
EXITED = "The program ended before the run did. Resume the run to send the rest."
ASKED = "You stopped the run. Resume it to send the rest."
HEAD = f"""
import asyncio, atexit, os, signal, sys, threading, time
import cio_frames as cio
from benchmarks.inputs import events
from benchmarks.measure import totals
url, folder = sys.argv[1:]
plan = cio.frame(events({ROWS})).track(event="event", user_id="user_id", timestamp="occurred_at")
client = cio.connect(endpoint=url or None, write_key="k", rate=1.0)

def begin(audit=folder, client=client):
    return plan.send(client, audit=audit, progress=False, wait=False)

def has_begun(run):
    while not run.counts["delivered"]:
        time.sleep(0.01)

def has_left(run):
    while not run.counts["requests"]:
        time.sleep(0.01)

def interrupt():
    threading.main_thread().join()
    time.sleep(1.5)
    os.kill(os.getpid(), signal.SIGINT)
"""
"""Ten requests leave at once, then one a second: no run ends before it is asked to."""


def ended(script, folder, *, url="", code=0):
    """Run a program until it ends, and return what it wrote to standard error."""
    done = subprocess.run(  # noqa: S603 - a script of this test
        [sys.executable, "-c", HEAD + script, url, str(folder)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def url():
    """Return the address of a host that takes a moment to answer."""
    with sink(latency_ms=80) as address:
        yield address


@pytest.fixture
def slow_url():
    """Return the address of a host that takes a minute to answer."""
    with sink(latency_ms=60_000) as address:
        yield address


def recorded(folder):
    """Return the only run of a folder as its record has it, after checking the record."""
    audit = cio.audit(folder)
    assert audit.verify().is_empty()
    (run,) = audit.runs.to_dicts()
    (path,) = Path(folder).glob("*/run.json")
    return run | {"why": json.loads(path.read_text())["stopped"]}


def messages_at_exit(stderr):
    """Return the messages about runs at exit: the sentences, and the line that finishes the run."""
    return re.findall(
        r"^cio_frames: (.+ arrived; .+) Finish it with\n    (cio\.resume\(.+\))$",
        stderr,
        re.MULTILINE,
    )


def sentence(run, why):
    """Return the sentence that is expected about a run."""
    return (
        f"{why} {run['delivered']:,} of {ROWS:,} rows arrived; {run['pending']:,} are pending, "
        f"{run['in_doubt']:,} in doubt. The record of every row is in "
    )


@pytest.mark.parametrize(
    ("ending", "code", "why"),
    [
        pytest.param("has_begun(begin())", 0, EXITED, id="the last line"),
        pytest.param("begin()", 0, EXITED, id="at once"),
        pytest.param("has_begun(begin()); sys.exit(3)", 3, EXITED, id="sys.exit"),
        pytest.param("has_begun(begin()); 1 / 0", 1, EXITED, id="an error"),
        pytest.param(
            "has_begun(begin()); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)",
            -signal.SIGINT, EXITED, id="an interrupt",
        ),
        pytest.param(
            """
before = totals(url)["requests"]
async def main():
    task = asyncio.create_task(plan.asend(client, audit=folder, progress=False))
    while totals(url)["requests"] == before:
        await asyncio.sleep(0.01)
asyncio.run(main())
            """,
            0, ASKED, id="a task that nobody awaits",
        ),
        pytest.param(
            """
async def main():
    has_begun(begin())
    loop.stop()
loop = asyncio.new_event_loop()
loop.create_task(main())
loop.run_forever()
            """,
            0, EXITED, id="a loop that is left",
        ),
    ],
)  # fmt: skip
def test_a_program_that_ends_says_what_is_left(url, tmp_path, ending, code, why):
    """No row is lost or in doubt, and the record has the reason that is printed."""
    stderr = ended(ending, tmp_path, url=url, code=code)

    run = recorded(tmp_path)
    assert (run["state"], run["why"]["code"], run["why"]["reason"]) == (
        "stopped",
        "INTERRUPTED",
        why,
    )
    assert run["in_doubt"] == 0 < run["pending"]
    assert run["delivered"] + run["pending"] == run["rows"] == ROWS
    ((text, _),) = messages_at_exit(stderr)
    assert text.startswith(sentence(run, why))


def test_the_printed_line_finishes_the_run(url, tmp_path):
    """In a later program it sends the rest, and nothing twice."""
    ((_, line),) = messages_at_exit(ended("has_begun(begin())", tmp_path, url=url))
    client = cio.connect(endpoint=url, write_key="k", rate=None)
    plan = cio.frame(events(ROWS)).track(event="event", user_id="user_id", timestamp="occurred_at")

    run = eval(line, {"cio": cio, "client": client, "plan": plan})  # noqa: S307 - as a user does

    assert run.counts["delivered"] == ROWS
    assert recorded(tmp_path)["state"] == "finished"


def test_nothing_is_printed_about_runs_that_ended_or_were_reported(url, tmp_path):
    """Nothing is printed about a run that finished, was waited for or was resumed."""
    stderr = ended(
        """
fast = cio.connect(endpoint=url, write_key="k", rate=None)
run = begin(client=fast)
while not run.done:
    time.sleep(0.01)
stopped = begin(folder + "/stopped")
stopped.stop()
stopped.wait()
left = begin(folder + "/left")
left.stop()
while not left.done:
    time.sleep(0.01)
cio.resume(left.audit, fast, plan, progress=False)
        """,
        tmp_path,
        url=url,
    )

    assert stderr == ""


def test_a_run_that_stopped_by_itself_is_reported_when_nobody_waited(tmp_path):
    """The reason is the run's own."""
    stderr = ended(
        """
with cio.sandbox() as workspace:
    wrong = cio.connect(endpoint=workspace.url, write_key="wrong", rate=None)
    run = begin(client=wrong)
    while not run.done:
        time.sleep(0.01)
        """,
        tmp_path,
    )

    run = recorded(tmp_path)
    ((text, _),) = messages_at_exit(stderr)
    assert run["why"]["code"] != "INTERRUPTED"
    assert text.startswith(sentence(run, run["why"]["reason"]))


def test_a_run_that_breaks_is_reported_with_its_error(url, tmp_path):
    """A record that can no longer be written ends the run, and the error says what to do."""
    stderr = ended(
        """
run = begin()
has_begun(run)
os.rename(run.audit, str(run.audit) + ".away")
while not run.done:
    time.sleep(0.01)
        """,
        tmp_path,
        url=url,
    )

    assert "The record in" in stderr
    assert "cio.resume(" in stderr


@pytest.mark.skipif(not ENDS_AFTER_FORK, reason="polars before 2.1 hangs where a fork ends")
def test_runs_end_together_and_only_where_they_were_started(url, tmp_path):
    """Each of two runs is reported once: a fork of the program prints nothing about them."""
    stderr = ended(
        """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
runs = [begin(folder + "/one"), begin(folder + "/two")]
for run in runs:
    has_begun(run)
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
        """,
        tmp_path,
        url=url,
    )

    assert sorted(Path(line.split("'")[1]).parent.name for _, line in messages_at_exit(stderr)) == [
        "one",
        "two",
    ]
    for name in ("one", "two"):
        assert recorded(tmp_path / name)["state"] == "stopped"


def test_a_run_goes_on_while_a_thread_of_the_program_does(url, tmp_path):
    """After the end of the main thread new connections are made, also to a host with a name."""
    stderr = ended(
        """
url = url.replace("127.0.0.1", "localhost")
client = cio.connect(endpoint=url, write_key="k", rate=None)
def wait():
    threading.main_thread().join()
    while not run.done:
        time.sleep(0.01)
run = begin(client=client)
threading.Thread(target=wait).start()
        """,
        tmp_path,
        url=url,
    )

    assert stderr == ""
    assert recorded(tmp_path)["delivered"] == ROWS


def test_a_sandbox_answers_until_its_runs_have_ended(tmp_path):
    """The workspace of a program stops after the runs that send to it."""
    stderr = ended(
        """
workspace = cio.sandbox().start()
has_begun(begin(client=cio.connect(endpoint=workspace.url, write_key=workspace.write_key, rate=1.0)))
        """,
        tmp_path,
    )

    run = recorded(tmp_path)
    ((text, _),) = messages_at_exit(stderr)
    assert text.startswith(sentence(run, EXITED))
    assert (run["retries"], run["in_doubt"]) == (0, 0)


def test_an_interrupt_during_the_exit_leaves_what_is_under_way_in_doubt(slow_url, tmp_path):
    """The wait is explained, and the program ends although no answer ever comes."""
    stderr = ended(
        """
threading.Thread(target=interrupt, daemon=True).start()
has_left(begin())
        """,
        tmp_path,
        url=slow_url,
    )

    run = recorded(tmp_path)
    ((text, _),) = messages_at_exit(stderr)
    assert stderr.startswith("cio_frames: The program has ended; waiting for the answers")
    assert text.startswith(sentence(run, EXITED))
    assert 0 < run["in_doubt"] < ROWS == run["in_doubt"] + run["pending"]


def test_the_exit_does_not_wait_for_ever(slow_url, tmp_path):
    """A run that does not end in time is left: its record can be recovered, and has the reason."""
    stderr = ended(
        """
from cio_frames.sending import background
background.EXIT_SECONDS = 0.5
has_left(begin())
        """,
        tmp_path,
        url=slow_url,
    )

    ((text, line),) = messages_at_exit(stderr)
    assert text.startswith(f"{EXITED} 0 of {ROWS:,} rows arrived; {ROWS:,} are pending")
    assert recover(line.split("'")[1]).run.stopped["reason"] == EXITED


def test_a_program_that_is_past_its_end_begins_no_run_or_the_whole_of_it(url, tmp_path):
    """Where no thread can be started any more, as in Python 3.12, nothing is sent."""
    stderr = ended(
        """
@atexit.register
def send():
    try:
        plan.send(cio.connect(endpoint=url, write_key="k", rate=None), audit=folder, progress=False)
    except cio.errors.RunError as error:
        print(error, file=sys.stderr)
        """,
        tmp_path,
        url=url,
    )

    run = recorded(tmp_path)
    if run["state"] == "finished":
        assert (run["delivered"], stderr) == (ROWS, "")
    else:
        assert (run["pending"], run["why"]["code"]) == (ROWS, "FAILED")
        assert stderr.startswith("No thread could be started: ")


@pytest.mark.parametrize("kept", ["it", "error"])
@pytest.mark.parametrize("source", ["frame", "parquet", "csv"])
def test_an_iterator_that_nobody_closes_does_not_hold_up_the_exit(tmp_path, source, kept):
    """Whatever it reads, and though an error holds on to it."""
    stderr = ended(
        f"""
rows = events({ROWS}).drop("tags", "device")
rows.write_parquet(folder + "/rows.parquet", row_group_size=5_000)
rows.write_csv(folder + "/rows.csv")
table = rows if {source!r} == "frame" else cio.scan(folder + "/rows." + {source!r})
it = cio.frame(table).track(event="event", user_id="user_id").pipeline.encode_chunks(chunk_rows=10_000)
next(it)
try:
    raise ValueError(it)
except ValueError as caught:
    error = caught
    error.itself = error
del {"error" if kept == "it" else "it"}
        """,
        tmp_path,
    )

    assert stderr == ""


def test_a_kernel_that_is_shut_down_leaves_the_reason(url, tmp_path):
    """A notebook's run ends with its kernel: nothing is in doubt, and the record says why."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        script = HEAD.replace("sys.argv[1:]", repr((url, str(tmp_path)))) + "has_begun(begin())"
        answer = client.execute_interactive(script, timeout=60, output_hook=lambda _: None)
        assert answer["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)

    run = recorded(tmp_path)
    assert (run["state"], run["in_doubt"], run["why"]["reason"]) == ("stopped", 0, EXITED)
