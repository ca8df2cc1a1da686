"""The kept report and the page of `docs` in headless Chromium: nothing missing, cut or faint, on desk and phone."""

import html
import json
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.lab import BROWSER, in_browser

ROOT = Path(__file__).parent.parent
REPORT, DOCS = ROOT / "outputs" / "reference" / "report.html", ROOT / "docs" / "index.html"
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

PROBE = """
const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
const light = ([r, g, b]) => [r, g, b].map(x => x / 255).map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
  .reduce((sum, x, i) => sum + x * [.2126, .7152, .0722][i], 0);
const behind = node => {
  for (; node; node = node.parentElement) {
    const c = rgb(getComputedStyle(node).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c;
  }
  return [255, 255, 255];
};
const faint = [];
for (const node of document.querySelectorAll("body *")) {
  if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
  const style = getComputedStyle(node), [a, b] = [light(rgb(style.color)), light(behind(node))];
  if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) faint.push(node.textContent.slice(0, 40));
}
const page = document.documentElement;
document.title = JSON.stringify({
  wide: page.scrollWidth - page.clientWidth, faint,
  missing: [...document.images].filter(one => !one.complete || !one.naturalWidth).map(one => one.alt),
  unnamed: [...document.images].filter(one => one.alt.length < 20).length,
  beyond: [...document.querySelectorAll("body *")].filter(one => !one.closest(".scroll") &&
    one.getBoundingClientRect().right > page.clientWidth + 1).map(one => one.tagName + one.className).slice(0, 5),
  cut: [...document.querySelectorAll(".scroll")]
    .filter(one => one.scrollWidth > one.clientWidth && !one.closest("details:not([open])"))
    .map(one => one.textContent.trim().slice(0, 40)),
});
"""


@pytest.mark.parametrize("width", [1280, 500])  # headless Chromium makes no narrower window
@pytest.mark.parametrize("source", [REPORT, DOCS], ids=lambda path: path.name)
def test_nothing_is_missing_cut_or_faint(tmp_path, source, width):
    page = tmp_path / "page.html"
    text = source.read_text("utf-8").replace("Content-Security-Policy", "none")  # or the probe would not run
    text = text.replace("<head>", f'<head><base href="{source.as_uri()}">')
    page.write_text(
        text.replace("</body>", f"<script>addEventListener('load', () => {{{PROBE}}})</script></body>"), "utf-8"
    )
    shown, console = in_browser(page.as_uri(), tmp_path, f"--window-size={width},1000")
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown, re.S)[1]))
    assert not console
    assert found["wide"] <= 0, found["beyond"]
    assert not found["missing"] and not found["unnamed"] and not found["faint"]
    assert width < 1000 or not found["cut"]  # on a phone a table scrolls in its own frame


@pytest.mark.parametrize("source", [REPORT, DOCS], ids=lambda path: path.name)
def test_every_link_leads_somewhere(source):
    text = source.read_text("utf-8")
    links = re.findall(r'(?:href|src)="([^"#][^"]*)"', text)
    files = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert files and all((source.parent / link).exists() for link in files)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))


def test_served_by_a_code_host_the_page_names_its_own_repository(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / "study").symlink_to(ROOT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://someone.github.io:{server.server_port}/study/docs/index.html"
        shown, _ = in_browser(address, tmp_path, "--host-resolver-rules=MAP *.github.io 127.0.0.1")
        server.shutdown()
    links = set(re.findall(r'href="([^"#][^"]*)"', shown))
    blob = "https://github.com/someone/study/blob/HEAD/"
    hosted = [link.removeprefix(blob) for link in links if link.startswith(blob)]
    assert {"README.md", "docs/scaling.md", "outputs/reference/notebooks/06_report.ipynb"} <= set(hosted)
    assert all((ROOT / link).exists() for link in hosted)
    colab = "https://colab.research.google.com/github/someone/study/blob/HEAD/notebooks/"
    assert {link.removeprefix(colab) for link in links if link.startswith(colab)} == {
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    }
    assert any(link.startswith("https://mybinder.org/v2/gh/someone/study/HEAD?") for link in links)
    assert "OWNER/REPOSITORY" not in shown
