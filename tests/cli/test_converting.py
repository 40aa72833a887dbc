"""`tunewell init` makes specs of files of NNI and Katib, and says what it leaves out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tunewell.cli.converting.conversion import convert
from tunewell.cli.converting.nni_space import parameters_of
from tunewell.cli.converting.source import TAKEN, Notes
from tunewell.integrations import nni
from tunewell.spec.declaration import parse_space
from tunewell.spec.errors import UserError
from tunewell.spec.files import parse_spec as parse_text
from tunewell.spec.files import read_spec_file
from tunewell.tasks.command import RESERVED

NNI_SPACE = {
    "lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "batch size": {"_type": "choice", "_value": [16, 32]},
    "block": {
        "_type": "choice",
        "_value": [
            {"_name": "empty"},
            {"_name": "conv", "kernel": {"_type": "choice", "_value": [1, 3]}},
        ],
    },
}
NNI = """
experimentName: my signs
searchSpaceFile: space.json
trialCommand: python trial.py
trialCodeDirectory: code
trialGpuNumber: 0
trialConcurrency: 1
maxExperimentDuration: 0.5h
maxTrialNumber: 3
tuner:
  name: TPE
  classArgs: {optimize_mode: minimize, seed: 3, tpe_args: {gamma: 0.2}}
assessor: {name: Medianstop}
trainingService: {platform: remote, machineList: [{host: a, user: b, password: secret-word}]}
"""
NNI_PROGRAM = """
from tunewell.integrations import nni

given = nni.get_next_parameter()
assert given["block"]["_name"] in ("empty", "conv")
nni.report_intermediate_result(1.0)
nni.report_final_result({"default": given["lr"], "kernel": given["block"].get("kernel", 0)})
"""
KATIB = r"""
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata:
  name: signs
  namespace: kubeflow
  labels: {team: vision, baseline: "", app.kubernetes.io/managed-by: a-tool-of-some-long-name-that-says-much}
spec:
  objective: {type: maximize, goal: 0.99, objectiveMetricName: Validation-accuracy, additionalMetricNames: [loss]}
  algorithm:
    algorithmName: sobol
    algorithmSettings: [{name: random_state, value: "7"}, {name: other, value: "1"}]
  earlyStopping: {algorithmName: medianstop, algorithmSettings: [{name: start_step, value: "5"}]}
  parallelTrialCount: 1
  maxTrialCount: 3
  maxFailedTrialCount: 2
  resumePolicy: Never
  metricsCollectorSpec:
    collector: {kind: StdOut}
    source: {filter: {metricsFormat: ['([\w|-]+)\s*is\s*([+-]?\d*(\.\d+)?)']}}
  parameters:
    - {name: lr, parameterType: double, feasibleSpace: {min: "0.01", max: "1", distribution: logUniform}}
    - {name: share, parameterType: double, feasibleSpace: {min: "0", max: "1"}}
    - {name: num-layers, parameterType: int, feasibleSpace: {min: "2", max: "8", step: "2"}}
    - {name: optimizer, parameterType: categorical, feasibleSpace: {list: [sgd, "1"]}}
    - {name: --batch, parameterType: discrete, feasibleSpace: {list: ["64", "16"]}}
  trialTemplate:
    primaryContainerName: training
    trialParameters:
      - {name: learningRate, description: a rate, reference: lr}
      - {name: layers, reference: num-layers}
      - {name: batch, reference: --batch}
      - {name: id, reference: "${trialSpec.Name}"}
    trialSpec:
      apiVersion: kubeflow.org/v1
      kind: PyTorchJob
      spec:
        pytorchReplicaSpecs:
          Master:
            template:
              spec:
                containers:
                  - name: sidecar
                    image: other:1
                  - name: training
                    image: signs:1
                    command: [sh, train.sh, "--id=${trialParameters.id}", "$(DATA)/{x}"]
                    args: ["--lr=${trialParameters.learningRate}", --layers, "${trialParameters.layers}"]
                    env:
                      - {name: DATA, value: /data}
                      - {name: BATCH, value: "${trialParameters.batch}"}
                      - {name: TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}
                    resources: {limits: {memory: 1Gi, cpu: 500m, ephemeral-storage: 1Gi}}
                    volumeMounts: [{name: v, mountPath: /data}]
          Worker:
            template: {spec: {containers: [{name: training, image: signs:1, command: [sh, train.sh]}]}}
