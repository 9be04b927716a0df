"""The board in headless Chromium: nothing asked of other hosts, every switch, numbers equal to the rows."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from iarbench.board import gather, site
from iarbench.board.gather import Batch
from iarbench.board.groups import groups_of
from iarbench.cli import main
from iarbench.results.attribution.rows import AttributionRow
from iarbench.results.rows import Row, main_scores, read_rows
from iarbench.results.tables import with_interval

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="needs an installed Chromium: apt-get install chromium"),
]

WIDTHS = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    return gather.stored()


@pytest.fixture(scope="module")
def board(batches: list[Batch], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.build(batches, tmp_path_factory.mktemp("board") / "site").index


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """One page, everything that it asked for and complained about."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDTHS["wide"], "reduced_motion": "reduce"} | options)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def table(self, name: str) -> list[list[str]]:
        """Texts of the cells of a visible table, the header first."""
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
        return self.page.locator(f"table[data-table={name}]:visible tr").evaluate_all(script)

    def choose(self, **values: str) -> None:
        for name, label in values.items():
            self.page.locator(f"section:visible select[name={name}]").select_option(label=label)

    def soon(self, told: Callable[[], Any], wanted: Any) -> None:
        """What the page shows once its own timers have run: sorting, searching and a new address are not at once."""
        for _ in range(100):
            if told() == wanted:
                break
            self.page.wait_for_timeout(50)
        assert told() == wanted

    def close(self) -> None:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith(("file://", "data:"))] == []
        self.context.close()


@pytest.fixture
def visit(browser: Any, board: Path) -> Iterator[Any]:
    visits: list[Visit] = []

    def go(address: str = "", **options: Any) -> Visit:
        visits.append(Visit(browser, f"{board.as_uri()}{address}", **options))
        return visits[-1]

    yield go
    for one in visits:
        one.close()


def rows_of(batches: list[Batch]) -> list[Row]:
    return [row for batch in batches for row in batch.rows if isinstance(row, Row)]


def test_every_task_opens_and_every_page_is_there(browser: Any, board: Path, visit: Any) -> None:
    found = visit()
    page = found.page
    links = page.locator("#tasks a")
    assert links.count() >= 4
    for number in (*range(links.count()), links.count() - 1, 0):
        links.nth(number).click()
        found.soon(partial(links.nth(number).get_attribute, "aria-current"), "page")
        assert page.locator("section.group:visible, section#reported:visible").count() == 1
    for file in sorted((board.parent / "detectors").glob("*.html")):
        one = Visit(browser, file.as_uri())
        assert one.page.locator("h1").inner_text() == file.stem
        assert one.page.locator("tbody tr").count() > 0
        one.close()


def shown_as(row: Row) -> str:
    """What the page calls a score and its encoder."""
    score = row.detector if row.score_name == row.detector else f"{row.detector}:{row.score_name}"
    return score if row.encoder == "none" else f"{score} {row.encoder}"


@pytest.mark.parametrize(
    ("attack", "target", "against", "rate"),
    [("none (clean)", "var-mini", "all non-members, pooled", "1%"), ("jpeg50", "rar-mini", "flickr", "5%"),
     ("jpeg50", "infinity-mini", "the target's own images, mirrored", "1%")],
)  # fmt: skip
def test_numbers_on_the_page_are_those_of_the_rows(
    batches: list[Batch], visit: Any, attack: str, target: str, against: str, rate: str
) -> None:
    found = visit("#mini-v4")
    found.choose(attack=attack, target=target, set=against, rate=f"{rate} false positives")
    sets = {"all non-members, pooled": "pooled", "the target's own images, mirrored": "mirrored"}
    of_detector = main_scores(rows_of(batches))
    wanted = {
        shown_as(row): row
        for row in rows_of(batches)
        if (row.task, row.task_version, row.target, row.nonmember_set)
        == ("mini", 4, target, sets.get(against, against))
        and (row.attack, row.fpr_nominal, row.threshold_kind)
        == (attack.partition(" ")[0], float(rate.rstrip("%")) / 100, "matched")
        and (row.detector, row.parameters, row.score_name) in of_detector and row.n_members == 250
    }  # fmt: skip
    head, *lines = found.table("lines")
    shown = {line[0]: line for line in lines}
    assert shown.keys() == wanted.keys()
    assert len(wanted) >= 4
    for name, row in wanted.items():
        assert shown[name][head.index("matched")] == with_interval(row)
        assert shown[name][head.index("FPR")] == f"{100 * (row.fpr_achieved or 0):.1f}"
        assert shown[name][head.index("ms")] == f"{1000 * row.seconds_per_image:.1f}"
    # the ranking's column of this target, and a plot's table
    names, *ranking = found.table("ranking")
    assert {line[1]: line[names.index(target)] for line in ranking} == {k: with_interval(r) for k, r in wanted.items()}
    found.page.locator("figure:visible summary").last.click()
    cost = {line[0]: line[2] for line in found.table("cost")[1:]}
    assert {name: cost[name] for name in wanted} == {name: with_interval(row) for name, row in wanted.items()}


