"""Proposals for exports of real products: right, wrong, and none though a column fits."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cio_frames.mapping import Proposal, propose
from cio_frames.spec import CALLS
from tests.mapping.exports import LAST, LATER, SEEN, UNSEEN, Export

ROOT = Path(__file__).parents[2]
ASPECTS = {
    "person": ("user_id", "anonymous_id", "email", "id"),
    "time": ("timestamp",),
    "event": ("event", "name", "group_id", "form_id"),
}


def answers(export: Export) -> Iterator[tuple[str, str, Proposal | None]]:
    """Yield of each aspect whether its proposals are right, wrong, missed or rightly none."""
    proposals = propose(export.frame(), call=CALLS[export.call])
    never = set(export.never.split(" | "))
    for aspect, arguments in ASPECTS.items():
        wanted = set(filter(None, getattr(export, aspect).split(" | ")))
        given = [proposal for proposal in proposals if proposal.argument in arguments]
        for proposal in given:
            is_right = proposal.column in wanted and proposal.column not in never
            yield aspect, "right" if is_right else "wrong", proposal
        if not given:
            yield aspect, "missed" if wanted else "none, rightly", None


def score(exports: Mapping[str, Export]) -> tuple[Counter[tuple[str, str]], list[str]]:
    """Return how often each aspect has each answer, and the answers that are not right."""
    counts: Counter[tuple[str, str]] = Counter()
    faults = []
    for name, export in exports.items():
        for aspect, answer, proposal in answers(export):
            counts[aspect, answer] += 1
            if answer in ("wrong", "missed"):
                faults.append(f"{name}: {aspect} {answer} {proposal}")
    return counts, faults


def table(counts: Counter[tuple[str, str]]) -> str:
    """Return the score as a table."""
    names = ("right", "wrong", "missed", "none, rightly")
    lines = ["|" + "|".join(("", *names)) + "|", "|---" + "|---:" * len(names) + "|"]
    lines += [
        "|" + "|".join((aspect, *(str(counts[aspect, name]) for name in names))) + "|"
        for aspect in ASPECTS
    ]
    return "\n".join(lines)


GROUPS = {"seen": SEEN, "unseen": UNSEEN, "later": LATER, "last": LAST}
MISSED = {"seen": 0, "unseen": 0, "later": 1, "last": 0}
"""The one that is missed names its event in a column `name`."""


@pytest.mark.parametrize("name", MISSED)
def test_proposals_for_exports_are_right_or_none(name):
    """No proposal is wrong, whatever its confidence, and no column that fits is missed but one."""
    counts, faults = score(GROUPS[name])
    print(f"\n{table(counts)}\n" + "\n".join(faults))

    assert not [fault for fault in faults if " wrong " in fault]
    assert len(faults) == MISSED[name], faults


@pytest.mark.parametrize("name", MISSED)
def test_the_score_in_the_documents_is_that_of_today(name):
    """The page about proposals shows what the proposals come to."""
    counts, _ = score(GROUPS[name])

    assert table(counts) in (ROOT / "docs" / "proposals.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", {**SEEN, **UNSEEN, **LATER, **LAST})
def test_proposals_that_are_sure_have_no_rival(name):
    """Whatever could be meant as well is named in the reason and makes a proposal less sure."""
    export = {**SEEN, **UNSEEN, **LATER, **LAST}[name]
    for proposal in propose(export.frame(), call=CALLS[export.call]):
        assert proposal.confidence == "medium" or not proposal.rivals
        assert all(rival in proposal.reason for rival in proposal.rivals)
        assert not set(proposal.rivals) & {proposal.column}
