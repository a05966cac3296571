"""Where the quotes of a CSV file stand, found by looking at every byte of it."""

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
    """What the quotes of a file are.

    Attributes:
        in_place: Whether each stands where RFC 4180 has it: around a value, or doubled inside one.
        quoting: Whether a value begins with one; if none does, quotes are text like any other.
    """

    in_place: bool
    quoting: bool


def quotes_of(blocks: Iterable[bytes], separator: str) -> Quotes:
    r"""Return what the quotes of a file are, block by block.

    Quotes are opening and closing by turns, also where they are doubled. All stand in place if each
    opening one follows a separator, a line end or a quote, and each closing one is followed by one.

    Examples:
        >>> quotes_of([b'id,x\n1,"a ""b"" c"\n'], ",")
        Quotes(in_place=True, quoting=True)
        >>> quotes_of([b'id,x\n1,5" pipe\n'], ",").quoting
        False
    """
    import numpy as np

    sign = ord(separator)
    # a quote is judged once the byte before it and the two after it are known
    before, odd, in_place, quoting = b"\n", 0, True, False
    for block in chain(blocks, [b"\n\n"]):
        data = np.frombuffer(before + block, dtype=np.uint8)
        before = data[-3:].tobytes()
        is_quote = data == QUOTE
        here = is_quote[1:-2]
        if not here.any():
            continue
        edge = (data == sign) | (data == LF)
        quoting = quoting or bool((here & edge[:-3]).any())
        inside = np.bitwise_xor.accumulate(here.view(np.uint8)) ^ odd
        odd = int(inside[-1])
        in_place = in_place and _in_place(data, is_quote, edge=edge, inside=inside.view(np.bool_))
        if quoting and not in_place:
            break
    return Quotes(in_place=in_place and not odd, quoting=quoting)


def _in_place(data: "Bytes", is_quote: "Flags", *, edge: "Flags", inside: "Flags") -> bool:
    """Return whether the quotes of a block stand where they may.

    Args:
        data: The block, with a byte before it and two after it.
        is_quote: Which bytes are quotes.
        edge: Which are separators and line ends.
        inside: Which bytes of the block a quoted value goes on after.
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
