"""The page in a real Chromium, opened from disk: the explorer moves, nothing leaves the machine, phones, the dark."""

import base64
import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.stages.report.results_tree import NAMES

PHONE, DESKTOP = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
READABLE = 4.5  # contrast of text that WCAG 2.1 AA asks for

CONTRAST = """
() => {
  const light = (part) => { part /= 255; return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; };
  const parse = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  let lowest = [99, ""];
  for (const element of document.querySelectorAll("p, h1, h2, h3, h4, a, li, dt, dd, th, td, caption, button, select, "
      + "label, summary, pre, figcaption, strong, output, .badge, .label, .told, .rank, .value")) {
    if (!element.textContent.trim() || !element.getClientRects().length) continue;
    const [one, two] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < lowest[0]) lowest = [contrast, element.outerHTML.slice(0, 200)];
  }
  return lowest;
}
"""


OPEN_ALL = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"


@pytest.fixture
def open_page(browser, page_file):
    """A function that opens the page; everything it asks for and says is written down."""
    contexts = []

    def start(**settings):
        context = browser.new_context(**{"viewport": DESKTOP} | settings)
        contexts.append(context)
        page = context.new_page()
        page.said, page.asked, page.sent = [], [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))

        def answer(route):
            page.sent.append(route.request.url)
            route.continue_() if route.request.url == page_file.as_uri() else route.abort()

        context.route("**/*", answer)
        page.goto(page_file.as_uri())
        return page

    yield start
    for context in contexts:
        context.close()


def read_data(page):
    return json.loads(page.locator("#explorer-data").text_content())


def choose(page, wanted):
    """Pick the first direction whose entry is as wanted; returns the page's data, the entry and its class."""
    data = read_data(page)
    for name, by_class in data["classifiers"].items():
        for label, moves in enumerate(by_class):
            for index, move in enumerate(moves):
                if wanted(move):
                    for box, value in (("classifier", name), ("class", str(label)), ("direction", str(index))):
                        page.locator(f"#pick-{box}").select_option(value)
                    return data, move, label
    raise AssertionError("the small tree has no such direction")


def choose_crossing(page):
    """Pick a direction along which the classifier falls to 0.50."""
    return choose(page, lambda move: move["crossing_std"] is not None)


def test_it_opens_from_disk_without_a_word_and_asks_for_nothing_else(open_page, page_file):
    page = open_page()
    page.evaluate(OPEN_ALL)
    choose_crossing(page)
    page.locator("#shift").fill("3")
    page.locator("button.zoom").first.click()
    page.wait_for_timeout(200)
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.evaluate("document.images.length > 20 && [...document.images].every((image) => image.naturalWidth > 0)")


def test_a_request_from_the_page_would_be_seen_and_is_forbidden(open_page):
    # The watch over requests is no blind one, and the page's own policy stops what slips in.
    page = open_page()
    page.evaluate("fetch('https://example.org/x').catch(() => 0)")
    page.evaluate(
        "new Promise((done) => { const i = new Image(); i.onerror = done; i.src = 'https://example.org/y'; })"
    )
    assert any("Content Security Policy" in message for message in page.said)
    assert "https://example.org/y" in page.asked
    assert not any(url.startswith("https") for url in page.sent)


def test_of_many_classes_only_those_that_somebody_thinks_of_have_a_row(open_page):
    page = open_page()
    choose_crossing(page)
    assert page.locator("#bars tbody tr:visible").count() == 10
    page.evaluate(
        """() => {
          for (const [place, value] of [0, 0, 0, 0.5, 0].entries()) {
            data.class_names.push(`more ${place}`);
            find("bars").tBodies[0].append(makeRow());
            const both = [chosen().probabilities, data.moves[chosen().move].judge];
            both.flat().forEach((row) => row.push(value));
          }
          showFrame();
        }"""
    )
    names = page.locator("#bars tbody tr:visible th").all_text_contents()
    assert "more 3" in names
    assert any("(meant)" in name for name in names)
    assert not {"more 0", "more 4"} & set(names)


