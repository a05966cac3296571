"""Guess the encoding of a text that is not UTF-8: the one in which its letters form words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from cio_frames.errors import InputFileError
from cio_frames.frames.file_content import lines_after

SAMPLE_LINES = 100
SEARCHED_LINES = 20_000
SUGGESTED = 3
SAMPLE_CHARACTERS = 30
FREQUENT = 0.1
"""The score of a frequent letter: enough to choose between encodings that fit equally well."""

_TYPOGRAPHY = "\u2019\u2018“”„\u2013—…€£°«»§®™·•¿¡\u00a0"
_WESTERN = "äöüßéèêëàâçîïôûùœñáíóúìòãõåæøÄÖÜÉÈÊÀÂÇÎÔŒÑÁÍÓÚÃÕÅÆØ" + _TYPOGRAPHY
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžľĺŕôäöüßőűășțâîđĄĆĘŁŃÓŚŹŻÁČĎÉĚÍŇŘŠŤÚŮÝŽĽÔÄÖÜŐŰĐ" + _TYPOGRAPHY
_TURKISH = "çğıöşüâîûÇĞİÖŞÜ" + _TYPOGRAPHY
_CYRILLIC = "".join(map(chr, range(0x410, 0x450))) + "ёЁіїєґІЇЄҐў№" + _TYPOGRAPHY
_GREEK = "".join(map(chr, range(0x391, 0x3CA))) + "άέήίόύώϊϋΐΰΆΈΉΊΌΎΏ" + _TYPOGRAPHY
_HEBREW = "".join(map(chr, range(0x5D0, 0x5EB))) + "\u05f3״" + _TYPOGRAPHY


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """The characters of text in an encoding.

    Attributes:
        name: Its name for users.
        letters: Its characters beyond ASCII.
        frequent: The most frequent of them, if words are written without ASCII letters.
        leads: The first bytes of common characters, if characters have two bytes.
    """

    name: str
    letters: frozenset[str] = frozenset()
    frequent: str = ""
    leads: range = range(0)


def _alphabet(name: str, letters: str, frequent: str = "") -> Alphabet:
    return Alphabet(name=name, letters=frozenset(letters), frequent=frequent)


ALPHABETS: Mapping[str, Alphabet] = {
    "cp1252": _alphabet("Western European, Windows", _WESTERN),
    "mac_roman": _alphabet("Western European, Mac", _WESTERN),
    "cp850": _alphabet("Western European, DOS", _WESTERN),
    "cp1250": _alphabet("Central European, Windows", _CENTRAL),
    "iso8859_2": _alphabet("Central European, ISO", _CENTRAL),
    "cp1254": _alphabet("Turkish", _TURKISH),
    "cp1255": _alphabet("Hebrew", _HEBREW, "יוהלאתרשבמ"),
    "cp1251": _alphabet("Cyrillic, Windows", _CYRILLIC, "оеаинтсрвлк"),
    "koi8_r": _alphabet("Cyrillic, KOI8", _CYRILLIC, "оеаинтсрвлк"),
    "cp866": _alphabet("Cyrillic, DOS", _CYRILLIC, "оеаинтсрвлк"),
    "mac_cyrillic": _alphabet("Cyrillic, Mac", _CYRILLIC, "оеаинтсрвлк"),
    "cp1253": _alphabet("Greek, Windows", _GREEK, "αοιετσνηυρπςάό"),
    "iso8859_7": _alphabet("Greek, ISO", _GREEK, "αοιετσνηυρπςάό"),
    "mac_greek": _alphabet("Greek, Mac", _GREEK, "αό"),
    "big5": Alphabet(name="Chinese, traditional", leads=range(0xA4, 0xC7)),
    "cp949": Alphabet(name="Korean", leads=range(0xB0, 0xC9)),
    "gb18030": Alphabet(name="Chinese, simplified", leads=range(0xB0, 0xD8)),
    "cp932": Alphabet(name="Japanese, Shift JIS", leads=range(0x82, 0x98)),
    "euc_jp": Alphabet(name="Japanese, EUC", leads=range(0xA4, 0xD0)),
}
"""Encodings of exports; if a text fits several equally well, the first is the likeliest."""


def likely_encodings(raw: bytes) -> list[str]:
    """Return the encodings that fit a text, the likeliest first.

    Examples:
        >>> likely_encodings("Γιώργος,Αθήνα".encode("cp1253"))[0], likely_encodings("Jörg,Köln".encode("mac_roman"))[0]
        ('cp1253', 'mac_roman')
    """
    scores = {name: _score(raw, name) for name in ALPHABETS}
    fitting = [name for name, score in scores.items() if score > 0]
    return sorted(fitting, key=scores.__getitem__, reverse=True)


def _score(raw: bytes, encoding: str) -> float:
    """Return the score of an encoding: 1 if all characters beyond ASCII are usual in it."""
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return -1
    alphabet = ALPHABETS[encoding]
    places = [place for place, character in enumerate(text) if not character.isascii()]
    wrong = sum(_is_wrong(text, place, encoding, alphabet) for place in places)
    frequent = sum(text[place].lower() in alphabet.frequent for place in places)
    return 1 - (2 * wrong - FREQUENT * frequent) / len(places) if places else -1


def _is_wrong(text: str, place: int, encoding: str, alphabet: Alphabet) -> bool:
    if alphabet.leads:
        return not _is_common(text[place], encoding, alphabet.leads)
    if text[place] not in alphabet.letters or _is_odd_capital(text, place):
        return True
    return bool(alphabet.frequent) and text[place].isalpha() and not _is_in_word(text, place)


def _is_in_word(text: str, place: int) -> bool:
    """Return whether the letters next to a character are all beyond ASCII."""
    neighbours = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
    letters = [character for character in neighbours if character.isalpha()]
    return bool(letters) and not any(character.isascii() for character in letters)


def _is_common(character: str, encoding: str, leads: range) -> bool:
    pair = character.encode(encoding)
    return len(pair) > 1 and pair[0] in leads and (encoding in ("big5", "cp932") or pair[1] > 0xA0)  # noqa: PLR2004 - the character sets begin there


def _is_odd_capital(text: str, place: int) -> bool:
    """Return whether a character is a capital inside a word that is not all capitals."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return text[place].isupper() and before.isalpha() and (before.islower() or after.islower())


