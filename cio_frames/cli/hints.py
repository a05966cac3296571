"""The advice of the library, rewritten for the command line."""

import re

_ADVICE: tuple[tuple[str, str], ...] = (
    (r"""plan\.fix\((["'])([^"']+)\1\)""", r"--fix \2"),
    (r"""\w+=cio\.lit\("value"\)""", r"--lit argument=value"),
    (r"""(\w+)=cio\.lit\((["'])(.*?)\2\)""", r'--lit "\1=\3"'),
    (r"""cio\.lit\((["'])(.*?)\1\)""", r'--lit "argument=\2"'),
    (r"""(?:checks=)?cio\.Checks\(""", "Checks("),
    (r"""Checks\(severity=\{(["'])([^"']+)\1: (["'])(\w+)\3\}\)""", r"--severity \2=\4"),
    (r"""Checks\(allow=\[(["'])([^"']+)\1\]\)""", r'--allow "\2"'),
    (
        r"""Checks\(allow_sensitive=\{(["'])(.+?)\1: (["'])(.+?)\3\}\)""",
        r'--allow-sensitive "\2=\4"',
    ),
    (r"""Checks\(reference=\{(["'])(.+?)\1: \w+\}\)""", r'--reference "\2=FILE"'),
    (r"""Checks\(drift=(["'])(.+?)\1\)""", r"--drift \2"),
    (r"""Checks\(phone_region=(["'])(\w+)\1\)""", r"--phone-region \2"),
    (r"""\bhash=\[(["'])([^"']+)\1\]""", r'--hash "\2"'),
    (r"""\b(timezone|timestamp|nulls|dots)=(["'])(.+?)\2""", r'--\1 "\3"'),
    (r"""properties=\{(["'])url\1: (["'])column\2\}""", r"--properties url=COLUMN"),
    (r"""\ballow=\[(["'])([^"']+)\1\]""", r'--allow "\2"'),
    (
        r"""cio\.resume\((["'])(.+?)\1, client(?:, plan)?\)""",
        r"cio-frames resume \2 FILES, and the options of send",
    ),
    (r"""cio\.resume\(\.\.\.\)""", r"cio-frames resume"),
    (r"""\bwith before=, an export""", "with --before, an export"),
    (r"""choose region="us" or region="eu\"""", r"give --to us or --to eu"),
    (r"""Pass cio\.connect\(\w+=\.\.\.\) or set (\w+)""", r"Set \1 in the environment"),
    (r"""app_api_key=, or (?=CIO_APP)""", ""),
    (r"""client\.people\(export=(\d+)\)""", r"--known export:\1"),
    (r"""client\.exports\(\) lists""", "The page Exports in Customer.io lists"),
    (r"""use cio\.sandbox\(\)\.client\(\)""", r"use --to sandbox"),
    (r"""\brun\.failed\((?:plan=0)?\)""", r"cio-frames audit DIR --failed"),
    (r"""\bplan\.(findings|rejected)\.write_csv\("([^"]+)"\)""", r"cio-frames check --\1 \2"),
    (r"""\bplan\.rejected\b""", r"--rejected FILE"),
    (r"""\bplan\.summary\b""", r"cio-frames check"),
    (r"""send\(\.\.\., audit=\.\.\.\)""", r"send --audit"),
    (r"""Checks\(triggers=\.\.\.\)""", "--triggers"),
    (r"""(?:plan\.send|cio\.apply)\([\w, ]+, allow=\{(?=")""", ""),
    (r""""(campaigns|opt_outs|deletions|merges)": (\d+)(?:, |\}\))""", r"--allow \1=\2 "),
    (r"""\bNone lifts it""", r'"none" lifts it'),
    (r"""\b(encoding|dialect|sheet)=(["'])([^"']+)\2""", r"--\1 \3"),
    (r"""\bskip_rows=(\d+)""", r"--skip-rows \1"),
    (r"""\bheader=True\b""", "--header 1"),
    (r"""\bheader=(\d)""", r"--header \1"),
    (r"""(?<=[Pp]ass )(separator|header|columns)=""", r"--\1"),
    (r"""(?<=[Pp]ass )skip_rows=""", "--skip-rows"),
    (r"""\bor columns= with\b""", "or --columns with"),
    (r"""(?<=as )known=(?=\.)""", "--known"),
    (r"""(?<=pass )(objects|relationships)=""", r"--\1"),
    (r"""(?<=Pass )current=client\b""", "--current workspace"),
    (r"""send\(\.\.\., keep_undo=True\)""", "send --keep-undo"),
    (r"""undo\.plan\.send\(client\)""", "cio-frames apply DIR/undo.cioplan DIR/*.parquet"),
    (r"""Look at undo\.plan, [^:]*:""", "Write it with --out DIR, then send it:"),
)
_COLUMN = re.compile(r"""\b([a-z]+(?:_[a-z]+)*)=(["'])column\2""")


def cli_advice(words: str) -> str:
    """Return advice about the library as advice about commands and options.

    Examples:
        >>> cli_advice('plan.fix("id.padded") strips it.')
        '--fix id.padded strips it.'
        >>> cli_advice('For a constant, write event=cio.lit("Joined").')
        'For a constant, write --lit "event=Joined".'
        >>> cli_advice('track needs user_id="column".')
        'track needs --user-id COLUMN.'
    """
    for pattern, replacement in _ADVICE:
        words = re.sub(pattern, replacement, words)
    return _COLUMN.sub(lambda match: f"--{match[1].replace('_', '-')} COLUMN", words)
