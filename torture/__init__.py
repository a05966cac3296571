"""Tests that sending loses, duplicates and reorders nothing: `python -m torture` prints the table.

Every test sends to the embedded workspace and compares its log of arrivals with the input rows
and with the record. Each takes a seed and prints it.
"""
