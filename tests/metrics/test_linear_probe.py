import numpy as np

from cdrl_cli.metrics.bootstrap import bootstrap_mean
from cdrl_cli.metrics.linear_probe import balanced_accuracy, probe_across_people

PEOPLE = [f"P{i % 8}" for i in range(160)]


def test_what_is_there_is_read(generator):
    labels = generator.integers(0, 3, 160)
    features = np.eye(3)[labels] + 0.2 * generator.normal(size=(160, 3))
    assert balanced_accuracy(probe_across_people(features, labels, PEOPLE), labels) > 0.95


def test_only_those_asked_are_read(generator):
    labels = generator.integers(0, 3, 160)
    features = np.eye(3)[labels]
    read = probe_across_people(features, labels, PEOPLE, asked={"P3"})
    asked = np.array([name == "P3" for name in PEOPLE])
    np.testing.assert_array_equal(read[asked], labels[asked])
    assert (read[~asked] == -1).all()


def test_what_is_not_there_is_not_read(generator):
    labels = generator.integers(0, 4, 160)
    read = probe_across_people(generator.normal(size=(160, 6)), labels, PEOPLE)
    assert abs(balanced_accuracy(read, labels) - 0.25) < 0.12


def test_what_only_tells_people_apart_is_of_no_use(generator):
    people = np.array([int(name[1:]) for name in PEOPLE])
    labels = people % 2  # each person has one label, and is never fitted and tested
    features = np.eye(8)[people] + 0.01 * generator.normal(size=(160, 8))
    assert balanced_accuracy(probe_across_people(features, labels, PEOPLE), labels) < 0.7


def test_a_rare_class_counts_as_much_as_a_common_one():
    assert balanced_accuracy(np.zeros(100, int), np.arange(100) // 99) == 0.5


def test_an_interval_holds_its_value_and_shrinks_with_the_sample(generator):
    few, many = (
        bootstrap_mean(generator.normal(size=count), generator=generator) for count in (20, 2000)
    )
    for interval in (few, many):
        assert interval.low < interval.value < interval.high
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert str(many).startswith(f"{many.value:.3f} [")


def test_nothing_measured_is_no_number(generator):
    assert np.isnan(bootstrap_mean(np.zeros(0), generator=generator).value)
