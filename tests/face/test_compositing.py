from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.face.alignment import CROP_SIZE, crop_face
from cdrl_cli.face.compositing import RIM_PX, Rendering, Shade, paste_face
from cdrl_cli.geometry.warp import fetch, resample, turn_flow
from cdrl_cli.media import open_video
from heads import pose, toy_head
from pictures import ArrayFrame, noise, waves

HEIGHT, WIDTH = 200, 260
FACES = st.fixed_dictionaries(
    {
        "yaw_deg": st.floats(-40, 40),
        "roll_deg": st.floats(-180, 180),
        "scale": st.floats(12, 150),
        "at": st.tuples(st.floats(-30, WIDTH + 30), st.floats(-30, HEIGHT + 30)),
    }
)
ASPECTS = st.sampled_from([Fraction(1), Fraction(4, 3), Fraction(8, 9)])
SEEDS = st.integers(0, 2**32 - 1)


def disc(radius=90.0):
    """A mask of the middle of the crop, with a soft edge."""
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE] - (CROP_SIZE - 1) / 2
    return np.clip((radius - np.hypot(x, y)) / 8, 0, 1).astype(np.float32)


def crop_toy(frame, place, aspect=Fraction(1)):
    toy = toy_head()
    face = toy.face(pose(**place))
    return crop_face(frame, face, toy.model.locate(face), sample_aspect=aspect)


