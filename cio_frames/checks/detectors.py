"""Detectors of sensitive data: a pattern for each kind, and a validator if there is one.

Patterns are fast but match too much; python-stdnum, which knows the check digits of each country's
numbers, validates the matches.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

import polars as pl

HIDDEN = "••••"
SHOWN = 4
MAX_CHARACTERS = 40_000  # characters; a longer text fits into no message

_BEFORE = r"(?:^|[^0-9A-Za-z.])"
_CARD = r"[2-6][0-9]{3}(?:[ -]?[0-9]){10,15}"
_ISSUED_CARDS = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}|2(?:2[2-9]|[3-6][0-9]|7[0-2])[0-9]{13}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|62[0-9]{14,17}|(?:50|5[6-8]|6[37])[0-9]{14,17}"
)
"""Card numbers by their first digits and lengths, except those of Visa with 13 digits: none is valid any
more, and shops use such numbers for orders."""
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


def _is_validated(module: str, piece: str) -> bool:
    """Return whether a module of python-stdnum accepts a piece; raising an error counts as not."""
    validator = import_module(f"stdnum.{module}")
    try:
        return bool(validator.is_valid(piece))
    except Exception:  # noqa: BLE001 - which errors it raises for a text is not documented
        return False


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number of a card, of a bank account, or one that a country gives to a person.

    Attributes:
        name: What it is called.
        pattern: How it is written.
        chance: The share of other numbers of the same form that are valid by chance; 1 if there is no
            check digit, so that only the form can be tested.
        source: Where that share comes from.
        validator: The module of python-stdnum that validates it; none if only the pattern can be tested.
        issued_pattern: Which of the numbers are issued, if the validator does not know.
        has_form: Whether a piece has the form, if the pattern is not enough to decide.
    """

    name: str
    pattern: str
    chance: float
    source: str
    validator: str = ""
    issued_pattern: re.Pattern[str] | None = None
    has_form: Callable[[str], bool] = _always

    def is_valid(self, piece: str) -> bool:
        """Return whether a piece that fits the pattern is such a number."""
        if self.issued_pattern is not None:
            piece = re.sub(r"[ -]", "", piece)
            if not self.issued_pattern.fullmatch(piece):
                return False
        return not self.validator or _is_validated(self.validator, piece)


def _has_iban_form(piece: str) -> bool:
    """Return whether a piece would be an IBAN with the right check digits."""
    from stdnum import iban

    bare = piece.replace(" ", "").upper()
    try:
        right = f"{bare[:2]}{iban.calc_check_digits(bare)}{bare[4:]}"
        return bool(iban.is_valid(right, check_country=False))
    except Exception:  # noqa: BLE001 - as above
        return False


_NO_DIGIT = "none of its digits is a check digit"
CARDS = (
    Number(
        name="card number", pattern=_CARD, chance=1 / 10, validator="luhn", issued_pattern=_ISSUED_CARDS,
        source="ISO/IEC 7812-1, annex B: one check digit (Luhn)",
    ),
)  # fmt: skip
IBANS = (
    Number(
        name="IBAN", pattern=_IBAN, chance=1 / 97, validator="iban", has_form=_has_iban_form,
        source="ISO 13616, ISO 7064: remainder of a division by 97",
    ),
)  # fmt: skip
NATIONAL = (
    Number(name="US Social Security number", pattern=r"[0-9]{3}-[0-9]{2}-[0-9]{4}", validator="us.ssn", chance=1, source=_NO_DIGIT),
    Number(
        name="UK National Insurance number", chance=1, source=_NO_DIGIT,
        pattern=r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
    ),
    Number(
        name="Italian codice fiscale", pattern=r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", validator="it.codicefiscale",
        chance=1 / 26, source="Decreto 23 dicembre 1976: one check letter",
    ),
    Number(
        name="French NIR", pattern=r"[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", validator="fr.nir",
        chance=1 / 97, source="INSEE: 97 minus the remainder of a division by 97",
    ),
    Number(name="Spanish DNI", pattern=r"[0-9]{8}-?[A-Z]", validator="es.dni", chance=1 / 23, source="Real Decreto 1553/2005: one of 23 letters"),
    Number(name="Spanish NIE", pattern=r"[XYZ][0-9]{7}-?[A-Z]", validator="es.nie", chance=1 / 23, source="Real Decreto 1553/2005: one of 23 letters"),
    Number(
        name="Finnish henkilötunnus", pattern=r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-Y]", validator="fi.hetu",
        chance=1 / 31, source="DVV: remainder of a division by 31",
    ),
    Number(
        name="Swedish personnummer", pattern=r"(?:[0-9]{2})?[0-9]{6}[-+][0-9]{4}", validator="se.personnummer",
        chance=1 / 10, source="Skatteverket SKV 704: one check digit (Luhn)",
    ),
    Number(name="Swiss AHV number", pattern=r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", validator="ch.ssn", chance=1 / 10, source="BSV: one check digit (EAN-13)"),
    Number(
        name="Belgian national number", pattern=r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}", validator="be.nn",
        chance=2 / 97, source="Rijksregister: remainder of a division by 97, for each of two centuries",
    ),
    Number(
        name="Brazilian CPF", pattern=r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", validator="br.cpf",
        chance=1 / 100, source="Receita Federal: two check digits",
    ),
    Number(name="Korean registration number", pattern=r"[0-9]{6}-[0-9]{7}", validator="kr.rrn", chance=1 / 10, source="python-stdnum: one check digit"),
    Number(
        name="Chinese resident identity number", pattern=r"[0-9]{17}[0-9X]", validator="cn.ric",
        chance=1 / 11, source="GB 11643, ISO 7064: one of eleven check digits",
    ),
    Number(
        name="Indian Aadhaar number", pattern=r"[2-9][0-9]{3} [0-9]{4} [0-9]{4}", validator="in_.aadhaar",
        chance=1 / 10, source="UIDAI: one check digit (Verhoeff)",
    ),
)  # fmt: skip

