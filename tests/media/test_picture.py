"""Frames: colours come out right, and what is not under a mask does not change."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import BT2020_PQ, ROTATIONS, Clip, make_clip, paint_scene

from cdrl_cli.media import VideoFrame, open_video
from cdrl_cli.media.picture import DecodedFrame

from .contract import copy_planes, ellipse_mask, paint_ellipse, patch_box

LOSSLESS = {"codec": "ffv1", "options": {}, "audio": (), "frames": 1}
FORMATS = (
    "yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le",
    "yuv420p12le",
)  # fmt: skip


def first_frame(path: Path) -> DecodedFrame:
    with open_video(path) as video:
        return next(iter(video))


def one_frame(folder: Path, **properties: object) -> DecodedFrame:
    if properties.get("pixel_format") == "yuvj420p":  # only this codec has it
        properties |= {"codec": "mjpeg", "context": {"color_range": 2}}
    return first_frame(make_clip(folder / "clip.mkv", Clip(**(LOSSLESS | properties))))


def planes_of(frame: DecodedFrame) -> list[np.ndarray]:
    return copy_planes(frame.for_encoder())


def flat(color: tuple[int, int, int]):
    return lambda _, width, height: np.full((height, width, 3), color, np.uint8)


@pytest.mark.parametrize(
    ("primaries", "full"), [(matrix, full) for matrix in (1, 6, 9) for full in (1, 2)]
)
def test_colour_follows_matrix_and_range(tmp_path: Path, primaries: int, full: int) -> None:
    frame = one_frame(tmp_path, context={"colorspace": primaries, "color_range": full})
    planes = planes_of(frame)
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[primaries]
    offset, luma_range, chroma_range = (0, 255, 255) if full == 2 else (16, 219, 224)
    y = (planes[0][20, 20].astype(float) - offset) / luma_range
    blue, red = ((plane[10, 10].astype(float) - 128) / chroma_range for plane in planes[1:])
    expected_red = 255 * (y + 2 * (1 - kr) * red)
    expected_blue = 255 * (y + 2 * (1 - kb) * blue)
    rgb = frame.rgb((20, 20, 21, 21))[0, 0].astype(float)
    # Chroma is interpolated between samples on a slope.
    assert rgb[0] == pytest.approx(np.clip(expected_red, 0, 255), abs=4)
    assert rgb[2] == pytest.approx(np.clip(expected_blue, 0, 255), abs=4)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_box_shows_what_the_whole_picture_shows(tmp_path: Path, pixel_format: str) -> None:
    frame = one_frame(tmp_path, pixel_format=pixel_format)
    x0, y0, x1, y1 = box = patch_box(frame)
    whole, part = frame.rgb(), frame.rgb(box)
    assert part.dtype == (np.uint8 if pixel_format.endswith("p") else np.uint16)
    step = 1 if part.dtype == np.uint8 else 257
    difference = np.abs(whole[y0:y1, x0:x1].astype(int) - part.astype(int))
    assert difference.max() <= step


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("size", [(96, 64), (97, 65)])
def test_samples_outside_the_mask_keep_their_bits(
    tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    frame = one_frame(tmp_path, pixel_format=pixel_format, width=size[0], height=size[1])
    before = planes_of(frame)
    edited = paint_ellipse(frame)
    mask = np.zeros((frame.height, frame.width), np.float32)
    x0, y0, x1, y1 = patch_box(frame)
    mask[y0:y1, x0:x1] = ellipse_mask(y1 - y0, x1 - x0)
    for old, new in zip(before, planes_of(edited), strict=True):
        step_y, step_x = -(-frame.height // old.shape[0]), -(-frame.width // old.shape[1])
        padded = np.pad(mask, ((0, -frame.height % step_y), (0, -frame.width % step_x)))
        blocks = padded.reshape(old.shape[0], step_y, old.shape[1], step_x)
        touched = blocks.max(axis=(1, 3)) > 0
        np.testing.assert_array_equal(new[~touched], old[~touched])
        assert (new[touched] != old[touched]).mean() > 0.5


def test_source_frame_is_not_changed_by_its_patch(tmp_path: Path) -> None:
    frame = one_frame(tmp_path)
    before = planes_of(frame)
    paint_ellipse(frame)
    for old, new in zip(before, planes_of(frame), strict=True):
        np.testing.assert_array_equal(new, old)


def test_patched_frame_keeps_its_side_data(tmp_path: Path) -> None:
    # Closed captions travel this way; x264's own signature on the first frame stands in for them.
    frame = one_frame(tmp_path, codec="libx264", options={"preset": "ultrafast"})
    kinds = [each.type for each in frame.for_encoder().side_data]
    assert kinds
    assert [each.type for each in paint_ellipse(frame).for_encoder().side_data] == kinds


def test_second_patch_builds_on_the_first(tmp_path: Path) -> None:
    frame = one_frame(tmp_path, paint=flat((90, 90, 90)))
    white, full = np.full((16, 16, 3), 255, np.uint8), np.ones((16, 16), np.float32)
    twice = frame.with_patch((8, 8, 24, 24), white, full).with_patch((40, 8, 56, 24), white, full)
    rgb = twice.rgb()
    assert rgb[16, 16].min() > 250
    assert rgb[16, 48].min() > 250
    assert rgb[40, 16].max() < 95


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_patching_the_same_colours_changes_next_to_nothing(
    tmp_path: Path, pixel_format: str
) -> None:
    frame = one_frame(tmp_path, pixel_format=pixel_format, context={"colorspace": 1})
    box = patch_box(frame)
    rgb = frame.rgb(box)
    same = frame.with_patch(box, rgb, np.ones(rgb.shape[:2], np.float32))
    depth = av.VideoFormat(pixel_format).components[0].bits
    # 8-bit RGB cannot name every YUV triple; chroma passes two interpolations.
    luma, *chroma = zip(planes_of(frame), planes_of(same), strict=True)
    step = 1 << (depth - 8)
    assert np.abs(luma[0].astype(int) - luma[1].astype(int)).max() <= 3 * step
    for old, new in chroma:
        assert np.abs(old.astype(int) - new.astype(int)).mean() <= 2 * step


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_patch_reaches_its_colour(tmp_path: Path, pixel_format: str) -> None:
    frame = one_frame(tmp_path, pixel_format=pixel_format, context={"colorspace": 1})
    dtype = frame.rgb((0, 0, 1, 1)).dtype
    scale = 1 if dtype == np.uint8 else 257
    color = np.array([200, 90, 40]) * scale
    patch = np.broadcast_to(color, (32, 32, 3)).astype(dtype)
    edited = frame.with_patch((16, 16, 48, 48), patch, np.ones((32, 32), np.float32))
    inner = edited.rgb((20, 20, 44, 44)).astype(int)
    assert np.abs(inner - color).max() <= 3 * scale


@pytest.mark.parametrize(("orientation", "matrix"), ROTATIONS.items())
def test_turned_picture_is_shown_and_patched_upright(
    tmp_path: Path, orientation: tuple[int, bool], matrix: tuple[int, ...]
) -> None:
    plain = one_frame(tmp_path, width=97, height=65, pixel_format="yuv444p")
    turned = first_frame(
        make_clip(
            tmp_path / "turned.mkv",
            Clip(**LOSSLESS, width=97, height=65, pixel_format="yuv444p", matrix=matrix),
        )
    )
    turn, mirrored = orientation
    upright = np.rot90(plain.rgb(), -(turn // 90))
    upright = upright[:, ::-1] if mirrored else upright
    assert (turned.height, turned.width) == upright.shape[:2]
    np.testing.assert_array_equal(turned.rgb(), upright)
    x0, y0, x1, y1 = box = (11, 5, 40, 30)
    np.testing.assert_array_equal(turned.rgb(box), upright[y0:y1, x0:x1])
    white = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
    edited = turned.with_patch(box, white, np.ones(white.shape[:2], np.float32)).rgb()
    assert edited[y0:y1, x0:x1].min() >= 253
    edited[y0:y1, x0:x1] = upright[y0:y1, x0:x1]
    np.testing.assert_array_equal(edited, upright)


class TestPicture:
    """The small picture of the whole frame."""

    @pytest.mark.parametrize("max_side", [1, 7, 32, 96, 500])
    def test_no_side_is_longer_and_nothing_is_enlarged(self, tmp_path: Path, max_side: int) -> None:
        picture = one_frame(tmp_path).picture(max_side)
        assert max(picture.shape[:2]) == min(max_side, 96)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous

    def test_looks_like_the_frame(self, tmp_path: Path) -> None:
        frame = one_frame(tmp_path, pixel_format="yuv444p")
        whole = frame.rgb().astype(float)
        averaged = whole.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
        assert np.abs(frame.picture(48) - averaged).mean() < 2

    @pytest.mark.parametrize(
        ("aspect", "size"), [((4, 3), (48, 96)), ((3, 4), (64, 72)), ((1, 1), (64, 96))]
    )
    def test_pixels_are_square(
        self, tmp_path: Path, aspect: tuple[int, int], size: tuple[int, int]
    ) -> None:
        context = {"sample_aspect_ratio": Fraction(*aspect)}
        frame = one_frame(tmp_path, codec="libx264", context=context)
        assert frame.picture(500).shape[:2] == size
        assert (frame.width, frame.height) == (96, 64)

    def test_deep_video_gives_8_bits(self, tmp_path: Path) -> None:
        frame = one_frame(tmp_path, pixel_format="yuv420p10le")
        picture = frame.picture(96)
        assert picture.dtype == np.uint8
        assert np.abs(picture - frame.rgb() / 257).mean() < 4

    def test_hdr_is_as_bright_as_an_ordinary_picture(self, tmp_path: Path) -> None:
        # PQ code 0.58 is 203 cd/m2, diffuse white; raw it would look like a mid grey.
        white = flat((148, 148, 148))
        frame = one_frame(tmp_path, pixel_format="yuv444p10le", context=BT2020_PQ, paint=white)
        assert frame.picture(96).min() > 245

    def test_side_must_be_positive(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="max_side"):
            one_frame(tmp_path).picture(0)


class TestWrongUse:
    """A caller's mistakes are named."""

    @pytest.fixture
    def frame(self, tmp_path: Path) -> VideoFrame:
        return one_frame(tmp_path)

    @pytest.mark.parametrize("box", [(5, 5, 5, 9), (-1, 0, 4, 4), (0, 0, 97, 4), (9, 9, 4, 4)])
    def test_box_outside(self, frame: VideoFrame, box: tuple[int, int, int, int]) -> None:
        with pytest.raises(ValueError, match="box_xyxy"):
            frame.rgb(box)

    def test_patch_of_another_size(self, frame: VideoFrame) -> None:
        with pytest.raises(ValueError, match="shape"):
            frame.with_patch(
                (0, 0, 8, 8), np.zeros((4, 4, 3), np.uint8), np.ones((4, 4), np.float32)
            )

    def test_patch_of_another_depth(self, frame: VideoFrame) -> None:
        rgb = np.zeros((8, 8, 3), np.uint16)
        with pytest.raises(ValueError, match="dtype"):
            frame.with_patch((0, 0, 8, 8), rgb, np.ones((8, 8), np.float32))

    @pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
    def test_weights_outside(self, frame: VideoFrame, weight: float) -> None:
        mask = np.full((8, 8), weight, np.float32)
        with pytest.raises(ValueError, match="weights"):
            frame.with_patch((0, 0, 8, 8), np.zeros((8, 8, 3), np.uint8), mask)


