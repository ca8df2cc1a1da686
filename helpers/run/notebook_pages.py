"""Executed notebooks as HTML pages that no text of the data can make run a script."""

import re
from pathlib import Path

from helpers import files
from helpers.run import notebooks

_TAGS = (
    "a abbr b blockquote br caption code details div em h1 h2 h3 h4 h5 h6 hr i img li ol p pre span strong sub "
    "summary sup table tbody td tfoot th thead tr ul"
).split()
_SAFE = ("text/html", "text/plain", "text/latex", "text/markdown", "image/png", "image/jpeg")


def write_pages(folder: Path) -> list[Path]:
    """Write each executed notebook of `folder` as HTML beside it, unless that is there and newer.

    Returns the pages in the notebooks' order; notebooks that failed have none. Raises UserError for a damaged one.
    """
    pages = []
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        page = path.with_suffix(".html")
        if path.name.endswith(".failed.ipynb"):
            continue
        if not page.exists() or page.stat().st_mtime < path.stat().st_mtime:
            files.write_text(page, _page(notebooks.read(path)))
        pages.append(page)
    return pages


def _page(notebook) -> str:
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors.sanitize import SanitizeHTML

    sanitizer = SanitizeHTML(tags=_TAGS, strip=True)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            for kind in [kind for kind in data if kind not in _SAFE]:
                del data[kind]
            for kind in ("text/html", "text/markdown"):
                if kind in data:
                    styled = re.sub(r"<style.*?</style>", "", data[kind], flags=re.DOTALL | re.IGNORECASE)
                    data[kind] = sanitizer.sanitize_html_tags(styled)
    return HTMLExporter(template_name="lab", require_js_url="", embed_images=True).from_notebook_node(notebook)[0]
