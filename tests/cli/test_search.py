"""`tunewell search` and what can be asked about its outcome."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Run
from tests.schedulers.bench import wait_until
from tunewell.service.service import Service
from tunewell.spec.states import JobState

Write = Callable[..., Path]


def test_search_runs_and_reports_its_result(run: Run, write: Write, tmp_path: Path) -> None:
    """A search ends with exit code 0; its JSON names state, rule, best, five best and counts, all of them true."""
    answer = run("search", write(max_trials=7), "--json")
    assert answer.code == 0, answer.err
    result = answer.json
    assert result["experiment"] == "quick"
    assert (result["state"], result["stop_rule"]) == ("completed", "max_trials")
    assert result["trials"]["succeeded"] == 7
    values = [trial["value"] for trial in result["top"]]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert all(trial["value"] == trial["parameters"]["x"] for trial in result["top"])
    assert result["best"] == result["top"][0]
    assert (tmp_path / ".tunewell" / "experiments" / "quick" / "report.html").read_text().count("<svg ") > 1


def test_a_trial_fits_a_narrow_terminal(run: Run, write: Write) -> None:
    """Parameters and metrics go on below themselves where a line is too short for them."""
    names = [f"parameter_{place}" for place in range(9)]
    run(
        "search",
        write(
            max_trials=1,
            parameters={name: {"low": 0, "high": 9} for name in names},
            command=["echo", "score=1", *(f"{{{name}}}" for name in names)],
        ),
    )
    lines = run("show", "quick", 1, COLUMNS="60").out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("  parameters    parameter_0="))
    assert lines[first + 1].startswith(" " * 16 + "parameter_")
    assert all(len(line) <= 60 for line in lines if not line.startswith("  log"))


def test_no_value_is_cut_off_beside_a_long_metric(run: Run, write: Write) -> None:
    """Where the whole table does not fit, columns are left out before the parameters lose figures."""
    metric = "validation_average_precision"
    spec = write(
        max_trials=1,
        objective={"metric": metric, "goal": "maximize"},
        parameters={"weight_decay": {"low": 0.0, "high": 1.0}},
        command=["echo", f"{metric}={{weight_decay}}"],
    )
    assert run("search", spec).code == 0
    wide, narrow = (run("show", "quick", COLUMNS=columns).out.splitlines()[-1] for columns in ("200", "80"))
    assert wide.split()[-1].startswith("weight_decay=0.")
    assert narrow.split()[-1] == wide.split()[-1]


def test_the_list_of_trials_fits_a_narrow_terminal(run: Run, write: Write) -> None:
    """No heading and no parameter is cut off: what matters less is left out instead."""
    run("search", write(max_trials=1))
    answer = run("show", "quick", COLUMNS="60").out
    heading = next(line for line in answer.splitlines() if line.startswith("trial  state"))
    assert heading.split()[:4] == ["trial", "state", "score", "time"] and heading.split()[-1] == "parameters"
    assert "…" not in answer and all(len(line) <= 60 for line in answer.splitlines() if "Report:" not in line)
    assert "why proposed" in run("show", "quick", COLUMNS="80").out


def test_a_column_without_values_is_left_out(run: Run, write: Write) -> None:
    """Where no parameter has a default, `check` shows no empty column of defaults."""
    declared = {"x": {"low": 0.0, "high": 1.0}}
    assert "default" not in run("check", write(parameters=declared)).out
    declared["x"]["default"] = 0.5
    assert "default" in run("check", write(parameters=declared)).out


def test_plain_lines_tell_every_trial(run: Run, write: Write) -> None:
    """Without a terminal there is a line a trial, and a summary that names best value, report and what to do next."""
    answer = run("search", write())
    for number in range(1, 5):
        assert f"trial {number}/4 succeeded" in answer.out
    assert "Report:" in answer.out
    assert "The best by hand: sh -c 'echo \"score=" in answer.out
    assert "\x1b[" not in answer.out


def test_no_command_by_hand_that_would_do_something_else(run: Run, write: Write) -> None:
    """A program that reads its parameters elsewhere than in its arguments would run without them."""
    answer = run("search", write(command=["sh", "-c", 'echo "score=$TUNEWELL_PARAMETER_X"']))
    assert answer.code == 0 and "by hand" not in answer.out
    command = ["sh", "-c", "echo score=1", "{parameters_file}"]
    assert "by hand" not in run("search", write(name="file", command=command)).out


def test_what_names_tell_is_told_beforehand_and_afterwards(run: Run, write: Write) -> None:
    """Where the name of a parameter moves the first trials, the check and each of them say so, and not else."""
    declared = {"learning_rate": {"low": 1e-5, "high": 1.0, "log": True}}
    given = {"command": ["sh", "-c", "echo score={learning_rate}"], "algorithm": "bayesian", "max_trials": 2}
    spec = write(parameters=declared, **given)
    told = "The first trials lean to where parameters called learning_rate usually do well."
    checked = run("check", spec)
    assert told in checked.out and "A default of your own" in checked.out
    run("search", spec)
    assert told in " ".join(run("show", "quick", "1").out.split())
    declared["learning_rate"]["default"] = 0.5
    assert "usually do well" not in run("check", write(parameters=declared, **given)).out


def test_finished_search_is_shown_and_not_repeated(run: Run, write: Write) -> None:
    """The same command after the end shows the same result and starts nothing."""
    spec = write()
    first, second = run("search", spec, "--json").json, run("search", spec, "--json").json
    assert second == first


def test_more_trials_continue_a_finished_search(run: Run, write: Write) -> None:
    """With a raised max_trials the search goes on behind its last trial, the earlier ones unchanged."""
    run("search", write())
    before = run("export", "quick", "--format", "json").json["trials"]
    answer = run("search", write(max_trials=6), "--json")
    after = run("export", "quick", "--format", "json").json["trials"]
    assert answer.json["trials"]["succeeded"] == 6
    assert after[:4] == before


def test_new_starts_afresh(run: Run, write: Write) -> None:
    """With --new a taken name gets a number, and the old experiment stays."""
    spec = write()
    run("search", spec)
    assert run("search", spec, "--new", "--json").json["experiment"] == "quick-2"
    listed = run("list", "--json").json
    assert [(row["name"], row["trials"]["succeeded"]) for row in listed] == [("quick-2", 4), ("quick", 4)]


def test_changed_spec_is_refused_with_the_difference(run: Run, write: Write) -> None:
    """Another spec under the same name is an error that says what differs, and changes nothing."""
    run("search", write())
    answer = run("search", write(seed=5))
    assert answer.code == 2
    assert "seed" in answer.err
    assert "--new" in answer.err
    assert "Traceback" not in answer.err


def test_no_result_is_exit_code_1(run: Run, write: Write) -> None:
    """A search without any result ends with 1 and says where to look."""
    answer = run("search", write(command=["sh", "-c", "echo broken >&2; exit 3"], max_trials=2))
    assert answer.code == 1
    assert "no trial has a result" in answer.out
    assert "tunewell logs quick 1" in answer.out
    assert "broken" in run("logs", "quick", 1).out


def test_metric_that_never_appears(run: Run, write: Write) -> None:
    """A script that ends well without the metric fails with no_metric, naming what it did report."""
    answer = run("search", write(command=["sh", "-c", "echo scor={x}"], max_trials=1))
    assert "With another objective: tunewell search SPEC.yaml --new" in answer.out
    trial = run("show", "quick", 1, "--json").json
    assert trial["cause"] == "no_metric"
    assert "scor" in trial["detail"]


def test_nan_is_never_a_result(run: Run, write: Write) -> None:
    """A NaN metric is a failure with that cause."""
    run("search", write(command=["sh", "-c", "echo score=nan"], max_trials=1))
    trial = run("show", "quick", 1, "--json").json
    assert (trial["cause"], trial["value"]) == ("non_finite", None)


@pytest.mark.parametrize(("limit", "cause"), [("max_trial_duration", "timeout"), ("max_trial_silence", "silent")])
def test_limits_of_a_trial(run: Run, write: Write, limit: str, cause: str) -> None:
    """A trial that goes on for too long, or says nothing for too long, is ended with that cause."""
    run("search", write(command=["sh", "-c", "sleep 60; echo score={x}"], max_trials=1, **{limit: "0.5s"}))
    assert run("show", "quick", 1, "--json").json["cause"] == cause


def test_failures_are_retried_by_cause(run: Run, write: Write, tmp_path: Path) -> None:
    """After the script was mended, `retry --cause` runs just the failed trials again, under their numbers."""
    script = tmp_path / "train.sh"
    script.write_text('[ "$TUNEWELL_TRIAL" -gt 2 ] && echo "score=$1" || exit 1')
    spec = write(command=["sh", "train.sh", "{x}"], max_failed_trials=10)
    assert run("search", spec, "--json").json["trials"]["failed"] == 2
    script.write_text('echo "score=$1"')
    assert "no failed trial" in run("retry", "quick", "--cause", "gpu_oom").err
    answer = run("retry", "quick", "--cause", "crashed", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["trials"]["succeeded"] == 4
    trials = run("export", "quick", "--format", "json").json["trials"]
    assert [trial["attempts"] for trial in trials] == [2, 2, 1, 1]


def test_export_as_csv(run: Run, write: Write) -> None:
    """The CSV has a row a trial with its value and a column a parameter."""
    run("search", write())
    rows = list(csv.DictReader(io.StringIO(run("export", "quick").out)))
    assert [row["number"] for row in rows] == ["1", "2", "3", "4"]
    assert all(float(row["value"]) == float(row["parameter:x"]) for row in rows)


def start(spec: Path, *options: str) -> subprocess.Popen[str]:
    """Start a search in the spec's folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tunewell", "search", str(spec), "--json", "--no-details", *options],
        cwd=spec.parent,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_interrupt_stops_in_order_and_the_same_command_goes_on(run: Run, write: Write, tmp_path: Path) -> None:
    """Ctrl-C ends the running trials, exits with 130 and leaves no process; the same command completes the search."""
    script = tmp_path / "slow.sh"
    script.write_text('touch begun; while [ ! -e go ]; do sleep 0.05; done; echo "score=$1"')
    spec = write(command=["sh", str(script), "{x}"], max_trials=2)
    process = start(spec)
    wait_until((tmp_path / "begun").exists)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert '"state": "paused"' in out
    assert "paused" in run("list").out and "Go on: tunewell resume quick" in run("show", "quick").out
    left = [p.pid for p in psutil.process_iter() if str(script) in _command_line(p)]
    assert left == []
    (tmp_path / "go").touch()
    assert run("search", spec, "--json").json["trials"]["succeeded"] == 2