def test_the_slider_changes_image_bars_and_words(open_page):
    page = open_page()
    data, move, label = choose_crossing(page)
    slider, frame = page.locator("#shift"), page.locator("#frame")
    last = len(data["shifts_std"]) - 1
    assert slider.get_attribute("max") == str(last)
    seen = {}
    for index in (0, last):
        slider.fill(str(index))
        seen[index] = frame.screenshot()
        for who, rows in (("classifier", move["probabilities"]), ("judge", data["moves"][move["move"]]["judge"])):
            bars = page.locator(f"#bars .{who} .bar")
            widths = [float(bars.nth(k).evaluate("e => parseFloat(e.style.width)")) for k in range(10)]
            assert widths == pytest.approx([100 * p for p in rows[index]], abs=0.01)
            drawn = bars.nth(label).evaluate("e => e.getBoundingClientRect().width / e.parentElement.clientWidth")
            assert drawn == pytest.approx(rows[index][label], abs=0.02)
            values = page.locator(f"#bars .{who} .value").all_text_contents()
            assert [float(value) for value in values] == pytest.approx(rows[index], abs=0.00501)
        verdict = page.locator("#verdict").text_content()
        expected = move["verdicts"][index]
        assert (", as meant" if expected == "still right" else f": {expected}.") in verdict
        assert slider.get_attribute("aria-valuetext") == f"{data['shifts_std'][index]:g} std"
        assert verdict in frame.get_attribute("aria-label")
    assert seen[0] != seen[last]


def test_each_frame_of_the_sprite_stands_whole_in_its_place(open_page, tmp_path):
    """The picture shown is the frame of that shift, pixel by pixel, not a part of its neighbours."""
    page = open_page()
    data, move, _ = choose_crossing(page)
    sprite = base64.b64decode(data["moves"][move["move"]]["sprite"].split(",", 1)[1])
    strip = np.asarray(Image.open(BytesIO(sprite)).convert("L")).astype(float)
    size = strip.shape[0]
    for index in (0, 2, len(data["shifts_std"]) - 1):
        page.locator("#shift").fill(str(index))
        page.evaluate("document.getElementById('frame').style.borderRadius = 0")
        shot = Image.open(BytesIO(page.locator("#frame").screenshot())).convert("L")
        places = (np.arange(size) + 0.5) / size
        rows = np.clip((places * shot.height).astype(int), 0, shot.height - 1)
        columns = np.clip((places * shot.width).astype(int), 0, shot.width - 1)
        shown = np.asarray(shot)[np.ix_(rows, columns)].astype(float)
        assert np.abs(shown - strip[:, index * size : (index + 1) * size]).mean() < 2


def test_the_crossing_is_marked_where_the_thumb_stands_at_that_shift(open_page):
    page = open_page()
    data, move, label = choose_crossing(page)
    track = page.locator("#shift").bounding_box()
    mark = page.locator("#crossing").bounding_box()
    share = move["crossing_std"] / data["shifts_std"][-1]
    thumb = 22
    expected = track["x"] + thumb / 2 + share * (track["width"] - thumb)
    assert mark["x"] + mark["width"] / 2 == pytest.approx(expected, abs=1)
    assert f"{move['crossing_std']:.2f} std (marked)" in page.locator("#crossing-text").text_content()
    # The numbers on both sides of the mark are on both sides of 0.50.
    of_meant = [row[label] for row in move["probabilities"]]
    after = next(k for k, shift in enumerate(data["shifts_std"]) if shift >= move["crossing_std"])
    assert of_meant[after - 1] > 0.5 >= of_meant[after]
    # The line in the curve stands above the mark.
    line = page.locator("#curve-mark").bounding_box()
    assert line["x"] + line["width"] / 2 == pytest.approx(expected, abs=2)


def test_a_direction_that_never_crosses_has_no_mark(open_page):
    page = open_page()
    choose(page, lambda move: move["crossing_std"] is None and not move["in_doubt_at_start"])
    assert not page.locator("#crossing").is_visible()
    assert "does not fall to 0.50 within 6 std" in page.locator("#crossing-text").text_content()


