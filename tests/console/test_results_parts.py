"""What the page of results works out: gains and their errors, choices in addresses, masks, recipes, predictions."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ruamel.yaml import YAML

from tunewell.console.results.chosen import Chosen
from tunewell.console.results.comparison import Comparison, compare
from tunewell.console.results.details import details_of
from tunewell.console.results.masks import outline_of
from tunewell.console.results.predictions import predictions_of
from tunewell.console.results.recipes import recipes
from tunewell.display.wording import test_text as text_of_test
from tunewell.service.types import Finalist, Objective, Repeated, SearchResult, TrialResult, Uncertainty
from tunewell.spec.states import ExperimentState
from tunewell.tasks.object_detection.masks import encode_pixels


def result_of(metric: str = "accuracy", goal: Any = "maximize", **more: Any) -> SearchResult:
    """Return the result of a search with two trials, of which the second is the default."""
    trials = (
        TrialResult(number=7, parameters={"rate": 0.5, "layers": 2, "same": 1}, value=0.9, origin="random"),
        TrialResult(number=1, parameters={"rate": 0.1, "same": 1}, value=0.8, origin="default"),
    )
    known: dict[str, Any] = {
        "experiment": "e",
        "project": "",
        "tags": (),
        "description": "",
        "state": ExperimentState.COMPLETED,
        "stop_rule": None,
        "detail": "",
        "objective": Objective(metric=metric, goal=goal),
        "best": trials[0],
        "default": trials[1],
        "top": trials,
        "trials": {},
        "elapsed_seconds": 1.0,
        "notes": (),
    }
    return SearchResult(**{**known, **more})


def uncertainty(**more: Any) -> Uncertainty:
    """Return what chance does to both trials: the gain is clear in validation and not on the test data."""
    known: dict[str, Any] = {
        "items": 400,
        "unit": "picture",
        "intervals": {7: (0.87, 0.93), 1: (0.76, 0.84)},
        "test_intervals": {7: (0.81, 0.89)},
        "gains": {7: (0.06, 0.14)},
        "test_gains": {7: (-0.02, 0.04)},
        "compared": (1,),
        "ties": (),
        "in_full": True,
    }
    return Uncertainty(**{**known, **more})


def cells(found: Comparison) -> dict[str, dict[str, list[str]]]:
    """Return the texts of a comparison: group → row → what stands in its cells."""
    return {
        group.title: {row.name: [f"{cell.text} {cell.note}".strip() for cell in row.cells] for row in group.rows}
        for group in found.groups
    }


def test_gains_are_told_with_direction_and_certainty() -> None:
    """A gain whose interval contains 0 is not clear; where less is better, less is a gain."""
    counts = {"val": 400, "test": 100}
    figures = {7: {"val": {"accuracy": 0.9, "f1": 0.871}, "test": {}}}
    between = {7: {"val": {"accuracy": (0.87, 0.93), "f1": (0.82, 0.91)}}}
    result = result_of(test={7: 0.85, 1: 0.84}, uncertainty=uncertainty())
    found = compare(result, figures, counts, "picture", between)
    assert found.gain is not None and found.gain.is_good and found.gain.is_clear
    assert found.test_gain is not None and found.test_gain.is_better and not found.test_gain.is_good
    assert found.same == {"same": 1}
    titles = cells(found)
    assert titles["Parameters that differ"] == {"rate": ["0.5", "0.1"], "layers": ["2", "–"]}
    assert titles["Validation, 400 pictures"] == {
        "rank": ["1", "2"],
        "accuracy": ["0.900 0.870–0.930", "0.800 0.760–0.840"],
        "over the default": ["+0.100 +0.060 to +0.140", "–"],
        "F1": ["0.871 0.820–0.910", "–"],
    }
    assert titles["Test, 100 pictures"]["over the default"][0] == "+0.010 −0.020 to +0.040"
    assert any("ahead of the other one by more than chance" in note for note in found.notes)
    worse = compare(result_of("loss", "minimize"), {}, {"val": 100}, "picture")
    assert worse.gain is not None and not worse.gain.is_better and worse.gain.ends is None
    assert "says how far chance moves" in worse.notes[0]
    program = compare(result_of(), {}, {}, None)
    assert [group.title for group in program.groups] == ["Value", "Parameters that differ"]


def test_ties_are_called_ties() -> None:
    """A trial that can't be told apart from the first has no rank of its own; trained on all data, that decides."""
    found = compare(result_of(uncertainty=uncertainty(ties=(1,))), {}, {"val": 400}, "picture")
    assert cells(found)["Validation, 400 pictures"]["rank"] == ["1", "tie with 1"]
    finalists = tuple(Finalist(number=n, sample_value=0.5, value=value) for n, value in ((1, 0.8), (7, 0.79)))
    known = uncertainty(compared=(7,), ties=(7,), intervals={1: (0.76, 0.84)})
    full = cells(compare(result_of(finalists=finalists, uncertainty=known), {}, {"val": 400}, "picture"))
    assert full["Trained on all data"] == {"rank": ["tie with 1", "1"], "accuracy": ["0.79", "0.800 0.760–0.840"]}
    assert full["Validation, 400 pictures"]["accuracy"] == ["0.9", "0.8"]


