"""Population-based training: rounds, replacement, lineages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.tuner_ways import Course, spaces
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import SpecError
from tunewell.spec.space import SearchSpace
from tunewell.tuners.catalogue import choose, create, initial_configurations
from tunewell.tuners.contract import Exhausted, Suggestion, Tuner, Wait
from tunewell.tuners.population_based import EXPLORE

SPACE = parse_space(
    {
        "rate": {"low": 1e-5, "high": 1e-1, "log": True, "default": 1e-3},
        "width": {"choices": [8, 16, 32], "default": 16},
        "layers": {"low": 1, "high": 9, "default": 3},
    }
)


def population(size: int = 4, rounds: int = 5, space: SearchSpace = SPACE, **options: Any) -> Tuner:
    """Return a population over trials that can go on from checkpoints."""
    return create(
        "evolutionary",
        space,
        goal="maximize",
        resumable=True,
        structural=("width",),
        initial=initial_configurations(space),
        population_size=size,
        rounds=rounds,
        **options,
    )


def asked(tuner: Tuner) -> Suggestion:
    """Return the next suggestion."""
    answer = tuner.ask()
    assert isinstance(answer, Suggestion), answer
    return answer


def begin(tuner: Tuner, values: list[float | None]) -> list[Suggestion]:
    """Run a round with these objectives (None: a failure); return its suggestions."""
    members = [asked(tuner) for _ in values]
    for member, value in zip(members, values, strict=True):
        tuner.tell(member.failure("crashed") if value is None else member.outcome(value))
    return members


def test_the_worst_go_on_as_copies_of_the_best() -> None:
    """Of four members one is replaced: it resumes from the best, moved; all others go on as they were."""
    tuner = population()
    first = begin(tuner, [0.5, 0.9, 0.1, 0.7])
    assert [member.fidelity for member in first] == [0.2] * 4
    assert all(member.resume_from is None for member in first)
    second = [asked(tuner) for _ in range(4)]
    assert [member.resume_from for member in second] == [1, 2, 2, 4]
    assert [member.fidelity for member in second] == [0.4] * 4
    assert [member.origin for member in second] == [
        "goes on from trial 1",
        "goes on from trial 2",
        "perturbed from trial 2",
        "goes on from trial 4",
    ]
    for member, before in zip(second, first, strict=True):
        if member.number != 7:
            assert member.parameters == before.parameters
    assert second[2].parameters != first[1].parameters
    assert second[2].parameters["width"] == first[1].parameters["width"]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("size", [2, 4])
def test_the_default_configuration_is_trained_to_the_end(asynchronous: bool, size: int) -> None:
    """Though it is always the worst: the best has something to be compared with. Another one is replaced."""
    tuner = population(size=size, asynchronous=asynchronous)
    lineage, replaced = 1, 0
    for value in range(5):
        members = begin(tuner, [0.0, *(0.5 + value + 0.01 * place for place in range(size - 1))])
        default = members[0]
        assert default.parameters == SPACE.default()
        assert default.resume_from == (None if value == 0 else lineage)
        lineage = default.number
        replaced += sum("perturbed" in member.origin for member in members)
    assert tuner.suggestions[lineage].fidelity == 1.0
    assert bool(replaced) == (size > 2)


def test_a_round_waits_for_all_of_its_members() -> None:
    """Nobody goes on before the last one has ended; then all do."""
    tuner = population()
    members = [asked(tuner) for _ in range(4)]
    for member in members[1:]:
        tuner.tell(member.outcome(0.5))
        assert isinstance(tuner.ask(), Wait)
    tuner.tell(members[0].outcome(0.1))
    second = [asked(tuner) for _ in range(4)]
    assert sorted(member.resume_from or 0 for member in second) != [1, 2, 3, 4]
    assert isinstance(tuner.ask(), Wait)


def test_asynchronous_members_do_not_wait() -> None:
    """A member goes on when it has ended, judged by those that have ended the same round before."""
    tuner = population(asynchronous=True)
    members = [asked(tuner) for _ in range(4)]
    tuner.tell(members[2].outcome(0.5))
    assert asked(tuner).resume_from == 3
    tuner.tell(members[1].outcome(0.1))
    assert (asked(tuner).origin) == "perturbed from trial 3"
    tuner.tell(members[3].outcome(0.9))
    assert asked(tuner).resume_from == 4


def test_failed_members_are_replaced() -> None:
    """However many fail, each is replaced by a copy of one that did not; if all fail, by a fresh start."""
    tuner = population()
    begin(tuner, [None, 0.3, None, None])
    second = begin(tuner, [None] * 4)
    assert [member.resume_from for member in second] == [2, 2, 2, 2]
    third = [asked(tuner) for _ in range(4)]
    assert [(member.resume_from, member.fidelity, member.origin) for member in third] == [(None, 0.6, "random")] * 4
    assert len({str(member.parameters) for member in third}) == 4


def test_the_population_ends_after_its_rounds() -> None:
    """After size × rounds trials at full fidelity nothing is left."""
    tuner = population(size=3, rounds=2)
    begin(tuner, [0.1, 0.2, 0.3])
    last = begin(tuner, [0.1, 0.2, 0.3])
    assert [member.fidelity for member in last] == [1.0] * 3
    answer = tuner.ask()
    assert isinstance(answer, Exhausted)
    assert answer.reason == "the population has been trained to the end"


def test_checkpoints_are_wanted_as_long_as_somebody_may_resume() -> None:
    """While a member is still to leave a round, those of that round are kept; then they are not."""
    tuner = population(size=3, rounds=4)
    begin(tuner, [0.1, 0.2, 0.3])
    assert set(tuner.checkpoints()) == {1, 2, 3}
    for _ in range(2):
        asked(tuner)
    assert set(tuner.checkpoints()) == {1, 2, 3}
    third = asked(tuner)
    assert set(tuner.checkpoints()) == set()
    tuner.tell(third.outcome(0.3))
    assert set(tuner.checkpoints()) == {6}


def test_checkpoints_are_kept_for_members_that_lag_behind() -> None:
    """Where members don't wait, one that is rounds behind the others may take over from any that went before it."""
    tuner = population(size=3, rounds=4, asynchronous=True)
    members = [asked(tuner) for _ in range(3)]
    tuner.tell(members[0].outcome(0.9))
    second = asked(tuner)
    tuner.tell(second.outcome(0.9))
    third = asked(tuner)
    tuner.tell(members[1].outcome(0.1))
    assert third.resume_from == second.number
    assert second.number in tuner.checkpoints()
    late = asked(tuner)
    tuner.tell(late.outcome(0.1))
    assert asked(tuner).resume_from == second.number


