"""Every kind of file a user may have: the pixels expected of it, or one line with its name."""

from __future__ import annotations

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from iarbench.images.decode import ImageError, decode, decode_rgb, encode


def save(image: Image.Image, container: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, container, **options)
    return buffer.getvalue()


def random_rgb(size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pixel(data: bytes, x: int = 0, y: int = 0) -> tuple[int, int, int]:
    image = decode_rgb(data, "a.png")
    assert image.mode == "RGB"
    return image.getpixel((x, y))


@pytest.mark.parametrize("container", ["PNG", "BMP", "TIFF", "PPM"])
def test_rgb_comes_back_exactly(container: str) -> None:
    image = random_rgb()
    assert decode_rgb(save(image, container), "a").tobytes() == image.tobytes()


def test_lossless_containers_keep_every_pixel() -> None:
    image = random_rgb()
    for container, name in (("png", "PNG"), ("webp", "WEBP")):
        decoded = decode(encode(image, container), "a")
        assert decoded.image.tobytes() == image.tobytes()
        assert (decoded.format, decoded.frames) == (name, 1)


def test_grey_and_bilevel() -> None:
    assert pixel(save(Image.new("L", (4, 4), 77), "PNG")) == (77, 77, 77)
    assert pixel(save(Image.new("1", (4, 4), 1), "PNG")) == (255, 255, 255)


def test_transparency_lies_over_white() -> None:
    assert pixel(save(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")) == (255, 255, 255)
    assert pixel(save(Image.new("RGBA", (4, 4), (255, 0, 0, 128)), "PNG")) == (255, 127, 127)
    assert pixel(save(Image.new("LA", (4, 4), (0, 51)), "PNG")) == (204, 204, 204)
    assert pixel(save(Image.new("RGB", (4, 4), (9, 8, 7)), "PNG", transparency=(9, 8, 7))) == (255, 255, 255)


def test_palette_with_and_without_a_transparent_entry() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert [pixel(save(palette, "PNG"), x) for x in (0, 1)] == [(255, 0, 0), (0, 0, 255)]
    for container in ("PNG", "GIF"):
        data = save(palette, container, transparency=1)
        assert [pixel(data, x) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_cmyk() -> None:
    red, green, blue = pixel(save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    assert red > 250
    assert max(green, blue) < 5
    assert pixel(save(Image.new("CMYK", (4, 4), (255, 0, 255, 0)), "TIFF")) == (0, 255, 0)


SAMPLES = [0, 128, 257, 32768, 65278, 65535]
SCALED = [0, 0, 1, 128, 254, 255]


@pytest.mark.parametrize("container", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_and_not_clipped(container: str) -> None:
    data = save(Image.fromarray(np.array([SAMPLES], dtype=np.uint16)), container)
    assert [pixel(data, x) for x in range(6)] == [(value,) * 3 for value in SCALED]


def test_16_bit_grey_from_any_byte_order_and_from_pgm() -> None:
    big = struct.pack(">6H", *SAMPLES)
    for data in (png(6, 1, 16, 0, b"\x00" + big), b"P5 6 1 65535\n" + big):
        assert [pixel(data, x)[0] for x in range(6)] == SCALED


def test_16_bit_colour_and_alpha() -> None:
    assert pixel(png(1, 1, 16, 2, b"\x00" + struct.pack(">3H", 65535, 0x8080, 0))) == (255, 128, 0)
    assert pixel(png(1, 1, 16, 6, b"\x00" + struct.pack(">4H", 65535, 0, 0, 0))) == (255, 255, 255)


def test_samples_without_a_range_are_named() -> None:
    # Read as 16 bits, the second, which uses 0..255 like many masks and depth maps, would come out black.
    for value, kind in ((70000, np.int32), (200, np.int32), (200, np.int16), (0.5, np.float32)):
        data = save(Image.fromarray(np.full((2, 2), value, dtype=kind)), "TIFF")
        with pytest.raises(ImageError, match=r"^a\.tif: .*32-bit .* convert it to 8 or 16 bits first$"):
            decode_rgb(data, "a.tif")


@pytest.mark.parametrize("container", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_animations(container: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if container == "WEBP" else {}
    data = save(frames[0], container, save_all=True, append_images=frames[1:], **options)
    decoded = decode(data, "a")
    assert decoded.frames == 3
    assert decoded.image.getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("container", ["PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation: int, container: str) -> None:
    stored = Image.new("RGB", (3, 2))
    stored.putdata([(10 * i, 0, 0) for i in range(6)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = decode_rgb(save(stored, container, exif=exif), "a")
    values = np.asarray(upright)[:, :, 0] // 10
    grid = np.arange(6).reshape(2, 3)
    expected = {
        1: grid, 2: grid[:, ::-1], 3: grid[::-1, ::-1], 4: grid[::-1],
        5: grid.T, 6: np.rot90(grid, -1), 7: np.rot90(grid, 2).T, 8: np.rot90(grid, 1),
    }  # fmt: skip
    assert values.tolist() == expected[orientation].tolist()


def test_damaged_exif_does_not_cost_the_image() -> None:
    image = random_rgb(8)
    assert decode_rgb(save(image, "PNG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff"), "a").tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file (0 bytes)"),
        (b"<html>404</html>", "not an image"),
        (bytes(range(256)), "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_rgb(data, "dir/a.png")
    assert str(caught.value).startswith(f"dir/a.png: {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("container", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.9])
def test_truncated_files_are_named(container: str, fraction: float) -> None:
    data = save(random_rgb(), container)
    with pytest.raises(ImageError, match=r"^a: (damaged or truncated|not an) image"):
        decode_rgb(data[: int(len(data) * fraction)], "a")


def test_corrupt_png_data_is_named() -> None:
    data = bytearray(save(random_rgb(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match=r"^a: damaged or truncated image"):
        decode_rgb(bytes(data), "a")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 100_000])
def test_decompression_bombs_are_named_before_they_unfold(side: int) -> None:
    with pytest.raises(ImageError, match=r"^bomb: too large, possibly a decompression bomb"):
        decode_rgb(png(side, side, 8, 2, b""), "bomb")


def test_what_a_container_cannot_hold_is_named() -> None:
    long = Image.new("RGB", (16384, 1))
    with pytest.raises(ImageError, match=r"^a: WEBP holds at most 16383 pixels a side; choose PNG .*16384x1"):
        encode(long, "webp", "a")
    assert decode_rgb(encode(long, "png"), "a").size == (16384, 1)


def test_heic_says_what_to_do() -> None:
    data = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(20)
    with pytest.raises(ImageError, match=r"^a: HEIC and HEIF are not read; convert it to JPEG or PNG first$"):
        decode_rgb(data, "a")


def test_the_error_survives_a_worker_process_and_stays_one_line() -> None:
    error = pickle.loads(pickle.dumps(ImageError("a\nb\udcff", "broken\r\nfile")))
    assert str(error) == "a\\nb\\udcff: broken\\r\\nfile"
    assert error.reason == "broken\r\nfile"
