"""Configuration of the manual: `python -m sphinx -W -n -b html docs OUT`.

The build needs no network, and the pages load nothing from other sites.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
PROJECT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(PROJECT)]  # the extensions below; `tests.support.rooms`, which reads the rooms

import seglight  # noqa: E402

project = "seglight"
author = "the authors of seglight"
copyright = f"{author}, Apache-2.0"  # noqa: A001
version = release = seglight.__version__

extensions = [
    "myst_nb",  # Markdown, and the notebooks with their stored outputs
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "notebooks",
    "commands",
    "names",
    "generated",
]
exclude_patterns = ["_ext", "_pictures", "_static"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # the tests execute the notebooks
smartquotes = False  # code and keys stand in the text of docstrings
highlight_language = "text"  # of blocks that name no language

html_theme = "furo"
html_title = f"seglight {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

default_role = "code"  # single backticks in docstrings
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
autodoc_inherit_docstrings = False
nitpick_ignore_regex = [  # documented elsewhere; links to other sites would need a network to be checked
    (r"py:.*", r"(albumentations|collections|lightning|numpy|pathlib|torch|typing)\..*"),
    (
        r"py:class",
        r"Predictor|Tensor|ImageCounts|tuple\[(float|str)",
    ),  # imported for annotations only, so that autodoc sees no module
]
