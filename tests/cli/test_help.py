"""`--help` and `--version`."""

import subprocess
import sys
from importlib import metadata

import pytest

from cio_frames.cli.exit_codes import Exit

COMMANDS = ("check", "preview", "send", "resume", "reconcile", "audit", "sandbox", "demo")


def test_help_names_every_command_and_every_exit_code(cli):
    """The first help lists all commands and all exit codes with their sentences."""
    result = cli("--help")

    assert result.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.out
    for end in Exit:
        assert f"{end.value}  {end.sentence}" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(cli, command):
    """The help of a command says how it is used, with examples and exit codes."""
    result = cli(command, "--help")

    assert result.code == 0
    assert result.out.startswith(f"Usage: cio-frames {command}")
    assert f"Examples:\n  cio-frames {command}" in result.out
    assert Exit.REFUSED.sentence in result.out


def test_no_option_takes_a_key(cli):
    """Keys come from the environment: no command has an option for one."""
    help_texts = "".join(cli(command, "--help").out for command in COMMANDS)

    assert "--write-key" not in help_texts
    assert "--track-api-key" not in help_texts
    assert "CIO_WRITE_KEY" in help_texts


def test_the_version_is_the_one_that_is_installed(cli):
    """`--version` prints the program's name and the version that its distribution has."""
    result = cli("--version")

    assert (result.code, result.out) == (0, f"cio-frames {metadata.version('cio-frames')}\n")


def test_the_module_runs_as_a_program(people):
    """`python -m cio_frames.cli` is the same program, and its exit code reaches the shell."""
    words = ("check", str(people), "--call", "identify", "--user-id", "nope")
    ended = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-m", "cio_frames.cli", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert ended.returncode == Exit.USAGE
    assert ended.stderr.startswith("cio-frames: user_id='nope' is not a column")
    assert ended.stdout == ""


def test_a_reader_that_has_enough_is_no_error(people):
    """A pipe that is closed early leaves the exit code as it is, and no traceback."""
    words = ("check", str(people), "--call", "identify", "--user-id", "id")
    with subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, "-m", "cio_frames.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.close()
        errors = program.stderr.read()

    assert (program.returncode, errors) == (0, "")
