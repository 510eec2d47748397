from dataclasses import replace

import cv2
import numpy as np
import pytest
from drawn_eyes import IRIS, SKIN, drawn_face, eyeballs_of

from cdrl_cli.face.alignment import CROP_SIZE
from cdrl_cli.face.compositing import Rendering, paste_face
from cdrl_cli.generator.irises import LOWER_LIDS, UPPER_LIDS
from pictures import ArrayFrame


def part_lids(crop, up_px, down_px=0.0):
    """A flow that moves upper lids up and lower ones down, crop pixels, and all between with them.

    Farther off it ends.
    """
    y = np.arange(CROP_SIZE, dtype=float)
    flow = np.zeros((CROP_SIZE, CROP_SIZE, 2), np.float32)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        columns = crop.landmarks_xyz[upper, 0]
        inside = np.arange(np.floor(columns.min()), np.ceil(columns.max()) + 1).astype(int)
        high, low = (
            np.interp(inside, crop.landmarks_xyz[lid, 0], crop.landmarks_xyz[lid, 1])
            for lid in (upper, lower)
        )
        open_by = (low - high) / (low - high).max()
        for column, top, bottom, share in zip(inside, high, low, open_by, strict=True):
            at = [top - 40, top - up_px * share, bottom + down_px * share, bottom + 40]
            flow[:, column, 1] = np.interp(y, at, [0, up_px * share, -down_px * share, 0])
    return cv2.GaussianBlur(flow, (0, 0), 1.0)


def rendering(flow, eyeballs=()):
    return Rendering(
        flow.transpose(2, 0, 1), np.ones((CROP_SIZE, CROP_SIZE), np.float32), eyeballs=eyeballs
    )


def heights(pixels, middles, reach_px, px):
    """How high what is dark is through the middle of each iris, crop pixels."""
    found = []
    for middle in middles:
        x, y = np.round(middle).astype(int)
        reach = round(reach_px * px)
        column = pixels[y - reach : y + reach, x, 1].astype(float)
        found.append(np.clip((SKIN[1] - column) / (SKIN[1] - IRIS[1]), 0, 1).sum() / px)
    return np.array(found)


@pytest.mark.parametrize("scale", [110.0, 300.0])
def test_an_iris_is_round_when_lids_part(scale):
    frame, crop, middles = drawn_face(scale=scale)
    eyeballs, flow = eyeballs_of(crop), part_lids(crop, up_px=3.0)
    px = 1 / np.hypot(*crop.crop_from_frame[0, :2])
    kept, warped = (
        paste_face(frame, crop, rendering(flow, shown)).pixels for shown in (eyeballs, ())
    )
    was, stretched, high = (heights(one, middles, 6.3, px) for one in (frame.pixels, warped, kept))
    assert (was < 8.8).all()  # for the lid covers its top
    assert (stretched > was + 1.5).all()
    np.testing.assert_allclose(high, 9.8, atol=0.75)


def test_nothing_of_an_iris_is_seen_twice_however_far_lids_part():
    frame, crop, middles = drawn_face()
    shown = rendering(part_lids(crop, up_px=12.0), eyeballs_of(crop))
    px = 1 / np.hypot(*crop.crop_from_frame[0, :2])
    high = heights(paste_face(frame, crop, shown).pixels, middles, 36, px)
    np.testing.assert_allclose(high, 9.8, atol=0.8)


def test_lids_that_close_cover_an_eyeball_that_stays():
    frame, crop, middles = drawn_face()
    closing = part_lids(crop, up_px=-2.0)
    shut = paste_face(frame, crop, rendering(closing, eyeballs_of(crop))).pixels
    for middle in middles:
        x, y = np.round(middle).astype(int)
        below = np.s_[y + 3 : y + 9, x - 8 : x + 9]
        np.testing.assert_allclose(shut[below].astype(int), frame.pixels[below], atol=4)
        above = y - 4
        np.testing.assert_array_equal(frame.pixels[above, x], IRIS)
        np.testing.assert_array_equal(shut[above, x], SKIN)


def test_where_lids_do_not_move_nothing_changes():
    frame, crop, _ = drawn_face()
    flow = part_lids(crop, up_px=3.0)
    rows = np.arange(CROP_SIZE)
    flow[rows > crop.landmarks_xyz[UPPER_LIDS, 1].min() - 2] = 0  # the skin above moves
    shown = rendering(flow, eyeballs_of(crop))
    without = paste_face(frame, crop, replace(shown, eyeballs=())).pixels
    kept = paste_face(frame, crop, shown).pixels.astype(int)
    np.testing.assert_allclose(kept, without, atol=1)  # in the very corners
    assert (kept != without).mean() < 1e-4
    assert (without != frame.pixels).any()


def test_threads_change_nothing(set_opencv_threads):
    frame, crop, _ = drawn_face()
    shown = rendering(part_lids(crop, up_px=2.0), eyeballs_of(crop))
    pasted = []
    for count in (1, 3):
        set_opencv_threads(count)
        pasted.append(paste_face(frame, crop, shown).pixels)
    np.testing.assert_array_equal(*pasted)


def test_an_eyeball_that_withstands_nothing_is_warped():
    frame, crop, _ = drawn_face()
    flow = part_lids(crop, up_px=3.0, down_px=1.0)
    loose = [replace(one, strength=0.0) for one in eyeballs_of(crop)]
    given = paste_face(frame, crop, rendering(flow, tuple(loose))).pixels.astype(int)
    warped = paste_face(frame, crop, rendering(flow)).pixels
    assert np.abs(given - warped).max() <= 3  # places are rounded to 1/32 of a pixel


def test_between_still_and_warped_nothing_leaps():
    frame, crop, _ = drawn_face()
    eyeballs, flow = eyeballs_of(crop), part_lids(crop, up_px=3.0)
    shown = [
        paste_face(
            frame,
            crop,
            rendering(flow, tuple(replace(one, strength=strength) for one in eyeballs)),
        ).pixels.astype(int)
        for strength in (0.5, 0.52)
    ]
    assert np.abs(shown[0] - shown[1]).max() < 25


@pytest.mark.parametrize("past_px", [-6, 0, 6, 30])
def test_an_eye_outside_of_the_frame_changes_nothing_for_the_other(past_px):
    frame, crop, middles = drawn_face(scale=110.0)
    painted = rendering(part_lids(crop, up_px=3.0), eyeballs_of(crop))
    whole = paste_face(frame, crop, painted).pixels
    border = round(middles[:, 0].min()) + past_px  # through one eye, or between both
    cut_frame = ArrayFrame(np.ascontiguousarray(frame.pixels[:, border:]))
    shifted = crop.crop_from_frame.copy()
    shifted[:, 2] += shifted[:, 0] * border
    cut = paste_face(cut_frame, replace(crop, crop_from_frame=shifted), painted).pixels
    beside = max(round(middles[:, 0].max()) - 24 - border, 8)
    np.testing.assert_allclose(cut[:, beside:], whole[:, border + beside :], atol=1)
    assert np.abs(cut.astype(int) - whole[:, border:]).mean() < 0.5