def test_a_retry_does_not_double_a_member() -> None:
    """A failed trial that is tried again later changes its score only."""
    tuner = population(size=2, rounds=2)
    first = [asked(tuner), asked(tuner)]
    tuner.tell(first[0].failure("crashed"))
    tuner.tell(first[0].outcome(0.9))
    tuner.tell(first[1].outcome(0.1))
    assert [asked(tuner).resume_from for _ in range(2)] == [1, 1]
    assert isinstance(tuner.ask(), Exhausted)


def test_explore_by_crossing_takes_values_of_both() -> None:
    """A replaced member has some values near its own ones, others near its new parent's; no one changes the width."""
    near_own = near_parent = 0
    for seed in range(20):
        tuner = population(explore="cross", random_probability=0.0, seed=seed)
        first = begin(tuner, [0.5, 0.9, 0.1, 0.7])
        child = [asked(tuner) for _ in range(4)][2]
        assert (child.origin, child.resume_from) == ("child of trials 2 and 3", 2)
        assert child.parameters["width"] == first[1].parameters["width"]
        own, parent = (SPACE["rate"].to_unit(member.parameters["rate"]) for member in (first[2], first[1]))
        distances = [abs(SPACE["rate"].to_unit(child.parameters["rate"]) - end) for end in (own, parent)]
        assert min(distances) <= 0.2 + 1e-9
        near_own += distances[0] <= distances[1]
        near_parent += distances[1] <= distances[0]
    assert min(near_own, near_parent) > 4


