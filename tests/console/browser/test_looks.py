"""Every page in a browser: nothing to complain of, accessible in both colour schemes, no wider than a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.console import looks
from tests.console.browser.conftest import OpenContext
from tests.console.browser.looking import check_looks
from tests.console.test_pages import PAGES
from tunewell.spec.names import in_address

#: Each page once, and those of experiments and of data sets in every state.
STATES = {"/experiments/": looks.NAMES, "/datasets/": looks.DATASETS, "/models/": looks.MODELS}
#: Versions side by side.
BESIDE = (
    "/models/compare?m=owner~signs@1&m=owner~signs@3&m=owner~odd@1&m=owner~odd@2",
    f"/models/compare?m=owner~{looks.MODELS[2]}@1&m=owner~{looks.MODELS[2]}@2",
)
ADDRESSES = sorted({*PAGES, *BESIDE, *(place + in_address(name) for place, names in STATES.items() for name in names)})


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_can_be_read_by_everybody(page: Page, address: str) -> None:
    """Its colours, names and structure are such that nobody is shut out, and it fits on a phone."""
    answer = page.goto(address)
    assert answer is not None
    check_looks(page)


def test_a_problem_can_be_read_by_everybody(context_of: OpenContext, troubles: object) -> None:
    """So does a page that tells why there is none."""
    troubles.expect("404")  # type: ignore[attr-defined]
    page = context_of("vic").new_page()
    page.goto("/experiments/owner~nothing")
    check_looks(page)
