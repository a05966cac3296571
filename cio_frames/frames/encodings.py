"""Which encoding a text that is not UTF-8 may be in: the one in which its letters make words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

from cio_frames.errors import InputFileError
from cio_frames.frames.file_content import lines_after

SAMPLE_LINES = 100
LOOKED_AT_LINES = 20_000
SHOWN = 3
SHOWN_CHARACTERS = 30
FREQUENT = 0.1
"""What a frequent letter counts: enough to choose between encodings that fit alike."""

_TYPOGRAPHY = "\u2019\u2018“”„\u2013—…€£°«»§®™·•¿¡\u00a0"
_WESTERN = "äöüßéèêëàâçîïôûùœñáíóúìòãõåæøÄÖÜÉÈÊÀÂÇÎÔŒÑÁÍÓÚÃÕÅÆØ" + _TYPOGRAPHY
_CENTRAL = "ąćęłńóśźżáčďéěíňřšťúůýžľĺŕôäöüßőűășțâîđĄĆĘŁŃÓŚŹŻÁČĎÉĚÍŇŘŠŤÚŮÝŽĽÔÄÖÜŐŰĐ" + _TYPOGRAPHY
_TURKISH = "çğıöşüâîûÇĞİÖŞÜ" + _TYPOGRAPHY
_CYRILLIC = "".join(map(chr, range(0x410, 0x450))) + "ёЁіїєґІЇЄҐў№" + _TYPOGRAPHY
_GREEK = "".join(map(chr, range(0x391, 0x3CA))) + "άέήίόύώϊϋΐΰΆΈΉΊΌΎΏ" + _TYPOGRAPHY
_HEBREW = "".join(map(chr, range(0x5D0, 0x5EB))) + "\u05f3״" + _TYPOGRAPHY


@dataclass(frozen=True, slots=True, kw_only=True)
class Alphabet:
    """What text in an encoding is made of.

    Attributes:
        name: How readers call it.
        letters: Its characters beyond ASCII.
        frequent: The most frequent of them, where words are written in them alone.
        leads: Of an encoding with two bytes a character, the first bytes of the common ones.
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
"""Encodings of exports; where a text fits several, the first of them is the likeliest."""


def likely(raw: bytes) -> list[str]:
    """Return the encodings that a text may be in, the likeliest first; none if it fits none.

    Examples:
        >>> likely("Γιώργος,Αθήνα".encode("cp1253"))[0], likely("Jörg,Köln".encode("mac_roman"))[0]
        ('cp1253', 'mac_roman')
    """
    scores = {name: _score(raw, name) for name in ALPHABETS}
    fitting = [name for name, score in scores.items() if score > 0]
    return sorted(fitting, key=scores.__getitem__, reverse=True)


def _score(raw: bytes, encoding: str) -> float:
    """Return the share of characters beyond ASCII that text in this encoding has, less the others."""
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
    """Return whether letters beyond ASCII stand beside a character, and none of ASCII does."""
    beside = text[max(place - 1, 0) : place] + text[place + 1 : place + 2]
    letters = [character for character in beside if character.isalpha()]
    return bool(letters) and not any(character.isascii() for character in letters)


def _is_common(character: str, encoding: str, leads: range) -> bool:
    pair = character.encode(encoding)
    return len(pair) > 1 and pair[0] in leads and (encoding in ("big5", "cp932") or pair[1] > 0xA0)  # noqa: PLR2004 - the sets proper begin there


def _is_odd_capital(text: str, place: int) -> bool:
    """Return whether a capital stands inside a word that is not all capitals."""
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return text[place].isupper() and before.isalpha() and (before.islower() or after.islower())


def encoding_fault(path: str, *, line: int, raw: bytes) -> InputFileError:
    """Return the error for a line that is not UTF-8, with how it reads in likely encodings."""
    sample = b"".join(_sample(path, line)) or raw
    found = likely(sample)[:SHOWN]
    if not found:
        hint = 'Pass encoding="cp1252" or what its source says, or save the file as UTF-8.'
        return InputFileError(path, problem=f"line {line:,} is not UTF-8", hint=hint)
    read = {name: _shown(sample, name) for name in found}
    different = {words: name for name, words in reversed(read.items())}
    ways = "; ".join(
        f'{words} as encoding="{name}" ({ALPHABETS[name].name})'
        for name, words in read.items()
        if different[words] == name
    )
    return InputFileError(
        path,
        problem=f"line {line:,} is not UTF-8. It may read {ways}",
        hint=f'Pass encoding="{found[0]}", or another in which the words are right, or save the file '
        "as UTF-8.",
    )


def _sample(path: str, line: int) -> Iterable[bytes]:
    """Return lines that are not ASCII, from that line on."""
    looked_at = islice(lines_after(path, line - 1), LOOKED_AT_LINES)
    return islice((row for row in looked_at if not row.isascii()), SAMPLE_LINES)


def _shown(raw: bytes, encoding: str) -> str:
    """Return some words that are not ASCII."""
    words = [word for word in re.findall(r"[^\W\d]+", raw.decode(encoding)) if not word.isascii()]
    return repr(" ".join(words)[:SHOWN_CHARACTERS])
