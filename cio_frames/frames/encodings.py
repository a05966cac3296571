"""Which encoding a text that is not UTF-8 may be in."""

from cio_frames.errors import InputFileError


def encoding_fault(path: str, *, line: int, raw: bytes) -> InputFileError:
    """Return the error for a line that is not UTF-8, with the encodings that it may be in."""
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        fitting = "latin-1"
    else:
        fitting = "cp1252"
    return InputFileError(
        path,
        problem=f"line {line:,} is not UTF-8",
        hint=f'It reads as {fitting}: pass encoding="{fitting}", or save the file as UTF-8.',
    )
