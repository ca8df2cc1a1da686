"""The kept report in headless Chromium: nothing missing, nothing cut, everything legible, on a desk and on a phone."""

import html
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.lab import BROWSER

REPORT = Path(__file__).parents[2] / "outputs" / "reference" / "report.html"
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


def looked_at(tmp_path, width):
    """What the page says of itself at that width, and what the browser's console printed."""
    page = tmp_path / "page.html"
    page.write_text(REPORT.read_text("utf-8").replace("</body>", f"<script>{PROBE}</script></body>"), "utf-8")
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.S)[1]))
    return found, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("width", [1280, 500])  # headless Chromium makes no narrower window
def test_nothing_is_missing_cut_or_faint(tmp_path, width):
    found, console = looked_at(tmp_path, width)
    assert not console
    assert found["wide"] <= 0, found["beyond"]
    assert not found["missing"] and not found["unnamed"] and not found["faint"]
    assert width < 1000 or not found["cut"]  # on a phone a table scrolls in its own frame


def test_every_link_leads_somewhere():
    text = REPORT.read_text("utf-8")
    links = re.findall(r'href="([^"#][^"]*)"', text)
    assert links and all((REPORT.parent / link).exists() for link in links if "://" not in link)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))
