"""Sphinx configuration."""

import configparser
from pathlib import Path

metadata = configparser.ConfigParser()
metadata.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")

project = "otwrap"
copyright = "2026, the otwrap developers"
release = metadata["metadata"]["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "myst_parser",
    "sphinx_click",
]
exclude_patterns = ["_build", "gallery/**/*.ipynb"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_static_path = ["_static"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(study|plot_)",
    "ignore_pattern": r"^(__init__|beam|executable|models|wrapper)\.py$",
    "abort_on_example_error": True,
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
}
