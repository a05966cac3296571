"""What the source of the package never does, read from its syntax; each rule catches its fault."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cio_frames

SOURCE = Path(cio_frames.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
DRAWS = SOURCE / "views" / "markup.py"  # the one place that escapes
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml"}
PROCESSES = {"subprocess", "pty", "multiprocessing"}
STARTS = re.compile(r"os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|startfile)")
ELEMENT = re.compile(
    r"</?(a|b|base|body|br|button|code|details|div|em|embed|form|h[1-6]|head|html|i|iframe|img|"
    r"input|li|link|math|meta|object|ol|p|pre|script|section|span|strong|style|svg|table|tbody|td|"
    r"template|textarea|th|thead|title|tr|ul|video)(?=[\s>/]|$)",
    re.IGNORECASE,
)
SECRET_NAME = re.compile(r"key|token|secret|password|credential", re.IGNORECASE)
ISSUED = re.compile(r"cio_(live|test)_?\w|sk_live_\w{4}|-----BEGIN [A-Z ]+-----|\beyJ[\w-]{10,}\.")
LONG = re.compile(r"(?=.*\d)(?=.*[A-Za-z])([0-9a-fA-F]{16,}|[A-Za-z0-9+/_-]{24,}={0,2})")
EVERYWHERE = {"0.0.0.0", "::", "[::]"}  # noqa: S104 - what is looked for


def redirects(node: ast.AST) -> bool:
    """Find a request that follows redirects."""
    return isinstance(node, ast.keyword) and node.arg == "follow_redirects" and not _is_false(node)


def unverified(node: ast.AST) -> bool:
    """Find certificates that are checked in another way than by a context, or not at all."""
    match node:
        case ast.keyword(arg="verify", value=value):
            return not ast.unparse(value).endswith("context") and "ssl." not in ast.unparse(value)
        case ast.Attribute(attr="CERT_NONE" | "_create_unverified_context"):
            return True
        case ast.Assign(targets=[ast.Attribute(attr="check_hostname")], value=value):
            return ast.unparse(value) == "False"
    return False


def runs_data(node: ast.AST) -> bool:
    """Find formats that run code when they are read, and code made of text."""
    match node:
        case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__")):
            return True
    return bool(UNSAFE_MODULES & _imported(node))


def starts_processes(node: ast.AST) -> bool:
    """Find anything that starts a program."""
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    return bool(PROCESSES & _imported(node)) or bool(STARTS.fullmatch(called))


def writes_html(node: ast.AST) -> bool:
    """Find elements that are written together with values."""
    match node:
        case ast.JoinedStr(values=values):
            return any(isinstance(value, ast.FormattedValue) for value in values) and _opens(values)
        case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
            return _opens([left, right])
        case ast.Call(func=ast.Attribute(value=ast.Constant() as text, attr="format" | "join")):
            return _opens([text])
    return False


def holds_keys(node: ast.AST) -> bool:
    """Find a literal that looks like a key, by itself or by the name it is given."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(ISSUED.search(node.value))
    return any(
        SECRET_NAME.search(name) and LONG.fullmatch(text) for name, text in _named_texts(node)
    )


def binds_everywhere(node: ast.AST) -> bool:
    """Find an address that other machines can reach."""
    return isinstance(node, ast.Constant) and node.value in EVERYWHERE


RULES = {
    redirects: ["Client(follow_redirects=True)", "get(url, follow_redirects=wanted)"],
    unverified: [
        "Client(verify=False)", "Client(verify=True)", "Client(verify='ca.pem')",
        "context.check_hostname = False", "context.verify_mode = ssl.CERT_NONE",
        "ssl._create_unverified_context()",
    ],
    runs_data: [
        "import pickle", "from pickle import loads", "import marshal", "import shelve",
        "import yaml", "from yaml.constructor import x", "eval(text)", "exec(text)",
        "compile(text, 'x', 'exec')", "__import__(name)", "import_module('pickle')",
    ],
    starts_processes: [
        "import subprocess", "from subprocess import run", "os.system('ls')", "os.popen(x)",
        "os.execv(a, b)", "os.spawnl(a, b)", "import multiprocessing.pool",
    ],
    writes_html: [
        "f'<b>{name}</b>'", "f'<img src={name}'", "f'{name}</script>'", "'<td>' + name",
        "name + '</td>'", "'<p>%s</p>' % name", "'<a href={}>'.format(x)", "'<br>'.join(rows)",
        "f'<SCRIPT>{name}'", "f'<{name}>'",
    ],
    holds_keys: [
        "KEY = 'a1b2c3d4e5f60718'", "x = 'cio_live_abc'", "connect(write_key='0123456789abcdef')",
        "d = {'api_token': 'QWxhZGRpbjpvcGVuIHNlc2FtZQ=='}", "self.secret = 'deadbeefdeadbeef12'",
        "def f(password='aaaaaaaaaaaaaaaa1111'): ...", "def f(*, token='aaaaaaaaaaaaaaaa1111'): ...",
        "token: str = 'aaaaaaaaaaaaaaaa1111'", "x = '-----BEGIN PRIVATE KEY-----'",
    ],
    binds_everywhere: ["serve('0.0.0.0', 80)", "HOST = '::'"],
}  # fmt: skip

