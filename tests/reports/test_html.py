from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.reports import examples
from tunewell.reports import html
from tunewell.reports.view import ExperimentView

PLANTED = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>{{ 7 * 7 }}"


class Page(HTMLParser):
    """What a browser would make of a report."""

    VOID = frozenset({"meta", "img", "br", "wbr", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.cards: dict[str, Any] = {}
        self.open: list[str] = []
        self.script_kind: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        self.script_kind = dict(attrs).get("type") if tag == "script" else None
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check the nesting; what stands in separate elements is separate words."""
        assert self.open.pop() == tag
        self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        """Note text, and what is told of trials."""
        if self.open and self.open[-1] == "script":
            if self.script_kind == "application/json":
                self.cards = json.loads(data)
        elif self.open and self.open[-1] not in ("style", "title"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All visible text, white space collapsed."""
        return re.sub(r"\s+", " ", "".join(self.texts))

    def count(self, tag: str) -> int:
        """Number of elements of this kind."""
        return sum(name == tag for name, _ in self.elements)


@pytest.fixture(scope="module")
def page() -> Page:
    """The report of a finished search."""
    return Page(html.render(examples.hand_signs()))


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_every_experiment_has_a_well_formed_report(make: Callable[[], ExperimentView]) -> None:
    """Whatever the state of the experiment, the report is well-formed and has its headings."""
    rendered = Page(html.render(make()))
    assert rendered.open == []
    for heading in ("The search", "All trials", "What to do next", "Spec"):
        assert heading in rendered.text


def test_the_report_asks_nobody_for_anything(page: Page) -> None:
    """No element refers to another file, and the browser is told to let only its script and its styles through."""
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert (attributes.get(name) or "data:").startswith("data:")
    (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[\w+/]+='; style-src 'sha256-[\w+/]+='; img-src data:", policy
    )
    assert not any({"style", "onclick"} & attributes.keys() for _, attributes in page.elements)


def test_the_policy_lets_the_script_and_the_styles_through() -> None:
    """The hashes of the policy are those of the one script and the one style sheet, as a browser reckons them."""
    rendered = html.render(examples.single_trial())
    for element in ("script", "style"):
        (content,) = re.findall(rf"<{element}>(.*?)</{element}>", rendered, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in rendered


def test_a_report_is_small() -> None:
    """A report of 10,000 trials is smaller than a megabyte."""
    assert len(html.render(examples.thousand(10_000)).encode()) < 1_000_000


def test_every_mark_can_be_told_about() -> None:
    """Each trial that has a mark has a row in the table, or its figures stand at the end of the page."""
    view = examples.thousand(3000)
    page = Page(html.render(view))
    marked = {number for _, attributes in page.elements if (number := attributes.get("data-trial"))}
    rows = {
        str(attributes["id"]).removeprefix("trial-") for tag, attributes in page.elements if tag == "tr" and attributes
    }
    assert len(marked) > 1000 and len(rows) == html.TRIAL_ROWS
    assert marked - rows == page.cards["trials"].keys() - rows and not rows & page.cards["trials"].keys()
    number, (state, value, rate, *_) = next(iter(page.cards["trials"].items()))
    trial = view.trial(int(number))
    assert page.cards["names"][:2] == ["validation_loss", "learning_rate"]
    assert (state, value) == ("succeeded", pytest.approx(trial.value, rel=1e-3))
    assert rate == pytest.approx(trial.parameters["learning_rate"], rel=1e-3)


def test_the_order_of_the_report(page: Page) -> None:
    """Result first, then parameters, best trials, charts, evaluation, failures, all trials, and what helps later."""
    places = [
        page.text.index(part)
        for part in (
            "Best accuracy 0.9923 (trial 34), 0.0151 above the network's default 0.9772.",
            "Best parameters",
            "The 5 best trials",
            "Progress over trials",
            "Learning curves",
            "Parameter importance",
            "Outcomes",
            "Detailed evaluation",
            "Failures",
            "All trials",
            "What to do next",
            "Spec",
            "Notes",
        )
    ]
    assert places == sorted(places)


def test_best_parameters_stand_beside_the_defaults(page: Page) -> None:
    """Each parameter shows best, default and range; constants are called fixed, conditions are named."""
    assert "learning_rate 0.0109 0.001 1e-05 … 0.1 (log)" in page.text
    assert "momentum – – 0.5 … 0.99 only with optimizer = sgd" in page.text
    assert "epochs 12 12 fixed" in page.text


def test_evaluations_show_both_splits(page: Page) -> None:
    """The five best have measures on validation and test data, heat maps, classes and embedded pictures."""
    assert page.text.count("Worst mistakes") == 10
    assert page.text.count("By class") == 10
    matrices = [
        attributes for tag, attributes in page.elements if tag == "svg" and "matrix" in (attributes.get("class") or "")
    ]
    assert len(matrices) == 10
    splits = [measured for splits in examples.hand_signs().evaluations.values() for measured in splits.values()]
    mistakes = [mistake for measured in splits if measured for mistake in measured["worst_mistakes"]]
    assert page.count("img") == sum(mistake["thumbnail"] is not None for mistake in mistakes)
    assert page.text.count("no picture") == sum(mistake["thumbnail"] is None for mistake in mistakes)
    assert "measure validation test accuracy 0.9517 0.9651" in page.text
    assert "Trial 38: accuracy 0.9825, on the test data 0.9755" in page.text


def test_an_evaluation_may_lack_everything() -> None:
    """A task that measures less, or a model that could not be measured, leaves out sections and breaks nothing."""
    view = examples.hand_signs(3)
    bare = replace(view, evaluations={view.top[0]: {"val": {"map": 0.5}, "test": None}, view.top[1]: {"val": None}})
    text = Page(html.render(bare)).text
    assert "mAP 0.5" in text
    assert "Confusion matrix" not in text
    assert text.count("Detailed evaluation") == 1
    none = Page(html.render(replace(view, evaluations={}))).text
    assert "Detailed evaluation" not in none


def test_curves_and_thresholds_of_several_labels() -> None:
    """Where labels have thresholds, the table shows them; precision over recall and calibration are drawn."""
    view = examples.hand_signs(3)
    rows = [
        {"name": "cat", "ap": 0.75, "precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 4, "score_threshold": 0.31},
        {
            "name": "<b>",
            "ap": None,
            "precision": None,
            "recall": None,
            "f1": None,
            "support": 0,
            "score_threshold": 0.5,
        },
    ]
    measured = {
        "map": 0.75,
        "unit": "picture",
        "classes": rows,
        "precision_recall": {"recall": [0, 0.5, 1], "mean": [1, 0.8, 0.5], "classes": {"cat": [1, 0.8, 0.5]}},
        "calibration": [{"probability": 0.1, "present": 0.2, "count": 9}],
        "worst_mistakes": [
            {"path": "a.jpg", "true": "cat", "predicted": "none", "label": "cat", "probability": 0.9, "thumbnail": None}
        ],
    }
    page = Page(html.render(replace(view, evaluations={view.top[0]: {"val": measured, "test": None}})))
    assert "class AP precision recall F1 pictures threshold cat 0.750 0.500 1.000 0.667 4 0.310" in page.text
    assert "Precision and recall" in page.text
    assert "Calibration" in page.text
    assert "(cat: p = 0.900)" in page.text


def test_detections_are_shown_beside_the_truth() -> None:
    """What finds objects has its average precision, its curves, the background among the confused, and pictures."""
    view = examples.hand_signs(3)
    row = {"name": "cat", "ap": 0.4321, "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 77}
    measured = {
        "map": 0.4,
        "map50": 0.7,
        "support_of": "objects",
        "classes": [row],
        "precision_recall": {"recall": [0, 1], "mean": [1, 0], "classes": {"cat": [1, 0]}},
        "confusion_matrix": [[62, 15], [8, 0]],
        "confusion_classes": ["cat", "background"],
        "worst_mistakes": [{"path": "a.jpg", "true": "background", "predicted": "cat", "probability": 0.9}],
        "pictures": [
            {"path": "a.jpg", "f1": 0.5, "picture": examples.picture(1)},
            {"path": "b.jpg", "f1": 0.5, "picture": "https://x.org/b.png"},
        ],
    }
    page = Page(html.render(replace(view, evaluations={view.top[0]: {"val": measured, "test": None}})))
    assert "mAP50 0.7" in page.text
    assert "cat that fits no object" in page.text
    assert "class AP precision recall F1 objects cat 0.432" in page.text
    assert "Precision and recall" in page.text
    assert "Marked beside found" in page.text
    assert page.count("img") == 1
    cells = [attributes for tag, attributes in page.elements if tag == "rect" and "data-true" in attributes]
    assert [(cell["data-true"], cell["data-predicted"]) for cell in cells] == [("0", "0"), ("0", "1"), ("1", "0")]


def test_the_fullest_split_orders_the_measures() -> None:
    """A measure that one split lacks stands where the other one has it."""
    view = examples.hand_signs(3)
    measured = {
        "val": {"map_small": 0.1, "map_large": None, "f1": 0.5},
        "test": {"map_small": 0.1, "map_large": 0.2, "f1": 0.5},
    }
    page = Page(html.render(replace(view, evaluations={view.top[0]: measured})))
    assert "mAP small 0.1 0.1 mAP large – 0.2 F1 0.5 0.5" in page.text


def test_pictures_that_are_not_embedded_are_left_out() -> None:
    """A thumbnail that refers to another place is not shown."""
    view = examples.hand_signs(3)
    number = view.top[0]
    mistake = {"path": "a.jpg", "true": "a", "predicted": "b", "probability": 0.9, "thumbnail": "https://x.org/a.png"}
    odd = replace(view, evaluations={number: {"val": {"worst_mistakes": [mistake]}, "test": None}})
    assert Page(html.render(odd)).count("img") == 0


def test_failures_are_told_by_cause_with_detail(page: Page) -> None:
    """Each cause has a heading in words, the number of trials and what happened."""
    assert "3 trials: out of GPU memory" in page.text
    assert "2 trials: the metric was not a finite number" in page.text
    assert "CUDA out of memory: 2.50 GiB were asked for" in page.text


def test_notes_on_trials_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trial reported that does not count stands among the notes, as text, of so many trials at most."""
    monkeypatch.setattr(html, "NOTED_ROWS", 2)
    view = examples.hand_signs(evaluated=False)
    trials = tuple(replace(t, notes=("line 3, '<b>acc</b>=n/a'",)) if t.number in (2, 3, 5) else t for t in view.trials)
    text = Page(html.render(replace(view, trials=trials))).text
    for number in (2, 3):
        assert f"Trial {number}: line 3, '<b>acc</b>=n/a'" in text
    assert "There are notes on 1 more trial" in text and "Trial 5: line 3" not in text


def test_what_people_say_is_at_the_top() -> None:
    """Project, tags and description stand in the head; where there are none, nothing does."""
    view = examples.no_success()
    said = replace(view, project="signs 2026", tags=("baseline", "small"), description="What was meant.")
    text = Page(html.render(said)).text
    assert "Project: signs 2026 · Tags: baseline, small" in text and "What was meant." in text
    assert "Tags: baseline" in Page(html.render(replace(view, tags=("baseline",)))).text
    silent = Page(html.render(view)).text
    assert "Project:" not in silent and "Tags:" not in silent


def test_no_result_is_told_plainly() -> None:
    """Without a successful trial there are no empty charts, but the failures and their logs."""
    text = Page(html.render(examples.no_success())).text
    assert "No result: all trials failed" in text
    assert "No trial has a value, so there is nothing to plot." in text
    assert "Learning curves" not in text
    assert "tunewell logs hand-signs 1" in text


def test_nothing_of_a_user_is_taken_for_html() -> None:
    """Text planted in any field of user, data or script makes no element, no template expression, no script."""
    rendered = Page(html.render(examples.planted(PLANTED)))
    plain = Page(html.render(examples.planted("plain")))
    broken = ("wbr", "text")  # long names may be broken, in tables and in charts
    tags, expected = ([tag for tag, _ in page.elements if tag not in broken] for page in (rendered, plain))
    assert tags == expected
    assert not any(name.startswith("on") for _, attributes in rendered.elements for name in attributes)
    assert rendered.text.count("{{ 7 * 7 }}") > 20
    assert "49" not in {part.strip() for part in rendered.texts}


def test_the_table_of_all_trials_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many trials the best are listed, in order, and the way to the others is named."""
    monkeypatch.setattr(html, "TRIAL_ROWS", 10)
    view = examples.thousand(60)
    rendered = html.render(view)
    assert "The 10 best of 60 trials" in Page(rendered).text
    table = rendered[rendered.index('class="sortable"') :]
    numbers = [int(number) for number in re.findall(r'<tr id="trial-(\d+)"', table)]
    assert len(numbers) == 10
    assert numbers == sorted(numbers)
    assert set(view.top) <= set(numbers)


def test_the_spec_can_be_run_again(page: Page) -> None:
    """The spec is shown as YAML that reads back to the same values, empty fields left out."""
    view = examples.hand_signs()
    rendered = html.render(view)
    shown = rendered[rendered.index("<h2>Spec</h2>") :]
    text = shown[shown.index("<pre>") + 5 : shown.index("</pre>")]
    expected = {name: value for name, value in view.spec.items() if value not in (None, [])}
    assert YAML(typ="safe").load(text) == expected


def test_writing_replaces_the_file_whole(tmp_path: Path) -> None:
    """The file is the rendered report, nothing else is left beside it, and a failure keeps the old one."""
    path = tmp_path / "report.html"
    view = examples.single_trial()
    path.write_text("old")
    broken = replace(view, top=(99,))
    with pytest.raises(KeyError):
        html.write(broken, path)
    assert path.read_text() == "old"
    html.write(view, path)
    assert path.read_text(encoding="utf-8") == html.render(view)
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_are_no_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    """A lone surrogate in any field of user, data or script keeps no report from being written."""
    path = tmp_path / "report.html"
    html.write(examples.planted("caf\udce9"), path)
    assert path.read_text(encoding="utf-8").count("caf\\udce9") > 20


def test_a_lineage_is_told_where_there_is_one() -> None:
    """The best trial of a population names the trials that it went on from, and parts of trainings say so."""
    view = examples.hand_signs(12)
    best = view.top[0]
    parents = [trial.number for trial in view.trials if trial.number != best][:2]
    plain = "".join(Page(html.render(view)).texts)
    assert "last part of the training" not in plain
    assert "trained" not in plain.partition("best trials")[2].partition("origin")[0]
    changes = {best: {"resume_from": parents[1]}, parents[1]: {"resume_from": parents[0], "fidelity": 0.5}}
    trials = tuple(replace(trial, **changes.get(trial.number, {})) for trial in view.trials)
    text = "".join(Page(html.render(replace(view, trials=trials, top=(best, parents[1])))).texts)
    assert f"Its parts were the trials {parents[0]} → {parents[1]} → {best}" in text
    assert "50%" in text


def test_a_report_may_be_written_by_many_at_once(tmp_path: Path) -> None:
    """Each of them succeeds, one of them is read, and nothing else is left."""
    path, documents = tmp_path / "report.html", [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda document: html.save(document, path), documents * 5))
    assert path.read_text() in documents and list(tmp_path.iterdir()) == [path]
