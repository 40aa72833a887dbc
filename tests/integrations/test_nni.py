"""A program for NNI finds NNI's calls."""

from __future__ import annotations

import pytest

from tunewell.integrations import nni
from tunewell.trial.context import StandaloneTrial, activated
from tunewell.trial.trial import Trial


class Given(StandaloneTrial):
    """A trial with parameters, which prints its reports."""

    def __init__(self, **parameters: object) -> None:
        """Have these parameters; two underscores in a name are a full stop."""
        super().__init__()
        Trial.__init__(self, 4, {name.replace("__", "."): value for name, value in parameters.items()})


def test_sub_spaces_are_nested_again() -> None:
    """A program gets what NNI would give it, however deep sub-spaces lie; other names with full stops stay."""
    with activated(Given(lr=0.1, layer___name="max pool", layer__max_pool__size=2, a__b=1)):
        assert nni.get_next_parameter() == {"lr": 0.1, "layer": {"_name": "max pool", "size": 2}, "a.b": 1}
        assert nni.get_sequence_id() == 4
    with activated(Given(x___name="one", x__one__y___name="two", x__one__y__two__z=3)):
        assert nni.get_next_parameter() == {"x": {"_name": "one", "y": {"_name": "two", "z": 3}}}
    assert nni.get_next_parameter() == {}


def test_results_are_reported_as_the_objective(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A result is the objective, whatever it is called; what else NNI takes beside it counts where it is a number."""
    monkeypatch.setenv("TUNEWELL_METRIC", "accuracy")
    with activated(Given()):
        nni.report_intermediate_result(0.5)
        nni.report_final_result({"default": 0.7, "loss": 0.1, "model": "a"})
        with pytest.raises(TypeError, match="accuracy"):
            nni.report_final_result({"loss": 0.1})
    assert capsys.readouterr().out.splitlines() == ["step=1 accuracy=0.5", "step=2 accuracy=0.7 loss=0.1"]
