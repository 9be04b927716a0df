"""May an image be published under its licence, and what is the licence called on the Hub?

Not legal advice: a table of licences that say so in plain terms, and a refusal for everything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from iarbench.models import variants

_FREE = {"cc0": "cc0-1.0", "pdm": "other", "pdm-1.0": "other", "0bsd": "other"}
_FREE |= {
    name: name
    for name in (
        *("cc0-1.0", "mit", "apache-2.0", "isc", "unlicense", "wtfpl", "zlib", "bsd", "bsd-2-clause", "bsd-3-clause"),
        *("odc-by", "odbl", "pddl", "artistic-2.0", "mpl-2.0", "cdla-permissive-2.0"),
    )
}
"""Licence that asks for no credit -> the Hub's identifier."""
_PUBLIC = ("public domain", "no known copyright restrictions", "united states government work", "us government work")
_CC = re.compile(r"cc-(by(?:-nc)?(?:-nd|-sa)?)(?:-(\d\.\d))?(?:-[a-z]+)?")
_HUB_CC = {"by": "2.0 2.5 3.0 4.0", "by-sa": "3.0 4.0", "by-nc": "2.0 3.0 4.0", "by-nd": "4.0"}
_HUB_CC |= {"by-nc-sa": "2.0 3.0 4.0", "by-nc-nd": "3.0 4.0"}


@dataclass(frozen=True, slots=True)
class Terms:
    """What follows from the licence of an image."""

    refusal: str | None
    """Why an image under it is not published; None: it may be."""
    hub: str
    """The Hub's identifier of the licence, "other" where it has none."""
    asks_for_credit: bool = False
    """Whether the author, or at least the page, must be named."""


def terms_of(licence: str | None) -> Terms:
    """What a licence, as it stands in an image set, allows: "CC-BY-2.0", "MIT", "public domain (NASA)", an address of
    creativecommons.org; what stands in brackets is not looked at.

    ND licences forbid to publish changed copies. Images of a benchmark are cut and resized, so none is published.
    Images under NC are: publishing a data set is no commercial use, and the card names the licence. Terms that are
    unknown or missing are refusals.
    """
    name = re.sub(r"\s*\(.*", "", (licence or "").strip().lower())
    if not name:
        return Terms("states no licence", "other")
    name = re.sub(
        r"^https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/([a-z-]+)/(\d\.\d).*", r"cc-\1-\2", name
    )
    name = name.replace("cc-zero", "cc0").replace("cc-mark", "pdm").replace(" ", "-").replace("_", "-")
    name = _in_short(name)
    if name in _FREE:
        return Terms(None, _FREE[name])
    if name.startswith(tuple(one.replace(" ", "-") for one in _PUBLIC)):
        return Terms(None, "other")
    if match := _CC.fullmatch(name):
        kind, version = match[1], match[2]
        hub = f"cc-{kind}-{version}" if version in _HUB_CC.get(kind, "").split() else "cc"
        if kind.endswith("-nd"):
            return Terms(f"{licence} forbids to publish changed copies, such as resized ones", hub, True)
        return Terms(None, hub, True)
    return Terms(f"{licence!r} is no licence that iarbench knows to allow publishing", "other")


def _in_short(name: str) -> str:
    """Creative Commons licences by their long names, as Flickr and COCO have them: "attribution-sharealike-license"."""
    name = name.removeprefix("creative-commons-")
    if not name.startswith("attribution"):
        return name
    for long, short in (("attribution", "by"), ("noncommercial", "nc"), ("sharealike", "sa"), ("noderivatives", "nd")):
        name = name.replace(long, short)
    return "cc-" + re.sub(r"-(?:license|licence|generic|international|unported)\b", "", name.replace("noderivs", "nd"))


def licence_of(source: str, licence: str | None) -> str | None:
    """The licence of an image: what its row states, or else what its generator's description says of its images."""
    if licence and licence.strip():
        return licence
    return variants.get(source).image_licence if source in variants.names() else None


def refusal_of(licence: object, author: object, page: object) -> str | None:
    """Why an image is not to be published, None if it may be; cells that are no text are empty ones."""
    terms = terms_of(licence if isinstance(licence, str) else None)
    if terms.refusal is None and terms.asks_for_credit and not any(isinstance(one, str) for one in (author, page)):
        return f"{licence} asks for credit, and neither author nor page is known"
    return terms.refusal
