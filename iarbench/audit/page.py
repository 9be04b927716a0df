"""An audit as one HTML file, which needs nothing else: verdict, findings with pictures, parts, classes, properties."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from PIL import ImageOps

from iarbench import __version__
from iarbench.audit.findings import CHECKS, Finding
from iarbench.audit.look import Seen
from iarbench.audit.report import Audit
from iarbench.errors import UserError
from iarbench.images.spread import spread
from iarbench.images.trivial import HIGH, LOW

_PAIRS, _SAMPLES, _CLASSES = 6, 10, 40
"""How many pairs of a finding, images of a source and classes of a part are shown."""
_SIDE = 96


def page(found: Audit) -> str:
    """The whole page; pictures that do not decode any more are left out."""
    sets = [
        f"{escape(name)}: {len(images):,} images, fingerprint {images.fingerprint}"
        for name, images in zip(found.seen.names, found.seen.sets, strict=True)
    ]
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        names=escape(", ".join(found.seen.names)),
        side=_SIDE,
        verdict=found.verdict,
        summary=escape(found.summary()),
        sets="<br>".join(sets),
        findings=_findings(found),
        parts=_parts(found),
        samples=_samples(found),
        classes=_classes(found),
        areas=_areas(found),
        low=LOW,
        high=HIGH,
        version=escape(__version__),
        checks=", ".join(CHECKS),
    )


def _findings(found: Audit) -> str:
    if not found.findings:
        return "<p>None.</p>"
    return "<ul>" + "".join(_finding(found, one) for one in found.findings) + "</ul>"


def _finding(found: Audit, one: Finding) -> str:
    figures = "".join(
        f"<figure>{_picture(found, first)} {_picture(found, second)}"
        f"<figcaption>{escape(first.part)}: {escape(first.image_id)}<br>"
        f"{escape(second.part)}: {escape(second.image_id)}</figcaption></figure>"
        for first, second in one.pairs[:_PAIRS]
    )
    more = f'<p class="soft">and {len(one.pairs) - _PAIRS:,} more</p>' if len(one.pairs) > _PAIRS else ""
    shown = f"<div>{figures}</div>{more}" if figures else ""
    return f'<li><b class="{one.level}">{one.level}</b> ({one.check}): {escape(one.line)}{shown}</li>'


def _parts(found: Audit) -> str:
    head = ["source", "split", "images", "groups", "classes", "sizes", "compression"]
    rows = [
        [
            part.source,
            part.split,
            *(f"{number:,}" for number in (part.images, part.groups, part.classes)),
            _counted(part.sizes),
            _counted(part.compressions),
        ]
        for part in found.parts()
    ]
    return _table(head, rows, {2, 3, 4})


def _samples(found: Audit) -> str:
    by_source: dict[str, list[Seen]] = {}
    for image in found.seen.images:
        by_source.setdefault(image.source, []).append(image)
    blocks = []
    for source, images in sorted(by_source.items()):
        pictures = " ".join(_picture(found, image) for image in spread(images, _SAMPLES))
        blocks.append(f"<h3>{escape(source)}</h3><div>{pictures}</div>")
    return "".join(blocks)


def _classes(found: Audit) -> str:
    counts: dict[str, Counter[str]] = {}
    for image in found.seen.images:
        if image.condition:
            counts.setdefault(image.part, Counter())[image.condition] += 1
    rows = []
    for part, of_class in sorted(counts.items()):
        most = of_class.most_common()
        told = f"{len(most):,} classes or prompts, {most[-1][1]:,} to {most[0][1]:,} images each"
        bars = "".join(
            f'<i style="height:{100 * count / most[0][1]:.0f}%" title="{escape(name, quote=True)}: {count}"></i>'
            for name, count in sorted(of_class.items())
        )
        shown = f'<div class="bars">{bars}</div>' if len(most) <= _CLASSES else ""
        rows.append(f"<tr><td>{escape(part)}</td><td>{told}</td><td>{shown}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else "<p>No image has a class or prompt.</p>"


def _areas(found: Audit) -> str:
    names = list(dict.fromkeys(name for by_name in found.areas.values() for name in by_name))
    if not names:
        return "<p>There is one source, or none is generated: nothing to compare.</p>"
    rows = [
        f"<tr><td>{escape(one)}</td><td>{escape(other)}</td>{''.join(_area(by_name.get(name)) for name in names)}</tr>"
        for (one, other), by_name in found.areas.items()
    ]
    head = "".join(f'<th class="number">{escape(name)}</th>' for name in names)
    return f"<table><tr><th>source</th><th>other</th>{head}</tr>{''.join(rows)}</table>"


def _area(value: float | None) -> str:
    if value is None:
        return '<td class="number soft">same</td>'
    kind = "number" if LOW <= value <= HIGH else "number apart"
    return f'<td class="{kind}">{value:.2f}</td>'


def _counted(counts: Sequence[tuple[str, int]]) -> str:
    told = [f"{name} ({count:,})" if len(counts) > 1 else name for name, count in counts[:3]]
    return ", ".join(told) + (f" and {len(counts) - 3:,} more" if len(counts) > 3 else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=number' if place in numbers else ''}>{escape(value)}</{tag}>"
            for place, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _picture(found: Audit, image: Seen) -> str:
    """A thumbnail as part of the page."""
    name = escape(image.image_id, quote=True)
    if image.sketch is None:
        return f'<span class="soft">{name} does not decode</span>'
    try:
        (record,) = found.seen.sets[image.place].read([image.image_id])
    except UserError:
        return f'<span class="soft">{name} does not match its hash</span>'
    picture = record.pil()
    if max(record.width, record.height) >= _SIDE:
        picture = ImageOps.fit(picture, (_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{name}" title="{name}" src="data:image/webp;base64,{data}">'
