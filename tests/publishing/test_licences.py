"""Which licences let an image be published, and what the Hub calls them."""

from __future__ import annotations

import pytest

from iarbench.images.image_set import ImageSet
from iarbench.models import variants
from iarbench.publishing.licences import terms_of

FREE = {
    "CC0": "cc0-1.0",
    "CC0-1.0": "cc0-1.0",
    "MIT": "mit",
    "Apache-2.0 (its README allows research use only)": "apache-2.0",
    "public domain (NASA)": "other",
    "No known copyright restrictions": "other",
    "United States Government Work": "other",
    "https://creativecommons.org/publicdomain/zero/1.0/": "cc0-1.0",
}
CREDIT = {
    "CC-BY-2.0": "cc-by-2.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC-BY-SA-2.0": "cc",  # the Hub knows 3.0 and 4.0 only
    "CC-BY-NC-SA-2.0": "cc-by-nc-sa-2.0",
    "http://creativecommons.org/licenses/by-nc/2.0/": "cc-by-nc-2.0",
    "cc-by-3.0-us": "cc-by-3.0",
    "Attribution-NonCommercial-ShareAlike License": "cc",  # no version
    "Creative Commons Attribution 4.0 International": "cc-by-4.0",
}
REFUSED = [
    None,
    "",
    "  ",
    "CC-BY-ND-2.0",
    "CC-BY-NC-ND-2.0",
    "Attribution-NonCommercial-NoDerivs License",
    "http://creativecommons.org/licenses/by-nc-nd/2.0/",
    "all rights reserved",
    "ImageNet terms of access: non-commercial research and education, no redistribution",
    "not MIT",
]


@pytest.mark.parametrize("licence", [*FREE, *CREDIT])
def test_licences_that_allow_it(licence: str) -> None:
    terms = terms_of(licence)
    assert terms.refusal is None
    assert terms.hub == (FREE | CREDIT)[licence]
    assert terms.asks_for_credit == (licence in CREDIT)


@pytest.mark.parametrize("licence", REFUSED)
def test_everything_else_is_refused_with_a_reason(licence: str | None) -> None:
    assert terms_of(licence).refusal


def test_every_licence_of_the_packaged_set_and_of_our_generators_is_known() -> None:
    stated = set(ImageSet.open("iarbench-mini").index()["licence"].dropna())
    stated |= {variants.get(name).image_licence for name in variants.names()}
    assert len(stated) > 8
    assert {terms_of(licence).refusal for licence in stated} == {None}