_NATIONAL = "|".join(number.pattern for number in NATIONAL)
ANY_SECRET = "|".join(_SECRETS)
ANY_NUMBER = f"{_BEFORE}(?:{_CARD}|{_IBAN}|{_NATIONAL})"
"""Matches every text that could have a number of a card, a bank account or a person."""
UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_AFTER = r"(?![0-9A-Za-z])"
SHORTEST_CARD, LONGEST_CARD = 10**13, 10.0**19


def has_card_length(values: pl.Expr) -> pl.Expr:
    """Return a boolean expression: True where a number has as many digits as a card."""
    return (values >= SHORTEST_CARD) & (values < LONGEST_CARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """Finds one kind of sensitive data in texts.

    Attributes:
        pattern: Finds the candidates.
        numbers: The kinds of numbers that candidates can be; if there are none, the pattern decides.
    """

    pattern: re.Pattern[str]
    numbers: tuple[Number, ...] = ()

    def finds(self, text: pl.Expr) -> pl.Expr:
        """Return a boolean expression: True where a text holds such data."""
        return text.map_batches(self._flags, return_dtype=pl.Boolean)

    def samples(self, text: pl.Expr) -> pl.Expr:
        """Return the first such piece of each text, with its middle masked."""
        return text.map_batches(self._masked, return_dtype=pl.String)

    def pieces(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the matches of such data in a text."""
        if not self.numbers:
            yield from self.pattern.finditer(text[:MAX_CHARACTERS])
        end = 0
        for match, number in self.candidates(text):
            if match.start() >= end and number.is_valid(match[1]):
                end = match.end()
                yield match

    def candidates(self, text: str) -> Iterator[tuple[re.Match[str], Number]]:
        """Yield the pieces of a text that have the form of a number, with each kind of number."""
        bare = UUID.sub(lambda match: "_" * len(match[0]), text[:MAX_CHARACTERS])
        for match in self.pattern.finditer(bare):
            for number in self.numbers:
                if re.fullmatch(number.pattern, match[1]) and number.has_form(match[1]):
                    yield match, number

    def _first(self, text: str | None) -> str | None:
        return next((match[1] for match in self.pieces(text or "")), None)

    def _flags(self, texts: pl.Series) -> pl.Series:
        flags = {text: self._first(text) is not None for text in texts.unique()}
        return pl.Series([flags[text] for text in texts], dtype=pl.Boolean)

    def _masked(self, texts: pl.Series) -> pl.Series:
        pieces = [self._first(text) for text in texts]
        return pl.Series([piece and mask(piece) for piece in pieces], dtype=pl.String)


def mask(piece: str) -> str:
    """Return a piece of sensitive data with all but its ends hidden.

    Examples:
        >>> mask("4111 1111 1111 1111")
        '4111••••1111'
    """
    bare = re.sub(r"[ .-]", "", piece)
    if len(bare) < 3 * SHOWN:
        return f"{bare[:2]}{HIDDEN}"
    end = bare[-SHOWN:] if bare.isalnum() and len(bare) <= 8 * SHOWN else ""
    return f"{bare[:SHOWN]}{HIDDEN}{end}"


def masked(text: str | None) -> str | None:
    """Return a text with all sensitive data in it masked.

    Examples:
        >>> masked("card 4111-1111-1111-1111, ok")
        'card 4111••••1111, ok'
    """
    for detector in (CARD, IBAN, NATIONAL_NUMBER, SECRET):
        for match in reversed(list(detector.pieces(text or ""))):
            text = (
                f"{text[: match.start(1)]}{mask(match[1])}{text[match.end(1) :]}" if text else text
            )
    return text


def _detector(*numbers: Number) -> Detector:
    forms = "|".join(number.pattern for number in numbers)
    return Detector(pattern=re.compile(f"(?<![0-9A-Za-z.])({forms}){_AFTER}"), numbers=numbers)


CARD = _detector(*CARDS)
IBAN = _detector(*IBANS)
NATIONAL_NUMBER = _detector(*NATIONAL)
SECRET = Detector(pattern=re.compile(f"({ANY_SECRET})"))
