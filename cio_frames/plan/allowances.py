"""Allowances: how many campaigns, opt-outs, deletions and merges may follow from what is sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cio_frames.errors import AllowanceError, ArgumentError, ChoiceError
from cio_frames.mapping.identifiers import filled
from cio_frames.plan.outcome import Needs, allowance_counts, needs
from cio_frames.plan.pipeline import Pipeline, Pipelines, PreviewCounts
from cio_frames.values.number_words import number_of
from cio_frames.views.displays import ShowProgress

KINDS: Final = ("campaigns", "opt_outs", "deletions", "merges")
"""What can be allowed."""


def allowances(allow: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers in `allow=`, which are figures or words.

    Raises:
        ArgumentError: It is not a dictionary of numbers.
        ChoiceError: It names something that needs no allowance.

    Examples:
        >>> allowances({"campaigns": "thirty-seven", "merges": 2})
        {'campaigns': 37, 'merges': 2}
    """
    if not isinstance(allow, Mapping):
        raise ArgumentError(
            f'allow={allow!r} names no numbers. Write a dictionary such as allow={{"campaigns": 37}}.'
        )
    for kind in allow:
        ChoiceError.require("allow", kind, KINDS)
    return {kind: _number(kind, value) for kind, value in allow.items()}


def _number(kind: str, value: object) -> int:
    number = number_of(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ArgumentError(
            f"allow={{{kind!r}: {value!r}}} is not a number from 0 on. Write it in figures or in "
            f'words, such as 37, "1,200" or "thirty-seven".'
        )
    return number


def require_allowed(
    pipelines: Pipelines, allow: Mapping[str, int], *, preview: PreviewCounts | None
) -> None:
    """Raise if sending does more than is allowed. Rows that an earlier run has delivered count too.

    `preview` has the merges by identify; None if there are none.

    Raises:
        AllowanceError: Sending does more.
    """
    if _is_within(needs(pipelines.all, preview), allow):
        return
    needed = needs(pipelines.checked(), preview)  # without rows that are excluded
    if not _is_within(needed, allow):
        raise AllowanceError(
            needed.counts,
            allowed=allow,
            sentences=needed.sentences,
            call=pipelines.send_call.format(needed.argument),
        )


def _is_within(needed: Needs, allow: Mapping[str, int]) -> bool:
    return all(count <= allow.get(kind, 0) for kind, count in needed.counts.items())


def merge_preview(pipelines: Pipelines, *, progress: ShowProgress = False) -> PreviewCounts | None:
    """Return the last identity preview, or a first one if rows of identify can merge people."""
    preview = pipelines.last_preview
    if preview is None and can_merge(pipelines.all) and pipelines.components is not None:
        from cio_frames.plan.identity_preview import identity_preview, premise_of

        premise = premise_of(pipelines, None, settings=None, progress=progress)
        identity_preview(pipelines, premise, progress=progress)
    return pipelines.last_preview


def can_merge(pipelines: Sequence[Pipeline]) -> bool:
    """Return whether an identify can name one person by an id and another one by an address (reference 3.2a).

    That needs linked rows, and rows that name a person by an address alone.
    """
    is_possible = any(map(_names_both, pipelines))
    return is_possible and allowance_counts(pipelines).by_address > 0


def _names_both(pipeline: Pipeline) -> bool:
    roles = {row.role for row, _ in filled(pipeline.mapping)}
    return pipeline.call == "identify" and not roles.isdisjoint({"email", "id"})
