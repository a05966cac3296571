"""The texts of the checks: texts.toml has those of every check, and nothing else."""

import re
import subprocess
import sys

import pytest

from cio_frames.checks import CATALOGUE
from cio_frames.checks.texts import CheckTexts, check_texts, read_texts

PLACEHOLDERS = re.compile(r"\{([a-z_]+)\}")
ALLOWED = {
    "sentence": {"column"}, "consequence": set(), "hint": {"column"}, "summary": {"rows", "values", "merged"},
    "event_consequence": set(),
    "repair": set(), "no_repair_because": set(), "example": set(),
}  # fmt: skip


def test_every_check_has_its_texts_and_no_others_are_there():
    """A code without texts, or texts without a code, is an error."""
    assert set(check_texts()) == {check.code for check in CATALOGUE}


@pytest.mark.parametrize("check", CATALOGUE, ids=lambda check: check.code)
def test_a_text_names_what_can_be_filled_in(check):
    """A text has no placeholder but those that are filled where it is shown."""
    for name, allowed in ALLOWED.items():
        assert set(PLACEHOLDERS.findall(getattr(check.texts, name))) <= allowed


def test_all_texts_are_looked_at():
    """No kind of text escapes the test above."""
    assert set(ALLOWED) == set(CheckTexts.__slots__)


def test_a_misspelt_key_is_an_error():
    """A key that no text has is refused, as is a text that is missing."""
    texts = dict(read_texts()["id"]["missing"])

    with pytest.raises(TypeError, match="hints"):
        CheckTexts(**texts, hints="Fill it.")
    del texts["hint"]
    with pytest.raises(TypeError, match="hint"):
        CheckTexts(**texts)


def test_texts_are_read_when_one_is_shown():
    """Neither the import nor a plan without findings takes the time of parsing them."""
    script = """if True:
        import polars as pl, cio_frames as cio
        from cio_frames.checks.texts import read_texts
        frame = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "free"]})
        assert frame.cio.identify(user_id="id").counts["valid"] == 2
        assert read_texts.cache_info().currsize == 0
        assert frame.cio.identify().findings.height
        assert read_texts.cache_info().currsize == 1
    """
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603
