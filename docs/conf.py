"""The Sphinx configuration of the documentation site: ``scripts/docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "extensions"), str(Path(__file__).parent.parent)]

from jupyter_containers.version import __version__  # noqa: E402  # the path has to be there first

project = "jupyter_containers"
author = "the jupyter_containers developers"
copyright = "the jupyter_containers developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "myst_nb",
    "sphinx_copybutton",
    "reference_pages",
    "course_pages",
]
exclude_patterns = ["_build", "checks/README.md"]
suppress_warnings = [
    "misc.highlighting_failure",  # some examples are wrong on purpose
    "mystnb.unknown_mime_type",  # live widgets have static HTML beside them
]

# The tests run the notebooks; the site only shows them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "separated"

html_theme = "pydata_sphinx_theme"
html_title = "jupyter_containers"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "navbar_align": "left",
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}
_alone = ("index", "how-it-works", "security", "comparison", "troubleshooting", "benchmarks")
html_sidebars = {page: [] for page in (*_alone, "contributing", "changelog")}
html_copy_source = False
html_show_sourcelink = False
