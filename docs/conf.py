"""Configuration of Sphinx: the notebooks are executed, and the reference comes from docstrings."""

import shutil

from sphinx.application import Sphinx

import cio_frames

project = "cio_frames"
author = "The cio_frames authors"
release = cio_frames.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/audit*", "README.md", "sample_data"]
html_theme = "furo"
html_title = "cio_frames"
html_show_copyright = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
default_role = "code"

myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_excludepatterns = [] if shutil.which("java") else ["**/08_spark*"]  # Spark needs Java
nb_merge_streams = True
nb_ipywidgets_js: dict[
    str, dict[str, str]
] = {}  # notebooks save no widgets, so no page needs to load ipywidgets

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "separated"
napoleon_use_rtype = False
napoleon_use_ivar = True


def setup(app: Sphinx) -> None:
    """Make links work as in the repository, where these pages are in a folder of their own."""
    app.connect("source-read", _without_folder)


def _without_folder(_: Sphinx, __: str, source: list[str]) -> None:
    """Turn links from a notebook to a page into links inside the site."""
    source[0] = source[0].replace("](../docs/", "](../")
