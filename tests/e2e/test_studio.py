"""The page on this machine, in a real browser, from a dropped clip to what is downloaded."""

import importlib.util
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from ..conftest import require
from .browser import open_page, start_browser
from .conftest import frame_times, start_spfem


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """Address of a studio, and what it left of its temporary folder when it was ended."""
    require("gradio", present=importlib.util.find_spec("gradio") is not None)
    folder = tmp_path_factory.mktemp("studio")
    running = start_spfem("studio", "--no-browser", cwd=folder, TMPDIR=str(folder))
    said = running.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", said)
    assert found, said + running.stderr.read()
    yield found[0]
    assert list(folder.glob("spfem-studio-*"))
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode == 0
    assert not list(folder.glob("spfem-studio-*"))


def test_from_a_dropped_clip_to_the_downloaded_result(studio, clips, tmp_path):
    source = clips / "single_face.mp4"
    with start_browser() as browser, open_page(browser, studio) as (page, watch):
        page.wait_for_selector("#clip input[type=file]", state="attached")
        began = time.monotonic()
        page.set_input_files("#clip input[type=file]", source)
        page.wait_for_selector("#shown img", timeout=60_000)
        sys.stdout.write(f"first preview after {time.monotonic() - began:.1f} s\n")
        page.get_by_label("sad", exact=True).click()
        page.wait_for_function(
            "document.querySelector('#command textarea').value.includes('--emotion sad')"
        )
        page.locator("#render").click()
        page.wait_for_selector("#report iframe", timeout=180_000)
        report = page.frame_locator("#report iframe")
        assert "sad, at intensity 1" in report.locator("p.asked").inner_text()
        page.locator("#report").evaluate("page => page.scrollIntoView()")
        page.wait_for_timeout(200)  # the frame has its width only when it is shown
        beyond = "line => line.offsetWidth - line.parentElement.clientWidth"
        assert report.locator("#split").evaluate(beyond) == 28
        saved = []
        for name in ("single_face-edited.mp4", "single_face-edited.html"):
            with page.expect_download() as download:
                page.locator(f"#made a[download='{name}']").click()
            saved.append(Path(tmp_path / name))
            download.value.save_as(saved[-1])
        assert frame_times(saved[0]) == frame_times(source)
        assert "<!doctype html>" in saved[1].read_text("utf-8")
    hosts = {re.match(r"(\w+:(?://[^/]*)?)", address)[1] for address in watch.requests}
    assert hosts <= {studio.rstrip("/"), "blob:", "data:"}
    assert [line for line in watch.errors if "Method not implemented" not in line] == []


def test_all_that_an_edit_takes_is_in_the_page_and_in_its_command(studio, clips):
    with start_browser() as browser, open_page(browser, studio) as (page, _):
        page.wait_for_selector("#clip input[type=file]", state="attached")
        page.set_input_files("#clip input[type=file]", clips / "single_face.mp4")
        page.wait_for_selector("#shown img", timeout=60_000)
        page.get_by_label("subtle", exact=True).click()
        for name in ("fine", "whose", "over-time"):
            page.locator(f"#{name} button").first.click()
        page.get_by_label("number input for smile").fill("0.3")
        page.get_by_label("number input for smile").press("Tab")
        page.get_by_label("One side alone").fill("brows-left=.2")
        page.get_by_label("One side alone").press("Enter")
        page.get_by_label("Take away first what the face shows itself").check()
        says_in_command(page, "--intensity 0.6 --adjust smile=+0.3,brows-left=+0.2 --neutralise")
        page.get_by_label("Label “AI-edited” on every frame").click()
        page.get_by_role("option", name="top left").click()
        says_in_command(page, "--disclose --disclose-at top-left")
        page.get_by_role("button", name="From here on").click()
        says_in_command(page, "start,face,emotion,intensity,adjust,neutralise")


def test_the_intensity_that_is_found_is_set(studio, clips):
    with start_browser() as browser, open_page(browser, studio) as (page, _):
        page.wait_for_selector("#clip input[type=file]", state="attached")
        page.set_input_files("#clip input[type=file]", clips / "single_face.mp4")
        page.wait_for_selector("#shown img", timeout=60_000)
        page.locator("#target button").first.click()
        page.get_by_role("button", name="Find", exact=True).click()
        page.get_by_text("At intensity").wait_for(timeout=60_000)
        found = re.search(r"intensity (\S+), happy is read with", page.inner_text("#found"))
        says_in_command(page, f"--intensity {found[1]} ")


def says_in_command(page, words):
    page.wait_for_function(
        "words => document.querySelector('#command textarea').value.includes(words)",
        arg=words,
        timeout=60_000,
    )


def test_an_error_is_shown_in_one_line_and_an_edit_can_be_cancelled(studio, clips):
    with start_browser() as browser, open_page(browser, studio) as (page, _):
        page.wait_for_selector("#clip input[type=file]", state="attached")
        page.get_by_label("as the reference", exact=True).click()
        page.set_input_files("#clip input[type=file]", clips / "single_face.mp4")
        page.get_by_text("choose an emotion, drop a reference").first.wait_for(timeout=60_000)
        page.get_by_label("happy", exact=True).click()
        page.wait_for_selector("#shown img", timeout=60_000)
        page.locator("#render").click()
        page.locator("#progress progress").wait_for(timeout=60_000)
        with open_page(browser, studio) as (other, _):  # another page cancels nothing of this one
            other.locator("#cancel").click()
            other.wait_for_timeout(300)
        assert page.get_by_text("Cancelled").count() == 0
        page.locator("#cancel").click()
        page.get_by_text("Cancelled; nothing was kept.").wait_for(timeout=60_000)
