"""These files are for type checkers: nothing here is imported, let alone run."""

collect_ignore_glob = ["api.py", "mistakes.py"]
