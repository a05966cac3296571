"""Everything that notebooks and terminals show: plain values in; HTML, text or a widget out."""
