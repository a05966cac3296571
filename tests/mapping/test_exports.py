"""Proposals for sixty exports of real products: right, wrong, and none though a column fits."""

from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from cio_frames.mapping import Proposal, propose
from cio_frames.spec import CALLS
from tests.mapping.exports import SEEN, UNSEEN, Export

ASPECTS = {
    "person": ("user_id", "anonymous_id", "email", "id"),
    "time": ("timestamp",),
    "event": ("event", "name", "group_id", "form_id"),
}


def answers(export: Export) -> Iterator[tuple[str, str, Proposal | None]]:
    """Yield of each aspect whether its proposals are right, wrong, missed or rightly none."""
    found = propose(export.frame(), call=CALLS[export.call])
    never = set(export.never.split(" | "))
    for aspect, arguments in ASPECTS.items():
        wanted = set(filter(None, getattr(export, aspect).split(" | ")))
        given = [proposal for proposal in found if proposal.argument in arguments]
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
    lines = [f"{'':10}" + "".join(f"{name:>15}" for name in names)]
    lines += [
        f"{aspect:10}" + "".join(f"{counts[aspect, name]:15}" for name in names)
        for aspect in ASPECTS
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("exports", [SEEN, UNSEEN], ids=["seen", "unseen"])
def test_proposals_for_exports_are_right_or_none(exports):
    """No proposal is wrong, whatever its confidence, and few columns that fit are missed."""
    counts, faults = score(exports)
    print(f"\n{table(counts)}\n" + "\n".join(faults))

    assert not [fault for fault in faults if " wrong " in fault]
