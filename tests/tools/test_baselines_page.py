from __future__ import annotations

from doc_pages import cells

from tools.baselines_page import AEDR, ITERATIVE, LIKELIHOOD, ORACLE, aedr, detectors, likelihood, stored


def test_the_page_shows_the_stored_rows() -> None:
    assert ITERATIVE.read() == detectors(stored("mini-iterative"))
    assert AEDR.read() == aedr()
    assert LIKELIHOOD.read() == likelihood(stored("mini"))
    assert ORACLE.read() == likelihood(stored("mini"), "likelihood-oracle")


def test_every_detector_has_every_target_and_the_best_is_first() -> None:
    head, _, *lines = (cells(line) for line in detectors(stored("mini-iterative")).splitlines())
    assert len(head) == 8
    assert {len(line) for line in lines} == {8}
    means = [float(line[-1].partition(",")[0]) for line in lines]
    assert means == sorted(means, reverse=True)
    names = [line[0] for line in lines]
    assert len(set(names)) == len(names)
    assert {"`latenttracer`", "`latenttracer:preset=iclr`", "`aedr`", "`quantloss`", "`likelihood`"} <= set(names)


def test_aedr_is_a_line_with_homogeneity_and_one_without() -> None:
    lines = [cells(line) for line in aedr().splitlines()[2:]]
    assert [(line[0], line[2]) for line in lines] == [
        ("`aedr-plain`", "100 [98, 100], 1.000"),
        ("`aedr`", "99 [97, 100], 1.000"),
    ]


def test_the_likelihood_of_every_target_stands_against_all_others_at_once() -> None:
    lines = [cells(line) for line in likelihood(stored("mini")).splitlines()[2:]]
    pooled = {line[0]: line[2:] for line in lines if line[1] == "pooled"}
    assert len(pooled) == 6
    assert pooled["var-mini"][:2] == ["1.000 [0.964, 1.000]", "100 [96, 100]"]
    assert "–" not in {cell for line in pooled.values() for cell in line}
    told = [cells(line) for line in likelihood(stored("mini"), "likelihood-oracle").splitlines()[2:]]
    assert {line[0] for line in told} == {"var-mini", "var-mini-s"}