def test_nothing_is_compared_that_has_learned_from_less_data() -> None:
    """On the test data, a trial that was trained on all data has no gain over a default that had a sample."""
    finalists = tuple(Finalist(number=n, sample_value=0.5, value=value) for n, value in ((7, 0.9), (1, 0.8)))
    test = {7: 0.85, 1: 0.8}
    fair = result_of(test=test, uncertainty=uncertainty(), finalists=finalists)
    assert compare(fair, {}, {}, "picture").test_gain is not None and "with the default" in text_of_test(fair)
    for lonely in (result_of(test=test, finalists=finalists[:1]), result_of(test=test, finalists=finalists[1:])):
        assert compare(lonely, {}, {}, "picture").test_gain is None
        assert text_of_test(lonely) == "On the test data: 0.85."


def test_both_test_values_stand_with_their_intervals() -> None:
    """The default's has the digits that its interval supports, as the best one's has beside it."""
    ends = uncertainty(test_intervals={7: (0.81, 0.89), 1: (0.803, 0.871)})
    told = text_of_test(result_of(uncertainty=ends, test={7: 0.85, 1: 0.8333}))
    default = "0.833 (0.803–0.871) with the default (+0.017, within chance)."
    assert told == f"On the test data: 0.850 (0.810–0.890) against {default}"
    clear = ends.model_copy(update={"test_gains": {7: (0.01, 0.04)}})
    assert text_of_test(result_of(uncertainty=clear, test={7: 0.85, 1: 0.8333})).endswith("(+0.017).")


def test_repeats_stand_beside_the_search() -> None:
    """Means over seeds have ranks of their own, and say how many trainings are missing."""
    repeats = (
        Repeated(number=1, values={1: 0.8, 2: 0.82}, mean=0.81, deviation=0.0141, failed={}, unfinished=0),
        Repeated(number=7, values={1: 0.7}, mean=0.7, deviation=None, failed={2: "crashed"}, unfinished=1),
    )
    found = compare(result_of(repeats=repeats), {}, {}, "picture")
    assert cells(found)["Trained again with other seeds"] == {
        "rank by mean": ["2", "1"],
        "accuracy": ["0.7", "0.810 ± 0.014"],
        "seeds": ["1 1 failed, 1 not finished", "2"],
    }


def test_an_address_that_makes_no_sense_chooses_nothing() -> None:
    """Whatever stands in an address, a page comes of it; what it chooses comes back in its links."""
    odd = {"trial": "1e3", "split": "train", "cell": "1-", "threshold": "nan", "sort": "color"}
    assert Chosen.from_query(odd) == Chosen()
    query = {"trial": "3", "split": "val", "cell": "1-2", "threshold": "0.35", "sort": "-f1"}
    chosen = Chosen.from_query(query)
    assert chosen.fields == query
    assert chosen.link(cell="", trial=4) == "?trial=4&split=val&threshold=0.35&sort=-f1#evaluation"


def test_figures_at_a_threshold_follow_from_counts() -> None:
    """Precision, recall and F1 are those of the step that is nearest to what was asked for."""
    rows = [{"name": name, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 4} for name in "ab"]
    counts = {"thresholds": [0.25, 0.5, 0.75], "given": [[8, 4], [4, 0], [0, 0]], "hits": [[4, 2], [3, 0], [0, 0]]}
    measured = {"classes": rows, "by_threshold": counts, "unit": "picture"}
    details = details_of({"val": measured, "test": None}, Chosen(threshold=0.55))
    assert details is not None and details.chosen is not None
    assert (details.chosen.threshold, details.chosen.precision, details.chosen.recall) == (0.5, 0.75, 0.375)
    assert [row["precision"] for row in details.classes] == [0.75, None]
    own = details_of({"val": measured}, Chosen())
    assert own is not None and own.chosen is None and own.classes[0]["precision"] == 1.0
    assert details_of({"val": None, "test": None}, Chosen()) is None


