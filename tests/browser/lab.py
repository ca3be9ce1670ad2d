"""A JupyterLab server of our own on loopback, and the few gestures that the browser test needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Error, Locator, Page, expect

SETTINGS = {  # no news, no update check, no autosave over the pairs, every cell in the page
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
NOTEBOOK = ".jp-NotebookPanel:not(.lm-mod-hidden)"
SOURCE = "image => image.complete && image.naturalWidth ? image.src : ''"
# An image's own pixels: its src is a new blob at every update, whatever it shows. A third of its
# width tells as much; to pack all of it at every look would keep the browser busy.
PIXELS = """img => { if (!img.complete || !img.naturalWidth) return ['', ''];
  const c = document.createElement('canvas');
  c.width = img.naturalWidth / 3; c.height = img.naturalHeight / 3;
  c.getContext('2d').drawImage(img, 0, 0, c.width, c.height); return [img.src, c.toDataURL()]; }"""
IN_SIGHT = ".jp-InputPrompt:not(.jp-Placeholder *)"  # a folded cell has a prompt without a number
PROMPTS = f"[...document.querySelectorAll('{NOTEBOOK} .jp-CodeCell {IN_SIGHT}')]"
NUMBERED = f"n => {{ const p = {PROMPTS}.map(e => e.textContent.trim()); "
NUMBERED += "return p.length >= n && p.every(t => /^\\[\\d+\\]:$/.test(t)); }"
LOOK = 250  # milliseconds between two looks; at every frame they would take a core from the kernel
CLEARED = f"() => !{PROMPTS}.some(e => /\\d/.test(e.textContent))"


@contextlib.contextmanager
def jupyter_lab(folder: Path, home: Path) -> Iterator[tuple[str, str]]:
    """Serve `folder`, keep all state in `home`, and yield the address and the token."""
    for name, value in SETTINGS.items():
        file = home / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value))
    port = free_port()
    token = secrets.token_hex(16)
    places = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "IPYTHONDIR": "ipython",
    }
    environment = os.environ | {name: str(home / place) for name, place in places.items()}
    options = [
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
        "--LabApp.expose_app_in_browser=True",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    with (home / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        try:
            wait_for(f"{base}/api?token={token}", server)
        except RuntimeError as error:
            error.add_note((home / "lab.log").read_text(encoding="utf-8")[-3000:])
            raise
        yield base, token
    finally:
        stop(server)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen) -> bytes:
    """What the server answers, once it does."""
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return bytes(answer.read())
        time.sleep(0.3)
    raise RuntimeError(f"jupyter lab does not answer; its exit status is {server.poll()}")


def stop(server: subprocess.Popen) -> None:
    """End the server's own process group: it and its kernels."""

    def end(force: bool) -> None:
        if os.name == "nt":
            server.kill() if force else server.terminate()
        else:
            os.killpg(server.pid, signal.SIGKILL if force else signal.SIGTERM)

    with contextlib.suppress(ProcessLookupError):
        end(force=False)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            end(force=True)


def menu(page: Page, title: str, command: str) -> None:
    """Choose a menu entry by its command, whose name is stabler than its words."""
    page.locator("#jp-MainMenu .lm-MenuBar-item").get_by_text(title, exact=True).click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()
    expect(page.locator(".lm-Menu")).to_have_count(0)


def open_lab(page: Page, address: str) -> None:
    """Open JupyterLab, at a notebook if the address names one."""
    page.goto(address, wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp", timeout=60_000, polling=LOOK)
    page.evaluate("async () => { await jupyterapp.restored; }")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)


def open_notebook(page: Page, path: str) -> None:
    """Open a notebook in a JupyterLab that is open, and wait for its kernel."""
    page.evaluate(
        "async path => { await jupyterapp.commands.execute('docmanager:open', { path }); }", path
    )
    wait_for_kernel(page)


def close_notebooks(page: Page) -> None:
    """End kernels, and close notebooks unsaved, and what a failed test may have left open."""
    page.keyboard.press("Escape")
    page.evaluate("""async () => { for (const one of [...jupyterapp.shell.widgets('main')]) {
        try { await one.context?.sessionContext.shutdown(); } finally { one.dispose(); } } }""")


def wait_for_kernel(page: Page) -> None:
    """Wait until the notebook in sight has a kernel that is idle."""
    page.wait_for_selector(f"{NOTEBOOK} .jp-Notebook .jp-CodeCell", timeout=60_000)
    kernel = page.locator(f"{NOTEBOOK} .jp-KernelName")
    # The indicator says idle before a kernel is there; Run All would then ask for one.
    expect(kernel).not_to_have_text(re.compile("^No Kernel"), timeout=60_000)
    expect(_idle(page)).to_be_visible(timeout=60_000)


def run_all(page: Page, cells: int, seconds: float) -> None:
    """Clear the saved outputs, or every cell would look run at once; then run all.

    `cells` are the code cells in sight: a folded one shows no prompt.
    """
    menu(page, "Edit", "editmenu:clear-all")
    page.wait_for_function(CLEARED, timeout=15_000, polling=LOOK)
    menu(page, "Run", "runmenu:run-all")
    page.wait_for_function(NUMBERED, arg=cells, timeout=1000 * seconds, polling=LOOK)
    expect(_idle(page)).to_be_visible(timeout=60_000)


def _idle(page: Page) -> Locator:
    return page.locator(f"{NOTEBOOK} .jp-Notebook-ExecutionIndicator[data-status='idle']")


def look(image: Locator) -> tuple[str, str]:
    """The picture's address, which is new at every update, and a hash of its pixels.

    Both are empty while it is being replaced.
    """
    try:
        source, data = image.evaluate(PIXELS, timeout=1000)
    except Error:
        return "", ""
    return source, hashlib.sha256(data.encode()).hexdigest() if data else ""


def address(image: Locator) -> str:
    """The picture's address alone, which costs little to ask for."""
    try:
        return str(image.evaluate(SOURCE, timeout=1000))
    except Error:
        return ""


def picture(image: Locator) -> str:
    """A hash of the pixels; empty while the image is being replaced."""
    return look(image)[1]


def settled(page: Page, image: Locator) -> tuple[str, str]:
    """What is seen of the picture once two looks in a row agree."""
    last = ""
    for _ in range(100):
        page.wait_for_timeout(150)
        now = address(image)
        if now and now == last and (seen := look(image))[0] == now:
            return seen
        last = now
    raise AssertionError("the picture never settled")


def seconds_to_change(
    page: Page, image: Locator, before: tuple[str, str], limit: float = 30
) -> float:
    """How long until the picture is another one."""
    start = time.monotonic()
    source, pixels = before
    while time.monotonic() - start < limit:
        if address(image) not in ("", source):
            source, now = look(image)  # the pixels are packed only if there may be others
            if now not in ("", pixels):
                return time.monotonic() - start
        page.wait_for_timeout(30)
    raise AssertionError(f"the picture did not change in {limit} s")