"""


def test_a_configuration_of_nni_is_searched(run: Run, tmp_path: Path) -> None:
    """The spec says what NNI's file says, notes the rest, passes the check, and runs a program for NNI."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "trial.py").write_text(NNI_PROGRAM)
    (tmp_path / "space.json").write_text(json.dumps(NNI_SPACE))
    (tmp_path / "config.yml").write_text(NNI)
    answer = run("init", "config.yml")
    assert (answer.code, answer.err) == (0, "") and answer.out.endswith("Next: tunewell check my-signs.yaml\n")
    text = (tmp_path / "my-signs.yaml").read_text()
    for note in (
        "program: put `from tunewell.integrations import nni` in the place of `import nni`",
        "batch size: its name becomes batch_size, by which the program finds it",
        "tuner.classArgs.tpe_args: has no counterpart and is left out",
        "trainingService: trials run on this machine",
    ):
        assert f"# - {note}" in text and f"Note: {note}" in answer.out
    assert "secret-word" not in text + answer.out
    spec = read_spec_file(tmp_path / "my-signs.yaml")
    assert spec == {
        "name": "my-signs",
        "command": ["python", "trial.py"],
        "working_directory": str(tmp_path / "code"),
        "objective": {"metric": "default", "goal": "minimize"},
        "parameters": {
            "lr": {"low": 0.0001, "high": 0.1, "log": True},
            "batch_size": [16, 32],
            "block._name": ["empty", "conv"],
            "block.conv.kernel": {"choices": [1, 3], "when": {"block._name": "conv"}},
        },
        "algorithm": "tpe",
        "resources": {"gpus": 0},
        "early_stopping": "median",
        "seed": 3,
        "max_trials": 3,
        "max_duration": "0.5h",
        "max_concurrency": 1,
    }
    assert run("check", "my-signs.yaml").code == 0
    own = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as where its environment is activated
    result = run("search", "my-signs.yaml", "--json", PATH=own)
    assert result.code == 0 and result.json["best"]["value"] < 0.2


def test_an_experiment_of_katib_is_searched(run: Run, tmp_path: Path) -> None:
    """The spec says what Katib's file says, notes the rest, passes the check, and runs the container's command."""
    (tmp_path / "signs.yaml").write_text(KATIB)
    (tmp_path / "train.sh").write_text('echo "$@" "$BATCH"; echo "Validation-accuracy is 0.5"')
    answer = run("init", "signs.yaml")
    assert (answer.code, answer.err) == (0, "") and answer.out.endswith("Next: tunewell check signs-search.yaml\n")
    spec = read_spec_file(tmp_path / "signs-search.yaml")
    assert spec.pop("metric_pattern") == r"(?P<name>[\w|-]+)\s*is\s*(?P<value>[+-]?\d*(\.\d+)?)"
    command = ["sh", "train.sh", "--id={experiment}-{trial}", "/data/{{x}}", "--lr={lr}", "--layers", "{num-layers}"]
    assert spec == {
        "name": "signs-search",
        "command": ["env", "BATCH={batch}", *command],
        "working_directory": str(tmp_path),
        "environment": {"DATA": "/data"},
        "objective": {"metric": "Validation-accuracy", "goal": "maximize", "target": 0.99},
        "parameters": {
            "lr": {"low": 0.01, "high": 1.0, "log": True},
            "share": {"low": 0.0, "high": 1.0},
            "num-layers": {"low": 2, "high": 8, "step": 2},
            "optimizer": ["sgd", "1"],
            "batch": {"ordinal": [16, 64]},
        },
        "algorithm": {"name": "random", "sequence": "sobol"},
        "resources": {"memory": "1G", "cpus": 0.5},
        "seed": 7,
        "early_stopping": "median",
        "max_trials": 3,
        "max_concurrency": 1,
        "max_failed_trials": 2,
        "project": "kubeflow",
        "tags": ["team=vision", "baseline"],
    }
    noted = [line.removeprefix("Note: ") for line in answer.out.splitlines() if line.startswith("Note: ")]
    for part in (
        "spec.parameters.--batch: its name becomes batch",
        "containers[1].image: signs:1 is not used",
        "containers[1].env[2].valueFrom: TOKEN comes from the cluster",
        "limits.ephemeral-storage: has no counterpart",
        "containers[1].volumeMounts: has no counterpart",
        "containers[0].name: no other container is started",
        "pytorchReplicaSpecs.Worker: has no counterpart",
        "spec.algorithm.algorithmSettings: other=1 has no counterpart",
        "spec.earlyStopping.algorithmSettings: start_step=5 has no counterpart",
        "spec.resumePolicy: has no counterpart",
        "metadata.labels: app.kubernetes.io/managed-by=a-tool-of-some-long-name-that-says-much is left out: 20",
        "metricStrategies: Katib takes a trial's max; here the value that it prints last counts",
    ):
        assert any(part in note for note in noted), part
    assert len(noted) == 12
    assert run("check", "signs-search.yaml").code == 0
    assert run("search", "signs-search.yaml", "--json").json["best"]["value"] == 0.5
    (log,) = (tmp_path / ".tunewell/experiments/signs-search/trials/2").glob("*/output.log")
    assert log.read_text().startswith("--id=signs-search-2 /data/{x} --lr=0.")


