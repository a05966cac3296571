"""Whether a workspace holds what was sent, where all it keeps are texts."""

from cio_frames.plan.same_value import is_same

SAME = [
    ("plan", "pro", "pro"),
    ("plan", " pro ", " pro "),
    ("plan", "", None),
    ("plan", None, ""),
    ("plan", None, None),
    ("code", "007", "007"),
    ("code", "007", 7),
    ("score", 7, "7"),
    ("score", "7", "7"),
    ("score", 7.0, "7"),
    ("score", 12.50, "12.5"),
    ("score", 1e21, "1000000000000000000000"),
    ("score", 12345678901234567890, "1.2345678901234567e+19"),
    ("score", 7, 7.0),
    ("is_vip", True, "true"),
    ("is_vip", True, "True"),
    ("is_vip", False, False),
    ("is_vip", False, "false"),
    ("tags", ["a", 1], '["a", 1.0]'),
    ("address", {"b": 1, "a": {"c": None}}, '{"a":{},"b":1}'),
    ("created_at", 1489014595, "1489014595"),
    ("created_at", 1489014595, "2017-03-08T23:09:55Z"),
    ("born", 86400, "86400"),
    ("unsubscribed", True, "TRUE"),
    ("unsubscribed", "1", "true"),
    ("unsubscribed", False, None),
    ("unsubscribed", "no", "false"),
    ("note", 'say "hi",\n', 'say "hi",\n'),
    ("null", "null", "null"),
]
OTHER = [
    ("plan", "pro", "Pro"),
    ("plan", "pro", " pro"),
    ("plan", "pro", None),
    ("plan", None, "pro"),
    ("code", "007", "7"),
    ("code", "1.0", "1"),
    ("score", 7, "8"),
    ("score", 0, None),
    ("score", 7, "7 "),
    ("is_vip", True, "1"),
    ("is_vip", False, None),
    ("tags", ["a", "b"], '["b","a"]'),
    ("tags", ["1"], "[1]"),
    ("address", {"a": 1}, '{"a":1,"b":2}'),
    ("created_at", 1489014595, "1489014596"),
    ("born", 86400, "1970-01-02"),
    ("unsubscribed", True, None),
    ("unsubscribed", False, "true"),
    ("score", 7, "seven"),
    ("tags", [1], "[1"),
]


def test_values_that_look_alike_are_the_same():
    """Numbers, truth values, JSON and times are compared by what they mean."""
    assert [case for case in SAME if not is_same(*case)] == []


def test_another_value_is_another():
    """Texts are compared letter by letter."""
    assert [case for case in OTHER if is_same(*case)] == []
