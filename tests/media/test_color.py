import numpy as np
import pytest

from cdrl_cli.media import ColorTags, color

UNSTATED = ColorTags(None, None, None, None)


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((640, 360), 6), ((720, 576), 6), ((1280, 720), 1), ((720, 1280), 1), ((3840, 2160), 1)],
)
def test_unstated_matrix_is_what_players_assume(size: tuple[int, int], matrix: int) -> None:
    assert color.working_matrix(UNSTATED, *size) == matrix


def test_stated_matrix_wins() -> None:
    assert color.working_matrix(ColorTags(None, None, "bt2020nc", None), 64, 64) == 9


@pytest.mark.parametrize("names", [color.PRIMARIES, color.TRANSFERS, color.MATRICES])
def test_names_and_codes_are_one_to_one(names: dict[int, str]) -> None:
    assert all(color.code_of(name, names) == code for code, name in names.items())
    assert color.code_of(None, names) == 2


def code_of_light(cd_m2: float) -> int:
    """16-bit PQ code of a luminance (SMPTE ST 2084, equation 4.1)."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = (cd_m2 / 10000) ** m1
    return round(65535 * ((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def test_diffuse_white_of_hdr_is_white() -> None:
    for transfer, code in (("smpte2084", code_of_light(203)), ("arib-std-b67", 0.75 * 65535)):
        white = np.full((2, 2, 3), code, np.uint16)
        assert (color.srgb_from_hdr(white, transfer) >= 254).all()


def test_fifth_of_white_is_the_srgb_code_of_a_fifth() -> None:
    grey = np.full((1, 1, 3), code_of_light(203 / 5), np.uint16)
    expected = 255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055)
    assert color.srgb_from_hdr(grey, "smpte2084").mean() == pytest.approx(expected, abs=1)


def test_hdr_black_is_black() -> None:
    for transfer in ("smpte2084", "arib-std-b67"):
        assert not color.srgb_from_hdr(np.zeros((1, 1, 3), np.uint16), transfer).any()
