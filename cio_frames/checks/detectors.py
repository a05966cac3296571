"""Detectors of sensitive data: a pattern for each kind, and a validator where there is one.

Patterns are cheap and match too much; python-stdnum, which has the check digits of each country's
numbers, decides about the matches.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import polars as pl

HIDDEN = "••••"
KEPT = 4
LOOKED_AT = 40_000  # characters; a longer text fits into no message

_EDGE = r"(?:^|[^0-9A-Za-z.])"
_CARD = r"[2-6][0-9]{3}(?:[ -]?[0-9]){10,15}"
_ISSUED = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[0-2])[0-9]{13}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|62[0-9]{14,17}|(?:50|5[6-8]|6[37])[0-9]{14,17}"
)
"""Cards by the digits they begin with, each in its lengths. Visa's 13 digits are left out: none is
valid any more, and shops number their orders that way."""
_IBAN = r"[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?"
_SECRETS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"[rs]k_live_[0-9A-Za-z]{10,}",
    r"whsec_[0-9A-Za-z]{16,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{36}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"sk-[A-Za-z0-9_-]{20,}",
    r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number that a country gives to a person.

    Attributes:
        name: What it is called.
        pattern: How it is written.
        validator: The module of python-stdnum that knows it; none where the pattern is all.
    """

    name: str
    pattern: str
    validator: str = ""


NATIONAL = (
    Number(name="US Social Security number", pattern=r"[0-9]{3}-[0-9]{2}-[0-9]{4}", validator="us.ssn"),
    Number(name="UK National Insurance number", pattern=r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"),
    Number(name="Italian codice fiscale", pattern=r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", validator="it.codicefiscale"),
    Number(name="French NIR", pattern=r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", validator="fr.nir"),
    Number(name="Spanish DNI", pattern=r"[0-9]{8}-?[A-Z]", validator="es.dni"),
    Number(name="Spanish NIE", pattern=r"[XYZ][0-9]{7}-?[A-Z]", validator="es.nie"),
    Number(name="Finnish henkilötunnus", pattern=r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]", validator="fi.hetu"),
    Number(name="Swedish personnummer", pattern=r"(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}", validator="se.personnummer"),
    Number(name="Swiss AHV number", pattern=r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", validator="ch.ssn"),
    Number(name="Belgian national number", pattern=r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", validator="be.nn"),
    Number(name="Brazilian CPF", pattern=r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", validator="br.cpf"),
    Number(name="Korean registration number", pattern=r"[0-9]{6}-[0-9]{7}", validator="kr.rrn"),
    Number(name="Chinese resident identity number", pattern=r"[0-9]{17}[0-9X]", validator="cn.ric"),
    Number(name="Indian Aadhaar number", pattern=r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", validator="in_.aadhaar"),
)  # fmt: skip

_NATIONAL = "|".join(number.pattern for number in NATIONAL)
_SECRET = "|".join(_SECRETS)
ANY = f"{_EDGE}(?:{_CARD}|{_IBAN}|{_NATIONAL}|{_SECRET})"
"""Found wherever a detector could find something."""
_END = r"(?![0-9A-Za-z])"
SHORTEST_CARD, LONGEST_CARD = 10**13, 10.0**19


def has_card_length(values: pl.Expr) -> pl.Expr:
    """Return an expression: true where a number has as many digits as a card."""
    return (values >= SHORTEST_CARD) & (values < LONGEST_CARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Finds one kind of sensitive data in texts.

    Attributes:
        pattern: Finds what might be it.
        valid: Decides.
    """

    pattern: re.Pattern[str]
    valid: Callable[[str], bool]

    def finds(self, text: pl.Expr) -> pl.Expr:
        """Return an expression: true where a text holds such data."""
        return text.map_batches(self._flags, return_dtype=pl.Boolean)

    def samples(self, text: pl.Expr) -> pl.Expr:
        """Return the first such piece of each text with its middle hidden."""
        return text.map_batches(self._masked, return_dtype=pl.String)

    def pieces(self, text: str) -> Iterator[re.Match[str]]:
        """Yield where such data is in a text."""
        return (found for found in self.pattern.finditer(text[:LOOKED_AT]) if self.valid(found[1]))

    def _first(self, text: str | None) -> str | None:
        return next((found[1] for found in self.pieces(text or "")), None)

    def _flags(self, texts: pl.Series) -> pl.Series:
        known = {text: self._first(text) is not None for text in texts.unique()}
        return pl.Series([known[text] for text in texts], dtype=pl.Boolean)

    def _masked(self, texts: pl.Series) -> pl.Series:
        found = [self._first(text) for text in texts]
        return pl.Series([piece and mask(piece) for piece in found], dtype=pl.String)


def mask(piece: str) -> str:
    """Return a piece of sensitive data with all but its ends hidden.

    Examples:
        >>> mask("4111 1111 1111 1111")
        '4111••••1111'
    """
    bare = re.sub(r"[ .-]", "", piece)
    if len(bare) < 3 * KEPT:
        return f"{bare[:2]}{HIDDEN}"
    end = bare[-KEPT:] if bare.isalnum() and len(bare) <= 8 * KEPT else ""
    return f"{bare[:KEPT]}{HIDDEN}{end}"


def masked(text: str | None) -> str | None:
    """Return a text with all sensitive data in it masked.

    Examples:
        >>> masked("card 4111-1111-1111-1111, ok")
        'card 4111••••1111, ok'
    """
    for detector in (CARD, IBAN, NATIONAL_NUMBER, SECRET):
        for found in reversed(list(detector.pieces(text or ""))):
            text = (
                f"{text[: found.start(1)]}{mask(found[1])}{text[found.end(1) :]}" if text else text
            )
    return text


def _is_card(piece: str) -> bool:
    from stdnum import luhn

    number = re.sub(r"[ -]", "", piece)
    return bool(_ISSUED.fullmatch(number)) and luhn.is_valid(number)


def _is_iban(piece: str) -> bool:
    from stdnum import iban

    return bool(iban.is_valid(piece))


def _is_national(piece: str) -> bool:
    for number in NATIONAL:
        if re.fullmatch(number.pattern, piece):
            if not number.validator:
                return True
            if import_module(f"stdnum.{number.validator}").is_valid(piece):
                return True
    return False


def _detector(pattern: str, *, valid: Callable[[str], bool]) -> Detector:
    return Detector(pattern=re.compile(f"(?<![0-9A-Za-z.])({pattern}){_END}"), valid=valid)


CARD = _detector(_CARD, valid=_is_card)
IBAN = _detector(_IBAN, valid=_is_iban)
NATIONAL_NUMBER = _detector(_NATIONAL, valid=_is_national)
SECRET = Detector(pattern=re.compile(f"({_SECRET})"), valid=lambda _: True)
