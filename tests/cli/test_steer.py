"""Changing experiments from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tunewell.cli.summary import serve_text


def test_an_experiment_from_its_change_to_its_end(run: Run, write: Callable[..., Path]) -> None:
    """A larger budget and one's own configuration are on record at once; what has ended goes into the bin and away."""
    assert run("search", write(max_trials=2)).code == 0
    done = run(
        "set", "quick", "--max-trials", 4, "--max-failed-trials", "50%", "--tag", "a", "--tag", "b", "--weight", 2,
        "--private", "--description", "first try",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.startswith("Experiment 'quick' is changed: max_trials, max_failed_trials, description, weight")
    assert "Go on: tunewell resume quick, or tunewell serve." in done.out and "paused" in run("list").out
    wrong = run("set", "quick", "--weight", 0)
    assert wrong.code == 2 and "weight: 0.0 is not possible. Give a number above 0" in wrong.err
    twice = run("add", "quick", "x=5", "x=6")
    assert twice.code == 2 and "parameters.x: it is given twice. Give it once." in twice.err
    assert "tries this next: x=5" in run("add", "quick", "x=5").out
    assert run("search", write(max_trials=4, max_failed_trials="50%"), "--json").json["trials"]["succeeded"] == 4
    ended = run("add", "quick", "x=0.5")
    assert ended.code == 2 and "has ended already" in ended.err
    narrowed = ("--tag", "b", "--tag", "a", "--state", "completed", "--owner", "owner", "--search", "qui")
    assert "quick" in run("list", *narrowed).out
    assert "No experiment has the tag 'c'. Known: a, b." in run("list", "--tag", "c").out
    still_there = run("delete", "quick", "--for-good")
    assert still_there.code == 2 and "put it into the bin first: tunewell delete quick" in still_there.err
    assert "Experiment 'quick' is not in the bin" in run("restore", "quick").err
    assert "Take it out again: tunewell restore quick" in run("delete", "quick").out
    assert "quick" not in run("list").out and [one["name"] for one in run("list", "--bin", "--json").json] == ["quick"]
    assert "it is in the bin. Take it out again: tunewell restore quick" in run("show", "quick").err
    assert run("restore", "quick").code == 0 == run("delete", "quick").code == run("delete", "quick", "--for-good").code
    gone = run("restore", "quick")
    assert gone.code == 2 and "There is no experiment 'quick' in the bin" in gone.err


def test_a_search_with_a_new_budget_is_resumed(run: Run, write: Callable[..., Path]) -> None:
    """What `set` lets go on, though nobody runs it, `resume` runs; what has ended is refused, with the reason."""
    assert run("search", write(max_trials=2), "--no-details").code == 0
    ended = run("resume", "quick")
    assert ended.code == 2 and "has ended already" in ended.err
    assert run("list", "--tag", "c").out == "No experiment has the tag 'c'. None has any tag.\n"
    assert "raise the limit that ended it (tunewell set quick --help), then: tunewell resume quick" in ended.err
    assert run("pause", "quick").err == ended.err
    assert run("set", "quick", "--max-trials", 3).code == 0
    assert run("resume", "quick", "--json").json["trials"]["succeeded"] == 3


def test_labels_that_find_nothing_are_told_those_that_there_are(run: Run, write: Callable[..., Path]) -> None:
    """A tag or a project that no search has is named, with the one that was meant, or all."""
    for number, tags in enumerate((["baseline"], ["small", "old"])):
        spec = write(max_trials=1, name=f"search-{number}", tags=tags, project="signs")
        assert run("search", spec, "--no-details").code == 0
    assert run("list", "--tag", "basline").out == "No experiment has the tag 'basline'. Did you mean 'baseline'?\n"
    assert run("list", "--tag", "c").out == "No experiment has the tag 'c'. Known: baseline, old, small.\n"
    assert run("list", "--project", "cars").out == "No experiment has the project 'cars'. Known: signs.\n"
    assert run("list", "--tag", "baseline", "--tag", "small").out == "There is none of these.\n"
    assert run("list", "--tag", "c", "--json").json == []


def test_what_people_say_of_a_search(run: Run, write: Callable[..., Path]) -> None:
    """Tags come and go one by one; all of it is listed and shown, and nothing else is."""
    spec = {"max_trials": 1, "project": "signs 2026", "tags": ["baseline"], "description": "What was meant."}
    assert "Project: signs 2026 · Tags: baseline\nWhat was meant.\n" in run("search", write(**spec)).out
    assert run("set", "quick", "--tag", "small", "--tag", "baseline", "--untag", "baseline").code == 0
    shown, listed = run("show", "quick").out, run("list", "--project", "signs 2026", "--tag", "small").out
    assert "Tags: small\n" in shown and listed.split()[-3:] == ["signs", "2026", "small"]
    wrong = run("set", "quick", "--untag", "baseline", "--project", "")
    assert wrong.code == 2 and "--untag: 'quick' has no tag 'baseline'. It has small." in wrong.err
    assert run("set", "quick", "--untag", "small", "--project", "", "--description", "").code == 0
    assert "project" not in run("list").out and "Tags" not in run("show", "quick").out
    assert "has a comma" in run("set", "quick", "--tag", "a,b").err


def test_what_is_no_change(run: Run) -> None:
    """A command that says nothing, or a value without a name, is refused before anything is looked for."""
    nothing, nameless = run("set", "quick"), run("add", "quick", "0.5")
    assert nothing.code == 2 and "Give an option" in nothing.err
    assert nameless.code == 2 and "Write NAME=VALUE" in nameless.err


def test_a_home_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What serves a home that was restored says which one; the one that commands take by themselves needs no name."""
    monkeypatch.delenv("TUNEWELL_HOME", raising=False)
    assert serve_text(Path("restored")) == "tunewell serve --home restored"
    assert serve_text(Path(".tunewell").absolute()) == "tunewell serve"
    monkeypatch.setenv("TUNEWELL_HOME", "restored")
    assert serve_text(Path("restored")) == "tunewell serve"
    assert serve_text(Path(".tunewell")) == "tunewell serve --home .tunewell"