def test_tables_sort_by_click_and_by_key(visit: Any) -> None:
    found = visit("#mini-v4?attack=jpeg50")
    head = found.page.locator("table[data-table=lines]:visible th:has-text('AUROC')")

    def column() -> list[float]:
        names, *lines = found.table("lines")
        return [float(line[names.index("AUROC")].partition(" ")[0]) for line in lines]

    head.locator(".dt-column-order").click()
    found.soon(lambda: head.get_attribute("aria-sort"), "descending")
    found.soon(column, sorted(column(), reverse=True))
    head.locator("[role=button]").focus()
    found.page.keyboard.press("Enter")
    found.soon(lambda: head.get_attribute("aria-sort"), "ascending")
    found.soon(column, sorted(column()))
    found.choose(attack="none (clean)")  # what is sorted stays so
    found.soon(lambda: column() == sorted(column()), True)


def test_the_filter_and_every_score(visit: Any) -> None:
    found = visit("#mini-v4")
    search = found.page.locator("section:visible .dt-search input").first

    def names() -> list[str]:
        return [line[1] for line in found.table("ranking")[1:]]

    main_scores = names()
    assert len(main_scores) > 1
    search.fill("reconstr")
    found.soon(names, ["reconstruction inverse"])
    search.fill("")
    found.soon(names, main_scores)
    found.page.locator("section:visible input[name=scores]").check()
    found.soon(lambda: len(names()) > len(main_scores), True)
    assert "quantloss:greedy inverse" in names()


def test_families_are_columns_on_request(visit: Any) -> None:
    found = visit("#mini-v4")
    found.choose(columns="families")
    assert found.table("ranking")[0][5:] == ["infinity", "llamagen", "rar", "taming", "var"]


def test_the_address_holds_the_switches(visit: Any) -> None:
    found = visit("#mini-v4?attack=jpeg50&target=var-mini&scores=yes")
    form = found.page.locator("section:visible form.switches").first
    assert form.locator("select[name=target] option:checked").inner_text() == "var-mini"
    assert form.locator("input[name=scores]").is_checked()
    found.choose(attack="crop0.8")
    assert found.page.url.endswith("#mini-v4?attack=crop0.8&target=var-mini&scores=yes")


def test_plots_draw_what_the_tables_say_and_the_legend_hides(batches: list[Batch], visit: Any) -> None:
    page = visit("#mini-v4?target=var-mini").page
    (group,) = (one for one in groups_of(batches) if one.id == "mini-v4")  # on fewer images: tables of their own
    kinds = {re.sub(r"[0-9.]+$", "", attack) for attack in group.attacks} - {"none"}  # jpeg50 and jpeg90 are one curve
    assert page.locator(".curve:visible svg").count() == len(kinds)
    for plot in page.locator(".plot:visible, .curve:visible").all():
        assert plot.locator("svg path").count() > 10
    series = "() => echarts.getInstanceByDom(document.querySelector('[data-plot=cost]')).getOption().series.length"
    before = page.evaluate(series)
    key = page.locator("section:visible .key").first
    key.click()
    assert key.get_attribute("aria-pressed") == "false"
    assert page.evaluate(series) == before - 2


