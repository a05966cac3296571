"""Everything a notebook or a terminal shows: plain values in; HTML, text or a widget out."""
