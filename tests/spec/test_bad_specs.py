"""Everything that can be wrong with a spec file, each with the error, or errors, that it gets.

`bad_specs/NAME.yaml` is the file, `bad_specs/NAME.txt` the message. Those of `several_…` have several errors.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tunewell.service.submission import make_plan
from tunewell.spec.errors import SpecErrors, UserError
from tunewell.spec.files import read_spec_file

FOLDER = Path(__file__).parent / "bad_specs"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def message_for(path: Path) -> str:
    """Return the message that a spec file gets when it is checked."""
    with pytest.raises(UserError) as caught:
        make_plan(read_spec_file(path))
    return str(caught.value).replace(f"{FOLDER}/", "").replace(str(FOLDER), ".")


@pytest.mark.parametrize("case", CASES)
def test_bad_spec(case: str) -> None:
    """The error names the field, the value, the rule and the remedy, in plain words."""
    expected = (FOLDER / f"{case}.txt").read_text(encoding="utf-8")
    assert message_for(FOLDER / f"{case}.yaml") + "\n" == expected


def test_no_message_without_its_file() -> None:
    """Each expected message belongs to a spec."""
    assert CASES
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("several_")])
def test_several_errors_as_json(case: str) -> None:
    """Every error of a spec has its own parts, and none holds a value of the environment."""
    with pytest.raises(SpecErrors) as caught:
        make_plan(read_spec_file(FOLDER / f"{case}.yaml"))
    found = json.dumps(caught.value.to_json(), allow_nan=False)
    assert "hidden-word" not in found
    assert len(json.loads(found)["errors"]) == len(caught.value.errors) > 1
    assert len({str(error) for error in caught.value.errors}) == len(caught.value.errors)
