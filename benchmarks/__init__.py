"""Benchmarks of this package beside the alternatives."""
