"""Which checks apply, how strictly, and what the user adds or allows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import polars as pl

from cio_frames.checks.check import SEVERITIES, Check, Severity, by_input_row
from cio_frames.checks.drift import Drift
from cio_frames.checks.texts import CheckTexts
from cio_frames.errors import ChoiceError, MappingError
from cio_frames.frames import read, scan
from cio_frames.frames.table import frame_errors
from cio_frames.values import as_text

_INTERNAL = frozenset({"of", "references", "shares"})
"""Methods for plans, which completion does not offer."""


def _empty_mapping() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """Which checks apply, and how strictly.

    Attributes:
        select: Codes, or subjects such as "id", to apply; all when empty.
        ignore: Codes, or subjects, to leave out.
        severity: Another severity for a code.
        thresholds: The largest share of rows, from 0 to 1, that may fail before the whole plan is
            refused: for each code, or one share of all rows that would be excluded.
        allow: Names that are refused unless they are listed, such as `"User Deleted"`.
        triggers: Names of events, pages, screens and forms that start campaigns however old they are,
            such as those of a campaign that looks at past events; they need an allowance to be sent.
        allow_sensitive: Columns that may hold sensitive data, each with the reason, which goes
            into the record of the run.
        reference: The valid values of identifiers, by column or argument: a list, a series, a
            frame with one column or one of that name, or the path of a file.
        phone_region: The country of phone numbers without a country code, such as "DE"; needs the
            extra `cio-frames[phones]`.
        rules: Further checks of the user's own; `cio.rule` makes them.
        drift: The directory of earlier runs that reports compare the table with, or a `cio.Drift`
            with limits as well. A run is compared with those in its own directory in any case.

    Examples:
        >>> checks = Checks(ignore=["time.naive"], severity={"id.padded": "warn"})
        >>> [check.code for check in checks.of([])]
        []
    """

    select: Sequence[str] = ()
    ignore: Sequence[str] = ()
    severity: Mapping[str, Severity] = field(default_factory=_empty_mapping)
    thresholds: Mapping[str, float] | float | None = None
    allow: Sequence[str] = ()
    triggers: Sequence[str] = ()
    allow_sensitive: Mapping[str, str] = field(default_factory=_empty_mapping)
    reference: Mapping[str, Any] = field(default_factory=_empty_mapping)
    phone_region: str | None = None
    rules: Sequence[Check] = ()
    drift: Drift | Path | str | None = None

    def of(self, catalogue: Sequence[Check]) -> tuple[Check, ...]:
        """Return the checks of a catalogue that apply, with the severities asked for.

        Raises:
            MappingError: A selection matches no check, or a severity, share or reason is invalid.
        """
        checks = (*catalogue, *self.rules)
        self._validate([check.code for check in checks])
        if self.select or self.ignore:
            checks = tuple(
                check
                for check in checks
                if _matches(check.code, self.select or ("",))
                and not _matches(check.code, self.ignore)
            )
        return tuple(
            replace(check, severity=self.severity[check.code])
            if check.code in self.severity
            else check
            for check in checks
        )

    def shares(self) -> dict[str, float]:
        """Return the largest share of rows that may fail, by code; of all codes under `"*"`."""
        if self.thresholds is None:
            return {}
        shares = self.thresholds
        return dict(shares) if isinstance(shares, Mapping) else {"*": float(shares)}

    def references(self) -> dict[str, pl.Series]:
        """Return the valid values of identifiers, as text."""
        return {
            name: _reference_texts(values, name=name) for name, values in self.reference.items()
        }

    def __dir__(self) -> list[str]:
        return sorted(set(object.__dir__(self)) - _INTERNAL)

    def _validate(self, codes: Sequence[str]) -> None:
        for pattern in self.select:
            if not any(_matches(code, (pattern,)) for code in codes):
                raise MappingError(
                    f"Checks(select={pattern!r}) does not match any check.{_did_you_mean(pattern, codes)}"
                )
        for code, severity in self.severity.items():
            if severity not in SEVERITIES:
                raise MappingError(
                    f"Checks(severity={{{code!r}: {severity!r}}}): "
                    f"the severity must be one of {', '.join(SEVERITIES)}."
                )
        self._validate_shares(codes)
        if isinstance(self.triggers, str):
            raise MappingError(
                f"Checks(triggers=...) takes a list of names: triggers=[{self.triggers!r}]."
            )
        for column, reason in self.allow_sensitive.items():
            if not str(reason or "").strip():
                raise MappingError(
                    f"Checks(allow_sensitive={{{column!r}: ...}}) needs a reason as text, "
                    "which is stored in the record of the run."
                )

    def _validate_shares(self, codes: Sequence[str]) -> None:
        for code, share in self.shares().items():
            if not 0 <= share <= 1:
                raise MappingError(
                    f"Checks(thresholds={{{code!r}: {share!r}}}): the share must be between 0 and 1."
                )
            if code != "*" and code not in codes:
                raise MappingError(
                    f"Checks(thresholds={{{code!r}: ...}}) does not match any check.{_did_you_mean(code, codes)}"
                )


def rule(
    code: str, good: pl.Expr, *, severity: Severity = "reject", hint: str = "", sentence: str = ""
) -> Check:
    """Return a check of your own, for `Checks(rules=[...])`.

    Args:
        code: The code of the check, `subject.problem`.
        good: An expression over the table's own columns that is true where the row is good. Rows
            where it is null, because a cell is empty, pass.
        severity: What a finding means for sending.
        hint: What to do next.
        sentence: What is wrong.

    Raises:
        MappingError: The code has no point in it, or the severity is invalid.

    Examples:
        >>> import polars as pl, cio_frames as cio
        >>> people = pl.DataFrame({"id": ["u1", "u2"], "plan": ["pro", "gold"]})
        >>> known = cio.rule("plan.unknown", pl.col("plan").is_in(["free", "pro"]))
        >>> people.cio.identify(user_id="id", checks=cio.Checks(rules=[known])).counts["rejected"]
        1
    """
    subject, _, problem = code.partition(".")
    if not (subject and problem):
        raise MappingError(
            f"rule({code!r}): a code has the form subject.problem, such as plan.unknown."
        )
    ChoiceError.require("severity", severity, SEVERITIES)
    if not isinstance(good, pl.Expr):
        raise MappingError(
            f"rule({code!r}) takes a polars expression that is true for good rows, e.g. "
            'pl.col("plan").is_in(["free", "pro"]).'
        )
    texts = CheckTexts(
        sentence=sentence or f"The row does not meet the rule {code}.",
        consequence="",
        hint=hint,
        no_repair_because="your own rule says what is wrong, not what would be right",
    )
    source = "a rule of the user's"
    return Check(code, severity, by_input_row(~good), source=source, own_texts=texts)


@frame_errors("table of known values")
def _reference_texts(values: Any, *, name: str) -> pl.Series:
    if isinstance(values, str | PathLike):
        values = scan(values)
    if isinstance(values, pl.Series):
        return _distinct(values)
    if isinstance(values, Iterable) and not hasattr(values, "columns"):
        return _distinct(read([{name: value} for value in values]).lazy.collect().to_series())
    table = read(values)
    columns = table.schema().names()
    if name not in columns and len(columns) > 1:
        raise MappingError(
            f"Checks(reference={{{name!r}: ...}}) has the columns {', '.join(columns)}: "
            f"name one of them {name!r}, or pass that column alone."
        )
    chosen = name if name in columns else columns[0]
    return _distinct(table.lazy.select(pl.col(chosen).unique()).collect().to_series())


def _distinct(values: pl.Series) -> pl.Series:
    texts = values.to_frame("known").select(as_text(pl.col("known"), dtype=values.dtype))
    return texts.to_series().drop_nulls().unique()


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    matches = get_close_matches(name, names, n=1)
    return f" Did you mean {matches[0]!r}?" if matches else ""


def _matches(code: str, patterns: Sequence[str]) -> bool:
    return any(
        pattern in ("", code) or code.startswith(f"{pattern.rstrip('.')}.") for pattern in patterns
    )
