import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdrl_cli.geometry.similarity import Similarity, fit_similarity

DIMENSIONS = st.sampled_from([2, 3])
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.floats(1e-3, 1e3)


def random_rotation(dim, generator):
    q, _ = np.linalg.qr(generator.normal(size=(dim, dim)))
    q[:, 0] *= np.sign(np.linalg.det(q))
    return q


def random_similarity(dim, scale, generator):
    return Similarity(
        scale, random_rotation(dim, generator), scale * generator.normal(0, 10, size=dim)
    )


def cost(similarity, source, target, weights):
    """Term by term, as the docstring's formula says."""
    total = 0.0
    for x, y, w in zip(source, target, weights, strict=True):
        difference = y - (similarity.scale * similarity.rotation @ x + similarity.translation)
        total += w * float(difference @ difference)
    return total


@given(DIMENSIONS, SCALES, SEEDS)
def test_there_and_back(dim, scale, seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(20, dim))
    there = random_similarity(dim, scale, generator)
    np.testing.assert_allclose(there.inverse().apply(there.apply(points)), points, atol=1e-9)
    twice = there.inverse().inverse()
    np.testing.assert_allclose(twice.apply(points), there.apply(points), atol=1e-9 * scale)


@given(DIMENSIONS, SCALES, SEEDS)
def test_a_direction_is_the_difference_of_two_places(dim, scale, seed):
    generator = np.random.default_rng(seed)
    tails, heads = generator.normal(size=(2, 20, dim))
    carry = random_similarity(dim, scale, generator)
    np.testing.assert_allclose(
        carry.apply_direction(heads - tails),
        carry.apply(heads) - carry.apply(tails),
        atol=1e-9 * scale,
    )


@given(DIMENSIONS, SCALES, SEEDS)
def test_recovers_a_known_similarity(dim, scale, seed):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(12, dim))
    known = random_similarity(dim, scale, generator)
    found = fit_similarity(points, known.apply(points), generator.uniform(0.1, 5, 12))
    assert found.scale == pytest.approx(known.scale)
    np.testing.assert_allclose(found.rotation, known.rotation, atol=1e-7)
    np.testing.assert_allclose(found.translation, known.translation, atol=1e-7 * scale)


@given(DIMENSIONS, SEEDS, st.booleans())
def test_never_a_mirror(dim, seed, mirrored):
    generator = np.random.default_rng(seed)
    source = generator.normal(size=(8, dim))
    target = source * ((-1,) + (1,) * (dim - 1)) if mirrored else generator.normal(size=(8, dim))
    found = fit_similarity(source, target)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(dim), atol=1e-9)
    assert found.scale >= 0


@given(DIMENSIONS, SEEDS)
def test_a_pair_without_weight_does_not_count(dim, seed):
    generator = np.random.default_rng(seed)
    source = generator.normal(size=(10, dim))
    known = random_similarity(dim, 2.0, generator)
    target = known.apply(source)
    target[:3] += generator.normal(0, 100, (3, dim))
    weights = np.r_[np.zeros(3), np.ones(7)]
    np.testing.assert_allclose(
        fit_similarity(source, target, weights).apply(source[3:]), target[3:], atol=1e-8
    )


@given(DIMENSIONS, SEEDS)
def test_the_order_of_the_pairs_does_not_matter(dim, seed):
    generator = np.random.default_rng(seed)
    source, target = generator.normal(size=(2, 10, dim))
    weights, order = generator.uniform(0.1, 3, 10), generator.permutation(10)
    one = fit_similarity(source, target, weights)
    other = fit_similarity(source[order], target[order], weights[order])
    np.testing.assert_allclose(one.apply(source), other.apply(source), atol=1e-9)


@given(DIMENSIONS, SEEDS)
def test_a_weight_of_two_is_the_pair_twice(dim, seed):
    generator = np.random.default_rng(seed)
    source, target = generator.normal(size=(2, 6, dim))
    weighted = fit_similarity(source, target, np.array([2.0, 1, 1, 1, 1, 1]))
    repeated = fit_similarity(np.r_[source[:1], source], np.r_[target[:1], target])
    np.testing.assert_allclose(weighted.apply(source), repeated.apply(source), atol=1e-9)


@given(DIMENSIONS, SEEDS, st.floats(1e-4, 1.0))
def test_no_step_away_lowers_the_cost(dim, seed, step):
    generator = np.random.default_rng(seed)
    source, target = generator.normal(size=(2, 9, dim))
    weights = generator.uniform(0, 3, 9)
    best = fit_similarity(source, target, weights)
    least = cost(best, source, target, weights)
    for _ in range(10):
        skew = generator.normal(size=(dim, dim)) * step
        turn, _ = np.linalg.qr(np.eye(dim) + skew - skew.T)
        turn = turn * np.sign(np.diag(turn))  # qr may flip axes; near the identity none should
        if np.linalg.det(turn) < 0:
            continue
        other = Similarity(
            best.scale * float(np.exp(step * generator.normal())),
            turn @ best.rotation,
            best.translation + step * generator.normal(size=dim),
        )
        assert cost(other, source, target, weights) >= least - 1e-9


@given(DIMENSIONS, st.floats(-1e4, 1e4), SEEDS)
def test_one_place_fixes_no_scale(dim, place, seed):
    generator = np.random.default_rng(seed)
    source = np.full((7, dim), place)
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(source, generator.normal(size=(7, dim)), generator.uniform(0.1, 1, 7))


def test_one_weighted_pair_fixes_no_scale(generator):
    source, target = generator.normal(size=(2, 5, 3))
    with pytest.raises(ValueError, match="coincide"):
        fit_similarity(source, target, np.array([0.0, 0, 3, 0, 0]))
