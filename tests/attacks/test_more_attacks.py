"""The attacks beyond the paper's, each against an independent statement of what it does to pixels."""

from __future__ import annotations

import colorsys
import io

import numpy as np
import pytest
import torch
from PIL import Image, features
from scipy import ndimage

from iarbench.attack import attack_image, parse
from iarbench.attacks import recompress
from iarbench.attacks.token_swap import swapped
from iarbench.errors import UserError
from iarbench.models.loading import load_tokenizer
from iarbench.models.variants import get


def noisy(width: int = 64, height: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def attack(name: str, image: Image.Image, image_id: str = "x") -> np.ndarray:
    return np.asarray(attack_image(parse(name), image, image_id)).astype(int)


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_recompression_is_pillows(name: str) -> None:
    if not features.check(name):
        pytest.skip(f"this Pillow has no {name}")
    buffer = io.BytesIO()
    noisy().save(buffer, name, quality=40)
    assert (attack(f"{name}40", noisy()) == np.asarray(Image.open(buffer).convert("RGB"))).all()


def test_without_its_codec_avif_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recompress.features, "check", lambda name: name != "avif")
    assert parse("jpeg50+avif50").lacking() == parse("avif50").lacking() is not None
    assert parse("webp50").lacking() is None
    with pytest.raises(UserError, match=r"attack 'avif50': this Pillow has no AVIF codec; install"):
        attack("avif50", noisy())


@pytest.mark.parametrize("kernel", [3, 9])
def test_median(kernel: int) -> None:
    expected = ndimage.median_filter(np.asarray(noisy(40, 30)), size=(kernel, kernel, 1), mode="nearest")
    assert (attack(f"median{kernel}", noisy(40, 30)) == expected).all()


def test_gaussian_blurs_have_their_deviation() -> None:
    dot = Image.new("RGB", (65, 65))
    dot.putpixel((32, 32), (255, 255, 255))
    wide = attack("blur:kernel=33,sigma=3", dot)[..., 0].astype(float)
    places = np.arange(65) - 32
    expected = 255 * np.exp(-np.add.outer(places**2, places**2) / 18) / (18 * np.pi)
    assert np.abs(wide - expected).max() <= 1
    edge = Image.new("RGB", (65, 65))
    edge.paste((255, 255, 255), (32, 0, 65, 65))
    for name, sigma in (("gaussblur4", 4.0), ("gaussblur1.5", 1.5), ("blur:kernel=9,sigma=1", 1.0)):
        rise = np.diff(attack(name, edge)[32, :, 0] / 255)
        mean = (rise * places[1:]).sum()
        assert np.sqrt((rise * (places[1:] - mean) ** 2).sum()) == pytest.approx(sigma, rel=0.05)


def test_a_drawn_deviation_is_still_the_default() -> None:
    assert parse("blur:kernel=9,sigma=0").name == "blur9"


def test_sharpness_adds_what_smoothing_takes() -> None:
    pixels = np.asarray(noisy()).astype(int)
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = np.stack([ndimage.convolve(pixels[..., c].astype(float), kernel) for c in range(3)], axis=-1)
    inner = (slice(1, -1), slice(1, -1))
    assert np.abs(attack("sharpness0", noisy()) - smooth)[inner].max() <= 0.5 + 1e-9
    expected = np.clip(2 * pixels - smooth, 0, 255)
    assert np.abs(attack("sharpness2", noisy()) - expected)[inner].max() <= 1
    assert (attack("sharpness1", noisy()) == pixels).all()


def test_hue_turns_colours() -> None:
    for turn, colour in ((1 / 3, (0, 255, 0)), (2 / 3, (0, 0, 255)), (0.5, (0, 255, 255)), (1, (255, 0, 0))):
        red = attack(f"hue{turn:.4f}", Image.new("RGB", (4, 4), (255, 0, 0)))
        assert np.abs(red - colour).max() <= 6  # a 256th of the circle
    pixel = colorsys.rgb_to_hsv(*(np.array([200, 80, 40]) / 255))
    expected = 255 * np.array(colorsys.hsv_to_rgb((pixel[0] + 0.2) % 1, *pixel[1:]))
    assert np.abs(attack("hue0.2", Image.new("RGB", (4, 4), (200, 80, 40))) - expected).max() <= 4


def test_grey_is_luma() -> None:
    expected = np.asarray(noisy()) @ [0.299, 0.587, 0.114]
    found = attack("grey", noisy())
    assert np.abs(found - expected[..., None]).max() <= 1
    assert (found == found[..., :1]).all()


