"""What is shown of a spec's environment, and of what holds its values."""

from __future__ import annotations

import pytest

from tests.spec.test_experiment import MINIMAL
from tunewell.spec.differences import spec_differences
from tunewell.spec.errors import SpecError
from tunewell.spec.experiment import parse_spec
from tunewell.spec.secrets import hide_values, passwords, without_password, without_private, without_values


def test_the_names_of_variables_are_shown_and_no_value() -> None:
    """A recorded spec without its values says which variables there are; one without variables stays as it is."""
    spec = {"name": "a", "environment": {"TOKEN": "sesame", "KEY": "open"}}
    assert without_values(spec) == {"name": "a", "environment": "TOKEN, KEY (values are not shown)"}
    assert without_values({"name": "a", "environment": {}}) == {"name": "a", "environment": {}}
    assert spec["environment"] == {"TOKEN": "sesame", "KEY": "open"}


def test_values_are_taken_out_of_texts() -> None:
    """No value of some length is left in a text, longer ones first; short ones, like numbers, stay."""
    text = hide_values("401 for sesame-2, sesame on cuda:1", ["sesame", "sesame-2", "1"])
    assert text == "401 for [not shown], [not shown] on cuda:1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:sesame@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://me:a:b@host:1/db", "mysql+pymysql://me:***@host:1/db"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("sqlite:////folder/a:b@c.db", "sqlite:////folder/a:b@c.db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://me@host/db?sslmode=require", "postgresql://me@host/db?sslmode=require"),
        ("postgresql://me:ses/a@m?e@host:1/db", "postgresql://me:***@host:1/db"),
        ("postgresql://me@host/db?password=sesame&port=1", "postgresql://me@host/db?port=1"),
        ("postgresql:///?service=prod&options=-c%20a.b%3Dsesame", "postgresql:///?service=prod"),
        ("postgresql://host/db?sslpassword=sesame", "postgresql://host/db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    """The password of a URL is replaced, options that may be secret are left out, all else stays."""
    assert without_password(url) == shown
    assert bool(passwords(url)) == (url != shown)


def test_the_passwords_of_a_url() -> None:
    """They are known as they are written in the URL, and as they are."""
    assert set(passwords("postgresql://me:a%2Fb@host/db?password=c+d&port=1")) == {"a%2Fb", "a/b", "c+d", "c d"}


def test_the_environment_of_trials_has_no_password_of_the_database() -> None:
    """What the processes need that open the database is not for the others."""
    assert without_private({"PGPASSWORD": "x", "TUNEWELL_DATABASE": "y", "PGHOST": "z"}) == {"PGHOST": "z"}


@pytest.mark.parametrize(
    "environment",
    [
        "TOKEN=sesame",
        ["TOKEN=sesame"],
        {"TOKEN": ["sesame"]},
        {"TOKEN": {"sesame": 1}},
        {"TOKEN=sesame": "1"},
        {"TOKEN": "sesame\0"},
        {"TOKEN": "sesame\udce9"},
    ],
)
def test_errors_do_not_tell_values(environment: object) -> None:
    """Whatever is wrong with the environment, the error names the field and not what it holds."""
    with pytest.raises(SpecError) as caught:
        parse_spec({**MINIMAL, "environment": environment})
    assert str(caught.value).startswith("environment")
    assert "sesame" not in str(caught.value)


def test_differences_and_specs_do_not_tell_values() -> None:
    """A difference between two environments names the variable, for people; and printing a spec tells none of them."""
    old = parse_spec({**MINIMAL, "environment": {"TOKEN": "sesame", "OLD": "sesame"}})
    new = parse_spec({**MINIMAL, "environment": {"TOKEN": "sesame2", "NEW": "sesame"}})
    assert [str(difference) for difference in spec_differences(old, new)] == [
        "environment.TOKEN: another one here, with a value that is not shown",
        "environment.OLD: only there, with a value that is not shown",
        "environment.NEW: only here, with a value that is not shown",
    ]
    assert "sesame" not in repr(old)
