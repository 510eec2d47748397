import signal
import subprocess
import time

import av
import numpy as np
import pytest

import sample_clips
from cdrl_cli.checkpoints.models import load_models
from cdrl_cli.face.stream import open_faces
from cdrl_cli.metrics.mouth import correlation, lip_aperture

from .conftest import audio_packets, edit_clip, frame_times, spfem, start_spfem

# Where the man's head is in every frame of single_face.mp4 (640x360), read off the frames and
# widened; even, so that it covers whole chroma samples.
HEAD_XYXY = (160, 10, 430, 350)

# A milder threshold would count single noisy pixels as a smile.
VISIBLE_LEVEL = 8


def planes(path):
    """The decoded planes of every frame as they are stored: no colour conversion can hide."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            assert frame.format.name == "yuv420p"
            yield frame.to_ndarray()


def test_the_report_counts_every_frame(joyful):
    assert joyful.report["frames"] == 72
    assert 60 <= joyful.report["edited_frames"] <= 72
    assert joyful.report["lost_frames"] == 0
    assert joyful.report["faces"] == 1
    assert joyful.report["output"] == str(joyful.output)


def test_every_frame_keeps_its_exact_time(joyful):
    assert frame_times(joyful.output) == frame_times(joyful.source)


def test_audio_packets_are_identical(joyful):
    assert audio_packets(joyful.output) == audio_packets(joyful.source)


@pytest.mark.ffmpeg
def test_ffmpeg_agrees_that_the_audio_is_identical(joyful):
    def hashes(path):
        command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy"]
        done = subprocess.run(
            [*command, "-f", "streamhash", "-"], capture_output=True, text=True, check=True
        )
        return done.stdout

    assert hashes(joyful.output) == hashes(joyful.source)


def test_only_the_result_is_left_in_its_folder(joyful):
    assert list(joyful.output.parent.iterdir()) == [joyful.output]


def test_the_result_says_that_it_was_edited(joyful):
    with av.open(joyful.output) as container:
        assert any("spfem" in value for value in container.metadata.values())


def test_the_face_changes_visibly_and_nothing_around_it(lossless):
    left, top, right, bottom = HEAD_XYXY
    # A yuv420p array is luma on top, then both chroma planes; luma rows come first.
    around = np.ones((360, 640), bool)
    around[top:bottom, left:right] = False
    visible = 0
    pairs = list(zip(planes(lossless.source), planes(lossless.output), strict=True))
    assert len(pairs) == 72
    for before, after in pairs:
        luma_before, luma_after = before[:360], after[:360]
        np.testing.assert_array_equal(luma_after[around], luma_before[around])
        chroma = slice(360, None)
        u_before, v_before = before[chroma].reshape(2, 180, 320)
        u_after, v_after = after[chroma].reshape(2, 180, 320)
        chroma_around = around[::2, ::2]
        np.testing.assert_array_equal(u_after[chroma_around], u_before[chroma_around])
        np.testing.assert_array_equal(v_after[chroma_around], v_before[chroma_around])
        change = np.abs(luma_after.astype(int) - luma_before)
        visible += int((change > VISIBLE_LEVEL).sum() > 200)
    assert visible > len(pairs) // 2


def test_lips_open_and_close_as_before(joyful):
    models = load_models("permissive")

    def apertures(path):
        with open_faces(path, models, max_faces=1) as faces:
            shapes = [one.faces[0].face.landmarks_xyz for one in faces.tracked()]
        return lip_aperture(np.array(shapes))

    before, after = apertures(joyful.source), apertures(joyful.output)
    assert correlation(before, after) > 0.98
    np.testing.assert_allclose(
        after, before, atol=0.05
    )  # lengths of the eyes' distance; it moves .3


def test_frames_without_a_face_pass_through_untouched(clips, tmp_path):
    source = clips / "face_noface.mov"
    edit = edit_clip(source, tmp_path / "out.mkv", "--ref", clips / "joy.mp4", "--codec", "ffv1")
    pairs = list(zip(planes(source), planes(edit.output), strict=True))
    assert edit.report["frames"] == len(pairs) == 169
    assert 0 < edit.report["edited_frames"] < 169
    for before, after in pairs[90:]:  # the cut to a clip without people comes before this frame
        np.testing.assert_array_equal(after, before)
    assert any((before != after).any() for before, after in pairs)


def test_intensity_zero_is_the_identity(clips, tmp_path):
    source = clips / "single_face.mp4"
    words = ["--emotion", "sad", "--intensity", "0", "--codec", "ffv1"]
    edit = edit_clip(source, tmp_path / "out.mkv", *words)
    for before, after in zip(planes(source), planes(edit.output), strict=True):
        np.testing.assert_array_equal(after, before)


def test_a_clip_without_a_face_is_refused_and_nothing_is_written(clips, tmp_path):
    words = ["edit", clips / "no_face.mp4", "--ref", clips / "joy.mp4", "-o", "out.mp4"]
    done = spfem(*words, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_a_reference_without_a_face_is_refused(clips, tmp_path):
    words = ["edit", clips / "single_face.mp4", "--ref", clips / "no_face.mp4", "-o", "out.mp4"]
    done = spfem(*words, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert not list(tmp_path.iterdir())


def test_an_existing_output_is_not_replaced_unasked(clips, tmp_path):
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    done = spfem("edit", clips / "single_face.mp4", "-e", "sad", "-o", output, cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert output.read_bytes() == b"precious"


def test_the_source_cannot_be_the_output(clips, tmp_path):
    source = tmp_path / "talk.mp4"
    source.write_bytes((clips / "single_face.mp4").read_bytes())
    words = ["edit", source, "-e", "sad", "-o", tmp_path / "." / "talk.mp4", "--overwrite"]
    done = spfem(*words, cwd=tmp_path)
    assert done.returncode == 6, done.stderr
    assert source.read_bytes() == (clips / "single_face.mp4").read_bytes()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_edit_leaves_nothing(clips, tmp_path, number, code):
    words = ["edit", clips / sample_clips.ACTRESS, "-e", "sad", "-o", "out.mp4"]
    running = start_spfem(*words, cwd=tmp_path)
    while running.poll() is None and not list(tmp_path.iterdir()):
        time.sleep(0.05)  # until the first frame has made it to the disk
    running.send_signal(number)
    _, err = running.communicate(timeout=60)
    assert not list(tmp_path.iterdir()), (running.returncode, err)
    # An exit by the signal itself, now and then Python's own on SIGINT, is the same to a shell.
    assert running.returncode in (code, -number), err
    assert err == ""


@pytest.mark.parametrize("content", [None, b"", b"this is no video"])
def test_what_is_no_video_is_unreadable(tmp_path, content):
    source = tmp_path / "talk.mp4"
    if content is not None:
        source.write_bytes(content)
    done = spfem("edit", source, "-e", "sad", "-o", "out.mp4", cwd=tmp_path)
    assert done.returncode == 5, done.stderr
    assert "talk.mp4" in done.stderr
    assert not (tmp_path / "out.mp4").exists()


def test_probe_finds_the_face(clips, tmp_path):
    done = spfem("probe", clips / "single_face.mp4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "frames    72" in done.stdout.splitlines()
    assert "faces     1" in done.stdout.splitlines()
    assert not list(tmp_path.iterdir())
