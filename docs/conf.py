"""How Sphinx builds the documentation; ``scripts/docs`` calls it.

Pages are Markdown (MyST). Notebooks in ``examples`` are shown with the output that they were saved
with: building runs no notebook and needs no network.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before autodoc imports TensorFlow

from docutils import nodes  # noqa: E402
from latex2mathml.converter import convert  # noqa: E402
from sphinx.util import inspect  # noqa: E402

import nengo_dl  # noqa: E402

project = "nengo_dl"
author = "the nengo_dl contributors"
copyright = author
version = release = nengo_dl.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# -- pages -----------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3  # so that a link to page.md#a-heading works here and on the pages of git
nb_execution_mode = "off"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = (
    "div:not(.highlight-output) > div.highlight > pre"  # nobody copies what was printed
)

# -- docstrings ------------------------------------------------------------------------------------

default_role = "py:obj"  # `Simulator` in a docstring is a link
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as the source has them; objects show paths of this machine
autodoc_inherit_docstrings = False  # those of Keras are in its documentation, in other markup
autodoc_typehints = "none"  # types are in the docstrings, with shapes and units
autodoc_default_options = {"members": True}
autosummary_generate = False
napoleon_google_docstring = False
napoleon_use_param = False  # types are prose ("array of shape (batch, size)"), not links
napoleon_use_rtype = False

#: what docstrings name but these pages do not describe: other packages, and our own inner workings
nitpick_ignore_regex = [
    ("py:class", ".*"),  # types of attributes are prose too
    ("py:.*", r"(keras|nengo|numpy|tensorflow|jax|nir)\..*"),
]


def _signature_of_init(app, what, name, obj, options, signature, return_annotation):
    """The arguments of classes whose base or metaclass (of Keras, of Nengo) takes all arguments."""
    if what == "class" and signature == "(*args, **kwargs)":
        found = inspect.signature(obj.__init__, bound_method=True)
        return inspect.stringify_signature(found, show_annotation=False), return_annotation
    return None


# -- appearance ------------------------------------------------------------------------------------

html_theme = "furo"  # brings its fonts: nothing comes from the network
pygments_dark_style = "github-dark"
html_title = f"nengo_dl {release}"
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sourcelink = False

# -- formulas --------------------------------------------------------------------------------------


def _visit_math(display):
    """Write a formula as MathML, which browsers show without a script from the network."""

    def visit(self, node):
        self.body.append(convert(node.astext(), display=display))
        raise nodes.SkipNode

    return visit


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", _signature_of_init)
    app.add_html_math_renderer(
        "mathml", (_visit_math("inline"), None), (_visit_math("block"), None)
    )


html_math_renderer = "mathml"