FINE = [
    "Client(follow_redirects=False)", "Client(verify=context)", "Client(verify=ssl.create_default_context())",
    "import json", "pl.col('x').list.eval(y)", "re.compile('x')", "os.path.join(a, b)", "os.replace(a, b)",
    "f'<Audit of {count} runs>'", "f'{a} < {b}'", "text.join('<email>')", "'<email>' + x", "'<b>'",
    "KEY_VARIABLE = 'CIO_AUDIT_KEY'", "keys = 'write_key site_id'", "digest = 'a1b2c3d4e5f60718'",
    "token = read()", "serve('127.0.0.1', 0)",
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_package_keeps_the_rule(rule, path):
    """No file of the package has what the rule finds; HTML is written in one file."""
    if rule is writes_html and path == DRAWS:
        return
    found = [node.lineno for node in _nodes(path.read_text()) if rule(node)]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "source"), [(rule, source) for rule, bad in RULES.items() for source in bad]
)
def test_each_rule_catches_its_fault(rule, source):
    """What must never be written is found by its rule."""
    assert any(rule(node) for node in _nodes(source))


@pytest.mark.parametrize("source", FINE)
def test_what_is_fine_is_left_alone(source):
    """Harmless code that looks similar breaks no rule."""
    assert [rule.__name__ for rule in RULES if any(map(rule, _nodes(source)))] == []


def test_the_one_file_that_writes_html_does():
    """The exception is needed: the rule finds something in it."""
    assert any(map(writes_html, _nodes(DRAWS.read_text())))


def _nodes(source: str) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(source))


def _is_false(node: ast.keyword) -> bool:
    return isinstance(node.value, ast.Constant) and node.value.value is False


def _imported(node: ast.AST) -> set[str]:
    """Return the modules that a node imports, however it does."""
    match node:
        case ast.Import(names=names):
            found = [alias.name for alias in names]
        case ast.ImportFrom(module=str(module)):
            found = [module]
        case ast.Call(func=ast.Name(id="import_module"), args=[ast.Constant(value=str(module))]):
            found = [module]
        case _:
            found = []
    return {name.partition(".")[0] for name in found}


def _opens(values: list[ast.expr]) -> bool:
    """Tell whether a text among values begins or ends an element, or leaves its name open."""
    texts = [value.value for value in values if isinstance(value, ast.Constant)]
    texts = [text for text in texts if isinstance(text, str)]
    leaves_open = len(values) > 1 and any(text.endswith(("<", "</")) for text in texts)
    return leaves_open or any(ELEMENT.search(text) for text in texts)


def _named_texts(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield names and the literal texts that they are given in a node."""
    pairs: list[tuple[str, ast.expr | None]] = []
    match node:
        case ast.Assign(targets=targets, value=value):
            pairs = [(ast.unparse(target), value) for target in targets]
        case ast.AnnAssign(target=target, value=value):
            pairs = [(ast.unparse(target), value)]
        case ast.keyword(arg=str(name), value=value):
            pairs = [(name, value)]
        case ast.Dict(keys=keys, values=values):
            pairs = [
                (ast.unparse(key), value) for key, value in zip(keys, values, strict=True) if key
            ]
        case ast.arguments():
            plain = [*node.posonlyargs, *node.args]
            last = plain[len(plain) - len(node.defaults) :]
            pairs = [(each.arg, value) for each, value in zip(last, node.defaults, strict=True)]
            kw = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            pairs += [(each.arg, value) for each, value in kw]
    for name, value in pairs:
        if isinstance(value, ast.Constant) and isinstance(value.value, str | bytes):
            text = value.value
            yield name, text if isinstance(text, str) else text.decode("latin-1")
