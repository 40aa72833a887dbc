"""Searches side by side on a page: chosen from what there is, told apart, and never drawn where that would be false."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.console import looks
from tests.console.markup import Document, parse
from tests.console.serving import browser
from tests.console.test_pages import check_markup
from tunewell.service.service import Service
from tunewell.spec.names import in_address


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A home with searches to compare; `b` has come farther, `loss` searches for something else."""
    home: Path = tmp_path_factory.mktemp("pairs") / "home"
    with Service(home) as service:
        for name, role in (("ada", "user"), ("vic", "viewer")):
            service.add_user(name, {"role": role, "run_code": role == "user"})
        service.create(looks.spec("a"))
        looks.trials(service, "a", 3)
        looks.end(service, "a")
        service.create(looks.spec("b", max_trials=50, algorithm="random"))
        looks.trials(service, "b", 40)
        for name in ("loss", looks.LONG):
            service.create(looks.spec(name, objective={"metric": "loss", "goal": "minimize"}))
            looks.trials(service, name, 2, metric="loss")
        ada = service.as_caller(looks.ADA)
        ada.create(looks.spec("secret", visibility="private"))
        yield service


def address(*names: str, more: str = "") -> str:
    """Return the address of a comparison."""
    return "/compare?" + "&".join(f"e={in_address(name)}" for name in names) + more


def rows(document: Document) -> dict[str, list[str]]:
    """Return the rows of the table: what stands in front → the cells."""
    found: list[list[str]] = []
    for one in document.elements:
        if one.tag == "tr":
            found.append([])
        elif one.tag in ("th", "td") and found:
            found[-1].append(" ".join(one.text.split()))
    return {cells[0]: cells[1:] for cells in found}


def test_two_searches_beside_each_other(pairs: Service) -> None:
    """The better one is marked, both lines are in one chart, and of the specs only what differs is shown."""
    answer = browser(pairs).get(address("a", "b"))
    document = parse(answer.text)
    assert answer.status_code == 200
    told = rows(document)
    assert told["best value"] == ["0.8654", "0.9 best"]
    assert [len([*document.all("path", **{"class": f"search-{number}"})]) for number in (1, 2)] == [1, 1]
    assert told["max_trials"] == ["400", "50"]
    assert told["algorithm.name"] == ["auto", "random"]
    assert "seed" not in told
    assert told["what stopped it"] == ["completed", "nothing yet"]
    assert told["trials"] == ["3 succeededof 400", "35 succeeded5 failedof 50"]
    assert "B has not ended: the best so far may still change." in document.text


def test_what_is_the_same_can_be_shown(pairs: Service) -> None:
    """One link away, and in the address."""
    one = browser(pairs)
    assert any("fields=all" in link for link in parse(one.get(address("a", "b")).text).addresses)
    assert rows(parse(one.get(address("a", "b", more="&fields=all")).text))["seed"] == ["0", "0"]


def test_progress_over_time(pairs: Service) -> None:
    """The other chart is in the address."""
    document = parse(browser(pairs).get(address("a", "b", more="&over=time")).text)
    assert "Progress over time" in document.text


def test_no_false_picture(pairs: Service) -> None:
    """Of searches for different things there is no chart and no better one, and the page says why."""
    document = parse(browser(pairs).get(address("b", "loss")).text)
    assert "They search for different things (A: maximize accuracy; B: minimize loss)." in document.text
    assert "There is no chart" in document.text
    assert not [*document.all("path", **{"class": "search-1"})]
    assert rows(document)["best value"] == ["0.9", "0.8416"]


def test_too_few_or_too_many_are_chosen_again(pairs: Service) -> None:
    """What is chosen stays chosen; who has chosen none sees what there is; each counts once."""
    one = browser(pairs)
    assert not [*parse(one.get("/compare").text).all("input", name="e", checked="")]
    for shown in (address("a"), address("a", "a"), address("a", "b", more="&choose=yes")):
        document = parse(one.get(shown).text)
        assert {box.attributes["value"] for box in document.all("input", name="e", checked="")} >= {"owner~a"}
        assert "Choose 2 to 5 searches." in document.text
    for number in range(6):
        pairs.create(looks.spec(f"n{number}"))
    told = one.get(address(*(f"n{number}" for number in range(6)))).text
    assert "At most 5 searches can be compared. 6 are chosen" in parse(told).text


def test_private_searches_of_others_do_not_exist(pairs: Service) -> None:
    """They are not offered, and comparing one is as comparing what is not there."""
    vic = browser(pairs, "vic")
    assert "secret" not in vic.get("/compare").text
    private, unknown = vic.get(address("a", "ada/secret")), vic.get(address("a", "ada/sesame"))
    assert (private.status_code, unknown.status_code) == (404, 404)
    assert private.text.replace("secret", "sesame") == unknown.text
    assert browser(pairs, "ada").get(address("owner/a", "ada/secret")).status_code == 200


def test_users_words_are_text(searches: Service) -> None:
    """Markup in metrics, choices and names stands there letter by letter."""
    answer = browser(searches).get(address("hostile", "few", looks.LONG))
    check_markup(answer.text)
    assert looks.MARKUP in parse(answer.text).text


def test_the_list_leads_there(pairs: Service) -> None:
    """Each search of the list can be chosen, without scripts, too; a search leads to the page with itself chosen."""
    one = browser(pairs)
    document = parse(one.get("/").text)
    assert {box.attributes["form"] for box in document.all("input", name="e")} == {"compare"}
    assert document.one("form", id="compare").attributes["action"] == "/compare"
    assert "/compare?e=owner~a" in parse(one.get("/experiments/owner~a").text).addresses
