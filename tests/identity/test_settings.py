"""The open questions and their answers."""

import dataclasses

import pytest

from cio_frames.errors import ConfigError
from cio_frames.identity import CHOICES, RULES, Settings
from cio_frames.identity.semantic_events import EFFECTS
from cio_frames.spec import SEMANTIC_EVENTS


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_the_first_option_is_the_default(choice):
    """Each open question has a setting whose default is the first answer of its row."""
    assert getattr(Settings(), choice.setting) == next(iter(choice.options))
    assert len(choice.options) > 1


def test_choices_have_the_chosen_option():
    """A changed answer is marked as not the default, with its meaning and source."""
    rows = {row["setting"]: row for row in Settings(late_anonymous="reidentify").choices()}

    assert rows["late_anonymous"]["default"] is False
    assert "again" in rows["late_anonymous"]["meaning"]
    assert rows["dedupe"]["default"] is True


@pytest.mark.parametrize(
    "wrong", [{"dedupe": "perhaps"}, {"identifiers": ()}, {"identifiers": ("phone",)}]
)
def test_an_unknown_answer_is_refused(wrong):
    """A setting that does not exist is an error, not a silent default."""
    with pytest.raises(ConfigError):
        Settings(**wrong)


def test_settings_are_frozen():
    """Settings cannot change under a running model."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().auto_merge = False


def test_every_semantic_event_has_an_effect():
    """The names that act are exactly those of the specification rows."""
    assert set(EFFECTS) == set(SEMANTIC_EVENTS)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_every_rule_cites_its_source(rule):
    """Each rule names a place in the reference and its sentence ends as one."""
    assert rule.source.startswith("reference ")
    assert rule.sentence.endswith(".")
