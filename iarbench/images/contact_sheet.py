"""Contact sheets: people judge a generator by looking."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image


def contact_sheet(images: Sequence[Image.Image], columns: int, scale: int = 1) -> Image.Image:
    """Equal-sized RGB images side by side, row by row, each enlarged ``scale`` times without smoothing."""
    width, height = (side * scale for side in images[0].size)
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for i, image in enumerate(images):
        big = image.resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(big, (i % columns * width, i // columns * height))
    return sheet
