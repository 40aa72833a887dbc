"""Everything that can be wrong with a spec file, each with the one error that it gets.

`bad_specs/NAME.yaml` is the file, `bad_specs/NAME.txt` the message.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewell.spec.errors import UserError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.files import read_spec_file
from tunewell.tasks.catalogue import complete_spec, task_for

FOLDER = Path(__file__).parent / "bad_specs"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def message_for(path: Path) -> str:
    """Return the message that a spec file gets on its way to a search space."""
    with pytest.raises(UserError) as caught:
        spec = parse_spec(complete_spec(read_spec_file(path)))
        task_for(spec).space(spec)
    return str(caught.value).replace(f"{FOLDER}/", "")


@pytest.mark.parametrize("case", CASES)
def test_bad_spec(case: str) -> None:
    """The error names the field, the value, the rule and the remedy, in plain words."""
    expected = (FOLDER / f"{case}.txt").read_text(encoding="utf-8")
    assert message_for(FOLDER / f"{case}.yaml") + "\n" == expected


def test_no_message_without_its_file() -> None:
    """Each expected message belongs to a spec."""
    assert CASES
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES)
