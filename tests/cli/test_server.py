"""Commands that ask a server: a real `tunewell serve` with its controller."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.server.serving import Serving, serving, wait_until
from tests.service.published import SPEC, add_trial, picture
from tunewell.service.service import Service
from tunewell.tasks.image_classification.digits import write_digits

pytestmark = pytest.mark.timeout(400)  # on a busy machine each command takes seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service of nobody else."""
    with serving(tmp_path_factory.mktemp("server") / "home") as one:
        wait_until(one.is_ready)
        yield one


@pytest.fixture
def there(server: Serving, run: Run, tmp_path: Path) -> Run:
    """What runs commands for that server, with its token and a folder for logins of its own."""
    token = server.token_file.read_text().strip()

    def call(*arguments: object, **variables: str) -> object:
        around = {"TUNEWELL_SERVER": server.url, "TUNEWELL_TOKEN": token, "XDG_CONFIG_HOME": str(tmp_path / "config")}
        return run(*arguments, **{**around, **variables})

    return call  # type: ignore[return-value]


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """What writes a spec, with its program beside it in a folder of its own, which prints what lies there."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "value.txt").write_text("0.5\n")
    (folder / "large.bin").write_text("not to be sent")
    (folder / ".tunewellignore").write_text("*.bin\n")
    (folder / "train.sh").write_text('echo "score=$(cat value.txt)"; test ! -e large.bin\n')

    def write(name: str, command: str = "sh train.sh {x}", trials: int = 2) -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(
            f"command: {command}\nobjective: {{metric: score, goal: maximize}}\n"
            f"parameters: {{x: {{low: 0, high: 100}}}}\nalgorithm: random\nmax_trials: {trials}\n"
        )
        return path

    return write


def test_login_keeps_the_token_for_its_owner_alone(run: Run, server: Serving, tmp_path: Path) -> None:
    """It is checked first, kept in a closed file, used for that server, and forgotten; it never shows."""
    config, file = str(tmp_path / "config"), server.token_file
    wrong = tmp_path / "wrong"
    wrong.write_text("twt_nothing\n")
    refused = run("login", server.url, "--token-file", wrong, XDG_CONFIG_HOME=config)
    assert refused.code == 2 and "tunewell login" in refused.err
    done = run("login", server.url, "--token-file", file, XDG_CONFIG_HOME=config)
    assert done.code == 0 and "knows you as owner" in done.out, done.err
    kept = tmp_path / "config" / "tunewell" / "servers.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert file.read_text().strip() not in done.out + done.err
    for place in (server.url, "last"):
        assert run("jobs", "--server", place, "--json", XDG_CONFIG_HOME=config).code == 0
    here = run("list", XDG_CONFIG_HOME=config)
    assert here.code == 2 and "there is no Tunewell home here" in here.err
    assert run("logout", XDG_CONFIG_HOME=config).code == 0
    after = run("jobs", "--server", server.url, XDG_CONFIG_HOME=config)
    assert after.code == 2 and "tunewell login" in after.err


def test_which_place_is_meant(there: Run, tmp_path: Path) -> None:
    """A home in the arguments counts more than the environment's server; home and server at once are an error."""
    assert there("list").code == 0
    home = there("list", "--home", tmp_path / "nowhere")
    assert home.code == 2 and "there is no Tunewell home here" in home.err
    for arguments in (("--server", "last", "--home", "h"), ("--database", "sqlite:///d", "--server", "last")):
        both = there("list", *arguments)
        assert both.code == 2 and "--server: it is one place" in both.err, both.err
    nobody = there("list", "--server", "http://127.0.0.1:1/", TUNEWELL_TOKEN="")
    assert nobody.code == 2 and "http://127.0.0.1:1" in nobody.err
    assert there("list", "--server", "somewhere").code == 2


def test_a_search_is_sent_and_followed(there: Run, program: Callable[..., Path], server: Serving) -> None:
    """Its folder is sent without what is left out, its trials run there, and each command knows it then."""
    spec = program("sent")
    done = there("search", spec, "--json")
    assert done.code == 0, done.err
    assert done.json["best"]["value"] == 0.5 and "Ctrl-C leaves it running" in done.err
    again = there("search", spec)
    assert again.code == 0 and "has ended" in again.out and "Sending" not in again.out, again.err
    assert "sent" in there("list").out
    assert "The best by hand:" in there("show", "sent").out
    told = there("show", "sent").out + there("show", "sent", 1).out
    for command in ("report sent", "logs sent 1"):
        assert f"tunewell {command} --server {server.url}" in told
    assert "experiments/" not in told and str(server.home) not in told and "on all data" not in told
    assert "score=0.5" in there("logs", "sent", 1).out
    assert len(there("export", "sent", "--format", "csv").out.splitlines()) == 3
    assert there("set", "sent", "--tag", "good").code == 0
    report = there("report", "sent")
    assert report.code == 0 and Path(report.out.strip()).name == "sent-report.html", report.err
    assert there("evaluate", "sent").code == 0
    retrained = there("retrain", "sent", "--output", report.out.strip() + "-model")
    assert retrained.code == 2 and "a command decides itself where it writes" in retrained.err, retrained.err
    assert "retrain" not in there("jobs", "--json").out, "it is told before anything is trained"
    more = there("search", program("sent", trials=3), "--json")
    assert more.code == 0 and more.json["trials"]["succeeded"] == 3, more.err
    assert there("delete", "sent").code == 0 and there("restore", "sent").code == 0
    assert there("queue").code == 0 and there("tasks", "resnet18").code == 0
    assert there("check", spec).code == 0


