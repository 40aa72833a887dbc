"""Names of experiments in addresses."""

import pytest

from tunewell.spec.names import from_address, full_name, in_address


@pytest.mark.parametrize("name", ["signs", "ada/signs", "a.d-a_/Signs.2"])
def test_an_address_means_the_same_to_everybody(name: str) -> None:
    """Whoever reads it finds the experiment that it was made for; nothing in it need be escaped."""
    part = in_address(name)
    assert "/" not in part and part.count("~") == 1
    assert {full_name(caller, from_address(part)) for caller in ("owner", "ada", "eve")} == {name}


def test_a_bare_name_is_ones_own() -> None:
    """In an address as elsewhere."""
    assert full_name("ada", from_address("signs")) == "ada/signs"