def test_explore_by_pshe2_moves_between_the_member_and_the_best() -> None:
    """Without the disturbance a replaced member would land between its own values and its new parent's."""
    space = parse_space({"x": {"low": 0.0, "high": 1.0}})
    found = []
    for seed in range(40):
        initial = [("initial", {"x": x}) for x in (0.1, 0.9)]
        tuner = create(
            "evolutionary",
            space,
            goal="maximize",
            seed=seed,
            resumable=True,
            initial=initial,
            population_size=2,
            rounds=4,
            explore="pshe2",
        )
        begin(tuner, [0.0, 1.0])
        child = next(member for member in (asked(tuner), asked(tuner)) if member.origin == "moved from trial 2")
        assert child.resume_from == 2
        found.append(child.parameters["x"])
    # (1): m = 0.5 (0.8 + 0.8); (2): x = 0.1 + 0.5 m = 0.5; (3) moves by 0.2 of the way to either end.
    assert sum(found) / len(found) == pytest.approx(0.5, abs=0.03)
    assert 0.4 <= min(found) < max(found) <= 0.6


@settings(max_examples=20, deadline=None)
@given(space=spaces(), data=st.data(), asynchronous=st.booleans(), explore=st.sampled_from(EXPLORE))
def test_lineages_are_consistent(space: SearchSpace, data: st.DataObject, asynchronous: bool, explore: str) -> None:
    """Whatever ends how and when: a trial is one round ahead of the one that it goes on from, and of the same shape."""
    subject = create(
        "evolutionary",
        space,
        goal="minimize",
        resumable=True,
        structural=[space.names[0]],
        population_size=3,
        rounds=4,
        asynchronous=asynchronous,
        explore=explore,
    )
    Course(data, subject).go_on(30)
    assert len(subject.suggestions) <= 12
    for number, before in subject.parents.items():
        child, parent = subject.suggestions[number], subject.suggestions[before]
        assert child.fidelity == pytest.approx(parent.fidelity + 0.25)
        fixed = space.names[0]
        assert child.parameters.get(fixed) == parent.parameters.get(fixed)


@pytest.mark.parametrize(
    ("max_trials", "epochs", "wishes", "expected"),
    [
        (None, None, {}, (8, 10)),
        (None, 5, {}, (8, 5)),
        (20, None, {}, (4, 5)),
        (80, None, {}, (8, 10)),
        (6, None, {}, (2, 3)),
        (40, None, {"rounds": 5}, (8, 5)),
        (40, None, {"population_size": 8}, (8, 5)),
        (None, None, {"population_size": 5, "rounds": 7}, (5, 7)),
        (None, 12, {"disturbance_interval": 3}, (8, 4)),
        (None, 12, {"disturbance_interval": 3, "rounds": 4}, (8, 4)),
        (24, 12, {"disturbance_interval": 2}, (4, 6)),
    ],
)
def test_size_and_rounds_fit_into_the_trials(
    max_trials: int | None, epochs: int | None, wishes: dict[str, int], expected: tuple[int, int]
) -> None:
    """What the user leaves open is chosen so that the population is trained to the end."""
    choice = choose("evolutionary", SPACE, max_trials, resumable=True, epochs=epochs, **wishes)
    assert (choice.options["population_size"], choice.options["rounds"]) == expected
    assert choice.max_trials == (max_trials or expected[0] * expected[1])
    create("evolutionary", SPACE, goal="minimize", resumable=True, epochs=epochs, **choice.options)


