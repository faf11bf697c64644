"""Sphinx configuration; `make docs` builds with warnings as errors."""

import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

project = "beamline-ophyd"
author = "the beamline-ophyd developers"
project_copyright = author
version = release = installed_version("beamline-ophyd")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["examples"]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # SIMULATOR, and not where the file is on the machine that builds
autodoc_typehints = "none"  # numpydoc's sections have the types, in words of the field
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}


def _write_command_line(app: Sphinx) -> None:
    """Write the reference of the command line from its parser."""
    page = Path(app.srcdir) / "reference" / "cli.md"
    command = [sys.executable, "-m", "typer", "beamline_ophyd.cli", "utils", "docs"]
    command += ["--name", "beamline", "--output", str(page)]
    command += ["--title", "Command line"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def setup(app: Sphinx) -> None:
    """Make the pages that come from the code."""
    app.connect("builder-inited", _write_command_line)