@pytest.mark.parametrize(
    ("kind", "value", "declaration", "note"),
    [
        ("choice", ["a", None, True], {"choices": ["a", None, True]}, ""),
        ("choice", [1, 2, 1], {"choices": [1, 2]}, "values that are there twice count once"),
        ("choice", [[1, 2], [3]], {"choices": ["[1, 2]", "[3]"]}, "the program gets a list as a text in JSON"),
        ("randint", [1, 9], {"low": 1, "high": 8}, ""),
        ("randint", [9], {"low": 0, "high": 8}, ""),
        ("uniform", [0, 1], {"low": 0.0, "high": 1.0}, ""),
        ("quniform", [2, 10, 2], {"low": 2, "high": 10, "step": 2}, ""),
        ("quniform", [0.1, 0.5, 0.1], {"low": 0.1, "high": 0.5, "step": 0.1}, ""),
        ("quniform", [2, 10, 5], {"low": 5, "high": 10, "step": 5}, "2 is no multiple of 5"),
        ("quniform", [2, 4, 10], {"ordinal": [2, 4]}, ""),
        ("quniform", [2, 9, 5], {"ordinal": [2, 5, 9]}, ""),
        ("loguniform", [0.001, 1], {"low": 0.001, "high": 1.0, "log": True}, ""),
        ("qloguniform", [1, 64, 1], {"low": 1, "high": 64, "log": True}, ""),
        ("qloguniform", [8, 64, 8], {"low": 8.0, "high": 64.0, "log": True}, "not rounded to multiples of 8"),
        ("normal", [1, 0.5], {"low": -0.5, "high": 2.5}, "3 standard deviations"),
        ("qnormal", [10, 2, 1], {"low": 4, "high": 16, "step": 1}, "3 standard deviations"),
        ("lognormal", [0, 1], {"low": 0.0497871, "high": 20.0855, "log": True}, "3 standard deviations"),
        ("qlognormal", [0, 1, 0.1], {"low": 0.0497871, "high": 20.0855, "log": True}, "not rounded"),
    ],
)
def test_kinds_of_nni(kind: str, value: list[Any], declaration: dict[str, Any], note: str) -> None:
    """Each kind of NNI's becomes a declaration that is right; what it can't say is noted."""
    notes = Notes()
    found = parameters_of({"x": {"_type": kind, "_value": value}}, notes)
    assert found == {"x": declaration}
    parse_space(found)
    assert bool(notes.lines) == bool(note) and (not note or any(note in line for line in notes.lines))