def encoding_error(path: str, *, line: int, raw: bytes) -> InputFileError:
    """Return the error for a line that is not UTF-8, with some of its words in likely encodings."""
    sample = b"".join(_sample(path, line)) or raw
    encodings = likely_encodings(sample)[:SUGGESTED]
    if not encodings:
        hint = 'Pass encoding="cp1252" or what its source says, or save the file as UTF-8.'
        return InputFileError(path, problem=f"line {line:,} is not UTF-8", hint=hint)
    words_by_encoding = {name: _sample_words(sample, name) for name in encodings}
    first_with = {words: name for name, words in reversed(words_by_encoding.items())}
    readings = "; ".join(
        f'{words} as encoding="{name}" ({ALPHABETS[name].name})'
        for name, words in words_by_encoding.items()
        if first_with[words] == name
    )
    return InputFileError(
        path,
        problem=f"line {line:,} is not UTF-8. It may read {readings}",
        hint=f'Pass encoding="{encodings[0]}", or another in which the words are right, or save the file '
        "as UTF-8.",
    )


def _sample(path: str, line: int) -> Iterable[bytes]:
    """Return lines that are not ASCII, starting at that line."""
    lines = islice(lines_after(path, line - 1), SEARCHED_LINES)
    return islice((row for row in lines if not row.isascii()), SAMPLE_LINES)


def _sample_words(raw: bytes, encoding: str) -> str:
    """Return some words that are not ASCII."""
    words = [word for word in re.findall(r"[^\W\d]+", raw.decode(encoding)) if not word.isascii()]
    return repr(" ".join(words)[:SAMPLE_CHARACTERS])
