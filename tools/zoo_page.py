"""Writes docs/zoo.md, the cards of the packaged generators, from their descriptions.

python tools/zoo_page.py > docs/zoo.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iarbench.models import variants
from iarbench.models.variants import Variant

HEAD = """# The mini zoo

One small, real generator per family, and a second size of VAR on the same tokenizer. All make 64 px images, were
trained on 64 px Tiny-ImageNet pictures, and ship inside the package with their inverse encoders. Made from
`generators/*.yaml` by `python tools/zoo_page.py`; the commands are below.

"""
COLUMNS = (
    "generator",
    "tokens",
    "parameters",
    "PSNR, dB",
    "codes used",
    "perplexity",
    "read / left",
    "nats per token",
    "class accuracy",
)
FOOT = """
*parameters*: tokenizer + transformer. *PSNR*: of held-out pictures through the tokenizer, with quantisation and (in
brackets) without; *codes used* and their *perplexity* over the same pictures. *read / left*: how far the encoder is
from the codes when it reads a decoded picture, over how far a picture is from its codes; QuantLoss works where this is
small. *nats per token*: the transformer's loss on held-out pictures. *class accuracy*: fraction of the generator's
images that a small classifier, trained on the training pictures, puts into the class that they were made for, and (in
brackets) of held-out pictures that went through the generator's tokenizer (`tools/class_accuracy.py`).

## How to make them

Each generator below has a block of four commands that makes it anew on two CPU cores, in the minutes that they state.
The numbers of its training are in `generators/*.yaml` (`training`, `finetune`); options of the commands replace them.
On a GPU give fewer minutes and larger batches (`--batch-size 128`). Re-run the same command to resume. All blocks use:

```bash
PICTURES=tiny_imagenet_train.parquet  # with the columns image and label, 0 to 199
LABELS={labels}
CLASSES='{classes}'
mkdir -p zoo; export IARBENCH_GENERATORS=zoo  # where the new generators are found
```

"""
#: the classes' numbers among Tiny-ImageNet's 200
LABELS = (
    0, 13, 14, 21, 34, 35, 36, 44, 45, 50, 66, 71, 91, 96, 102, 145,
    154, 165, 170, 173, 183, 184, 185, 186, 187, 191, 193, 194, 195, 196, 197, 198,
)  # fmt: skip
#: of each training on two cores: about 75 minutes per generator, with making its own images
MINUTES = {"tokenizer": 35, "transformer": 25, "inverse": 9, "inverse-aug": 6}


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
            f"{card['read'] / card['left']:.2f}" if "left" in card else "",
            card["held_out_nats_per_token"],
            f"{card['class_accuracy']:.0%} ({card['class_accuracy_real']:.0%})" if "class_accuracy" in card else "",
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
    device = card.get("device", "one core of a shared two-core machine")
    yield f"- **seconds**: {_listed(card['seconds'])} ({device})"
    yield f"- **sampling**: {_listed(variant.sampling['default'])}"
    yield f"- **licence**: {variant.licence}"
    yield ""
    yield from commands(variant)


def commands(variant: Variant) -> Iterator[str]:
    """Lines with the commands that make a generator anew; the smaller one of a shared tokenizer has none of its own."""
    if variant.name.endswith("-s"):
        return
    new = f"my-{variant.name}"
    train = f"--name {new} --images $PICTURES --out zoo/"
    finetune = f"iarbench finetune --generator {new} --out zoo/"
    yield "```bash"
    yield f"iarbench train tokenizer --like {variant.name} {train} --minutes {MINUTES['tokenizer']}"
    yield f"iarbench train transformer {train} --minutes {MINUTES['transformer']} \\"
    yield '    --labels $LABELS --class-names "$CLASSES"'
    yield f"{finetune} --minutes {MINUTES['inverse']}"
    yield f"{finetune} --minutes {MINUTES['inverse-aug']} --augment"
    yield "```"
    yield ""


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:,}" if isinstance(value, int) else f"{key} {value}" for key, value in values.items()
    )


def page() -> str:
    """The whole page, Markdown."""
    sections = [line for variant in variants.minis() for line in section(variant)]
    classes = variants.get("var-mini").classes or ()
    foot = FOOT.format(labels=",".join(map(str, LABELS)), classes=",".join(classes))
    return HEAD + "\n".join(table()) + "\n" + foot + "\n".join(sections)


if __name__ == "__main__":
    print(page(), end="")
