"""Several plans in order: one report, one preview, one run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from cio_frames.errors import ChoiceError, MappingError
from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.plan.plan import Plan
from cio_frames.plan.report import plan_view
from cio_frames.plan.sendable import Sendable
from cio_frames.validation import as_texts
from cio_frames.views import backfill as report
from cio_frames.views.displays import ShowProgress
from cio_frames.views.html import bundle

if TYPE_CHECKING:
    from cio_frames.plan.ordering import Advice


class Backfill(Sendable):
    """Several plans in order. Each begins when everything before it has arrived.

    Args:
        plans: The plans; at least one.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        if not plans:
            raise MappingError("A back-fill needs at least one plan: cio.backfill([plan, ...]).")
        for plan in plans:
            if not isinstance(plan, Plan):
                raise MappingError(
                    f"A back-fill takes plans, not {type(plan).__name__}: "
                    'cio.backfill([df.cio.identify(user_id="id"), ...]).'
                )
        self._plans = tuple(plans)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in the order in which they are sent."""
        return self._plans

    @property
    def counts(self) -> dict[str, int]:
        """The counts of all plans together."""
        each = [plan.counts for plan in self._plans]
        return {name: sum(counts[name] for counts in each) for name in each[0]}

    @property
    def findings(self) -> pl.DataFrame:
        """What the checks found, with `plan`, the position of the plan, in front."""
        frames = [
            as_texts(plan.survey.findings).select(pl.lit(place).alias("plan"), pl.all())
            for place, plan in enumerate(self._plans)
        ]
        return pl.concat(frames)

    def advice(
        self,
        known: AnyTable | None = None,
        *,
        settings: Settings | None = None,
        progress: ShowProgress = "auto",
    ) -> "Advice":
        """Tell what the order of the plans loses, and which order loses nothing.

        Args:
            known: As for `identity`.
            settings: As for `identity`.
            progress: As for `send`.
        """
        from cio_frames.plan.ordering import advise

        premise = self.premise(known, settings=settings)
        return advise(self._plans, premise, progress=progress)

    def __repr__(self) -> str:
        return report.text([plan_view(plan) for plan in self._plans])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        views = [plan_view(plan) for plan in self._plans]
        return bundle(report.html(views), report.text(views))


def backfill(
    plans: Sequence[Plan],
    *,
    order: Literal["given", "advised"] = "given",
    known: AnyTable | None = None,
) -> Backfill:
    """Join several plans into one that is sent in order.

    Args:
        plans: The plans, in the order in which they are sent.
        order: "given" keeps that order; "advised" takes the one that `advice()` proposes.
        known: An export of the workspace's people, for the advice.

    Raises:
        MappingError: There is no plan, `order` is neither of the two, or no order loses nothing.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"id": ["u1"]}).cio.identify(user_id="id")
        >>> events = pl.DataFrame({"id": ["u1"]}).cio.track(event=cio.lit("Joined"), user_id="id")
        >>> cio.backfill([people, events]).counts["rows"]
        2
    """
    ChoiceError.require("order", order, ("given", "advised"))
    joined = Backfill(plans)
    if order == "given":
        return joined
    from cio_frames.plan.ordering import in_advised_order

    return Backfill(in_advised_order(joined.plans, joined.premise(known)))