def test_rotation_is_counter_clockwise_and_its_corners_black() -> None:
    pixels = np.asarray(noisy()).astype(int)
    assert (attack("rotate90", noisy()) == np.rot90(pixels)).all()
    assert (attack("rotate180", noisy()) == pixels[::-1, ::-1]).all()
    assert (attack("rotate0", noisy()) == pixels).all()
    assert (attack("rotate45", Image.new("RGB", (64, 64), (255, 255, 255)))[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()


def test_erase_blackens_its_share_anywhere() -> None:
    white = Image.new("RGB", (60, 40), (255, 255, 255))
    places = set()
    for number in range(30):
        black = (attack("erase0.25", white, str(number)) == 0).all(axis=2)
        assert black.sum() == 30 * 20
        places.add(tuple(np.argwhere(black)[0]))
    assert len(places) > 20
    assert (attack("erase1", white) == 0).all()


def test_text_is_as_high_as_it_says_and_says_it() -> None:
    grey = Image.new("RGB", (200, 100), (90, 90, 90))
    for height in (0.1, 0.3):
        written = (attack(f"text{height}", grey) != 90).any(axis=2)
        rows = np.flatnonzero(written.any(axis=1))
        assert rows[-1] - rows[0] + 1 == round(100 * height)
        assert {tuple(c) for c in attack(f"text{height}", grey)[written]} == {(0, 0, 0), (255, 255, 255)}
    assert (attack("text:height=0.3,words=OTHER", grey) != attack("text0.3", grey)).any()
    assert (attack("text1", noisy(20, 60)) == 255).all(axis=2).any()


def test_crop_on_a_grid_in_a_corner_and_anywhere() -> None:
    pixels = np.asarray(noisy()).astype(int)
    corner = attack("crop:scale=0.5,place=corner,back=mirror", noisy())
    assert (corner[:32, :32] == pixels[:32, :32]).all()
    assert (corner[:32, 32:] == pixels[:32, 31::-1]).all()
    assert (corner[32:] == corner[31::-1]).all()
    centre = attack("crop:scale=0.9,back=mirror", noisy())  # 58 of 64 pixels from place 3
    assert (centre[:58, :58] == pixels[3:61, 3:61]).all()
    aligned = attack("crop:scale=0.8,grid=8,back=mirror", noisy())  # 48 pixels from place 8
    assert (aligned[:48, :48] == pixels[8:56, 8:56]).all()
    for number in range(8):
        found = attack("crop:scale=0.8,grid=8,place=random,back=mirror", noisy(), str(number))[:48, :48]
        starts = [(y, x) for y in (0, 8, 16) for x in (0, 8, 16) if (pixels[y : y + 48, x : x + 48] == found).all()]
        assert len(starts) == 1
    resized = attack("crop:scale=0.5,place=corner", noisy())
    assert (resized == np.asarray(noisy().crop((0, 0, 32, 32)).resize((64, 64), Image.Resampling.BICUBIC))).all()
    assert parse("crop:scale=0.8,place=centre,grid=0,back=resize").name == "crop0.8"


def test_screenshot_and_social_without_their_losses_are_resizing() -> None:
    image = noisy().resize((64, 64)).resize((16, 16)).resize((64, 64))
    found = attack("screenshot:zoom=2,cut=0,quality=100", image)
    shown = image.resize((128, 128), Image.Resampling.BILINEAR).resize((64, 64), Image.Resampling.BICUBIC)
    assert np.abs(found - np.asarray(shown)).mean() < 3  # JPEG at its best
    small = image.resize((32, 32), Image.Resampling.LANCZOS).resize((64, 64), Image.Resampling.BICUBIC)
    assert np.abs(attack("social:quality=100,scale=0.5", image) - np.asarray(small)).mean() < 6


def test_regenerate_is_a_trip_through_the_tokenizer() -> None:
    tokenizer = load_tokenizer(get("var-mini"))
    pixels = torch.from_numpy(np.array(noisy())).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        decoded = tokenizer.decode(tokenizer.quantize(tokenizer.encode(pixels)).features)
    expected = (decoded[0].permute(1, 2, 0) * 255).round().numpy()
    assert np.abs(attack("regenerate:model=var-mini", noisy()) - expected).max() <= 1
    assert attack("regenerate:model=var-mini", noisy(100, 70)).shape == (70, 100, 3)


@pytest.mark.parametrize("model", ["rar-mini", "llamagen-mini"])
def test_tokens_go_to_near_codes(model: str) -> None:
    tokenizer = load_tokenizer(get(model))
    codes = tokenizer.quantizer.codes
    tokens = torch.arange(64)[None]
    rng = np.random.default_rng(0)
    changed = swapped(tokenizer, tokens, 1.0, 0, 4, rng, "x")
    distances = (codes[tokens[0], None].double() - codes.double()).square().sum(2)
    nearest = distances.argsort(dim=1)[:, 1:5]
    assert (nearest == changed[0][:, None]).any(1).all()
    assert len({int((nearest[i] == changed[0, i]).nonzero()) for i in range(64)}) == 4
    some = swapped(tokenizer, tokens, 0.25, 0, 4, np.random.default_rng(1), "x")
    assert 5 < (some != tokens).sum() < 28


def test_bits_flip_at_their_rate_in_their_scale() -> None:
    tokenizer = load_tokenizer(get("infinity-mini"))
    quantizer = tokenizer.quantizer
    tokens = torch.randint(2**16, (1, 85), generator=torch.Generator().manual_seed(0))
    flipped = quantizer.unpack(swapped(tokenizer, tokens, 0.2, 0, 8, np.random.default_rng(0), "x") ^ tokens)
    assert flipped.float().mean() == pytest.approx(0.2, abs=0.03)
    third = swapped(tokenizer, tokens, 1.0, 3, 8, np.random.default_rng(0), "x") ^ tokens
    assert third.tolist() == [[0] * 5 + [2**16 - 1] * 16 + [0] * 64]
    with pytest.raises(UserError, match="x: the tokenizer has 4 scales, not 5"):
        swapped(tokenizer, tokens, 1.0, 5, 8, np.random.default_rng(0), "x")


def test_weights_are_part_of_what_an_attack_depends_on() -> None:
    one, other = (parse(f"regenerate:model={model}").depends_on() for model in ("rar-mini", "var-mini"))
    assert one.keys() == other.keys() == {"attack_weights"}
    assert one != other
    chain = parse("jpeg50+regenerate:model=rar-mini").depends_on()
    assert chain == {"attack_weights_2": one["attack_weights"]}
    assert parse("jpeg50+blur9").depends_on() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("webp0", "attack 'webp0': the number is the quality, from 1 to 100"),
        ("avif101", "attack 'avif101': the number is the quality, from 1 to 100"),
        ("gaussblur0", "the number is the standard deviation in pixels, above 0 and at most 50"),
        ("blur:kernel=9,sigma=60", "sigma is the standard deviation in pixels, from 0 (drawn) to 50"),
        ("median4", "attack 'median4': the side of the neighbourhood in pixels must be odd, 3 to 99"),
        ("hue1.5", "attack 'hue1.5': the number is the fraction of the colour circle, from 0 to 1"),
        ("rotate361", "attack 'rotate361': the number is the angle in degrees, from 0 to 360"),
        ("erase0", "the number is the fraction of the area that is erased, above 0 and at most 1"),
        ("text2", "the number is the height of the letters as a fraction of the image's, above 0 and at most 1"),
        ("screenshot5", "attack 'screenshot5': the number is the zoom of the display, from 0.5 to 4"),
        ("screenshot:zoom=1,quality=0", "quality is that of a JPEG file, from 1 to 100"),
        ("social0", "attack 'social0': quality is that of a JPEG file, from 1 to 100"),
        ("social:quality=50,scale=0", "scale is the fraction of each side that is kept, up to 1"),
        ("crop:scale=0.5,grid=100", "grid is the side of a token in pixels, from 1 to 64, or 0 for none"),
        ("crop:scale=0.5,place=left", "place is 'left'; choose one of centre, random, corner"),
        ("regenerate", "the parameter 'model' is missing"),
        ("regenerate:model=rar-tiny", "unknown generator 'rar-tiny': did you mean"),
        ("regenerate:model=rar-mini,rounds=0", "rounds is how often it is done, from 1 to 16"),
        ("tokens:share=0,model=rar-mini", "the number is the share of tokens (or bits) that are changed, above 0"),
        ("tokens0.1", "the parameter 'model' is missing"),
        ("tokens:share=0.1,model=rar-mini,near=0", "near is how many of the nearest codes are drawn from, 1 to 1024"),
        ("grey5", "attack 'grey5': 'grey' takes no number"),
    ],
)
def test_every_mistake_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