def test_a_search_space_alone(run: Run, tmp_path: Path) -> None:
    """What is missing in a space without a configuration is said."""
    (tmp_path / "search_space.json").write_text(json.dumps(NNI_SPACE))
    answer = run("init", "search_space.json")
    assert answer.code == 0 and "Note: command: the file names no program: put yours in the place" in answer.out
    (tmp_path / "train.py").touch()
    assert run("check", "search_space.yaml").code == 0


def test_the_fields_of_nni_1(tmp_path: Path) -> None:
    """Configurations with the names of version 1 are read; paths go by the file, whatever the spec's folder is."""
    (tmp_path / "space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')
    (tmp_path / "a.yml").write_text(
        "{authorName: me, experimentName: old, trialConcurrency: 2, maxExecDuration: 1h, maxTrialNum: 5, "
        "trainingServicePlatform: local, searchSpacePath: space.json, useAnnotation: false, "
        "tuner: {builtinTunerName: GridSearch, classArgs: {optimize_mode: minimize}}, "
        "assessor: {builtinAssessorName: Curvefitting, classArgs: {epoch_num: 20}}, "
        "trial: {command: 'A=1 python a.py | tee ${HOME}/log', codeDir: ., gpuNum: 0}}"
    )
    made = convert(tmp_path / "a.yml", tmp_path / "specs")
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "old.yaml").write_text(made.text)
    spec = read_spec_file(tmp_path / "specs" / "old.yaml")
    assert spec["command"] == ["bash", "-c", "A=1 python a.py | tee ${{HOME}}/log"]
    assert (spec["working_directory"], spec["algorithm"], spec["max_trials"]) == (str(tmp_path), "grid", 5)
    noted = "\n".join(made.notes)
    assert "trialCommand: it needs a shell" in noted and "assessor.name: curvefitting is not built in" in noted
    assert "assessor.classArgs.epoch_num: has no counterpart" in noted and "early_stopping" not in spec


SPACE = "searchSpace: {x: {_type: uniform, _value: [0, 1]}}"


def _space(*names: str) -> str:
    """Return a configuration of NNI with parameters of these names."""
    space = {name: {"_type": "choice", "_value": [1]} for name in names}
    return json.dumps({"trialCommand": "a", "searchSpace": space})


