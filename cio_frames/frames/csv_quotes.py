"""Check where the quotes of a CSV file are, by looking at every byte."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Flags = npt.NDArray[np.bool_]

QUOTE, LF, CR = b'"\n\r'


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """How a file uses quotes.

    Attributes:
        in_place: Whether each is where RFC 4180 allows it: around a value, or doubled inside one.
        quoting: Whether a value begins with one; if none does, quotes are ordinary characters.
    """

    in_place: bool
    quoting: bool


def quotes_of(blocks: Iterable[bytes], separator: str) -> Quotes:
    r"""Return how a file uses quotes.

    Opening and closing quotes alternate, also where they are doubled. All are in place if each
    opening one follows a separator, a line end or a quote, and each closing one precedes one.

    Examples:
        >>> quotes_of([b'id,x\n1,"a ""b"" c"\n'], ",")
        Quotes(in_place=True, quoting=True)
        >>> quotes_of([b'id,x\n1,5" pipe\n'], ",").quoting
        False
    """
    import numpy as np

    sign = ord(separator)
    # to judge a quote, the byte before it and the two after it are needed
    before, is_open, in_place, quoting = b"\n", 0, True, False
    for block in chain(blocks, [b"\n\n"]):
        data = np.frombuffer(before + block, dtype=np.uint8)
        before = data[-3:].tobytes()
        is_quote = data == QUOTE
        here = is_quote[1:-2]
        if not here.any():
            continue
        edge = (data == sign) | (data == LF)
        quoting = quoting or bool((here & edge[:-3]).any())
        inside = np.bitwise_xor.accumulate(here.view(np.uint8)) ^ is_open
        is_open = int(inside[-1])
        in_place = in_place and _in_place(data, is_quote, edge=edge, inside=inside.view(np.bool_))
        if quoting and not in_place:
            break
    return Quotes(in_place=in_place and not is_open, quoting=quoting)


def _in_place(data: "Bytes", is_quote: "Flags", *, edge: "Flags", inside: "Flags") -> bool:
    """Return whether the quotes of a block are where RFC 4180 allows them.

    Args:
        data: The block, with a byte before it and two after it.
        is_quote: Which bytes are quotes.
        edge: Which bytes are separators and line ends.
        inside: After which bytes of the block a quoted value continues.
    """
    import numpy as np

    here = is_quote[1:-2]
    around = is_quote | edge
    wrong = here & ~np.where(inside, around[:-3], around[2:-1])
    if not wrong.any():
        return True
    places = np.flatnonzero(wrong & ~inside) + 1
    line_ends = (data[places + 1] == CR) & (data[places + 2] == LF)
    return bool(not (wrong & inside).any() and line_ends.all())