def test_a_search_can_be_left_and_followed_again(
    there: Run, program: Callable[..., Path], server: Serving, tmp_path: Path
) -> None:
    """Ctrl-C leaves it running and says how to follow it again, which the same command does to its end."""
    go = tmp_path / "go"
    spec = program("left", command=f"['sh', '-c', 'while [ ! -e {go} ]; do sleep 0.05; done; echo score=1']", trials=1)
    token = server.token_file.read_text().strip()
    around = {**os.environ, "TUNEWELL_TOKEN": token, "TUNEWELL_SERVER": server.url}
    follower = subprocess.Popen(
        [sys.executable, "-m", "tunewell", "search", str(spec)],
        cwd=tmp_path,
        env=around,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert follower.stdout is not None
    said = ""
    while "leaves it running" not in said:
        line = follower.stdout.readline()
        assert line, said
        said += line
    follower.send_signal(signal.SIGINT)
    rest, _ = follower.communicate(timeout=100)
    assert follower.returncode == 130 and f"tunewell search {spec} --server {server.url}" in rest, said + rest
    assert there("show", "left", "--json").json["state"] in ("created", "running")
    go.touch()
    assert there("search", spec, "--json").json["best"]["value"] == 1.0


def test_data_are_sent_once(there: Run, tmp_path: Path) -> None:
    """A folder with data becomes a data set, which the next check finds; what can't be sent is said."""
    write_digits(tmp_path / "digits")
    spec = tmp_path / "pictures.yaml"
    spec.write_text("task: image-classification\ndata: digits\nnetwork: small-cnn\n")
    assert there("check", spec, "--json", "--no-estimate").code == 0
    assert there("check", spec, "--json", "--no-estimate").code == 0
    (known,) = there("datasets", "list", "--json").json
    assert known["name"] == f"digits-{known['sha256'][:12]}"
    spec.write_text("task: image-classification\ndata: pictures.yaml\nnetwork: small-cnn\n")
    refused = there("check", spec)
    assert refused.code == 2 and "only folders can be sent" in refused.err


def test_people_over_a_server(there: Run, server: Serving) -> None:
    """Users are added there, and links lead there; a path on the server can't be named."""
    added = there("users", "add", "anna", "--run-code")
    assert added.code == 0 and added.out.startswith(f"{server.url}/sign-in?link="), added.err
    token = there("tokens", "add", "laptop", "--user", "anna").out.strip()
    assert there("users", "list", TUNEWELL_TOKEN=token).code == 2
    known = there("tokens", "list", "--json", TUNEWELL_TOKEN=token).json["tokens"]
    (own,) = [one for one in known if one["kind"] == "token"]
    assert there("tokens", "revoke", own["id"], TUNEWELL_TOKEN=token).code == 0
    assert "tunewell login" in there("list", TUNEWELL_TOKEN=token).err


@pytest.mark.slow
def test_what_a_server_has_predicted_is_written_here(run: Run, tmp_path: Path) -> None:
    """As the file that the same command writes without a server; what can't be written is said before any work."""
    (tmp_path / "cat.png").write_bytes(picture().content)
    home = tmp_path / "there" / "home"
    with Service(home) as service:
        service.create(SPEC)
        add_trial(service, 1, 0.9, real=True)
        service.publish("e", "signs")
        service.stop("e")
    here = [run("predict", "model:signs", "cat.png", "--home", home, "-o", f"here.{kind}") for kind in ("csv", "json")]
    assert [one.code for one in here] == [0, 0], here
    with serving(home) as server:
        there = {"TUNEWELL_SERVER": server.url, "TUNEWELL_TOKEN": server.token_file.read_text().strip()}
        for kind in ("csv", "json"):
            asked = run("predict", "model:signs", "cat.png", "-o", f"there.{kind}", **there)
            assert asked.code == 0 and f"written to there.{kind}" in asked.out, asked.err
            assert (tmp_path / f"there.{kind}").read_text() == (tmp_path / f"here.{kind}").read_text()
        (tmp_path / "there.csv").unlink()
        (tmp_path / "there.csv").mkdir()
        neither = "'there.txt' is neither CSV nor JSON"
        for output, said in (("there.txt", neither), ("there.csv", "there.csv is a folder")):
            refused = run("predict", "model:signs", "cat.png", "-o", output, **there)
            assert refused.code == 2 and "--output" in refused.err and said in refused.err, refused.err