def test_the_slider_is_moved_by_keys_and_every_control_has_a_label(open_page):
    page = open_page()
    page.locator("#shift").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#shift-value").text_content() == "2 std"
    for label in ("Classifier", "Class", "Direction", "Shift in std"):
        assert page.get_by_label(label, exact=True).count() == 1, label
    unnamed = "[...document.querySelectorAll('button, a[href]')].filter((each) => !each.textContent.trim()).length"
    assert page.evaluate(unnamed) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground_and_a_phone_does_not_scroll_sideways(open_page, scheme):
    page = open_page(viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.evaluate(OPEN_ALL)
    page.locator("button.zoom").first.click()
    for element in ("documentElement", "body"):
        assert page.evaluate(f"document.{element}.scrollWidth") <= PHONE["width"]
    frame = page.locator(".frame").first
    assert frame.evaluate("e => e.scrollWidth > e.clientWidth"), "the figure at full size scrolls in its frame"
    contrast, element = page.evaluate(CONTRAST)
    assert contrast >= READABLE, element


def test_tables_fit_a_desk_and_paths_may_break(open_page):
    page = open_page()
    page.evaluate(OPEN_ALL)
    claims = page.locator("#claims .scroll")
    assert claims.evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.locator("td wbr").count() > 0


def test_dark_follows_the_system_and_the_button_turns_it(open_page):
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    white, black = "rgb(255, 255, 255)", "rgb(18, 22, 28)"
    dark, light = open_page(color_scheme="dark"), open_page(color_scheme="light")
    assert [page.evaluate(ground) for page in (dark, light)] == [black, white]
    for page in (dark, light):
        page.locator("#theme").click()
    assert [page.evaluate(ground) for page in (dark, light)] == [white, black]


def test_a_figure_offers_its_numbers(open_page, results):
    page = open_page()
    page.evaluate(OPEN_ALL)
    link = page.locator("a[download='compute_curves_figures_shift.csv']")
    with page.expect_download() as waiting:
        link.click()
    assert Path(waiting.value.path()).read_bytes() == (results / "compute_curves/figures/shift.csv").read_bytes()


def test_on_paper_all_is_open_black_on_white(open_page, tmp_path):
    page = open_page(color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("[...document.querySelectorAll('details')].every((each) => each.open)")
    assert not page.locator("#theme").is_visible()
    assert len(page.pdf(path=tmp_path / "page.pdf")) > 10_000


SCREENS = 12  # of a desk, that the page takes at first sight


def test_the_first_screen_answers_four_questions_of_each_classifier(open_page):
    page = open_page()
    for name in NAMES:
        answer = page.get_by_role("article", name=name)
        for question in ("Pass or not", "On what it fails", "How far it is from failing", "What proves it"):
            assert answer.get_by_text(question, exact=True).is_visible()
        assert answer.locator(".strip").count() == 3
        for part in (".badge", ".strip", ".proof li"):
            box = answer.locator(part).last.bounding_box()
            assert box["height"] > 10
            assert box["y"] + box["height"] <= DESKTOP["height"], part
    left, right = (page.get_by_role("article", name=name).bounding_box() for name in NAMES)
    assert left["y"] == right["y"], "side by side"
    assert page.evaluate("document.documentElement.scrollHeight") <= SCREENS * DESKTOP["height"]
    folded = page.locator("section > details.part")
    assert folded.count() == 8
    for part in folded.all():
        assert part.get_attribute("open") is None
        assert len(part.locator(".told").text_content()) > 15


def test_on_a_phone_answers_stand_below_each_other(open_page):
    page = open_page(viewport=PHONE)
    first, second = (page.get_by_role("article", name=name).bounding_box() for name in NAMES)
    assert second["y"] >= first["y"] + first["height"]
    assert first["x"] == second["x"]


def test_each_strip_is_drawn_where_it_stands_first_and_where_it_stands_again(open_page):
    page = open_page()
    strips = [page.locator(f"{part} .strip").first.screenshot() for part in (".leading", ".card")]
    shots = [Image.open(BytesIO(shot)).convert("RGB") for shot in strips]
    colors = [shot.getpixel((shot.width // 2, shot.height // 2)) for shot in shots]
    assert colors[0][1:] == colors[1][1:] == (90, 200), "as results_tree.py paints them"


def test_modes_are_sorted_by_keys_and_say_so(open_page):
    page = open_page()
    cards, sentences = page.locator(".cards").first.locator(".card h4"), {}
    page.get_by_role("button", name="importance", exact=True).focus()
    for words in ("importance", "failure rate", "share of the domain", "risk", "corroboration"):
        button = page.get_by_role("button", name=words, exact=True)
        assert button.evaluate("each => each === document.activeElement"), "Tab goes from one to the next"
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        assert page.locator(".sorter [aria-pressed=true]").count() == 1
        assert page.locator("#sorted").text_content() == f"Sorted by {words}"
        sentences[words] = [text.split()[0] for text in cards.all_text_contents()]
        page.keyboard.press("Tab")
    assert list(sentences.values()) == [list(order) for order in ("123", "132", "213", "123", "132")]


def test_a_link_opens_what_it_leads_to(open_page):
    page = open_page()
    claims, verdicts = (page.locator(f"#{part} > details") for part in ("claims", "verdicts"))
    page.evaluate("location.hash = 'claims'")
    page.wait_for_function("document.querySelector('#claims > details').open")
    assert verdicts.get_attribute("open") is None
    link = page.get_by_role("link", name="1 pass, 1 fail, 1 not assessable")
    for _ in range(2):  # the second time the address does not change
        link.click()
        page.wait_for_function("document.querySelector('#verdicts > details').open")
        bar = page.locator(".top").bounding_box()
        assert bar["y"] == 0, "it stays at the top"
        assert page.locator("#verdicts-title").bounding_box()["y"] >= bar["height"], "and hides nothing"
        verdicts.evaluate("each => { each.open = false; }")
    assert claims.get_attribute("open") is not None
    page.goto(page.url.split("#")[0] + "#quality")
    page.reload()
    assert page.locator("#quality > details").get_attribute("open") is not None
