"""Headless Chromium as far as tests need it: a page after its scripts ran; a notebook run in JupyterLab."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TOKEN = "walkthrough"
PATIENCE = 600  # seconds, against hanging for ever
# the notebook is open and its kernel answers; asked again and again, since a page that still loads forgets promises
READY = """(() => {
  const widget = window.jupyterapp && jupyterapp.shell.currentWidget, session = widget && widget.sessionContext;
  return Boolean(session && session.isReady && session.session && session.session.kernel);
})()"""
RUN = "jupyterapp.commands.execute('notebook:run-all-cells').then(() => 'run')"
CELLS = "JSON.stringify(jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.toJSON()))"


def in_browser(address, tmp_path, *flags):
    """The page after its scripts ran, and what the browser's console printed."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", *flags, "--dump-dom", address,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@contextmanager
def running(folder, environment):
    """A JupyterLab on `folder`; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser", f"--port={port}",
        f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}",
    ]  # fmt: skip
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _answer(f"{address}/api?token={TOKEN}", server)
        yield address
    finally:
        server.terminate()
        server.wait()


def run_all(address: str, notebook: str, profile) -> list[dict]:
    """The cells of a notebook of that JupyterLab after all were run, in nbformat's form."""
    import websocket

    url = f"{address}/lab/tree/{notebook}?token={TOKEN}&reset"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}", url]  # fmt: skip
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (found := profile / "DevToolsActivePort").exists() or not found.read_text():
            assert browser.poll() is None, "the browser ended"
            time.sleep(0.1)
        targets = _answer(f"http://127.0.0.1:{found.read_text().split()[0]}/json/list", browser)
        url = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
        page = websocket.create_connection(url, timeout=PATIENCE)
        for _ in range(PATIENCE):
            if _evaluate(page, READY):
                break
            time.sleep(1)
        else:
            raise AssertionError(f"{notebook} did not open")
        assert _evaluate(page, RUN) == "run"
        return json.loads(_evaluate(page, CELLS))
    finally:
        browser.terminate()
        browser.wait()


def _evaluate(page, expression: str):
    """The value of an expression in the page, None where it had none; a promise is waited for."""
    asked = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    page.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": asked}))
    while (answer := json.loads(page.recv())).get("id") != 1:
        pass
    return answer.get("result", {}).get("result", {}).get("value")


def _answer(address: str, process):
    """What an address answers as JSON, asked until the process that serves it is up."""
    while True:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address) as answer:
                return json.loads(answer.read())
        except OSError:
            time.sleep(0.1)