def test_stop_from_another_terminal(run: Run, write: Write, tmp_path: Path) -> None:
    """`tunewell stop` ends a search that runs elsewhere, for good; a second controller is refused meanwhile."""
    script = tmp_path / "slow.sh"
    script.write_text('echo "score=$1"; touch begun; sleep 60')
    spec = write(command=["sh", "slow.sh", "{x}"], max_trials=2)
    process = start(spec)
    wait_until((tmp_path / "begun").exists)
    refused = run("search", spec)
    assert refused.code == 2
    assert "is being run by process" in refused.err
    assert run("stop", "quick").code == 0
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert '"stop_rule": "by_hand"' in out
    assert "has ended already" in run("stop", "quick").err


def test_stop_of_an_interrupted_search_ends_its_trials(run: Run, write: Write, tmp_path: Path) -> None:
    """Where the controller was killed, `tunewell stop` ends the trials that live on, and the search."""
    script = tmp_path / "orphan.sh"
    script.write_text('echo "score=$1"; touch begun; sleep 60')
    spec = write(command=["sh", "orphan.sh", "{x}"], max_trials=2)
    process = start(spec)
    wait_until((tmp_path / "begun").exists)
    process.kill()
    process.communicate()
    stopped = run("stop", "quick")
    assert stopped.code == 0, stopped.err
    assert run("show", "quick", "--json").json["state"] == "stopped"
    assert [p.pid for p in psutil.process_iter() if "orphan.sh" in " ".join(_command_line(p))] == []


