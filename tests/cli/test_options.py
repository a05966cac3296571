"""What the library takes, the command line takes too."""

import inspect
from dataclasses import fields
from typing import get_args

import polars as pl
import pytest

import cio_frames as cio
from cio_frames.accessors import Frame
from cio_frames.cli.options import Fields, Rules
from cio_frames.spec import CALLS, CallName

OTHER_NAMES = {"thresholds": "threshold"}
"""Arguments whose option has another name: it is given once for each."""
NOT_TEXT = {
    "checks": "each of its parts is an option",
    "rules": "rules are functions",
    "storage_options": "the environment says how a bucket is reached; a command line is no place for keys",
    "types": "types are those of polars; --ids keeps columns as text",
    "source": "the files that the command names",
}
"""Arguments that no option has, and why."""
OPTIONS = {field.name for kind in (Fields, Rules) for field in fields(kind)}


@pytest.mark.parametrize(
    "taken",
    [*(getattr(Frame, call) for call in get_args(CallName)), cio.Checks, cio.scan],
    ids=lambda each: each.__name__,
)
def test_every_argument_is_an_option(taken):
    """Each argument of a verb, of the checks and of the reader has its option, or a reason for none."""
    arguments = set(inspect.signature(taken).parameters) - {"self"}

    assert {OTHER_NAMES.get(name, name) for name in arguments - {*NOT_TEXT}} <= OPTIONS


def test_nothing_is_left_out_for_a_reason_that_is_gone():
    """What has a reason to be no option is taken somewhere, and is no option."""
    verbs = [getattr(Frame, call) for call in get_args(CallName)]
    taken = {name for each in (*verbs, cio.Checks, cio.scan) for name in inspect.signature(each).parameters}  # fmt: skip

    assert set(NOT_TEXT) <= taken
    assert not set(NOT_TEXT) & OPTIONS


def test_every_field_of_the_spec_is_an_option():
    """Each argument that a row of `spec/` names is an option."""
    named = {row.argument for call in get_args(CallName) for row in CALLS[call].fields}

    assert named - {None} <= OPTIONS


def test_a_form_is_sent_under_its_own_names(cli, folder):
    """`--mapping` says which field the form knows as an attribute."""
    path = folder / "sent.csv"
    path.write_text("mail,topic\nada@example.com,sales\n")

    result = cli(
        "preview", path, "--call", "form", "--lit", "form_id=contact", "--mapping", "mail=email",
        "--format", "json",
    )  # fmt: skip

    assert '"mail": "ada@example.com"' in result.out.replace('":"', '": "')


@pytest.mark.parametrize("place", ["context", "integrations"])
def test_one_column_of_structs_fills_a_place(cli, folder, place):
    """A column of structs is taken whole, as the library takes it."""
    path = folder / "people.parquet"
    pl.DataFrame({"id": ["u1"], "all": [{"ip": "192.0.2.1"} if place == "context" else {"A": True}]}).write_parquet(path)  # fmt: skip

    result = cli("preview", path, "--call", "identify", "--user-id", "id", f"--{place}", "all", "--format", "json")  # fmt: skip

    assert result.code == 0
    assert ('"ip"' if place == "context" else '"A"') in result.out
    assert '"all"' not in result.out.partition('"messages"')[2]