@pytest.mark.parametrize(
    ("arguments", "wishes", "complaint"),
    [
        ({"max_trials": 3}, {}, "max_trials: 3 are too few for 2 members in 2 rounds"),
        ({"max_trials": 20}, {"population_size": 8, "rounds": 10}, "max_trials: 20 are too few for 8 members"),
        ({"epochs": 5}, {"rounds": 10}, "algorithm.rounds: 10 are more than the epochs"),
        ({}, {"disturbance_ratio": 0.9}, "algorithm.disturbance_ratio: 0.9 is not possible. Give a number from"),
        ({"epochs": 12}, {"disturbance_interval": 5}, "2 rounds of 5 epochs are 10 epochs, and a training has 12"),
        ({"epochs": 12}, {"disturbance_interval": 3, "rounds": 5}, "5 rounds of 3 epochs are 15 .* a training has 12"),
        ({"epochs": 3}, {"disturbance_interval": 3}, "2 rounds of 3 epochs are 6 epochs, and a training has 3"),
        ({}, {"disturbance_interval": 3}, "algorithm.disturbance_interval: it is a number of epochs, .* not known"),
        ({"epochs": 12}, {"disturbance_interval": 21}, "Give a whole number from 1 to 20"),
        ({}, {"asynchronous": 1}, "algorithm.asynchronous: 1 is not possible. Give true or false"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, int], wishes: dict[str, Any], complaint: str) -> None:
    """The error names the field, the value and what would do."""
    with pytest.raises(SpecError, match=complaint):
        choose("evolutionary", SPACE, resumable=True, **arguments, **wishes)


def test_a_recorded_population_keeps_its_size() -> None:
    """Fewer or more trials than it was made for change nothing in it."""
    for max_trials in (5, 500):
        tuner = population(size=4, rounds=5, max_trials=max_trials)
        assert [asked(tuner).fidelity for _ in range(4)] == [0.2] * 4
        assert isinstance(tuner.ask(), Wait)


def test_a_population_has_room_for_all_first_configurations() -> None:
    """More of them than members are refused: a population that grew would not be trained to the end."""
    with pytest.raises(SpecError, match="initial: 3 configurations, the default one among them, for 2 members"):
        create(
            "evolutionary",
            SPACE,
            goal="maximize",
            resumable=True,
            initial=initial_configurations(SPACE, [{"rate": 1e-4, "width": 8, "layers": n} for n in (1, 2)]),
            population_size=2,
            rounds=3,
        )


def test_options_of_populations_need_checkpoints() -> None:
    """Without them they are refused, not ignored; `rounds` gives the number of trials; the reason says what is done."""
    choice = choose("evolutionary", SPACE, population_size=4, rounds=6)
    assert choice.max_trials == 24
    assert choice.options == {"population_size": 4}
    assert choice.reason.startswith("over full trainings")
    for option in ({"explore": "pshe2"}, {"asynchronous": True}):
        with pytest.raises(SpecError, match=r"algorithm\.\w+: the trials can't go on from one another's checkpoints"):
            choose("evolutionary", SPACE, **option)  # type: ignore[arg-type]


def test_without_checkpoints_full_trainings_evolve() -> None:
    """Trials that can't resume are trained in full, and children come near their parents."""
    tuner = create("evolutionary", SPACE, goal="maximize", population_size=4)
    for _ in range(30):
        suggestion = asked(tuner)
        assert (suggestion.fidelity, suggestion.resume_from) == (1.0, None)
        tuner.tell(suggestion.outcome(-abs(suggestion.parameters["layers"] - 7)))
    late = [tuner.suggestions[number] for number in range(21, 31)]
    assert sum(abs(suggestion.parameters["layers"] - 7) <= 2 for suggestion in late) >= 7
    assert all("trial" in suggestion.origin or suggestion.origin == "random" for suggestion in late)
