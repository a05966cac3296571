"""The settings of a workspace, also those that decide where the sources disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from cio_frames.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl

LARGEST: Final = 100
"""The most identifiers that one person may have in a preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A question on which the sources contradict each other or are silent."""

    setting: str  # the setting that decides it
    options: Mapping[Any, str]  # the meaning of each value of the setting, the default first
    source: str  # the origin of the question
    is_answered: bool = False  # whether newer documents confirm the default


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time limit that decides the effect of an event."""

    seconds: int
    source: str


ANONYMOUS_KEPT: Final = Window(seconds=30 * 86_400, source="reference 3.3 (30 days)")
ANONYMOUS_LATE: Final = Window(seconds=5 * 60, source="reference 3.3 (5 minutes)")
CAMPAIGN: Final = Window(seconds=72 * 3_600, source="reference 3.3, 3.8 (72 hours)")
MERGED_EVENTS: Final = Window(seconds=29 * 86_400, source="reference N2 (29 days at once)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a workspace; the defaults are those of a new one.

    Attributes:
        identifiers: What people are keyed by: `id`, `email` or both (reference 3.1).
        auto_merge: "Multi-identifier profile merge" (3.2a).
        anonymous_merge: Anonymous events move to the person who is identified later (3.3).
        email_updates: An identify by id may change the e-mail (3.1, N10).
        convert_times: ISO times in traits and properties become Unix seconds (1.6).
        trim_event_names: Spaces around event names are cut off (section 6).
        object_types: The object types that exist; `None` means any (3.5).

    `email_updates` and the settings that are not in this list are the questions of `CHOICES`.

    Examples:
        >>> Settings(auto_merge=False).auto_merge
        False
    """

    identifiers: tuple[Literal["id", "email"], ...] = ("id", "email")
    auto_merge: bool = True
    anonymous_merge: bool = True
    email_updates: bool = False
    convert_times: bool = True
    trim_event_names: bool = True
    object_types: frozenset[str] | None = None

    alias_previous: Literal["id", "id-or-anonymous"] = "id"
    alias_unknown: Literal["nothing", "create"] = "nothing"
    anonymous_age: Literal["received", "timestamp"] = "received"
    anonymous_traits: Literal["carry", "stay"] = "carry"
    attribute_order: Literal["timestamp", "arrival"] = "timestamp"
    dedupe: Literal["calls", "events", "off"] = "calls"
    email_trait: Literal["identifies", "attribute"] = "identifies"
    empty_user: Literal["refused", "email"] = "refused"
    event_for_unknown: Literal["create", "drop"] = "create"
    form_identifiers: Literal["one", "any"] = "one"
    group_for_unknown: Literal["create", "object-only"] = "create"
    invalid_email: Literal["stored", "refused"] = "stored"
    late_anonymous: Literal["lost", "reidentify"] = "lost"
    merged_events: Literal["all", "recent"] = "all"
    merged_relationships: Literal["move", "drop"] = "move"
    null_attribute: Literal["remove", "store", "ignore"] = "remove"
    object_order: Literal["arrival", "timestamp"] = "arrival"
    object_type_place: Literal["traits", "top"] = "traits"
    page_without_url: Literal["dropped", "named"] = "dropped"
    taken_identifier: Literal["rekey", "update", "separate"] = "rekey"

    def __post_init__(self) -> None:
        if not self.identifiers or not set(self.identifiers) <= {"id", "email"}:
            raise ConfigError('identifiers must be ("id",), ("email",) or ("id", "email").')
        for choice in CHOICES.values():
            if getattr(self, choice.setting) not in choice.options:
                offer = ", ".join(repr(option) for option in choice.options)
                raise ConfigError(f"{choice.setting} is not one of {offer}. {choice.source}")

    def choices(self) -> list[dict[str, Any]]:
        """Return the value of each setting that decides an open question, as rows.

        Examples:
            >>> Settings().choices()[0]["value"]
            'id'
        """
        return [
            {
                "setting": choice.setting,
                "value": (value := getattr(self, choice.setting)),
                "meaning": choice.options[value],
                "default": value == next(iter(choice.options)),
                "source": choice.source,
                "settled": choice.is_answered,
            }
            for choice in CHOICES.values()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """The assumptions of a preview."""

    settings: Settings
    now: datetime  # when all messages arrive
    workspace_people: "pl.DataFrame | None" = None  # people before, by `normalize_export`
    largest: int = LARGEST  # the most identifiers that one person may have; ten times as many rows
    # Whether every message is applied to the model, even if its effect is clear without it
    apply_all: bool = False


def links_by_alias(settings: Settings) -> bool:
    """Return whether an alias links its previousId where that is an anonymous id."""
    return settings.alias_previous == "id-or-anonymous" or settings.alias_unknown == "create"


def _choice(
    setting: str, options: Mapping[Any, str], *, source: str, is_answered: bool = False
) -> Choice:
    return Choice(
        setting=setting,
        options=MappingProxyType(options),
        source=source,
        is_answered=is_answered,
    )


_ROWS = (
    _choice("alias_previous", {
        "id": "previousId is looked up as a person only; an anonymous ID is not found",
        "id-or-anonymous": "a previousId that belongs to no person is linked as an anonymous ID instead",
    }, source="reference 3.4, C18"),
    _choice("alias_unknown", {
        "nothing": "an alias to an unknown userId has no effect",
        "create": "an alias to an unknown userId creates the person, who takes over everything that "
        "previousId has, including an anonymous ID",
    }, source="reference 3.4 (TRACK merge: the kept person must exist) against 2.6 (alias goes before identify)"),
    _choice("anonymous_age", {
        "received": 'the 30 days of an anonymous event count from its receipt ("logged")',
        "timestamp": "the 30 days of an anonymous event count from its own timestamp",
    }, source="reference N4 (TRACK: events logged within the last 30 days)", is_answered=True),
    _choice("anonymous_traits", {
        "carry": "traits of an anonymous identify fill the gaps of the person identified later",
        "stay": "traits of an anonymous identify never reach a person",
    }, source="reference 3.3 (SEED-HTTP against ACT)"),
    _choice("attribute_order", {
        "timestamp": "of two identifies, the one with the later timestamp sets an attribute",
        "arrival": "of two identifies, the one processed last sets an attribute",
    }, source="reference 3.7 (ordering)"),
    _choice("dedupe", {
        "calls": "a message id that was seen before is not applied again, whatever the call",
        "events": "only track, page and screen are deduplicated by message id",
        "off": "every message is applied",
    }, source="reference 3.7 (dedupe): window and reach are not documented"),
    _choice("email_trait", {
        "identifies": "an identify without userId is about the person with traits.email",
        "attribute": "an identify without userId is anonymous whatever traits.email says",
    }, source="reference 2.1, 3.1, C11"),
    _choice("empty_user", {
        "refused": 'an identify with userId "" is invalid, whatever traits.email says',
        "email": 'an identify with userId "" is about the person with traits.email',
    }, source="reference 2.1, C11 (SPEC-AUG against the clients)"),
    _choice("email_updates", {
        False: "an identify by id does not change the e-mail that the person has",
        True: "an identify by id changes the e-mail of the person",
    }, source="reference 3.1 against N10: the default differs between workspaces"),
    _choice("event_for_unknown", {
        "create": "an event for an unknown person creates that person",
        "drop": "an event for an unknown person is dropped",
    }, source="reference 3.7: not stated; C34"),
    _choice("form_identifiers", {
        "one": "a form submission with both email and id is refused",
        "any": "a form submission with both is about the e-mail and sets the id",
    }, source="reference 5, C27"),
    _choice("group_for_unknown", {
        "create": "a group call for an unknown person creates that person",
        "object-only": "a group call for an unknown person updates the object alone",
    }, source="reference 3.5: not stated"),
    _choice("invalid_email", {
        "stored": "a traits.email that is not an e-mail address is the person's e-mail all the same",
        "refused": "a traits.email that is not an e-mail address is not set",
    }, source="reference section 6 (no rule is published) against the app, which checks addresses (RFC 5322)"),
    _choice("late_anonymous", {
        "lost": "anonymous events more than 5 minutes after the identify stay anonymous",
        "reidentify": "identifying again with the same anonymous id brings late events in",
    }, source="reference 3.3, C22"),
    _choice("merged_events", {
        "all": "a merge moves the last 29 days of events at once, and the older ones within an hour",
        "recent": "a merge moves the last 29 days of events, and the older ones are lost",
    }, source="reference N2 (merge page: the others can follow) against 3.4 (TRACK)"),
    _choice("merged_relationships", {
        "move": "a merge moves relationships to the kept person",
        "drop": "a merge drops the relationships of the removed person",
    }, source="reference 3.4: relationships are not in the list of what moves"),
    _choice("null_attribute", {
        "remove": "null removes a person's attribute",
        "store": "null is stored as the value of a person's attribute",
        "ignore": "null leaves a person's attribute as it is",
    }, source="reference section 6 (null, low confidence)"),
    _choice("object_order", {
        "arrival": "of two group calls, the one processed last sets an attribute of the object",
        "timestamp": "of two group calls, the one with the later timestamp sets an attribute of the object",
    }, source="reference 3.7 (ordering): TRACK has a timestamp for people and none for objects"),
    _choice("object_type_place", {
        "traits": "a group call has its object type in traits; one beside them is not read",
        "top": "a group call may have objectTypeId beside its traits as well",
    }, source="reference 2.5, C17 (ACT against SEED-HTTP)"),
    _choice("page_without_url", {
        "dropped": "a page without properties.url is not recorded",
        "named": "a page without properties.url is recorded under its name",
    }, source="reference 2.3"),
    _choice("taken_identifier", {
        "rekey": "a new id with the e-mail of a person who has another id replaces their former id",
        "update": "a new id with the e-mail of a person who has another id updates them without the new id",
        "separate": "a new id with the e-mail of a person who has another id creates a second person",
    }, source="reference N1 (TRACK tip) against 3.1 (identifiers change through cio_id only)"),
)  # fmt: skip

CHOICES: Final[Mapping[str, Choice]] = MappingProxyType({row.setting: row for row in _ROWS})
