"""Everything that the package shows of itself in this process, for `test_environment.py`.

Run as a program it writes a JSON list of kind, place and text to the file it is given.
"""

import contextlib
import importlib
import inspect
import io
import json
import os
import pickle
import pkgutil
import pydoc
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType, ModuleType
from typing import Any

import polars as pl

import cio_frames as cio
from cio_frames.cli import main

PACKAGE = Path(cio.__file__).parent
COMMANDS = ("check", "preview", "send", "resume", "reconcile", "audit", "undo", "sandbox", "demo")
Shown = tuple[str, str, str]


def shown() -> Iterator[Shown]:
    """Yield kind, place and text of everything that is shown."""
    seen: set[int] = set()
    for module in modules():
        yield "help", module.__name__, pydoc.render_doc(module, renderer=pydoc.plaintext)
        yield from of_namespace(module, module.__name__, seen=seen)
    with TemporaryDirectory() as folder:
        for name, thing in things(folder).items():
            yield from of_thing(thing, name)
    for words in ([], *([command] for command in COMMANDS)):
        yield "help", f"cio-frames {' '.join(words)}", text_of([*words, "--help"])
    for name, (changes, act) in MISTAKES.items():
        yield from of_mistake(name, changes, act)


def modules() -> Iterator[ModuleType]:
    """Yield every module of the package; a program that would run is none."""
    yield cio
    for found in pkgutil.walk_packages(cio.__path__, "cio_frames."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def of_namespace(space: ModuleType | type, place: str, *, seen: set[int]) -> Iterator[Shown]:
    """Yield what a module or a class shows, with all that is in it."""
    yield "docstring", place, str(space.__doc__)
    for name, value in list(vars(space).items()):
        if name in {"__builtins__", "__dict__", "__weakref__"} or isinstance(value, ModuleType):
            continue
        inner = value if inspect.isclass(value) else callable_in(value)
        if inner is None:
            yield "repr", f"{place}.{name}", repr(value)
        elif inner.__module__.startswith("cio_frames") and id(inner) not in seen:
            seen.add(id(inner))
            where = f"{inner.__module__}.{inner.__qualname__}"
            yield from of_signature(inner, where)
            yield from (
                of_function(inner, where)
                if isinstance(inner, FunctionType)
                else of_namespace(inner, where, seen=seen)
            )


def callable_in(value: object) -> FunctionType | None:
    """Return the function that a member is made of, without its wrappings."""
    for name in ("fget", "func", "__func__"):
        value = getattr(value, name, value)
    value = inspect.unwrap(value) if callable(value) else value
    return value if isinstance(value, FunctionType) else None


def of_function(function: FunctionType, place: str) -> Iterator[Shown]:
    """Yield what a function shows, and what it keeps."""
    yield "docstring", place, str(function.__doc__)
    kept = [cell.cell_contents for cell in function.__closure__ or () if cell != type(cell)()]
    yield "default", place, repr((function.__defaults__, function.__kwdefaults__, kept))


def of_signature(thing: Callable[..., object], place: str) -> Iterator[Shown]:
    """Yield the signature, as Shift-Tab shows it; some classes have none."""
    with contextlib.suppress(ValueError, TypeError):
        yield "signature", place, str(inspect.signature(thing))


def things(folder: str) -> dict[str, Any]:
    """Return one of each thing that a user meets; a record is kept in the folder."""
    people = pl.DataFrame({"id": ["u1", "u2"], "email": ["ada@example.com", "eve@example.com"]})
    plan = people.cio.identify(user_id="id")
    workspace = cio.sandbox()
    run = plan.send(workspace.client(), audit=folder, progress=False)
    record = cio.audit(folder)
    made = {
        "client": cio.connect(), "verbs": people.cio, "plan": plan,
        "backfill": cio.backfill([plan]), "advice": cio.backfill([plan]).advice(),
        "preview": plan.identity(), "estimate": plan.estimate(),
        "comparison": plan.estimate().compare(run), "run": run, "audit": record,
        "story": record.explain(row=0), "rehearsal": plan.rehearse(progress=False),
        "payloads": plan.payloads(), "checks": cio.Checks(), "settings": cio.Workspace(),
        "faults": cio.Faults(), "undo": run.undo(people.head(1)), "workspace": workspace,
    }  # fmt: skip
    workspace.stop()
    return made


ADDRESSES = {("workspace", "url"), ("workspace", "page_url")}
"""What a sandbox has only while it is started."""


def of_thing(thing: Any, place: str) -> Iterator[Shown]:
    """Yield the drawings of an object, of what completion offers of it, and its pickle."""
    yield "repr", place, repr(thing) + str(thing)
    if hasattr(thing, "_repr_mimebundle_"):
        yield "repr", place, str(thing._repr_mimebundle_())
    for name in dir(thing):
        if name.startswith("_") or (place, name) in ADDRESSES:
            continue
        value = getattr(thing, name)
        yield "repr", f"{place}.{name}", repr(value)
        if inspect.ismethod(value):
            yield from of_signature(value, f"{place}.{name}")
    try:
        yield "pickle", place, pickle.dumps(thing).decode("latin-1")
    except Exception as error:  # noqa: BLE001 - refusing is an answer, and a text of its own
        yield "pickle", place, str(error)


def text_of(words: list[str]) -> str:
    """Return what the command line writes."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        main(words)
    return out.getvalue()


def sent(*, progress: Any = False) -> object:
    """Send a row to a workspace of this machine."""
    plan = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    with cio.sandbox() as workspace, TemporaryDirectory() as folder:
        return plan.send(workspace.client(), audit=folder, progress=progress)


def read_with_wrong_key() -> object:
    """Ask a workspace of this machine for its people, with the key of the environment."""
    with cio.sandbox() as workspace:
        return cio.connect(endpoint=workspace.url).people(progress=False)


NO_KEY = {"CIO_WRITE_KEY": None, "CIO_TRACK_API_KEY": None, "CIO_APP_API_KEY": None}
MISTAKES: Mapping[str, tuple[Mapping[str, str | None], Callable[[], object]]] = {
    "no key": (NO_KEY, cio.connect),
    "no site id": (
        {"CIO_WRITE_KEY": None, "CIO_SITE_ID": None},
        lambda: cio.connect().require("form"),
    ),
    "a broken write key": ({"CIO_WRITE_KEY": "{key} x"}, cio.connect),
    "a broken track key": ({"CIO_TRACK_API_KEY": "{key}:x"}, cio.connect),
    "a broken app key": ({"CIO_APP_API_KEY": "{key} x"}, cio.connect),
    "no app key": ({"CIO_APP_API_KEY": None}, lambda: cio.connect().people()),
    "a refused app key": ({}, read_with_wrong_key),
    "a broken site id": ({"CIO_SITE_ID": "{key} x"}, cio.connect),
    "a key as the region": ({"CIO_REGION": "{key}"}, cio.connect),
    "a key as the first argument": ({}, lambda: cio.connect(os.environ["CIO_WRITE_KEY"])),
    "a key as the endpoint": ({}, lambda: cio.connect(endpoint=os.environ["CIO_WRITE_KEY"])),
    "a host that is not allowed": ({}, lambda: cio.connect(endpoint="http://example.com")),
    "a rate that is none": ({}, lambda: cio.connect(rate=-1.0)),
    "a broken audit key": ({"CIO_AUDIT_KEY": "{key}"}, sent),
    "a broken key, on the command line": (
        {"CIO_WRITE_KEY": "{key} x"},
        lambda: text_of(["send", "people.csv", "--call", "identify", "--to", "us"]),
    ),
    "a client that is pickled": ({}, lambda: pickle.dumps(cio.connect())),
    "a call that is none": ({}, lambda: cio.suggest([{"id": "u1"}], "trak")),
    "a display that is none": ({}, lambda: sent(progress="bar")),
}


def of_mistake(
    name: str, changes: Mapping[str, str | None], act: Callable[[], object]
) -> Iterator[Shown]:
    """Yield the error of a mistake and its traceback, the values of our variables drawn."""
    before = dict(os.environ)
    for variable, value in changes.items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value.format(key=before["CIO_WRITE_KEY"])
    try:
        yield "error", name, str(act())
    except Exception as error:  # noqa: BLE001 - looked at
        yield "error", name, "\n".join([str(error), *getattr(error, "__notes__", ())])
        for each in filter(None, (error, error.__cause__, error.__context__)):
            for frame, _ in traceback.walk_tb(each.__traceback__):
                if PACKAGE in Path(frame.f_code.co_filename).parents:
                    yield "traceback", name, "\n".join(map(drawn, frame.f_locals.values()))
    finally:
        os.environ.clear()
        os.environ.update(before)


def drawn(value: object) -> str:
    """Return a value as a traceback draws it; what is not ready yet cannot be drawn."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - an object whose __init__ raised
        return str(error)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(list(shown())))
