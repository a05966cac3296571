"""Arguments of sending that are none of their words."""

import pandas as pd
import pytest

import cio_frames as cio


@pytest.mark.parametrize(
    ("argument", "value", "choices"),
    [
        ("in_doubt", "resned", "'resend', 'skip', 'report'. Did you mean 'resend'?"),
        ("durability", "Power", "'power', 'process'. Did you mean 'power'?"),
        ("pii", "none", "'hmac', 'ids', 'full'."),
        ("progress", "bars", "not one of: auto, False"),
    ],
)
@pytest.mark.parametrize("repeat", [False, True])
def test_a_misspelled_word_is_refused_before_anything_is_sent(
    tmp_path, argument, value, choices, repeat
):
    """A word that the argument does not take is an error that lists them; nothing is sent."""
    plan = pd.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    given = {"progress": False, argument: value}
    with cio.sandbox() as workspace:
        with pytest.raises(cio.MappingError, match=rf"{argument}={value!r} ") as error:
            plan.send(workspace.client(), audit=tmp_path / "audit", repeat=repeat, **given)
        assert choices in str(error.value)
        assert workspace.people.is_empty()


def test_resume_refuses_a_misspelled_word(tmp_path):
    """`cio.resume` takes the same words for rows in doubt as `send`."""
    plan = pd.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
    with cio.sandbox() as workspace:
        run = plan.send(workspace.client(), audit=tmp_path, progress=False)
        with pytest.raises(cio.ChoiceError, match="in_doubt='resent' is not one of"):
            cio.resume(run.audit, workspace.client(), plan, in_doubt="resent")
