"""Sphinx reads Markdown (MyST), and takes lists that the code declares from the code itself."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

from pattoo_mp import __version__  # noqa: E402 - found by the path above

project = "pattoo_mp"
author = "the authors of pattoo_mp"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.doctest", "from_code"]
exclude_patterns = ["_build", "_ext", "figures", "man"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

#: A program's options and output stand in the text: "--" is no dash.
smartquotes = False

html_theme = "alabaster"
pygments_style = "sphinx"
html_theme_options = {
    "body_max_width": "900px",
    "description": "A host's performance, reported to pattoo",
    "fixed_sidebar": True,
    "font_family": "system-ui, 'DejaVu Sans', Verdana, sans-serif",
    "font_size": "15px",
    "head_font_family": "system-ui, 'DejaVu Sans', Verdana, sans-serif",
    "page_width": "1140px",
    "sidebar_width": "210px",
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_show_copyright = False
html_show_sourcelink = html_copy_source = False