@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1)))
@settings(max_examples=60)
def test_outlines_cover_what_masks_cover(mask: np.ndarray) -> None:
    """A path drawn again covers the same pixels, as long as the mask is no finer than the grid."""
    (encoded,) = encode_pixels(mask[None])
    outline = outline_of(encoded)
    drawn = np.zeros_like(mask)
    for x, y, height in re.findall(r"M(\d+) (\d+)h1v(\d+)h-1z", outline.path):
        drawn[int(y) : int(y) + int(height), int(x)] = 1
    assert (drawn == mask).all()
    assert outline.scale == (1.0, 1.0)


def test_outlines_of_large_masks_stay_small() -> None:
    """Of a mask of 12 million pixels, some 200 points across are drawn."""
    mask = np.zeros((3000, 4000), dtype=np.uint8)
    mask[600:2400, 1000:3000] = 1
    outline = outline_of(encode_pixels(mask[None])[0])
    strips = re.findall(r"M(\d+) (\d+)h1v(\d+)", outline.path)
    assert [int(strips[0][0]) * outline.scale[0], int(strips[-1][0]) * outline.scale[0]] == pytest.approx([1000, 2980])
    assert int(strips[0][2]) * outline.scale[1] == pytest.approx(1800)
    assert len(outline.path) < 3000


def test_recipes_say_the_same_in_every_language() -> None:
    """What is copied is read again with the very same values and types."""
    parameters = {"rate": 1e-05, "name": 'it\'s "x" # no: </pre>', "on": True, "none": None, "sides": [64, 48], "n": 3}
    texts = {recipe.name: recipe.text for recipe in recipes(parameters, 3, "ada/e")}
    assert json.loads(texts["JSON"]) == parameters
    assert YAML(typ="safe").load(texts["YAML"]) == {"parameters": parameters}
    known: dict[str, Any] = {}
    exec(texts["Python"], known)
    assert known["parameters"] == parameters


@pytest.mark.parametrize("content", [b"", b"{", b'[{"file": "a"}]', b'[{"file": "a", "error": null, "objects": [{}]}]'])
def test_damaged_predictions_are_none(content: bytes) -> None:
    """What is cut off or of another kind shows nothing."""
    assert predictions_of(iter([content])).shown == ()


def test_predictions_are_as_their_tasks_leave_them() -> None:
    """One label, several labels and objects are told apart; a picture that can't be read says why."""
    one = {
        "file": "a.png",
        "error": None,
        "top": [{"label": "cat", "probability": 0.9}, {"label": "dog", "probability": 0.1}],
    }
    several = {"file": "b.png", "error": None, "labels": ["x"], "probabilities": {"y": 0.7, "x": 0.5}}
    found = {"label": "cat", "score": 0.8, "box": [1.0, 2.0, 5.0, 9.0]}
    objects = {"file": "c.png", "error": None, "objects": [found], "preview": "previews/2.jpg", "size": [640, 320]}
    broken = {"file": "d.png", "error": "it is truncated", "objects": []}
    shown = predictions_of(iter([json.dumps([one, several, objects, broken]).encode()])).shown
    assert [(guess.label, guess.is_said) for guess in shown[0].guesses] == [("cat", True), ("dog", False)]
    assert [(guess.label, guess.is_said) for guess in shown[1].guesses] == [("x", True), ("y", False)]
    (box,) = shown[2].objects
    assert (box.x, box.y, box.width, box.height, shown[2].size, shown[2].text_height) == (1, 2, 4, 7, (640, 320), 20)
    assert shown[3].error == "it is truncated"


def test_all_probabilities_are_shown_where_they_were_asked_for() -> None:
    """The likeliest first, up to a hundred; how many are left out is told. Otherwise a few are shown."""
    many = {f"class {number}": 1 / (number + 2) for number in range(120)}
    one = {"file": "a.png", "error": None, "label": "class 0", "top": [{"label": "class 0", "probability": 0.5}]}
    several = {"file": "b.png", "error": None, "labels": ["class 3"]}
    content = json.dumps([{**each, "probabilities": many} for each in (one, several)]).encode()
    in_full, in_part = predictions_of(iter([content]), in_full=True).shown, predictions_of(iter([content])).shown
    assert [(len(each.guesses), each.guesses_left_out) for each in in_full] == [(100, 20), (100, 20)]
    assert [(len(each.guesses), each.guesses_left_out) for each in in_part] == [(1, 0), (8, 112)]
    assert [[(guess.label, guess.is_said) for guess in each.guesses[:2]] for each in in_full] == [
        [("class 0", True), ("class 1", False)],
        [("class 3", True), ("class 0", False)],
    ]
