"""Where reports are placed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tunewell.controller.sequence import LARGEST_STEP, LONGEST_NAME, LONGEST_NOTE, MOST_NOTES, Sequence
from tunewell.spec.launch import Report


def placed(sequence: Sequence, *reports: tuple[int, dict[str, float]]) -> list[tuple[int, dict[str, float]]]:
    """Return steps and metrics as they are placed."""
    found = [sequence.place(Report(step, metrics, 0.0)) for step, metrics in reports]
    return [(report.step, dict(report.metrics)) for report in found]


def steps(*given_steps: int) -> list[int]:
    """Return where reports of the objective at these steps are placed."""
    return [step for step, _ in placed(Sequence("a"), *((step, {"a": float(n)}) for n, step in enumerate(given_steps)))]


def test_steps_that_grow_stay() -> None:
    """Steps that grow are those that the trial gave, negative ones and gaps included, and nothing is noted."""
    sequence = Sequence("a")
    assert [step for step, _ in placed(sequence, (-3, {"a": 1.0}), (0, {"a": 2.0}), (7, {"a": 3.0}))] == [-3, 0, 7]
    assert sequence.notes() == ()


def test_steps_that_begin_anew_count_on() -> None:
    """A second stage, or fold, comes after the first one, and so does a third."""
    assert steps(1, 2, 3, 1, 2, 1) == [1, 2, 3, 4, 5, 6]
    assert steps(10, 20, 10, 20) == [10, 20, 21, 31]


def test_a_note_says_where_steps_began_anew() -> None:
    """The first restart is quoted, with the line that it stands in, and all are counted."""
    sequence = Sequence("a")
    placed(sequence, (1, {"a": 0.1}), (5, {"a": 0.1}))
    sequence.place(Report(1, {"a": 0.8}, 0.0, "line 6 of the output, 'epoch 1: a=0.8'"))
    placed(sequence, (2, {"a": 0.9}))
    quote = "step 1 came after step 5 (line 6 of the output, 'epoch 1: a=0.8'), as step 6"
    assert sequence.notes() == (f"The steps of a started again and are counted on: {quote}.",)
    placed(sequence, (1, {"a": 0.8}))
    assert sequence.notes() == (f"The steps of a started again and are counted on: {quote} (and 1 more).",)


def test_only_the_objective_is_said_to_begin_anew() -> None:
    """Another metric may count from 1 again, before the first value of the objective or after it, without a note."""
    sequence = Sequence("a")
    found = placed(sequence, (5, {"b": 1.0}), (1, {"a": 1.0, "b": 2.0}), (7, {"b": 3.0}), (1, {"b": 4.0}))
    assert [step for step, _ in found] == [5, 6, 12, 13]
    assert sequence.notes() == ()


def test_each_metric_has_steps_of_its_own() -> None:
    """A metric that is reported once an epoch is no restart of one that is reported at every step."""
    sequence = Sequence("a")
    given_ = [(100, {"b": 1.0}), (1, {"a": 1.0}), (200, {"b": 1.0}), (2, {"a": 1.0})]
    assert placed(sequence, *given_) == given_
    assert sequence.notes() == ()


def test_metrics_of_one_report_stay_together() -> None:
    """Where one metric of a report begins again, all of them are counted on from the same step."""
    sequence = Sequence("a")
    found = placed(
        sequence, (3, {"b": 1.0}), (2, {"a": 1.0}), (1, {"a": 2.0, "b": 2.0}), (2, {"b": 3.0}), (2, {"a": 3.0})
    )
    assert [step for step, _ in found] == [3, 2, 4, 5, 5]


def test_several_values_at_one_step() -> None:
    """Another value for the same step is placed there, in place of the first one, and noted; the same value is not."""
    sequence = Sequence("a")
    found = placed(sequence, (1, {"a": 0.5}), (1, {"b": 1.0}), (1, {"a": 0.5}), (1, {"a": 0.6}), (1, {"a": 0.7}))
    assert [step for step, _ in found] == [1] * 5
    expected = "a was reported again for the same step with another value, and the last one counts: "
    assert sequence.notes() == (f"{expected}step 1, 0.5, then 0.6 (and 1 more).",)


def test_only_the_objective_is_noted() -> None:
    """What becomes of other metrics' steps is nobody's concern."""
    sequence = Sequence("a")
    placed(sequence, (2, {"b": 1.0}), (1, {"b": 2.0}), (1, {"b": 3.0}))
    assert sequence.notes() == ()


@given(st.lists(st.tuples(st.integers(-(10**30), 10**30), st.sampled_from(["a", "b"])), max_size=30))
def test_any_steps_are_placed_in_the_order_of_reports(reports: list[tuple[int, str]]) -> None:
    """Each metric's steps never go back, and a database can hold them."""
    found = placed(Sequence("a"), *((step, {name: 0.0}) for step, name in reports))
    for metric in ("a", "b"):
        own = [step for step, metrics in found if metric in metrics]
        assert own == sorted(own)
        assert all(abs(step) <= 2 * LARGEST_STEP for step in own)


@given(st.text(st.characters(categories=("Cs", "Cc", "Lu", "Zs")), max_size=8) | st.just("x" * 100_000))
def test_names_can_be_written(name: str) -> None:
    """Names with lone surrogates or control characters, and huge ones, become ones that can be written anywhere."""
    sequence = Sequence("a")
    ((_, metrics),) = placed(sequence, (1, {name: 0.5}))
    (kept,) = metrics
    assert len(kept.encode()) == len(kept.encode("utf-8", "replace")) and len(kept) <= LONGEST_NAME
    assert not any(c < " " for c in kept)
    assert bool(sequence.notes()) == (kept != name)


def test_huge_steps_count_on() -> None:
    """Steps that no database can hold, such as times in nanoseconds, are counted, their order kept, with a note."""
    sequence = Sequence("a")
    begin = 1_700_000_000 * 10**9
    found = placed(sequence, *((begin + 5 * n, {"a": float(n)}) for n in range(3)))
    assert [step for step, _ in found] == [1, 6, 11]
    assert sequence.notes() == ("Steps beyond 9,007,199,254,740,992 were taken for the next one.",)


def test_notes_of_the_trial_are_kept() -> None:
    """What a trial says of its reports is a note, once however often, and no more than people read."""
    sequence = Sequence("a")
    for step in range(1, 21):
        sequence.place(Report(step, {"a": 0.1}, 0.0, note=f"note {max(1, step - 10)}" + " and so on" * 100))
    kept = sequence.notes()
    assert [note[:6] for note in kept] == [f"note {number}" for number in range(1, MOST_NOTES + 1)]
    assert all(len(note) == LONGEST_NOTE for note in kept)