def _branches(*names: str) -> str:
    """Return a configuration of NNI with a choice among sub-spaces of these names, each with a parameter `k`."""
    values = [{"_name": name, "k": {"_type": "choice", "_value": [1]}} for name in names]
    return json.dumps({"trialCommand": "a", "searchSpace": {"x": {"_type": "choice", "_value": values}}})


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 1", "it is no file of a tool that is known"),
        ("task: image-classification", "it looks like a spec itself"),
        ("a: [", "never closed"),
        ("[1, 2]", "it holds no mapping"),
        ("trialCommand: python a.py", "searchSpace: there is none"),
        (
            "trialCommand: a\nsearchSpaceFile: none.json",
            "searchSpaceFile: there is no file 'none.json'. Give its",
        ),
        ("trialCommand: a\nuseAnnotation: true", "annotations in a program are not read"),
        ("trialCommand: a\nexperimentType: nas\n" + SPACE, "experimentType: only searches for hyperparameters"),
        (SPACE, "trialCommand: there is none"),
        (f"trialCommand: a\nmaxTrialNumber: many\n{SPACE}", "maxTrialNumber: 'many' is not a whole number"),
        (f"trialCommand: a\nmaxExperimentDuration: long\n{SPACE}", "maxExperimentDuration: 'long' is no duration"),
        (f"trialCommand: a\ntuner: {{name: Batch}}\n{SPACE}", "a batch of configurations is no search space"),
        (f"trialCommand: a\ntuner: {{name: TPE, classArgs: {{optimize_mode: up}}}}\n{SPACE}", "'up' is no goal"),
        ("trialCommand: a\nsearchSpace: {x: {_type: unifrom, _value: [0, 1]}}", "Did you mean 'uniform'?"),
        ("trialCommand: a\nsearchSpace: {x: {_type: uniform, _value: [0]}}", "searchSpace.x._value: [0] are not 2"),
        ("trialCommand: a\nsearchSpace: {x: {_type: quniform, _value: [0, 1, 0]}}", "the step 0 is not above 0"),
        ("trialCommand: a\nsearchSpace: {x: {_type: randint, _value: [3, 3]}}", "holds no whole number"),
        ("trialCommand: a\nsearchSpace: {x: {_type: uniform, _value: [2, 1]}}", "2 is above high = 1"),
        ("trialCommand: a\nsearchSpace: {x: {_type: choice, _value: [1, {_name: b}]}}", "1 is no sub-space"),
        ("trialCommand: a\nsearchSpace: {x: 5}", "5 has no `_type` and `_value`"),
        ("{apiVersion: kubeflow.org/v1alpha3, kind: Experiment}", "'kubeflow.org/v1alpha3' is not known"),
        ("{apiVersion: kubeflow.org/v1beta1, kind: Experiment}", "spec.parameters: there are none"),
        (KATIB.replace("type: maximize", "type: up"), "spec.objective.type: 'up' is no goal"),
        (KATIB.replace("sobol", "darts"), "darts searches for networks"),
        (KATIB.replace('min: "2"', "min: two"), "'two' is not a whole number"),
        (KATIB.replace('min: "0.01"', 'min: "0"'), "a log scale can't reach 0"),
        (KATIB.replace("parameterType: int", "parameterType: itn"), "Did you mean 'int'?"),
        (KATIB.replace("reference: lr", "reference: lrr"), "'lrr' is no parameter. Did you mean 'lr'?"),
        (KATIB.replace("${trialParameters.layers}", "${trialParameters.layrs}"), "Did you mean 'layers'?"),
        (KATIB.replace("primaryContainerName: training", "primaryContainerName: main"), "there is no container 'main'"),
        (KATIB.replace("command:", "order:"), "containers[1].command: there is none"),
        (KATIB.replace("    trialSpec:", "    configMap: {configMapName: a}\n    trialSpec:"), "lies elsewhere"),
        (KATIB.replace("cpu: 500m", "cpu: half"), "'half' is no quantity"),
        # What would be lost, or be something else, without a word.
        ("trialCommand: a\nsearchSpace: {x: {_type: [a], _value: [0]}}", "x._type: ['a'] is not known"),
        ("trialCommand: a\nsearchSpace: {x: {_type: lognormal, _value: [0, 1.0e+308]}}", "is too wide"),
        (f"trialCommand: a\nmaxTrialNumber: -1\n{SPACE}", "max_trials: -1 is below 1"),
        (f"trialCommand: a\nmaxTrialNumber: 5\nmax_trial_number: 6\n{SPACE}", "there as 'maxTrialNumber', too"),
        (f"trialCommand: a\nmaxTrialNum: 5\nmaxTrialNumber: 6\n{SPACE}", "maxTrialNumber says the same"),
        (f"trialCommand: a\ntrial: {{command: b}}\n{SPACE}", "trial.command: trialCommand says the same"),
        (_space("x y", "x_y"), "searchSpace.x_y: another parameter is called 'x_y', too"),
        (_space("x-y", "x_y"), "a program can't tell it from 'x-y'"),
        (_branches("a b", "a_b"), "searchSpace.x.a_b.k: another parameter is called 'x.a_b.k', too"),
        (_branches("a", "a"), "searchSpace.x._value: two sub-spaces are called 'a'"),
        (KATIB.replace("name: share", "name: lr"), "spec.parameters.lr: another parameter is called 'lr', too"),
        (KATIB.replace("name: share", "name: batch"), "another parameter is called 'batch', too"),
        (KATIB.replace("cpu: 500m", "nvidia.com/gpu: 500m"), "'500m' is no whole number"),
        (KATIB.replace("cpu: 500m", f"cpu: {'9' * 400}"), "is too much"),
        (KATIB.replace("{name: BATCH,", "{name: --chdir,"), "'--chdir' is no name of a variable"),
        (KATIB.replace("{name: BATCH,", "{"), "null is no name of a variable"),
        (KATIB.replace("value: /data}", "value: {a: 1}}"), ": it is not a text"),
        (KATIB.replace("[sh, train.sh,", "[sh, {a: 1},"), "command[1]: it is not a text"),
        (
            KATIB.replace("--lr=${trialParameters.learningRate}", "{${trialParameters.learningRate}}"),
            "right between braces",
        ),
    ],
)
def test_what_can_not_be_taken_over(tmp_path: Path, text: str, error: str) -> None:
    """A file that is wrong, or no other tool's, is one clear error."""
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError) as raised:
        convert(tmp_path / "a.yaml", tmp_path)
    assert error in str(raised.value)