def mask_on_frame(crop, mask):
    """Which frame pixels some masked crop pixel can reach, pixel by pixel."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    on_crop = np.stack([x, y], axis=2) @ crop.crop_from_frame[:, :2].T + crop.crop_from_frame[:, 2]
    reached = np.zeros((HEIGHT, WIDTH), bool)
    reach = RIM_PX
    padded = np.pad(mask > 0, reach)
    for dy in range(1 - reach, reach + 1):
        for dx in range(1 - reach, reach + 1):
            near = np.floor(on_crop + np.array([dx, dy])).astype(int) + reach
            near = near.clip(0, CROP_SIZE - 1 + 2 * reach)
            reached |= padded[near[..., 1], near[..., 0]]
    return reached


@given(FACES, ASPECTS, st.sampled_from([np.uint8, np.uint16]), SEEDS)
def test_there_and_back_without_motion_every_bit_stays(place, aspect, dtype, seed):
    frame = ArrayFrame(noise(HEIGHT, WIDTH, seed=seed, dtype=dtype))
    crop = crop_toy(frame, place, aspect)
    still = Rendering(np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32), disc())
    np.testing.assert_array_equal(paste_face(frame, crop, still).pixels, frame.pixels)


@given(FACES, ASPECTS, SEEDS)
def test_pixels_outside_the_mask_are_untouched(place, aspect, seed):
    generator = np.random.default_rng(seed)
    frame = ArrayFrame(noise(HEIGHT, WIDTH, seed=seed))
    crop = crop_toy(frame, place, aspect)
    flow = generator.normal(0, 20, (2, CROP_SIZE, CROP_SIZE)).astype(np.float32)
    pasted = paste_face(frame, crop, Rendering(flow, disc())).pixels
    outside = ~mask_on_frame(crop, disc())
    np.testing.assert_array_equal(pasted[outside], frame.pixels[outside])


@given(FACES)
def test_what_is_masked_does_move(place):
    place = place | {"at": (130.0, 100.0), "scale": max(place["scale"], 30.0)}
    frame = ArrayFrame(noise(HEIGHT, WIDTH))
    crop = crop_toy(frame, place)
    flow = np.full((2, CROP_SIZE, CROP_SIZE), 30.0, np.float32)
    pasted = paste_face(frame, crop, Rendering(flow, disc())).pixels
    assert (pasted[100, 130] != frame.pixels[100, 130]).any()


def test_a_flow_to_the_right_of_the_crop_fetches_from_the_right_of_the_face():
    # The head lies on its side: the crop's right is the frame's down.
    frame = ArrayFrame(waves(HEIGHT, WIDTH))
    crop = crop_toy(frame, {"roll_deg": 90.0, "scale": 38.0, "at": (130.0, 100.0)})
    flow = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    flow[0] = 20.0  # 10 frame pixels: the face is enlarged twofold
    pasted = paste_face(frame, crop, Rendering(flow, disc())).pixels
    fetched = frame.pixels[100 - 20 + 10 : 100 + 20 + 10, 110:150].astype(int)
    np.testing.assert_allclose(pasted[80:120, 110:150], fetched, atol=3)


def test_a_face_larger_than_the_crop_moves_as_if_each_pixel_asked_the_crop():
    frame = ArrayFrame(waves(700, 900))
    crop = crop_toy(frame, {"roll_deg": 25.0, "scale": 380.0, "at": (430.0, 340.0)})
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE].astype(np.float32)
    flow = np.stack([4 * np.sin(y / 20), 3 * np.cos(x / 25)]).astype(np.float32)
    pasted = paste_face(frame, crop, Rendering(flow, disc(60.0))).pixels
    moves = [one * disc(60.0) for one in turn_flow(*flow, crop.crop_from_frame)]
    across, down = (resample(one, crop.crop_from_frame, (0, 0, 900, 700)) for one in moves)
    rows, columns = np.mgrid[:700, :900].astype(np.float32)
    wanted = fetch(frame.pixels, across + columns, down + rows)
    assert np.abs(wanted.astype(int) - frame.pixels).max() > 20
    # At the disc's edge the flow falls within two pixels of the crop, and is read at every second.
    np.testing.assert_allclose(pasted.astype(int), wanted.astype(int), atol=8)
    assert np.abs(pasted.astype(int) - wanted).mean() < 0.1


def test_the_frame_given_stays_as_it_was():
    frame = ArrayFrame(noise(HEIGHT, WIDTH), index=7, time=Fraction(7, 25))
    before = frame.pixels.copy()
    crop = crop_toy(frame, {"scale": 50.0, "at": (130.0, 100.0)})
    flow = np.full((2, CROP_SIZE, CROP_SIZE), 9.0, np.float32)
    pasted = paste_face(frame, crop, Rendering(flow, disc()))
    np.testing.assert_array_equal(frame.pixels, before)
    assert (pasted.index, pasted.time) == (7, Fraction(7, 25))


@pytest.mark.parametrize("place", [(-2000.0, 50.0), (2000.0, 50.0), (50.0, 2000.0)])
def test_a_face_that_has_left_the_picture_changes_nothing(place):
    frame = ArrayFrame(noise(HEIGHT, WIDTH))
    crop = crop_toy(frame, {"scale": 30.0, "at": place})
    flow = np.full((2, CROP_SIZE, CROP_SIZE), 9.0, np.float32)
    pasted = paste_face(frame, crop, Rendering(flow, disc())).pixels
    np.testing.assert_array_equal(pasted, frame.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_change_of_colour_is_added_under_the_mask_and_nowhere_else(dtype):
    white = np.iinfo(dtype).max
    frame = ArrayFrame(np.full((HEIGHT, WIDTH, 3), white // 2, dtype))
    crop = crop_toy(frame, {"scale": 60, "at": (130, 100)})
    colour = np.broadcast_to(np.array([0.1, 0.0, -0.1], np.float32), (CROP_SIZE, CROP_SIZE, 3))
    still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    pasted = paste_face(frame, crop, Rendering(still, disc(), np.ascontiguousarray(colour)))
    change = (pasted.pixels[100, 130].astype(float) - white // 2) / white
    np.testing.assert_allclose(change, [0.1, 0.0, -0.1], atol=1 / 255)
    outside = ~mask_on_frame(crop, disc())
    np.testing.assert_array_equal(pasted.pixels[outside], frame.pixels[outside])


def test_colours_end_at_black_and_white():
    frame = ArrayFrame(np.full((HEIGHT, WIDTH, 3), 250, np.uint8))
    crop = crop_toy(frame, {"scale": 60, "at": (130, 100)})
    still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    brighter = np.full((CROP_SIZE, CROP_SIZE, 3), 0.3, np.float32)
    assert paste_face(frame, crop, Rendering(still, disc(), brighter)).pixels[100, 130, 0] == 255


WINDOW = np.array([(2.0, 0, -128), (0, 2.0, -128)])
"""From crop pixels to a shade of twice the detail."""


@given(FACES, st.sampled_from([np.uint8, np.uint16]), SEEDS)
def test_a_shade_multiplies_what_is_there(place, dtype, seed):
    frame = ArrayFrame(noise(HEIGHT, WIDTH, seed=seed, dtype=dtype))
    crop = crop_toy(frame, place)
    still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    shade = Shade(np.full((256, 256), -0.4, np.float32), WINDOW, tint=(0.5, 1.0, 1.5))
    mask = disc(50.0)  # smaller than the shade
    pasted = paste_face(frame, crop, Rendering(still, mask, shade=shade)).pixels
    outside = ~mask_on_frame(crop, mask)
    np.testing.assert_array_equal(pasted[outside], frame.pixels[outside])
    # Where mask and shade are whole, the ratio is; black stays black, and nothing is brighter.
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    on_crop = np.stack([x, y], axis=2) @ crop.crop_from_frame[:, :2].T + crop.crop_from_frame[:, 2]
    inside = np.hypot(*np.moveaxis(on_crop - (CROP_SIZE - 1) / 2, 2, 0)) < 40
    wanted = frame.pixels[inside] * np.exp(-0.4 * np.array([0.5, 1.0, 1.5]))
    np.testing.assert_allclose(pasted[inside], wanted, atol=1.0)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (0.5, 1.0, 1.5)])
def test_a_shade_multiplies_colours_whatever_planes_store(tint, tmp_path):
    path = tmp_path / "flat.mkv"
    with av.open(str(path), "w") as written:
        stream = written.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, level in zip(picture.planes, (150, 110, 150), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        written.mux(stream.encode(picture))
        written.mux(stream.encode(None))
    with open_video(path) as video:
        (frame,) = video
        crop = crop_toy(frame, {"scale": 60, "at": (130, 100)})
        still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
        shade = Shade(np.full((256, 256), -0.4, np.float32), WINDOW, tint)
        pasted = paste_face(frame, crop, Rendering(still, disc(), shade=shade))
        before, after = (one.rgb((126, 96, 134, 104)).astype(float) for one in (frame, pasted))
    np.testing.assert_allclose(after, before * np.exp(-0.4 * np.array(tint)), atol=2.5)


def test_fine_lines_of_a_shade_show_on_a_large_face():
    frame = ArrayFrame(np.full((HEIGHT, WIDTH, 3), 200, np.uint8))
    crop = crop_toy(frame, {"scale": 330, "at": (130, 100)})
    still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    lines = np.broadcast_to(np.where(np.arange(256) % 8 < 4, -0.4, 0.0), (256, 256))
    shade = Shade(np.ascontiguousarray(lines, np.float32), WINDOW)
    pasted = paste_face(frame, crop, Rendering(still, disc(), shade=shade)).pixels
    row = pasted[100, 80:180, 0]
    assert row.min() < 140
    assert row.max() > 195


def test_a_shade_of_nothing_changes_no_bit():
    frame = ArrayFrame(noise(HEIGHT, WIDTH))
    crop = crop_toy(frame, {"scale": 60, "at": (130, 100)})
    still = np.zeros((2, CROP_SIZE, CROP_SIZE), np.float32)
    shade = Shade(np.zeros((256, 256), np.float32), WINDOW)
    pasted = paste_face(frame, crop, Rendering(still, disc(), shade=shade))
    np.testing.assert_array_equal(pasted.pixels, frame.pixels)
