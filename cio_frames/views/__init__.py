"""Displays for notebooks and terminals, from plain values to HTML, text or widgets."""
