"""Proof that sending loses, doubles and disorders nothing: `python -m torture` prints the table.

Every test here sends to the embedded workspace, whose log of arrivals is the truth, and compares
it with the input rows and with the record. Each takes a seed and prints it.
"""
