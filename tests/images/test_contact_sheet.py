"""Contact sheets."""

from __future__ import annotations

from PIL import Image

from iarbench.images.contact_sheet import contact_sheet


def test_images_stand_row_by_row() -> None:
    images = [Image.new("RGB", (2, 2), (i, 0, 0)) for i in range(3)]
    sheet = contact_sheet(images, columns=2, scale=2)
    assert sheet.size == (8, 8)
    assert [sheet.getpixel(p) for p in ((0, 0), (4, 0), (0, 4), (4, 4))] == [
        (0, 0, 0),
        (1, 0, 0),
        (2, 0, 0),
        (255, 255, 255),
    ]
