"""Settings of Sphinx for the book, whose pages `build.py` lays out; nothing is run or fetched."""

import importlib.metadata
import os
import re
import unicodedata
from pathlib import Path

from docutils import nodes

project = "lipteach"
author = "The lipteach authors"
release = version = importlib.metadata.version("lipteach")
extensions = [
    "myst_nb",
    *(f"sphinx.ext.{name}" for name in ("autodoc", "napoleon", "viewcode", "mathjax")),
]
nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = "Show the result", "Hide the result"
# The saved view of a widget has no picture of its own; ours is the HTML or the PNG beside it.
nb_mime_priority_overrides = [
    ("html", "text/html", 0),
    ("html", "image/png", 10),
    ("html", "application/vnd.jupyter.widget-view+json", None),
]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4
autodoc_typehints = "none"
autodoc_preserve_defaults = True  # as the source has them: a path would be that of this machine
napoleon_numpy_docstring = False
napoleon_use_ivar = True
mathjax_path = "mathjax/tex-svg.js"
mathjax_options = {"defer": "defer"}
html_theme = "sphinx_book_theme"
html_title = "lipteach"
html_favicon = str(Path(__file__).resolve().parent / "static" / "icon.svg")
html_css_files = ["book.css"]
html_js_files = [("sliders.js", {"defer": "defer"}), ("answers.js", {"defer": "defer"})]
html_show_copyright = html_show_sourcelink = html_copy_source = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # one box for the search is enough
}
if repository := os.environ.get("GITHUB_REPOSITORY"):  # a workflow of GitHub's sets it
    html_theme_options |= {
        "repository_url": f"https://github.com/{repository}",
        "use_repository_button": True,
        "path_to_docs": "notebooks",
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }
# Who looks for one of these words finds what has another.
ALIKE = (
    ("Björck", "bjorck", "polar", "orthonormalization"),
    ("GroupSort", "MaxMin", "sorting"),
    ("Wasserstein", "transport", "Kantorovich"),
    ("Lipschitz", "certificate"),
)
PIECES = re.compile(  # code, mathematics on a line of its own and within one, examples
    r"``[^`]+``|`[^`]+`|\*\*[^*\n]+\*\*|^ *\$\$[^$]+\$\$|\$[^$]+\$|^ *>>>.*?(?=^ *$|\Z)",
    re.MULTILINE | re.DOTALL,
)


def add_words(_app, doctree) -> None:
    """Give the search of a page the other spellings and names of what it is about."""
    text = doctree.astext()
    found = {word for alike in ALIKE if any(one in text for one in alike) for word in alike}
    found |= {plain(word) for word in re.findall(r"\w*[^\W\d_a-zA-Z]\w*", text)}
    if found:
        doctree.insert(0, nodes.meta("", name="keywords", content=", ".join(sorted(found))))


def plain(word: str) -> str:
    """A word without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def as_sphinx_writes(_app, _what, _name, _object, _options, lines) -> None:
    """Turn what our docstrings hold between dollars and backticks into Sphinx's own markup.

    All else in them is plain text: a bar or a star means itself. This comes before napoleon, which
    reads the sections.
    """
    text, found, last = "\n".join(lines), [], 0
    for piece in PIECES.finditer(text):
        found += [literally(text[last : piece.start()]), converted(piece[0])]
        last = piece.end()
    lines[:] = "".join([*found, literally(text[last:])]).split("\n")


def literally(text: str) -> str:
    """Escape what would be markup."""
    return re.sub(r"([\\|*]|_\b)", r"\\\1", text)


def converted(piece: str) -> str:
    """Mathematics, code, or an example as it stands."""
    bare = " ".join(piece.strip().strip("`$").split())
    if piece.lstrip().startswith("$$"):
        indent = piece[: piece.index("$")]
        return f"\n{indent}.. math:: {bare}\n{indent}\n"
    if piece.startswith("**"):
        return piece
    if piece.startswith("$"):
        return f":math:`{bare}`"
    return f"``{bare}``" if piece.startswith("`") else piece


def number_by_lesson(_app, doctree, page) -> None:
    """Number the equations of a lesson 4.1, 4.2 …: plain numbers are those of the appendix."""
    if lesson := re.match(r"lessons/(\d\d)_", page):
        for equation in doctree.findall(nodes.math_block):
            if number := equation.get("number"):
                equation["number"] = f"{int(lesson[1])}.{number}"


def setup(app) -> None:
    """Connect the above."""
    app.connect("doctree-resolved", number_by_lesson)
    app.connect("doctree-read", add_words)
    app.connect("autodoc-process-docstring", as_sphinx_writes, priority=100)