def test_a_search_goes_on_after_a_pause_that_met_nobody(run: Run, write: Write, tmp_path: Path) -> None:
    """Where the search was killed and then paused, the same command goes on to the end."""
    wait = "touch begun; while ! test -e go; do sleep 0.05; done; echo score={x}"
    spec = write(command=["sh", "-c", wait], max_trials=4, max_concurrency=1)
    process = start(spec)
    wait_until((tmp_path / "begun").exists)
    process.kill()
    process.communicate()
    assert "paused" in run("list").out
    assert run("pause", "quick").code == 0
    (tmp_path / "go").touch()
    answer = run("search", spec, "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["state"], answer.json["trials"]["succeeded"]) == ("completed", 4)


def test_of_two_first_searches_one_runs(run: Run, write: Write, tmp_path: Path) -> None:
    """Of two that begin at the same moment one runs the search; the other says which process does, and what to do."""
    wait = "while ! test -e go; do sleep 0.05; done; echo score={x}"
    spec = write(command=["sh", "-c", wait], max_trials=1)
    both = {process.pid: process for process in (start(spec), start(spec))}
    (loser,) = wait_until(lambda: [pid for pid, process in both.items() if process.poll() is not None])
    (tmp_path / "go").touch()
    _, error = both.pop(loser).communicate()
    ((winner, process),) = both.items()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert f"Experiment 'quick' is being run by process {winner}. Watch it with `tunewell show quick`" in error
    assert len(run("show", "quick", "--json").json["trial_list"]) == 1


def test_an_experiment_is_shown_with_its_trials_as_json(run: Run, write: Write) -> None:
    """`show --json` has every trial as `export` has it, or those behind a number, as many as asked for."""
    run("search", write(max_trials=4))
    exported = run("export", "quick", "--format", "json").json["trials"]
    assert run("show", "quick", "--json").json["trial_list"] == exported
    assert run("show", "quick", "--json", "--after", 1, "--limit", 2).json["trial_list"] == exported[1:3]
    assert run("show", "quick", 3, "--json").json == exported[2]


def test_the_search_goes_on_when_nobody_reads_its_lines(run: Run, write: Write) -> None:
    """A reader of the progress that goes away is no end of the search."""
    spec = write(command=["sh", "-c", "sleep 0.3; echo score={x}"], max_trials=8)
    program = f"{sys.executable} -m tunewell search {spec.name} --no-details | head -n 1"
    subprocess.run(["sh", "-c", program], cwd=spec.parent, capture_output=True, check=False, timeout=60)
    wait_until(lambda: run("show", "quick", "--json").json["trials"]["succeeded"] == 8)


def test_metrics_of_one_step_come_together(run: Run, write: Write) -> None:
    """A training line and, later, a validation line of the same epoch are one report with both metrics."""
    lines = "echo 'epoch 1: loss: 0.7'; sleep 0.5; echo 'epoch 1: score: 0.5'"
    run("search", write(command=["sh", "-c", lines + "; : {x}"], max_trials=1))
    assert run("show", "quick", 1, "--json").json["reports"] == [{"step": 1, "metrics": {"loss": 0.7, "score": 0.5}}]


def test_trials_find_tunewell_and_python(run: Run, write: Write) -> None:
    """Where no environment is activated, a trial's shell still finds `tunewell report`, and `python` is this one."""
    spec = write(command=["sh", "-c", "python -c 'import tunewell' && tunewell report score={x}"], max_trials=1)
    assert run("search", spec, "--json", PATH="/usr/bin:/bin").json["trials"]["succeeded"] == 1


def test_a_python_that_has_no_tunewell_is_told_so(run: Run, write: Write) -> None:
    """A program that another Python runs than one expects fails with what helps."""
    command = [sys.executable, "-I", "-S", "-c", "import tunewell", "{x}"]
    told = " ".join(run("search", write(command=command, max_trials=1)).out.split())
    assert "No module named 'tunewell' (its Python has no Tunewell: install it there, or" in told


def test_killed_trial_processes_are_tried_again(run: Run, write: Write, tmp_path: Path) -> None:
    """A trial whose process is killed from outside is lost, not failed: it runs again under its number."""
    script = tmp_path / "dies.sh"
    script.write_text('[ "$TUNEWELL_ATTEMPT" = 1 ] && kill -9 $$; echo "score=$1"')
    answer = run("search", write(command=["sh", "dies.sh", "{x}"], max_trials=1), "--json")
    assert answer.json["trials"]["succeeded"] == 1
    assert run("show", "quick", 1, "--json").json["attempts"] == 2


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_closed_output_is_no_crash(write: Write) -> None:
    """Output into a pipe that nobody reads ends without a traceback."""
    spec = write()
    program = f"{sys.executable} -m tunewell search {spec.name} | true"
    done = subprocess.run(
        ["sh", "-c", program], cwd=spec.parent, capture_output=True, text=True, check=False, env=os.environ
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("unbuffered", "told"),
    [
        ("", "error: standard output: nothing more can be written to it (No space left on device).\n"),
        ("1", "error: a file, or the output, can't be read or written (No space left on device).\n"),
    ],
)
@pytest.mark.parametrize("arguments", [["--version"], ["tasks", "--json"], ["check", "quick.yaml"]])
def test_output_that_is_lost_is_told(arguments: list[str], unbuffered: str, told: str, write: Write) -> None:
    """Where nothing more can be printed, a command says so, without a traceback, and does not count as done."""
    write()
    assert printed(arguments, ">/dev/full", unbuffered, write) == (2, told.removesuffix("\n"))
    assert printed(arguments, ">/dev/full 2>&1", unbuffered, write) == (2, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_mistake_is_one_wherever_the_output_goes(unbuffered: str, write: Write) -> None:
    """Its exit code and words are the same into a closed output, and into a pipe that nobody reads."""
    for output in (">&-", "| true; exit ${PIPESTATUS[0]}"):
        code, told = printed(["show", "nothing"], output, unbuffered, write)
        assert code == 2 and told.startswith("error: ") and "\n" not in told, output


def printed(arguments: list[str], output: str, unbuffered: str, write: Write) -> tuple[int, str]:
    """Return the exit code of a command, and what it told on the other output."""
    command = f"{shlex.join([sys.executable, '-m', 'tunewell', *arguments])} {output}"
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "COLUMNS": "500"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=write().parent, capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stderr.strip()


def test_closed_output_needs_no_word(write: Write) -> None:
    """A command whose output was closed from the start runs."""
    spec = write()
    program = f"{sys.executable} -m tunewell search {spec.name} >&-"
    done = subprocess.run(["sh", "-c", program], cwd=spec.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_text_that_looks_like_markup_is_printed_as_it_is(run: Run, write: Write) -> None:
    """Brackets and colons in names and messages are no commands to the terminal."""
    choices = ["[red]", ":smile:", "[/]"]
    spec = write(command=["sh", "-c", "echo score=1"], parameters={"x": choices}, initial=[{"x": "[red]"}])
    answer = run("search", spec)
    assert answer.code == 0, answer.err
    shown = run("show", "quick")
    assert shown.code == 0, shown.err
    for value in choices:
        assert value in shown.out
    assert "[red]" in run("show", "quick", "1").out
    assert "[red]" in run("check", spec).out


def test_a_report_that_was_cut_off_is_written_by_the_next_call(run: Run, write: Write, tmp_path: Path) -> None:
    """A search that was interrupted after its last trial gets evaluation and report by the same command."""
    spec = write()
    run("search", spec)
    report = tmp_path / ".tunewell" / "experiments" / "quick" / "report.html"
    report.unlink()
    answer = run("search", spec)
    assert answer.code == 0
    assert report.exists()
    written = report.stat().st_mtime_ns
    run("search", spec)
    assert report.stat().st_mtime_ns == written


def test_jobs_that_were_cut_off_are_carried_out_by_the_next_call(run: Run, write: Write, tmp_path: Path) -> None:
    """The same command ends what had begun to follow the search, and trains nothing that it was not asked for."""
    spec = write()
    run("search", spec)
    with Service(tmp_path / ".tunewell") as service:
        with service.store.transaction() as tx:
            job = tx.add_job("report", "quick", caller="controller")
        assert run("search", spec).code == 0
        assert service.job(job).state is JobState.SUCCEEDED
        (tmp_path / ".tunewell" / "experiments" / "quick" / "report.html").unlink()
        assert run("search", spec).code == 0
        assert [item.kind for item in service.jobs(experiment="quick").items] == ["report"] * 3


def test_ctrl_c_after_the_last_trial(run: Run, write: Write, tmp_path: Path) -> None:
    """What follows a search is ended in order, with exit code 130; the same command finishes it."""
    wait = "case {sampling} in 1|1.0) touch begun; while ! [ -e go ]; do sleep 0.05; done;; esac; echo score={x}"
    spec = write(command=["sh", "-c", wait], sampling=0.5, finalists="full", max_trials=1)
    command = [sys.executable, "-m", "tunewell", "search", str(spec), "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_until((tmp_path / "begun").exists)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert run("show", "quick", "--json").json["state"] == "completed"
    (tmp_path / "go").touch()
    answer = run("search", spec, "--json")
    assert answer.code == 0, answer.err
    assert [one["number"] for one in answer.json["finalists"]] == [1]
    assert (tmp_path / ".tunewell" / "experiments" / "quick" / "report.html").exists()


COUNTING = """
import sys
from pathlib import Path
step = float(sys.argv[1])
memory = Path(sys.argv[2], "total")
total = float(memory.read_text()) if memory.exists() else 0.0
total += step
memory.write_text(str(total))
Path(sys.argv[3], "model").write_text(str(total))
print(f"score={total}")
"""


def test_commands_evolve_by_their_checkpoints(run: Run, write: Write, tmp_path: Path) -> None:
    """A command with {checkpoint_dir} and {fidelity} goes on from where its parent was; retraining repeats it all."""
    (tmp_path / "count.py").write_text(COUNTING)
    spec = write(
        command=[sys.executable, "count.py", "{x}", "{checkpoint_dir}", "{output_dir}", "{fidelity}"],
        parameters={"x": {"low": 1.0, "high": 2.0, "type": "float"}},
        algorithm={"name": "evolutionary", "population_size": 3, "rounds": 3},
        max_trials=None,
    )
    answer = run("search", spec, "--json")
    assert answer.code == 0, answer.err
    trials = run("export", "quick", "--format", "json").json["trials"]
    assert len(trials) == 9
    for trial in trials:
        before = trials[trial["resume_from"] - 1]["value"] if trial["resume_from"] else 0.0
        assert trial["value"] == pytest.approx(before + trial["parameters"]["x"])
    assert answer.json["best"]["value"] == max(trial["value"] for trial in trials)
    lineage = [9]
    while (parent := trials[lineage[0] - 1]["resume_from"]) is not None:
        lineage.insert(0, parent)
    assert " → ".join(map(str, lineage)) in run("show", "quick", 9).out
    retrained = run("retrain", "quick", "--json")
    assert retrained.code == 0, retrained.err
    assert float(Path(retrained.json["model"], "model").read_text()) == pytest.approx(answer.json["best"]["value"])


def test_commands_are_promoted_on_shares_of_the_data(run: Run, write: Write) -> None:
    """`data-promotion`: {sampling} is the share of the data, times `sampling`; retraining takes all of the data."""
    program = "import sys; print(f'score={float(sys.argv[1])}'); print(f'share={float(sys.argv[2])}')"
    spec = write(
        command=[sys.executable, "-S", "-c", program, "{x}", "{sampling}"],
        early_stopping="data-promotion",
        algorithm="random",
        sampling=0.5,
        max_trials=12,
    )
    answer = run("search", spec, "--json")
    assert answer.code == 0, answer.err
    trials = run("export", "quick", "--format", "json").json["trials"]
    for trial in trials:
        assert trial["reports"][-1]["metrics"]["share"] == pytest.approx(0.5 * trial["fidelity"])
        assert trial["resume_from"] is None
    by_parameters = {trial["parameters"]["x"]: trial["fidelity"] for trial in trials}
    assert max(by_parameters.values()) == 1
    assert len(by_parameters) < len(trials)
    retrained = run("retrain", "quick", "--json")
    assert retrained.json["metrics"]["share"] == 1

    unused = write(name="unused", early_stopping="data-promotion", algorithm="random")
    assert "{sampling}" in run("check", unused).out
    plain = run("check", write(name="plain", early_stopping="promotion", algorithm="random"))
    assert plain.code == 2
    assert "early_stopping: 'promotion' needs trials that go on from a checkpoint" in plain.err


def test_finalists_of_commands(run: Run, write: Write) -> None:
    """Each of the best commands runs again with {sampling} 1; one that fails there is told, and is never the best."""
    program = (
        "import sys; x, share = map(float, sys.argv[1:]); assert x < 0.8 or share < 1; print(f'score={x * share}')"
    )
    command = [sys.executable, "-S", "-c", program, "{x}", "{sampling}"]
    initial = [{"x": x} for x in (0.9, 0.7, 0.5, 0.3)]
    parameters = {"x": {"low": 0.0, "high": 1.0}}
    arguments = {"command": command, "sampling": 0.5, "initial": initial, "parameters": parameters}
    first = run("search", write(**arguments), "--json")
    assert first.json["finalists"] == []
    answer = run("search", write(**arguments, finalists="full"), "--json")
    assert answer.code == 0, answer.err
    found = [(one["number"], one["sample_value"], one["value"]) for one in answer.json["finalists"]]
    assert found == [(2, 0.35, 0.7), (3, 0.25, 0.5), (4, 0.15, 0.3), (1, 0.45, None)]
    assert "AssertionError" in answer.json["finalists"][-1]["detail"]
    text = run("search", write(**arguments, finalists="full")).out
    assert "Trained on all data" in text
    assert "failed" in text
    assert "much the same as on the sample" in text


def test_a_missing_checkpoint_is_a_named_failure(run: Run, write: Write) -> None:
    """A program that was said to be resumable but leaves no checkpoint fails by name, and is never restarted."""
    answer = run("search", write(algorithm="evolutionary", resumable=True, max_trials=4), "--json")
    trials = run("export", "quick", "--format", "json").json["trials"]
    assert answer.json["trials"]["failed"] == 2
    assert [trial["cause"] for trial in trials[2:]] == ["data_error"] * 2
    assert "has left nothing in its checkpoint folder" in trials[2]["detail"]


CURVES = """
import sys, time
x = float(sys.argv[1])
for step in range(1, 10):
    print(f"step={step} score={x * (1 - 0.7 ** step)}", flush=True)
    if x < 0.5 and step == 3 and len(sys.argv) > 2:
        time.sleep(600)
"""


def test_trials_that_promise_nothing_are_ended_early(run: Run, write: Write, tmp_path: Path) -> None:
    """With five good trainings behind it, a search that is asked to ends bad ones early, and says so."""
    (tmp_path / "curves.py").write_text(CURVES)
    good, bad = [0.9, 0.91, 0.92, 0.93, 0.94], [0.1, 0.2]
    spec = write(
        early_stopping="halving",
        command=[sys.executable, "-S", "curves.py", "{x}", "wait"],
        parameters={"x": {"low": 0.0, "high": 1.0}},
        initial=[{"x": x} for x in good + bad],
        max_trials=7,
        max_concurrency=1,
    )
    answer = run("search", spec, "--json")
    trials = run("export", "quick", "--format", "json").json["trials"]
    assert [trial["state"] for trial in trials] == ["succeeded"] * 5 + ["pruned"] * 2, answer.err
    assert all(len(trial["reports"]) == 3 for trial in trials[5:])
    assert "pruned after step" in trials[5]["detail"]
    assert answer.json["best"]["parameters"]["x"] == 0.94
    assert "Early stopping: halving" in run("check", spec).out


def test_own_commands_train_to_their_end(run: Run, write: Write, tmp_path: Path) -> None:
    """Nobody knows what early values of somebody else's program are worth, so it must ask for early stopping."""
    (tmp_path / "curves.py").write_text(CURVES)
    spec = write(
        command=[sys.executable, "-S", "curves.py", "{x}"],
        parameters={"x": {"low": 0.0, "high": 1.0}},
        initial=[{"x": x} for x in (0.9, 0.91, 0.92, 0.93, 0.94, 0.1, 0.2)],
        max_trials=7,
        max_concurrency=1,
    )
    assert "Early stopping: off" in run("check", spec).out
    assert run("check", spec, "--json").json["early_stopping"] == "off"
    assert run("search", spec, "--json").json["trials"]["succeeded"] == 7


def test_a_failed_search_has_its_exit_code_and_cause(run: Run, write: Write) -> None:
    """Too many failures are a failure, even with a result; the commonest cause is named, and nothing to do in vain."""
    spec = write(
        command=["sh", "-c", 'echo "score={x}"; test {x} -lt 2'],
        parameters={"x": {"low": 0, "high": 11}},
        algorithm="grid",
        max_trials=12,
        max_concurrency=1,
        max_failed_trials=3,
    )
    answer = run("search", spec)
    assert answer.code == 1, answer.err
    assert "failed (crashed), such as trial" in answer.out
    assert "retrain" not in answer.out and "all data" not in answer.out
    again = run("search", spec, "--json")
    assert again.code == 1 and again.json["state"] == "failed"
    first = again.json["failures"][0]
    assert (first["cause"], first["trials"]) == ("crashed", again.json["trials"]["failed"])
    shown = run("show", "quick", NO_COLOR="1")
    assert shown.code == 0 and "4 trials failed (crashed), such as trial" in shown.out and "\x1b" not in shown.out


def test_the_list_says_that_there_are_more(run: Run, write: Write, tmp_path: Path) -> None:
    """Of many experiments a list has the first, and says so; programs are given all."""
    with Service(tmp_path / ".tunewell") as service:
        for number in range(3):
            service.create({**json.loads(write().read_text()), "name": f"e{number}"})
    some = run("list", "--limit", 2)
    assert "There are more than 2 experiments: --limit 20 lists more of them" in some.out
    assert "more than" not in run("list", "--limit", 3).out
    assert len(run("list", "--json").json) == 3
    narrow = run("list", COLUMNS="40").out
    assert all(f"e{number}" in narrow for number in range(3)) and "created" in narrow


def test_import(run: Run, write: Write, tmp_path: Path) -> None:
    """A table becomes an experiment that can be shown; mistakes are told in a line."""
    spec = write("old")
    (tmp_path / "trials.csv").write_text("x,score\n7,0.5\n9,0.75\n")
    answer = run("import", spec, "trials.csv")
    assert answer.code == 0, answer.err
    assert "Imported from trials.csv" in answer.out
    assert run("show", "old", "--json").json["best"]["parameters"] == {"x": 9}
    for arguments in ((), ("none.csv",), ("trials.csv", "--study", "s"), ("trials.csv",)):
        refused = run("import", spec, *arguments)
        assert refused.code == 2
        assert refused.err.count("\n") == 1


def test_a_command_takes_the_space_of_the_search_whose_best_parameters_it_takes(run: Run, write: Write) -> None:
    """With `parameters_from`, a command need not repeat its parameters, in `check` and `search` and when it goes on."""
    program = [sys.executable, "-S", "-c", "import sys; print(f'score={float(sys.argv[1])}')", "{x}"]
    space = {"x": {"low": 1.0, "high": 2.0, "type": "float"}}
    best = run("search", write(name="earlier", command=program, parameters=space, max_trials=3), "--json").json["best"]
    again = write(name="again", command=program, parameters=None, max_trials=None, parameters_from="earlier")
    assert "x" in run("check", again, "--json").json["parameters"]
    for _ in range(2):
        answer = run("search", again, "--json")
        assert answer.code == 0, answer.err
        assert answer.json["best"]["parameters"] == best["parameters"]
    unknown = write(name="other", command=program, parameters=None, max_trials=None, parameters_from="earlyer")
    for verb in ("check", "search"):
        assert "parameters_from: there is no experiment 'earlyer'" in run(verb, unknown).err


def test_a_check_knows_how_long_trials_took(run: Run, write: Callable[..., Path]) -> None:
    """What trained the same in this home tells how long the next search takes; without a home nothing does."""
    assert "A trial takes" not in run("check", write()).out
    assert run("search", write(), "--json").code == 0
    told = run("check", write(name="next"))
    assert told.code == 0 and re.search(r"A trial takes about \S+ \S+ \(by \d+ trials? of quick\)\.", told.out), (
        told.out
    )
