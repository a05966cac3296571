"""Print the table of the corpus: `python -m tests.corpus > docs/corpus.md`."""

from tests.corpus.table import judged, page

if __name__ == "__main__":
    print(page(judged()), end="")