def test_a_file_that_is_wrong_leaves_nothing(run: Run, tmp_path: Path) -> None:
    """The command ends with an error, and writes no spec."""
    (tmp_path / "config.yml").write_text("trialCommand: a\nsearchSpace: {x: 5}")
    answer = run("init", "config.yml")
    assert answer.code == 2 and answer.err.startswith("error: searchSpace.x: 5 has no `_type`")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yml"]


def test_names_that_stand_for_something_else(tmp_path: Path) -> None:
    """A parameter gets another name where a command means something else by its own, and that is said."""
    assert set(RESERVED) == TAKEN
    (tmp_path / "a.yaml").write_text("{trialCommand: a, searchSpace: {trial: {_type: choice, _value: [1]}}}")
    made = convert(tmp_path / "a.yaml", tmp_path)
    assert "_trial: [1]" in made.text and any("trial: its name becomes _trial" in note for note in made.notes)


def test_names_of_sub_spaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program for NNI finds what is in a sub-space, whatever that is called."""
    for name in ("trial", "3x3", "-a b", "."):
        (tmp_path / "a.json").write_text(_branches(name))
        made = parse_text(convert(tmp_path / "a.json", tmp_path).text, "yaml", "")
        assert set(made["parameters"]) == {"x._name", f"x.{name.replace(' ', '_')}.k"}
        values = {"x._name": name, f"x.{name.replace(' ', '_')}.k": 1}
        monkeypatch.setattr(nni, "parameters", values.copy)
        assert nni.get_next_parameter() == {"x": {"_name": name, "k": 1}}


def test_a_seed_that_is_no_number_is_noted(tmp_path: Path) -> None:
    """What a setting says is in the spec, or in a note."""
    (tmp_path / "a.yaml").write_text(KATIB.replace('value: "7"', 'value: "-7"'))
    made = convert(tmp_path / "a.yaml", tmp_path)
    assert "seed" not in parse_text(made.text, "yaml", "")
    assert any("random_state=-7 has no counterpart" in note for note in made.notes)


@pytest.mark.parametrize("entry", ["{name: DATA,", "{name: other,", "{name: layers,", "{name: TOKEN,"])
def test_a_field_that_is_not_known_is_noted(tmp_path: Path, entry: str) -> None:
    """In the entries of lists, too: nothing is dropped in silence."""
    (tmp_path / "a.yaml").write_text(KATIB.replace(entry, f"{entry} odd: 1,"))
    assert any(".odd: has no counterpart" in note for note in convert(tmp_path / "a.yaml", tmp_path).notes)


def test_names_of_files_can_not_break_out_of_a_comment(run: Run, tmp_path: Path) -> None:
    """What a file is called stands in one line of the spec."""
    for name, content in (("a\ntask: b.yaml", _space("x")), ("a\ntask: b.py", "")):
        (tmp_path / name).write_text(content)
        assert run("init", name, "--output", "out.yaml").code == 0
        assert "task" not in read_spec_file(tmp_path / "out.yaml")
        (tmp_path / "out.yaml").unlink()


def test_names_can_not_break_out_of_a_comment(tmp_path: Path) -> None:
    """What a file calls its fields stands in one line of the spec, whatever it holds."""
    (tmp_path / "a.yaml").write_text('{trialCommand: a, searchSpace: {"x\\ncommand: b": {_type: choice, _value: [1]}}}')
    made = convert(tmp_path / "a.yaml", tmp_path)
    (tmp_path / "b.yaml").write_text(made.text)
    assert read_spec_file(tmp_path / "b.yaml")["command"] == ["a"]
