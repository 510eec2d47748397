"""The page that shows what an edit did, in a real browser."""

import json

import numpy as np
import pytest

from .browser import open_page, start_browser
from .conftest import Edit, spfem

READY = "document.getElementById('video').readyState >= 2"
MIDDLE = """() => {
  const c = document.getElementById('picture');
  return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data];
}"""


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(joyful: Edit, clips, tmp_path_factory):
    """The report of an edit by reference, and what the command says of it."""
    page = tmp_path_factory.mktemp("report") / "joy.html"
    words = ["report", joyful.source, joyful.output, "--ref", clips / "joy.mp4", "-o", page]
    done = spfem(*words, "--json", cwd=page.parent)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in page.parent.iterdir()] == ["joy.html"]
    return page, json.loads(done.stdout)


def test_the_numbers_are_those_of_the_edit(report):
    _, said = report
    assert said["emotion"] == "happy"
    assert said["frames"] == 72
    assert said["output_emotion"]["happy"] > said["source"]["happy"]
    assert said["lip_correlation"] > 0.95
    assert said["untouched"] == []


def test_the_player_plays_and_the_line_moves(browser, report):
    with open_page(browser, report[0].as_uri()) as (page, watch):
        page.wait_for_function(READY)
        assert page.locator("#mute").is_visible()  # the clip has sound
        page.keyboard.press("ArrowRight")
        page.wait_for_function("document.getElementById('clock').textContent === '0:00.1'")
        page.keyboard.press("b")
        before = np.array(page.evaluate(MIDDLE))
        page.keyboard.press("a")
        after = np.array(page.evaluate(MIDDLE))
        assert np.abs(after - before).max() > 40
        page.locator("#split").focus()
        page.keyboard.press("End")
        np.testing.assert_array_equal(np.array(page.evaluate(MIDDLE)), before)
        page.locator("#split").blur()
        page.keyboard.press("Space")
        page.wait_for_function("document.getElementById('video').currentTime > 0.6")
        page.locator("#play").click()
        assert page.evaluate("document.getElementById('video').paused")
        x1 = float(page.locator("#emotion .now").get_attribute("x1"))
        page.locator("#lips svg").click(position={"x": 600, "y": 60})
        page.wait_for_function(
            f"document.querySelector('#emotion .now').getAttribute('x1') > {x1 + 20}"
        )
        page.get_by_role("button", name="sad", exact=True).click()
        assert page.locator("#emotion .series").count() == 2
    # About the reading of pixels, which this test does and the page does not.
    assert [line for line in watch.errors if "willReadFrequently" not in line] == []
    assert {address.split(":")[0] for address in watch.requests} <= {"file", "blob", "data"}
    assert sum(address.startswith("file:") for address in watch.requests) == 1


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_window(browser, report, width, scheme):
    with open_page(browser, report[0].as_uri(), width=width, scheme=scheme) as (page, watch):
        page.wait_for_function(READY)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(23, 23, 26)") == (scheme == "dark")
        page.emulate_media(media="print")
        assert not page.locator("#play").is_visible()
        assert page.locator("#picture").is_visible()
    assert watch.errors == []


def test_what_is_no_edit_of_the_source_is_refused(clips, tmp_path):
    words = ["report", clips / "single_face.mp4", clips / "joy.mp4", "-o", "no.html"]
    done = spfem(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "its frames are not those of" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_edit_writes_what_is_to_be_looked_at_beside_it(short, tmp_path):
    words = ["edit", short, "-e", "happy", "-o", "out.mp4", "--compare", "wipe"]
    done = spfem(*words, "--report", "out.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = ["out.html", "out.mp4", "out.wipe.mp4"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    again = spfem(*words[:5], "new.mp4", "--compare", "out.wipe.mp4", cwd=tmp_path)
    assert again.returncode == 6, again.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == names
