"""The Dockerfile and the compose file of docs/docker.

No container engine is needed. With SEQ2SEQ_CONTAINER=1, the last test runs the steps of the
Dockerfile in a new virtual environment, which takes a minute and installs packages from PyPI. As
root, it then starts the server as the user of the Dockerfile on a read-only file system.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCKER = ROOT / "docs" / "docker"
_PLACE = "/opt/seq2seq"  # of the virtual environment
_PORT = 5000


def read_stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile, with their arguments."""
    text = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    stages: list[list[tuple[str, str]]] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            instruction, _, arguments = line.partition(" ")
            if instruction == "FROM":
                stages.append([])
            stages[-1].append((instruction, arguments.strip()))
    return stages


def read_runtime() -> dict[str, str]:
    """The instructions of the image itself, each of which occurs once."""
    runtime = dict(read_stages()[-1])
    assert len(runtime) == len(read_stages()[-1])
    return runtime


def read_settings() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in read_runtime()["ENV"].split())


def test_the_requirements_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = (DOCKER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = [line for line in lines if not line.startswith("#")]
    assert needed[0] == "-r ../../requirements-export.txt"
    assert sorted(needed[1:]) == sorted(extras["serve"] + extras["sentences"])


def test_the_image_has_no_root_and_writes_nothing():
    build, runtime = read_stages()
    assert [what for what, _ in runtime] == [
        "FROM",
        "COPY",
        "ENV",
        "USER",
        "WORKDIR",
        "VOLUME",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
    ]
    assert build[0][1] == f"{read_runtime()['FROM']} AS build"
    assert read_runtime()["COPY"] == f"--from=build {_PLACE} {_PLACE}"
    user, _, group = read_runtime()["USER"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert "PYTHONDONTWRITEBYTECODE" in read_settings()
    assert f":{_PORT}/ready" in read_runtime()["HEALTHCHECK"]


def test_the_files_that_the_build_copies_exist():
    names = [arguments.split()[:-1] for what, arguments in read_stages()[0] if what == "COPY"]
    assert all((ROOT / name).exists() for parts in names for name in parts)


def test_the_compose_file_agrees_with_the_dockerfile():
    yaml = pytest.importorskip("yaml")
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
    service = service["services"]["translate"]
    build = service["build"]
    assert (DOCKER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["ports"] == [f"127.0.0.1:{_PORT}:{_PORT}"]
    (volume,) = service["volumes"]
    assert volume.endswith(f":{read_runtime()['WORKDIR']}:ro")
    # The options are those of the command.
    command = [*json.loads(read_runtime()["ENTRYPOINT"]), *service["command"], "--help"]
    said = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=60, check=True
    )
    assert "--no-key" in said.stdout


def build_environment(where: Path) -> Path:
    """Run the steps of the first stage. Return the virtual environment."""
    source, environment = where / "source", where / "environment"
    source.mkdir()
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    for what, arguments in read_stages()[0]:
        if what == "COPY":
            *names, target = arguments.split()
            for name in names:
                if (ROOT / name).is_dir():
                    shutil.copytree(
                        ROOT / name,
                        source / target,
                        ignore=shutil.ignore_patterns("__pycache__"),
                    )
                else:
                    (source / target).mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, source / target / Path(name).name)
        elif what == "RUN":
            words = shlex.split(arguments.replace(_PLACE, str(environment)))
            if words[0] == "python":
                words[0] = python
            clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
            subprocess.run(words, cwd=source, env=clean, check=True, timeout=900)
        else:
            assert what in ("FROM", "WORKDIR")
    return environment


def enclose(command: list[str]) -> list[str]:
    """Return a command that runs as the user of the image on a read-only file system."""
    if os.geteuid():
        return command
    user, group = read_runtime()["USER"].split(":")
    start = (
        "mount --make-rprivate / && mount -o remount,bind,ro / && exec setpriv "
        f'--reuid {user} --regid {group} --clear-groups --no-new-privs "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", start, "sh", *command]


@pytest.mark.skipif(
    not os.environ.get("SEQ2SEQ_CONTAINER"),
    reason="SEQ2SEQ_CONTAINER=1 runs the Dockerfile's steps, which install packages from PyPI",
)
def test_the_steps_of_the_dockerfile_make_a_server(exports, tmp_path_factory):
    where = tmp_path_factory.mktemp("container")
    for part in (where, *where.parents[:2]):  # pytest's folders are closed to other users
        part.chmod(0o755)
    environment = build_environment(where)
    shutil.copytree(exports["en-fr"], where / "models" / "en-fr")
    installed = {path.name for path in environment.glob("lib/python3*/site-packages/*")}
    assert "seq2seq" in installed
    assert not installed & {"torch", "datasets", "pyarrow", "matplotlib"}
    path = read_settings()["PATH"].replace(_PLACE, str(environment))
    settings = {**read_settings(), "PATH": path.replace("$PATH", "/usr/bin:/bin")}
    command = [*json.loads(read_runtime()["ENTRYPOINT"]), "en-fr", "--no-key"]
    server = subprocess.Popen(
        enclose(command),
        cwd=where / "models",
        env=settings,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stderr is not None
        assert f"listening on http://0.0.0.0:{_PORT}" in server.stderr.readline()
        check = json.loads(read_runtime()["HEALTHCHECK"].partition("CMD")[2])
        subprocess.run(enclose(check), env=settings, check=True, timeout=60)
        body = json.dumps({"q": "the red cat runs", "source": "auto", "target": "fr"}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{_PORT}/translate", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["translatedText"]
        if not os.geteuid():
            status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
            assert f"Uid:\t{read_runtime()['USER'].split(':')[0]}" in status
    finally:
        server.terminate()
        started = time.monotonic()
        server.wait(timeout=60)
    assert server.returncode == 0
    assert time.monotonic() - started < 60
