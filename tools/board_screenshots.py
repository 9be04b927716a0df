"""Takes the pictures of docs/board.md: the stored board in headless Chromium, wide and on a phone, light and dark.

    python tools/board_screenshots.py docs

Needs `pip install '.[browser]'` and an installed Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from iarbench.board import gather, reported, site
from iarbench.submit.board import Board

SHOTS = {
    "board-wide-light": (1280, 1180, "light", "mini-v4?attack=jpeg50", ""),
    "board-wide-dark": (1280, 1180, "dark", "attribution-mini-v1", ""),
    "board-plots-light": (1280, 1050, "light", "mini-v4?attack=jpeg50&target=var-mini", "h3:has-text('Plots')"),
    "board-phone-light": (390, 844, "light", "mini-v4?attack=jpeg50&target=var-mini", "h3:has-text('Every number')"),
    "board-phone-dark": (390, 844, "dark", "mini-v4?attack=jpeg50&target=var-mini", ""),
}
"""Name -> width and height in CSS pixels, colour scheme, what the address says, and the element at the top, if any."""


def main(folder: Path) -> None:
    """Build the stored board in a temporary folder and photograph it into `folder`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        papers = reported.of_board(Board.packaged())
        index = site.build(gather.stored(), Path(temporary) / "site", reported=papers).index
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, height, scheme, address, top) in SHOTS.items():
            options: dict[str, Any] = {"color_scheme": scheme, "reduced_motion": "reduce"}
            page = browser.new_page(viewport={"width": width, "height": height}, **options)
            page.goto(f"{index.as_uri()}#{address}")
            if top:
                page.locator(f"section:visible {top}").evaluate("element => element.scrollIntoView()")
            page.wait_for_timeout(500)
            path = folder / f"{name}.png"
            page.screenshot(path=path)
            print(f"{path} {path.stat().st_size / 1024:.0f} KiB")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
