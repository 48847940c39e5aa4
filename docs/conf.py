"""How Sphinx builds this folder: sphinx-build -W -b html docs build/docs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fraudml import __version__

project = "fraudml"
author = "the authors of fraudml"
release = __version__
language = "en"
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
numpydoc_show_class_members = False
autodoc_typehints = "none"

html_theme = "furo"
html_title = f"fraudml {release}"
html_copy_source = False
html_show_copyright = False
