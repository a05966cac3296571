"""The traits that Customer.io acts on, by the names that columns for them have."""

from cio_frames.spec import CALLS, RESERVED_TRAITS, folded

_SPELLED = {"createdAt": "created_at"}
_MEANT = {
    folded(word): _SPELLED.get(field.path[1], field.path[1])
    for field in CALLS["identify"].fields
    if field.path[0] == "traits" and field.synonyms
    for word in field.synonyms
} | {
    folded(word): row.name
    for row in RESERVED_TRAITS.values()
    if row.settable and row.of == "person"
    for word in (row.name, *row.synonyms)
}


def meant_trait(name: str) -> str | None:
    """Return the trait that a column name may mean, None if it is none that Customer.io acts on.

    Examples:
        >>> meant_trait("E-Mail"), meant_trait("Created"), meant_trait("Phone"), meant_trait("plan")
        ('email', 'created_at', 'phone', None)
    """
    return _MEANT.get(folded(name))
