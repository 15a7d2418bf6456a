"""Platforms that the lock in the data folder does not lead to: `havn down` ends them all the same."""

import os
import pathlib
import shutil
import signal

from harness import wait_for

WORKER = """
    [worker.clerk]
    command = "sleep 1000"
    startsecs = "100ms"
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def running(platform):
    return {row["name"]: row["pid"] for row in platform.ps()}


def test_down_ends_what_is_left_when_keeper_and_supervisor_were_killed(platform):
    platform.manifest(WORKER)
    platform.up()
    pids = running(platform)
    os.kill(pids["keeper"], signal.SIGSTOP)   # so that it starts no other supervisor
    os.kill(pids["supervisor"], signal.SIGKILL)
    os.kill(pids["keeper"], signal.SIGKILL)
    wait_for(lambda: not alive(pids["keeper"]) and not alive(pids["supervisor"]), 10, "both to be gone")
    assert alive(pids["clerk"])
    done = platform.down()
    assert done.returncode == 0, done.stderr
    assert "not running; ended" in done.stdout and "keeper and supervisor were killed" in done.stdout
    assert not any(alive(pid) for pid in pids.values())
    assert platform.down().stdout == "not running\n"


def test_down_ends_a_platform_whose_folder_was_removed(platform):
    platform.manifest(WORKER)
    platform.up()
    pids = running(platform)
    shutil.rmtree(platform.data)
    done = platform.down()
    assert done.returncode == 0, done.stderr
    assert "its data folder had been removed" in done.stdout
    wait_for(lambda: not any(alive(pid) for pid in pids.values()), 20, "everything to end")


def test_where_there_is_no_project_what_runs_is_named(platform, tmp_path):
    platform.manifest(WORKER)
    platform.up()
    done = platform.run("down", "-f", str(tmp_path / "havn.toml"))
    assert done.returncode != 0
    assert f"havn down --data {platform.data}" in done.stderr