def test_the_confusion_matrix_is_that_of_the_row(batches: list[Batch], visit: Any) -> None:
    found = visit("#attribution-mini-v1?attack=jpeg50")
    found.choose(detector="quantloss, inverse")
    (row,) = (
        row for batch in batches for row in batch.rows
        if isinstance(row, AttributionRow) and row.detector == row.score_name == "quantloss" and row.attack == "jpeg50"
        and (row.metric, row.level, row.setting) == ("balanced_accuracy", "model", "open")
        and (row.fpr_nominal, row.threshold_kind) == (0.01, "matched")
    )  # fmt: skip
    _, *lines = found.table("confusion")
    assert {line[0]: line[1:] for line in lines} == {
        name: [f"{100 * value:.1f}" for value in values] for name, values in row.confusion.items()
    }
    assert found.page.locator("[data-plot=confusion] svg path").count() >= sum(map(len, row.confusion.values()))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_or_runs_off_the_page(visit: Any, width: str, scheme: str) -> None:
    boxes = """() => [...document.querySelectorAll(
        'header, nav, section:not([hidden]) > :is(h2, h3, p, form, .scroll, .legend), figure, footer')]
        .filter(one => one.offsetParent).map(one => [one, one.getBoundingClientRect()])
        .map(([one, {x, y, width, height}]) => [one.tagName, x, y, width, height])"""
    for address in ("#mini-v4?attack=jpeg50&target=var-mini", "#attribution-mini-v1", "#mini-iterative-v1"):
        page = visit(address, viewport=WIDTHS[width], color_scheme=scheme).page
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width]["width"]
        places = page.evaluate(boxes)
        assert len(places) > 8
        for number, (name, x, y, w, h) in enumerate(places):
            assert h > 0, name
            for other, x2, y2, w2, h2 in places[number + 1 :]:
                apart = x + w <= x2 + 1 or x2 + w2 <= x + 1 or y + h <= y2 + 1 or y2 + h2 <= y + 1
                assert apart, (name, other)
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark")


def test_without_a_script_every_table_is_there(board: Path, visit: Any) -> None:
    found = visit("", java_script_enabled=False)
    page = found.page
    assert page.locator("section.group").count() == page.locator("section.group:visible").count() >= 4
    assert page.locator("form.switches:visible").count() == 0
    line = page.locator("table[data-table=lines] tr", has_text="quantloss").filter(has_text="jpeg50").first
    line.locator("summary").click()
    assert line.locator("code").inner_text().startswith("iarbench run --task mini --detector quantloss")
    page.locator("figure summary").first.click()
    assert page.locator("table[data-table=robustness]").first.is_visible()


def test_the_keyboard_reaches_every_kind_of_control(visit: Any) -> None:
    page = visit().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("(e => e.getAttribute('role') || e.type || e.tagName)(document.activeElement)"))
    assert {"A", "select-one", "checkbox", "search", "button", "region"} <= reached


def test_from_the_best_detector_to_the_same_number(
    batches: list[Batch], visit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a newcomer does: choose JPEG 50 and var-mini, read the first line, copy its command, run it. The number is
    the same within what its row allows other machines; the interval too, where the number is and metrics are as new."""
    found = visit("", permissions=["clipboard-read", "clipboard-write"])
    found.choose(attack="jpeg50", target="var-mini")
    head, best, *_ = found.table("lines")
    shown = best[head.index("matched")]
    assert re.fullmatch(r"\d+\.\d \[\d+\.\d, \d+\.\d\]", shown)
    found.page.locator("table[data-table=lines]:visible button.copy").first.click()
    found.page.locator("#toast.shown").wait_for()
    command = found.page.evaluate("navigator.clipboard.readText()")
    assert found.page.locator("#toast code").inner_text() == command
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IARBENCH_CACHE", str(tmp_path / "cache"))
    words = shlex.split(command)
    assert words[:2] == ["iarbench", "run"]
    assert main([*words[1:], "--quiet"]) == 0
    (row,) = (row for row in read_rows(tmp_path / words[words.index("--out") + 1] / "results.jsonl") if row.primary)
    assert row.value is not None
    assert row.tolerance is not None
    assert float(shown.partition(" ")[0]) == pytest.approx(100 * row.value, abs=100 * row.tolerance)
    stored = {one.metric_version for one in rows_of(batches) if one.task == row.task}
    if shown.startswith(f"{100 * row.value:.1f} ") and stored == {row.metric_version}:
        assert with_interval(row) == shown
