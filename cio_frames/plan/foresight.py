"""What can be known of plans before they are sent: who is who, a rehearsal, an estimate.

Each is loaded when it is asked for: most plans are looked at and sent without.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, cast

from cio_frames.frames import AnyTable
from cio_frames.identity import Settings
from cio_frames.identity.settings import LARGEST
from cio_frames.sending import Client
from cio_frames.sending.client import RATE
from cio_frames.views.displays import ShowProgress

if TYPE_CHECKING:
    from cio_frames.identity.preview import Premise
    from cio_frames.plan.estimate import Estimate
    from cio_frames.plan.identity_preview import IdentityPreview, OnConflict
    from cio_frames.plan.plan import Plan
    from cio_frames.plan.rehearsal import Rehearsal
    from cio_frames.plan.sendable import Sendable

LATENCY_S = 0.15
"""How long a request to Customer.io takes, as far as anybody can say beforehand."""


class Foresight(ABC):
    """One plan or several in order, looked at before anything is sent."""

    @property
    @abstractmethod
    def plans(self) -> tuple["Plan", ...]:
        """The plans, in the order in which they are sent."""

    def identity(
        self,
        known: AnyTable | None = None,
        *,
        settings: Settings | None = None,
        on_conflict: "OnConflict" = "report",
        largest: int = LARGEST,
        progress: ShowProgress = "auto",
    ) -> "IdentityPreview":
        """Show which people the rows create, update, merge and confuse.

        Args:
            known: An export of the workspace's people: any table with the columns id, email,
                cio_id and anonymous_id. Without it everybody counts as new.
            settings: How the workspace is set up; a new one without.
            on_conflict: "report" tells only; "reject" leaves out the rows that cause conflicts
                (`.plan` of the result sends the rest); "refuse" raises.
            largest: The most identifiers that one person may have; ten times as many rows.
            progress: As for `send`; shown for large plans only.

        Raises:
            IdentityRefusedError: There are conflicts, and `on_conflict` is "refuse".
            MappingError: `known` has no column of identifiers.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com"] * 2})
            >>> preview = people.cio.identify(user_id="id").identity()
            >>> preview.summary["creates"], preview.conflicts["kind"].to_list()
            (2, ['identifier.taken'])
        """
        from cio_frames.plan.identity_preview import identity

        premise = self.premise(known, settings=settings, largest=largest)
        return identity(self.plans, premise, on_conflict=on_conflict, progress=progress)

    def rehearse(
        self,
        known: AnyTable | None = None,
        *,
        settings: Settings | None = None,
        progress: ShowProgress = "auto",
    ) -> "Rehearsal":
        """Send everything to a private embedded workspace, and compare with the preview.

        Args:
            known: As for `identity`.
            settings: As for `identity`.
            progress: As for `send`.

        Raises:
            PlanRefusedError: Something has to be fixed or allowed first.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> people = pl.DataFrame({"id": ["u1", "u2"], "email": ["a@example.com"] * 2})
            >>> people.cio.identify(user_id="id").rehearse(progress=False).identical
            True
        """
        from cio_frames.plan.rehearsal import rehearse

        premise = self.premise(known, settings=settings)
        return rehearse(cast("Sendable", self), premise, progress=progress)

    def estimate(
        self,
        client: Client | None = None,
        *,
        known: AnyTable | None = None,
        settings: Settings | None = None,
        rate: float | None = RATE,
        latency_s: float = LATENCY_S,
        price_per_profile: float | None = None,
        progress: ShowProgress = "auto",
    ) -> "Estimate":
        """Tell what sending will take: requests, bytes, time, new profiles and their price.

        Args:
            client: Where it would go, for its limits.
            known: As for `identity`; without it everybody counts as new.
            settings: As for `identity`.
            rate: Most requests per second, where there is no client.
            latency_s: How long Customer.io takes to answer.
            price_per_profile: What a new profile costs.
            progress: As for `send`.

        Examples:
            >>> import polars as pl, cio_frames as cio
            >>> plan = pl.DataFrame({"id": ["u1", "u2"]}).cio.identify(user_id="id")
            >>> estimate = plan.estimate(price_per_profile=0.01)
            >>> estimate.requests, estimate.new_profiles, estimate.price
            (1, 2, 0.02)
        """
        from cio_frames.plan.estimate import estimate

        return estimate(
            self.plans,
            self.premise(known, settings=settings),
            client=client,
            rate=rate,
            latency_s=latency_s,
            price_per_profile=price_per_profile,
            progress=progress,
        )

    def premise(
        self,
        known: AnyTable | None = None,
        *,
        settings: Settings | None = None,
        largest: int = LARGEST,
    ) -> "Premise":
        """Return what a preview assumes."""
        from cio_frames.identity.preview import Premise
        from cio_frames.plan.identity_preview import people_of

        return Premise(
            known=people_of(known),
            settings=settings or Settings(),
            now=self.plans[0].clock(),
            largest=largest,
        )
