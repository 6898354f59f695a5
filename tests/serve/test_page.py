"""The page at `/` in Chromium.

Needs Chromium (Debian: apt-get install chromium) and `pip install playwright
axe-playwright-python`. Skipped without them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seq2seq.serve.catalogue import ServedModel

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
)
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(not _CHROMIUM, reason="Chromium is not installed")

_BUSY = {
    "status": 429,
    "headers": {"Retry-After": "1"},
    "json": {"error": "Slowdown: 1 per 1 minute"},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Any, server: Any) -> Iterator[Callable[..., Any]]:
    """A function that opens the page with options of a browser context.

    At the end, no script may have failed, and every request must have gone to the server.
    """
    contexts, errors, urls = [], [], []

    def opened(url: str = server.url, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: "Content Security" in message.text and errors.append(message.text),
        )
        page.on("request", lambda request: urls.append(request.url))
        page.goto(url)
        page.wait_for_selector("#source option", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors
    assert all(url.startswith(("http://127.0.0.1:", "blob:", "data:")) for url in urls)


def translate(page: Any, text: str, shown: str) -> None:
    page.fill("#text", text)
    expect(page, "#output", shown)


def expect(page: Any, selector: str, text: str) -> None:
    sync_api.expect(page.locator(selector)).to_have_text(text, timeout=20_000)


def test_translates_as_one_types(visit) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#text").press_sequentially("the old dog sleeps here", delay=5)
    expect(page, "#output", "le chien vieux dort ici")
    shown = page.locator("#alternatives button").all_inner_texts()
    assert shown[0] == "le chien vieux dort ici"
    assert len(set(shown)) == 4
    page.click("#alternatives li:nth-child(2) button")
    expect(page, "#output", shown[1])
    page.click("#copy")
    expect(page, "#look", "Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == shown[1]
    page.click("#clear")
    expect(page, "#output", "")
    assert page.locator("#alternatives").is_hidden()


def test_lines_stay_lines_and_have_their_notes(visit) -> None:
    page = visit()
    page.fill("#text", "the red cat runs\n\nthe man reads " + "a" * 300)
    sync_api.expect(page.locator("#output p")).to_have_count(3)
    assert page.locator("#output p").nth(0).inner_text() == "le chat rouge court"
    assert page.locator("#output p").nth(1).inner_text().strip() == ""
    page.locator("#output p").nth(2).locator(".word").first.click()
    expect(page, "#alternatives-title", "Alternatives for line 3")
    sync_api.expect(page.locator("#notes li").first).to_contain_text("Line 3: ")
    page.click("#notes button >> nth=0")
    assert page.evaluate("getSelection().toString()").startswith("the man reads")


def test_a_word_shows_where_it_looked(visit) -> None:
    page = visit()
    translate(
        page,
        "the old dog sleeps\nthe red cat runs here",
        "le chien vieux dortle chat rouge court ici",
    )
    assert page.locator("mark").count() == 0
    page.locator("#output p").nth(1).locator(".word").nth(1).hover()
    most = "marks => marks.sort((a, b) => b.style.getPropertyValue('--share')"
    most += " - a.style.getPropertyValue('--share'))[0].textContent"
    assert page.locator("mark").evaluate_all(most) == "cat"
    assert page.locator("#mirror").inner_text().strip() == page.input_value("#text")
    page.mouse.move(1, 1)
    sync_api.expect(page.locator("mark")).to_have_count(0)
    page.focus("#output")
    for key in ("ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    sync_api.expect(page.locator("#look")).to_contain_text("chien looks at dog")
    page.keyboard.press("ArrowDown")
    sync_api.expect(page.locator("#look")).to_contain_text("le looks at")
    page.keyboard.press("Escape")
    expect(page, "#look", "")


def test_a_late_answer_does_not_replace_a_newer_one(visit) -> None:
    page = visit()
    held = []

    def hold(route: Any) -> None:
        if "old" in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/translate", hold)
    page.fill("#text", "the old dog sleeps")
    deadline = time.monotonic() + 20
    while not held and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    translate(page, "the red cat runs", "le chat rouge court")
    assert held[0].request.failure  # the page cancelled it
    expect(page, "#output", "le chat rouge court")


def test_a_file_is_translated_line_by_line(visit, tmp_path) -> None:
    page = visit()
    lines = ["the red cat runs", "", "the old dog sleeps here"] * 30
    content = "\r\n".join(lines) + "\r\n"
    page.set_input_files(
        "#file", {"name": "my.letters.txt", "mimeType": "text/plain", "buffer": content.encode()}
    )
    page.wait_for_selector("#file-download:visible")
    expect(page, "#file-state", "90 lines are translated.")
    with page.expect_download() as waiting:
        page.click("#file-download")
    waiting.value.save_as(tmp_path / "got")
    assert waiting.value.suggested_filename == "my.letters.fr.txt"
    expected = ["le chat rouge court", "", "le chien vieux dort ici"] * 30
    assert (tmp_path / "got").read_text(encoding="utf-8") == "\n".join(expected) + "\n"
    page.set_input_files("#file", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"caf\xe9"})
    expect(page, "#file-state", "The file is not text in UTF-8.")
    page.click("#file-close")
    assert page.locator("#file-card").is_hidden()


def test_languages_are_chosen_swapped_detected_and_remembered(visit) -> None:
    page = visit()
    translate(page, "the red cat runs", "le chat rouge court")
    assert page.locator("#swap").is_disabled()  # nothing translates back
    page.select_option("#target", "de")
    sync_api.expect(page.locator("#notes")).to_contain_text("through French")
    page.select_option("#source", "auto")
    page.select_option("#target", "fr")
    expect(page, "#output", "le chat rouge court")
    expect(page, "#source option:checked", "Detected: English")
    page.reload()
    page.wait_for_selector("#source option", state="attached")
    assert (page.input_value("#source"), page.input_value("#target")) == ("auto", "fr")


def test_swap_translates_the_translation(visit, serve, exports) -> None:
    with serve({"en-fr": exports["en-fr"], "fr-en": exports["en-fr"]}) as running:
        page = visit(running.url)
        translate(page, "the red cat runs", "le chat rouge court")
        page.click("#swap")
        assert page.input_value("#text") == "le chat rouge court"
        assert (page.input_value("#source"), page.input_value("#target")) == ("fr", "en")


def test_taggers_and_classifiers_label_the_text(visit) -> None:
    page = visit()
    page.select_option("#source", "model:tag")
    page.fill("#text", "a b a")
    sync_api.expect(page.locator("#output .tagged")).to_have_count(3)
    assert all(page.locator("#output .tagged small").all_inner_texts())
    page.select_option("#source", "model:classify")
    sync_api.expect(page.locator("#alternatives .label").first).to_contain_text("%")


def test_without_the_server_the_text_stays_and_the_page_tries_again(visit) -> None:
    page = visit()
    page.context.set_offline(True)
    page.fill("#text", "the red cat runs")
    sync_api.expect(page.locator("#message")).to_contain_text("cannot be reached")
    assert page.input_value("#text") == "the red cat runs"
    page.context.set_offline(False)
    expect(page, "#output", "le chat rouge court")
    assert page.locator("#message").is_hidden()


def test_a_busy_server_is_asked_again(visit) -> None:
    page = visit()
    page.route("**/v1/translate", lambda route: route.fulfill(**_BUSY), times=1)
    page.fill("#text", "the red cat runs")
    sync_api.expect(page.locator("#message")).to_contain_text("The server is busy (Slowdown")
    expect(page, "#output", "le chat rouge court")
    assert page.locator("#message").is_hidden()


@pytest.mark.parametrize("installed", [True, False])
def test_lines_are_split_into_sentences_if_the_server_can(visit, installed, monkeypatch) -> None:
    monkeypatch.setattr(ServedModel, "splits_sentences", installed)
    page = visit()
    with page.expect_request("**/v1/translate") as waiting:
        page.fill("#text", "the red cat runs")
    assert waiting.value.post_data_json["split_sentences"] == installed


def test_features_are_added_to_each_line(visit) -> None:
    page = visit()
    assert page.locator("#features").is_hidden()
    page.select_option("#source", "model:inflect")
    page.fill("#features", "N;PL")
    with page.expect_request("**/v1/translate") as waiting:
        page.fill("#text", "cat\n\ndog\tN")
    assert waiting.value.post_data_json["texts"] == ["cat\tN;PL", "dog\tN"]
    sync_api.expect(page.locator("#output p")).to_have_count(3)
    with page.expect_request("**/v1/translate") as waiting:
        page.fill("#features", "PL")
    assert waiting.value.post_data_json["texts"] == ["cat\tPL"]  # the other line is known
    page.select_option("#source", "en")
    assert page.locator("#features").is_hidden()


@pytest.mark.parametrize(
    ("model", "text", "hint", "count"),
    [
        ("lm", "the cat", "Type the beginning of a text", 3),
        ("write", "B", "Type a label: A, B, C", 4),
        ("colour", "0.1 -1 2.5", "Type numbers, such as 0.5 -1 2", 4),
    ],
)
def test_models_that_generate_text_write_for_each_line(visit, model, text, hint, count) -> None:
    page = visit()
    page.select_option("#source", f"model:{model}")
    assert page.get_attribute("#text", "placeholder") == hint
    page.fill("#text", text)
    sync_api.expect(page.locator("#output .word").first).to_be_visible()
    shown = page.locator("#alternatives button").all_inner_texts()
    assert 1 < len(shown) <= count
    assert all(one.startswith(text) for one in shown) == (model == "lm")
    page.fill("#text", "no number or label")
    if model != "lm":
        sync_api.expect(page.locator("#message")).to_be_visible()


def test_a_key_is_asked_for_and_remembered(visit, serve, exports, monkeypatch) -> None:
    from seq2seq.serve.access import UseLimits, load_keys

    monkeypatch.setenv("SEQ2SEQ_API_KEYS", "open sesame")
    models = {"en-fr": exports["en-fr"], "fr-de": exports["fr-de"]}
    with serve(models, keys=load_keys(None, UseLimits())) as running:
        page = visit(running.url)
        page.click("#key-button")  # hides the form
        page.select_option("#source", "auto")
        page.fill("#text", "the red cat")
        expect(page, "#message", "Please contact the server operator to get an API key")
        assert page.locator("#key-form").is_visible()
        page.select_option("#source", "en")
        page.fill("#key", "wrong")
        page.fill("#text", "the red cat runs")
        page.click("#key-form button")
        expect(page, "#message", "Invalid API key")
        page.fill("#key", "open sesame")
        page.keyboard.press("Enter")
        expect(page, "#output", "le chat rouge court")
        assert page.locator("#message, #key-form").locator("visible=true").count() == 0
        page.reload()
        page.wait_for_selector("#source option", state="attached")
        translate(page, "the old dog sleeps", "le chien vieux dort")


def test_fits_a_phone(visit) -> None:
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    translate(page, "the red cat runs here", "le chat rouge court ici")
    page.fill("#text", "the red cat runs here\n" + "a" * 300)
    sync_api.expect(page.locator("#output p")).to_have_count(2)
    page.locator("#output .word").nth(1).tap()
    sync_api.expect(page.locator("#look")).to_contain_text("looks at")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for button in page.locator("button:visible:not(#notes button)").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 40, button
    page.select_option("#source", "model:lm")  # it writes long words
    page.fill("#text", "the cat")
    sync_api.expect(page.locator("#alternatives button").first).to_contain_text("the cat")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_right_to_left_text_starts_on_the_right(visit) -> None:
    page = visit()
    page.fill("#text", "مرحبا")
    assert page.evaluate("getComputedStyle(document.querySelector('#text')).direction") == "rtl"
    page.route(
        "**/v1/translate",
        lambda route: route.fulfill(
            json={"translations": [{"text": "مرحبا بالعالم", "hypotheses": [], "notes": []}]}
        ),
    )
    translate(page, "hello", "مرحبا بالعالم")
    page.focus("#output")
    first, second = (page.locator("#output .word").nth(i).bounding_box() for i in (0, 1))
    assert first["x"] > second["x"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(page, ".current", "بالعالم")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme, visit) -> None:
    page = visit(color_scheme=scheme)
    found = {"empty": axe.Axe().run(page).response["violations"]}
    page.fill("#text", "the red cat runs here\nthe old dog sleeps")
    sync_api.expect(page.locator("#output p")).to_have_count(2)
    page.set_input_files("#file", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"a"})
    page.wait_for_selector("#file-download:visible")
    page.focus("#output")
    page.keyboard.press("ArrowDown")
    found["words"] = axe.Axe().run(page).response["violations"]
    page.click("#theme")
    page.wait_for_timeout(200)
    found["other theme"] = axe.Axe().run(page).response["violations"]
    page.context.set_offline(True)
    page.fill("#text", "the red cat")
    page.wait_for_selector("#message:visible")
    page.wait_for_timeout(600)
    found["offline"] = axe.Axe().run(page).response["violations"]
    assert found == {state: [] for state in found}