def test_scene_of_the_tests_has_colour() -> None:
    assert paint_scene(0, 96, 64).std(axis=(0, 1)).min() > 20


class TestPlanes:
    """What an edit sees of a frame, and changes."""

    @pytest.mark.parametrize("pixel_format", FORMATS)
    def test_weights_say_what_a_colour_is_stored_as(
        self, tmp_path: Path, pixel_format: str
    ) -> None:
        paint = flat((200, 90, 40))
        frame = one_frame(tmp_path, pixel_format=pixel_format, paint=paint)
        for plane in frame.planes((8, 8, 40, 40)):
            rgb = frame.rgb((8, 8, 9, 9))[0, 0] / (255 if plane.largest == 255 else 65535)
            left, top, _, _ = plane.part_xyxy
            stored = plane.black + np.dot(plane.weights, rgb)
            assert stored == pytest.approx(plane.samples[top, left], abs=plane.largest / 150)

    @pytest.mark.parametrize("matrix", ROTATIONS.values())
    @pytest.mark.parametrize("shrink", [1, 2])
    def test_a_place_in_the_frame_is_found_in_a_cutout_and_in_each_plane(
        self, tmp_path: Path, matrix: tuple[int, ...], shrink: int
    ) -> None:
        turned = Clip(**LOSSLESS, width=96, height=64, matrix=matrix)
        frame = first_frame(make_clip(tmp_path / "turned.mkv", turned))
        box = (10, 12, 50, 52)
        cutout = frame.cutout(box, shrink=shrink)
        luma, *_ = frame.planes(box)
        for x, y in ((12, 14), (30, 20), (47, 49)):
            across, down = np.rint(cutout.from_frame @ (x, y, 1)).astype(int)
            shown = frame.rgb((x, y, x + shrink, y + shrink)).mean(axis=(0, 1))
            np.testing.assert_allclose(
                cutout.rgb[down, across], shown, atol=30 if shrink > 1 else 3
            )
            column, row = np.rint(luma.from_frame @ (x, y, 1)).astype(int)
            stored = luma.black + np.dot(luma.weights, frame.rgb((x, y, x + 1, y + 1))[0, 0] / 255)
            assert luma.samples[row, column] == pytest.approx(stored, abs=4)

    @pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv422p10le"])
    @pytest.mark.parametrize("shrink", [1, 2, 8])
    def test_a_cutout_is_as_light_as_the_frame(
        self, tmp_path: Path, pixel_format: str, shrink: int
    ) -> None:
        frame = one_frame(tmp_path, pixel_format=pixel_format, width=94, height=62)
        cutout = frame.cutout((0, 0, frame.width, frame.height), shrink=shrink).rgb
        assert max(cutout.shape) <= frame.width / shrink
        high, wide = (side * shrink for side in cutout.shape[:2])
        shown = frame.rgb((0, 0, wide, high)).mean(axis=(0, 1))
        unit = 1 if cutout.dtype == np.uint8 else 257
        np.testing.assert_allclose(cutout.mean(axis=(0, 1)), shown, atol=0.8 * unit)

    def test_samples_are_replaced_in_a_copy_where_a_box_says(self, tmp_path: Path) -> None:
        frame = one_frame(tmp_path)
        before, box = planes_of(frame), (8, 8, 24, 24)
        planes = frame.planes(box)
        parts = [
            np.full((y1 - y0, x1 - x0), 77, np.uint8)
            for x0, y0, x1, y1 in (plane.part_xyxy for plane in planes)
        ]
        after = planes_of(frame.with_planes([(box, parts)]))
        for plane, old, new in zip(planes, before, after, strict=True):
            x0, y0, x1, y1 = plane.part_xyxy
            assert (new[y0:y1, x0:x1] == 77).all()
            new[y0:y1, x0:x1] = old[y0:y1, x0:x1]
            np.testing.assert_array_equal(new, old)
        for old, still in zip(before, planes_of(frame), strict=True):
            np.testing.assert_array_equal(old, still)
