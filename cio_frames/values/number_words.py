"""Numbers in texts for people: counts with a noun, and numbers in digits or English words."""

import re
from collections.abc import Mapping
from typing import Final

_SMALL: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_SCALES: Final[Mapping[str, int]] = {
    "billion": 10**9, "million": 10**6, "thousand": 1_000, "hundred": 100,
}  # fmt: skip
_VALUES: Final = {
    **{word: value for value, word in enumerate(_SMALL)},
    **{word: 10 * value for value, word in enumerate(_TENS) if word},
}
_FIGURES: Final = re.compile("[0-9]{1,3}(,[0-9]{3}){1,3}|[0-9]{1,12}")
_HYPHEN: Final = re.compile("(?<=[a-z])-(?=[a-z])")
_AND: Final = re.compile(f"({'|'.join(_SCALES)}) and ")


def many(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun.

    Examples:
        >>> many(1, "row"), many(2000, "row"), many(2, "retry", "retries")
        ('1 row', '2,000 rows', '2 retries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def number_words(number: int) -> str:
    """Return a whole number below 10**12 in English words.

    Examples:
        >>> number_words(37), number_words(1_200)
        ('thirty-seven', 'one thousand two hundred')
    """
    for name, value in _SCALES.items():
        if number >= value:
            count, rest = divmod(number, value)
            return f"{number_words(count)} {name}" + (f" {number_words(rest)}" if rest else "")
    if number < len(_SMALL):
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_SMALL[ones]}" if ones else "")


def number_of(text: str) -> int | None:
    """Return the number that a text contains in digits or in English words; None if it is not a number.

    Examples:
        >>> number_of("1,200"), number_of("One thousand two hundred and five"), number_of("many")
        (1200, 1205, None)
    """
    words = text.strip()
    if _FIGURES.fullmatch(words):
        return int(words.replace(",", ""))
    words = _AND.sub(r"\1 ", " ".join(_HYPHEN.sub(" ", words.lower()).split()))
    number = group = 0
    for word in words.split():
        if word == "hundred":
            group *= _SCALES[word]
        elif word in _SCALES:
            number, group = number + group * _SCALES[word], 0
        elif word in _VALUES:
            group += _VALUES[word]
        else:
            return None
    number += group
    is_spelled = number < 10**12 and number_words(number).replace("-", " ") == words
    return number if is_spelled else None
