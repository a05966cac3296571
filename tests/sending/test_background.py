"""A run has a thread and a loop of its own and hands over what it returns or raises."""

import asyncio
import contextvars
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from cio_frames.errors import RunError
from cio_frames.sending.background import BackgroundLoop
from cio_frames.sending.run_controls import StopSignal
from tests.conftest import ENDS_AFTER_FORK

HERE = contextvars.ContextVar("HERE", default="nowhere")


async def until(flag):
    """Run until stopped."""
    while not flag.draining:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    return "drained"


def started(work, *, stop=None):
    """Return a worker that was started."""
    worker = BackgroundLoop(work, stop=stop or StopSignal())
    worker.start()
    return worker


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there is no such signal here")
def test_a_signal_that_cancels_the_waiting_task_is_noticed():
    """The stop button of a notebook cancels the task from a signal handler, which wakes no loop."""
    flag = StopSignal()
    at_last = threading.Timer(5, flag.drain)

    async def waits():
        worker = started(lambda: until(flag), stop=flag)
        task = asyncio.current_task()
        former = signal.signal(signal.SIGALRM, lambda *_: task.cancel())
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        at_last.start()
        with pytest.raises(asyncio.CancelledError):
            await worker.wait_async()
        signal.signal(signal.SIGALRM, former)
        return worker.done

    was_done = asyncio.run(waits())
    at_last.cancel()
    flag.drain()

    assert not was_done


def test_the_result_is_handed_over():
    """`result` returns what the coroutine returned, at each call."""

    async def work():
        return threading.current_thread().name

    worker = started(work)

    assert worker.wait(60)
    assert (worker.done, worker.result(), worker.result()) == (True, "cio_frames", "cio_frames")


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr
)
def test_an_error_is_handed_over(error):
    """What the coroutine raises is raised where it is waited for."""

    async def work():
        raise error

    worker = started(work)

    with pytest.raises(type(error)):
        worker.result()
    assert worker.done


def test_waiting_for_a_while_does_not_end_the_run():
    """`wait` returns False after a timeout, and a stop then ends the run."""
    flag = StopSignal()
    worker = started(lambda: until(flag), stop=flag)

    assert not worker.wait(0.02)
    assert not worker.done
    worker.stop()
    assert worker.result() == "drained"


def test_abandoning_is_passed_on():
    """The coroutine sees that not even answers are waited for."""
    flag = StopSignal()
    worker = started(lambda: until(flag), stop=flag)
    worker.abandon()

    assert worker.wait(60)
    assert flag.abandoned


def test_it_works_while_the_caller_has_a_running_loop():
    """In a notebook or an async program the run does not block the caller's loop."""

    async def work():
        await asyncio.sleep(0.01)
        return asyncio.get_running_loop()

    async def caller():
        worker = started(work)
        while not worker.done:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        return worker.result(), asyncio.get_running_loop()

    inner, outer = asyncio.run(caller())

    assert inner is not outer


def test_the_coroutine_sees_the_callers_context():
    """Context variables of the caller are those of the run."""

    async def work():
        return HERE.get()

    HERE.set("a cell")

    assert started(work).result() == "a cell"


def test_a_worker_starts_once():
    """Starting again is an error, and waiting before the start is one."""

    async def work():
        return None

    worker = BackgroundLoop(work, stop=StopSignal())
    with pytest.raises(RunError, match="has not been started"):
        worker.wait(0)
    worker.start()
    with pytest.raises(RunError, match="already been started"):
        worker.start()
    assert worker.wait(60)


def test_no_thread_stays_behind():
    """Soon after the end there are as many threads as before."""
    before = threading.active_count()

    async def work():
        await asyncio.to_thread(time.sleep, 0)

    started(work).result()
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.005)

    assert threading.active_count() == before


def script(body):
    """Run a script of its own and return what it printed."""
    head = """
        import asyncio, os, signal, sys, threading, time, warnings
        from cio_frames.sending.run_controls import StopSignal
        from cio_frames.sending.background import BackgroundLoop

        stop = StopSignal()

        async def work():
            print("begun", flush=True)
            while not stop.draining:
                await asyncio.sleep(0.01)
            print("drained", flush=True)
            return "result"

        worker = BackgroundLoop(work, stop=stop)
        worker.start()
    """
    text = textwrap.dedent(head) + textwrap.dedent(body)
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.stderr == ""
    return ran.stdout.split("\n")[:-1]


def test_a_script_that_ends_drains_its_run():
    """At the end of a script requests in flight are finished and no others start."""
    assert script("time.sleep(0.05)") == ["begun", "drained"]


def test_an_interrupt_while_waiting_does_not_lose_the_result():
    """After Ctrl-C in `wait` the run can be stopped, waited for, and gives its result."""
    printed = script("""
        try:
            threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            worker.wait()
        except KeyboardInterrupt:
            print("interrupted", worker.done, flush=True)
        worker.stop()
        print(worker.result(), flush=True)
    """)

    assert printed == ["begun", "interrupted False", "drained", "result"]


@pytest.mark.skipif(not ENDS_AFTER_FORK, reason="polars before 2.1 hangs where a fork ends")
def test_a_fork_cannot_wait_for_its_parents_run():
    """In a forked child waiting fails at once, and the parent's run is not disturbed."""
    printed = script("""
        from cio_frames.errors import RunError
        warnings.simplefilter("ignore", DeprecationWarning)
        time.sleep(0.05)
        child = os.fork()
        if child == 0:
            try:
                worker.wait()
            except RunError as error:
                print("this is a fork" in str(error), flush=True)
            sys.exit(0)
        os.waitpid(child, 0)
        worker.stop()
        print(worker.result(), flush=True)
    """)

    assert printed == ["begun", "True", "drained", "result"]
