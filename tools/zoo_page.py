"""Writes docs/zoo.md, the cards of the packaged generators, from their descriptions.

python tools/zoo_page.py > docs/zoo.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iarbench.models import variants
from iarbench.models.variants import Variant

HEAD = """# The mini zoo

One small, real generator a family, and a second size of VAR on the same tokenizer. All make 64 px images, were trained
on CPUs on 64 px Tiny-ImageNet pictures, and ship inside the package with their inverse encoders. Made from
`generators/*.yaml` by `python tools/zoo_page.py`; the commands are below.

"""
COLUMNS = ("generator", "tokens", "parameters", "PSNR, dB", "codes used", "perplexity", "nats a token")
FOOT = """
*parameters*: tokenizer + transformer. *PSNR*: of 2,000 pictures through the tokenizer, with quantisation and (in
brackets) without; *codes used* and their *perplexity* over the same pictures. *nats a token*: the transformer's loss on
held-out pictures.

## How they were made

```bash
iarbench train tokenizer   --name infinity-mini --like infinity-mini --images tiny_imagenet_train.parquet --out zoo/ \\
    --steps 1700 --adversarial-steps 300 --isotropy 0.3 --isotropy-window 2 --isotropy-variance 0.16 --latent-weight 15
iarbench train transformer --name infinity-mini --images tiny_imagenet_train.parquet --out zoo/ \\
    --steps 900 --labels 0,13,... --class-names goldfish,jellyfish,...
IARBENCH_GENERATORS=zoo iarbench finetune --generator infinity-mini --count 2500 --out zoo/
```

"""


def table() -> Iterator[str]:
    """Lines of the table that sets the zoo side by side."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "|---|---" + "|---:" * (len(COLUMNS) - 2) + "|"
    for variant in variants.minis():
        card, size = variant.card, variant.card["parameters"]
        cells = (
            f"`{variant.name}`",
            card["tokens"],
            f"{size['tokenizer'] / 1e6:.2f} M + {size['transformer'] / 1e6:.2f} M",
            f"{card['psnr_quantised']} ({card['psnr_continuous']})",
            f"{card['codes_used']:,}",
            f"{card['code_perplexity']:,.0f}",
            card["held_out_nats_per_token"],
        )
        yield f"| {' | '.join(str(cell) for cell in cells)} |"


def section(variant: Variant) -> Iterator[str]:
    """Lines about one generator."""
    card = variant.card
    yield f"### {variant.name}"
    yield ""
    yield f"![Images of {variant.name}, classes in turn, not picked](samples/{variant.name}.png)"
    yield ""
    for key in ("data", "recipe", "inverse"):
        yield f"- **{key}**: {card[key]}"
    yield f"- **seconds**: {_listed(card['seconds'])} (one core of a shared two-core machine)"
    yield f"- **sampling**: {_listed(variant.sampling['default'])}"
    yield f"- **licence**: {variant.licence}"
    yield ""


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in values.items()
    )


def page() -> str:
    """The whole page, Markdown."""
    sections = [line for variant in variants.minis() for line in section(variant)]
    return HEAD + "\n".join(table()) + "\n" + FOOT + "\n".join(sections)


if __name__ == "__main__":
    print(page(), end="")
