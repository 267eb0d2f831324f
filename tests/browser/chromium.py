"""Find a Chromium for the browser tests, or install one: ``python tests/browser/chromium.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str | None:
    """The path of a Chromium on this machine, else of Playwright's own, else None."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> str | None:
    """Install one: Debian's as root, else Playwright's download. None where neither works."""
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        _try("apt-get", "update", "-qq")
        _try("apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium")
    if find() is None:
        _try(sys.executable, "-m", "playwright", "install", "chromium")
    return find()


def _try(*command: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    if (find() or install()) is None:
        sys.exit("The browser tests need Chromium: install the package 'chromium' of your system.")
