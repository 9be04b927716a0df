"""The reference pictures of docs/attacks.md: one photograph and one generated image under every attack.

    python tools/attack_sheets.py                 writes docs/attacks/*.png and the table of what attacks leave

Both pictures are 64 pixels of the packaged set, enlarged without smoothing; below each stand the attack and the PSNR.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from iarbench.attack import attack_image, parse
from iarbench.attacks.quality import psnr, ssim
from iarbench.content import images_path
from iarbench.images.image_set import ImageSet
from iarbench.text_table import markdown_table

SHEETS: dict[str, tuple[str, ...]] = {
    "codecs": (
        "none", "jpeg80", "jpeg50", "jpeg10", "webp80", "webp50", "webp10", "avif80", "avif50", "avif10",
        "noise0.02", "noise0.05", "noise0.1", "noise0.2", "blur9",
        "blur:kernel=9,sigma=2", "gaussblur1", "gaussblur4", "median3", "median9",
    ),
    "colour": (
        "brightness0.5", "brightness1.6", "contrast0.5", "contrast2", "saturation2", "saturation0.5",
        "hue0.1", "hue0.5", "sharpness0", "sharpness4", "grey", "flip", "rotate5", "rotate45", "erase0.1", "erase0.25",
        "text0.1", "text0.2", "screenshot1", "screenshot1.25", "screenshot2", "social95", "social75", "social30",
        "jpeg50+resize0.5",
    ),
    "geometry": (
        "resize0.5", "resize0.25", "resize:scale=0.5,filter=bilinear", "resize:scale=0.5,filter=lanczos",
        "resize:scale=0.5,filter=nearest", "crop0.9", "crop0.7", "crop:scale=0.9,place=corner",
        "crop:scale=0.9,place=random", "crop:scale=0.9,back=mirror", "crop:scale=0.9,grid=8,back=mirror",
        "regenerate:model=rar-mini", "regenerate:model=infinity-mini", "tokens:share=0.1,model=rar-mini",
        "tokens:share=0.5,model=rar-mini", "tokens:share=0.1,model=var-mini",
        "tokens:share=0.05,model=infinity-mini", "tokens:share=0.2,model=infinity-mini",
        "tokens:share=0.5,model=infinity-mini,scale=1", "tokens:share=0.2,model=infinity-mini,scale=4",
    ),
}  # fmt: skip
"""File -> attacks, in rows of five."""

SHOWN = ("flickr", "infinity-mini")
"""Sources of the two pictures."""

SCALE, COLUMNS, GAP, LINE = 2, 5, 10, 14
PER_SOURCE = 10
"""Images of each source that the table is about."""


def main() -> None:
    """Write the sheets, and the table on standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/attacks"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    images = ImageSet.open(images_path("iarbench-mini"))
    index = images.index()
    test = index[index["split"] == "test"]
    shown = [images.read(test[test["source"] == source]["image_id"].tolist()[7:8])[0] for source in SHOWN]
    pairs = [(record.image_id, record.pil()) for record in shown]
    for name, attacks in SHEETS.items():
        sheet = drawn(attacks, pairs).quantize(128, dither=Image.Dither.NONE)
        sheet.save(args.out / f"{name}.png", optimize=True)
    chosen = [name for _, rows in test.groupby("source") for name in rows["image_id"].tolist()[:PER_SOURCE]]
    measured = [(record.image_id, record.pil()) for record in images.read(chosen)]
    print(table([name for attacks in SHEETS.values() for name in attacks if name != "none"], measured))


def drawn(attacks: Sequence[str], pictures: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Cells of all pictures side by side, with two lines of text below."""
    side = pictures[0][1].width * SCALE
    width, height = len(pictures) * side, side + 3 * LINE
    rows = -(-len(attacks) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")
    font, write = ImageFont.load_default(11), ImageDraw.Draw(sheet)
    for place, name in enumerate(attacks):
        left, top = GAP + place % COLUMNS * (width + GAP), GAP + place // COLUMNS * (height + GAP)
        attacked = [attack_image(parse(name), image, image_id) for image_id, image in pictures]
        for number, image in enumerate(attacked):
            sheet.paste(image.resize((side, side), Image.Resampling.NEAREST), (left + number * side, top))
        left_of = [psnr(np.asarray(a), np.asarray(b)) for (_, a), b in zip(pictures, attacked, strict=True)]
        lines = [*folded(name, font, width), " / ".join(f"{value:.1f}" for value in left_of) + " dB"]
        for number, line in enumerate(lines):
            write.text((left, top + side + 2 + number * LINE), line, fill="black", font=font)
    return sheet


def folded(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """A name in one line, or in two where it is too wide."""
    if font.getlength(name) <= width:
        return [name]
    cut = max(
        place for place in range(len(name)) if name[place] in ",:+" and font.getlength(name[: place + 1]) <= width
    )
    return [name[: cut + 1], name[cut + 1 :]]


def table(names: Sequence[str], pictures: Sequence[tuple[str, Image.Image]]) -> str:
    """Median PSNR and SSIM of every attack over pictures, as Markdown."""
    rows = []
    for name in names:
        attack, found = parse(name), []
        for image_id, image in pictures:
            pair = np.asarray(image), np.asarray(attack_image(attack, image, image_id))
            found.append((psnr(*pair), ssim(*pair)))
        left, alike = np.median(found, axis=0)
        rows.append([f"`{name}`", f"{left:.1f}", f"{alike:.3f}"])
    return markdown_table(["attack", "PSNR, dB", "SSIM"], rows, 1)


if __name__ == "__main__":
    main()
