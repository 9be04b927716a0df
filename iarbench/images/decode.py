"""Image bytes to 8-bit RGB, and back to bytes without loss.

What a file holds and what comes out:

- grey, 1-bit, palette, YCbCr: converted to RGB; CMYK by Pillow's plain formula; colour profiles are not applied;
- transparency (alpha channel or transparent palette entry): laid over white, as a browser page shows it;
- 16-bit grey: scaled from 0..65535 to 0..255, not clipped; 16-bit colour: Pillow keeps the high byte;
- EXIF orientation: applied; animations and multi-page files: the first frame;
- anything Pillow finds damaged, samples without an agreed range (signed or 32-bit integers, floats) and sizes over
  `PIL.Image.MAX_IMAGE_PIXELS` (89 megapixels unless changed): `ImageError`. A flipped bit in the pixels of a JPEG or
  WebP goes unnoticed by any decoder; the hash in an image set tells.
"""

from __future__ import annotations

import io
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from iarbench.errors import UserError

# Only formats that Pillow decodes itself: its EPS reader, for one, starts an external program on the file.
FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000", "TGA", "ICO", "QOI"),
    *(("AVIF",) if "avif" in features.get_supported() else ()),
)

Lossless = Literal["png", "webp"]
Container = Literal["png", "webp", "jpeg96"]

LARGEST_SIDE: dict[Container, int] = {"png": 2**31 - 1, "webp": 16383, "jpeg96": 65500}
"""The longest side in pixels that a container can hold."""

_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class ImageError(UserError):
    """One image that cannot be used: `name` (path or id), `reason`; its text is the single line "name: reason"."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{one_line(name)}: {one_line(reason)}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class Decoded(NamedTuple):
    """An image and what its file said."""

    image: Image.Image
    """Mode RGB, 8 bits a channel, upright."""
    format: str
    """Pillow's name of the container, such as "JPEG"."""
    frames: int
    """Number of frames or pages; only the first is in `image`."""


def decode_rgb(data: bytes, name: str) -> Image.Image:
    """Decode the bytes of an image file.

    Args:
        data: the whole file.
        name: path or id, for the error message.

    Returns:
        PIL image, mode RGB, 8 bits a channel, upright, first frame, transparency over white.

    Raises:
        ImageError: empty, not an image, damaged, truncated, too large, or samples without an agreed range.
    """
    return decode(data, name).image


def decode(data: bytes, name: str) -> Decoded:
    """Like `decode_rgb`, with the container's format and its number of frames."""
    if not data:
        raise ImageError(name, "empty file (0 bytes)")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _require_size(image, name)
            image.load()
            rgb = _upright(_to_rgb(image, name), image)
            return Decoded(rgb, image.format or "", getattr(image, "n_frames", 1))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(name, f"too large, possibly a decompression bomb ({error})") from None
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIF:
            raise ImageError(name, "HEIC and HEIF are not read; convert it to JPEG or PNG first") from None
        raise ImageError(name, f"not an image, or not in a format that is read ({', '.join(FORMATS)})") from None
    except Exception as error:  # decoders raise nearly anything on damaged files
        raise ImageError(name, f"damaged or truncated image ({error or type(error).__name__})") from None


def encode(image: Image.Image, container: Container, name: str = "image") -> bytes:
    """Encode an RGB image: without loss as PNG or WebP (about a third smaller), or as JPEG of quality 96, 4:2:0.

    JPEG 96 is what real sets are often stored in, and so what generated images are brought to beside them; its pixels
    are those of the attack `jpeg96`.

    Raises:
        ImageError: a side is longer than `LARGEST_SIDE`; `name` names the image in it.
    """
    if max(image.size) > LARGEST_SIDE[container]:
        limit = f"{container.upper().removesuffix('96')} holds at most {LARGEST_SIDE[container]} pixels a side"
        remedy = "; choose PNG" if container != "png" else ""
        raise ImageError(name, f"{limit}{remedy} (this one is {image.width}x{image.height})")
    buffer = io.BytesIO()
    if container == "jpeg96":
        image.save(buffer, "JPEG", quality=96, subsampling="4:2:0")
    elif container == "webp":
        image.save(buffer, "WEBP", lossless=True, quality=80, method=4)
    else:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def one_line(text: str) -> str:
    """The text with line breaks, control characters and undecodable bytes written as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _require_size(image: Image.Image, name: str) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        size = f"{image.width}x{image.height} pixels"
        raise ImageError(name, f"too large, possibly a decompression bomb ({size}; at most {limit} are decoded)")


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise ImageError(name, "32-bit float samples have no agreed range; convert it to 8 or 16 bits first")
    if image.mode == "I" and image.format == "TIFF":
        # Signed or 32-bit: read as 0..65535, a file that uses 0..255 would turn black.
        raise ImageError(
            name, "signed or 32-bit integer samples have no agreed range; convert it to 8 or 16 bits first"
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(np.asarray(image), name)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(samples: np.ndarray, name: str) -> Image.Image:
    wide = samples.astype(np.int64)  # (H, W)
    if wide.min() < 0 or wide.max() > 65535:
        raise ImageError(name, "32-bit integer samples beyond 0..65535; convert it to 8 or 16 bits first")
    return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")


def _upright(rgb: Image.Image, source: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(source.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata says nothing about the pixels, which decoded
        return rgb
    return rgb if turn is None else rgb.transpose(turn)
