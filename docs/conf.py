"""Sphinx configuration."""

import configparser
import shutil
from importlib.util import find_spec
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
# Each example's page is called study: its folder tells them apart.
suppress_warnings = ["sphinx_gallery.duplicate_filename"]
exclude_patterns = ["_build", "gallery/**/*.ipynb"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_static_path = ["_static"]
templates_path = ["_templates"]

autosummary_generate = True
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False

# A study whose code is not installed is shown without its results.
programs = {
    "beam": [],
    "published": ["cc"],
    "ccx_beam": ["ccx"],
    "ngspice_rlc": ["ngspice"],
    "gmsh_getdp": ["gmsh", "getdp"],
    "openfoam_heat": ["laplacianFoam"],
    "swmm_net": ["cc", "swmm.toolkit"],
    "epanet_net": ["cc", "wntr"],
}


def is_installed(program):
    """Return whether a program is in the PATH, or a package can be imported."""
    return bool(shutil.which(program)) or ("." in program or program == "wntr") and has_package(program)


def has_package(name):
    """Return whether a package can be imported."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


runnable = [example for example, needed in programs.items() if all(map(is_installed, needed))]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": rf"/({'|'.join(runnable)})/study\.py",
    "ignore_pattern": r"^(?!study\.py)",
    "abort_on_example_error": True,
    "show_memory": False,
    "within_subsection_order": "FileNameSortKey",
}


def keep_asterisks(app, context, lines):
    """Keep patterns in the help of commands from being taken for emphasis."""
    lines[:] = [line.replace("*", r"\*") for line in lines]


def setup(app):
    """Have sphinx-click tell us of the options that it writes."""
    app.connect("sphinx-click-process-options", keep_asterisks)
