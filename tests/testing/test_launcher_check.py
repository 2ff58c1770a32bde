"""The check of launchers: which it lets pass, and what it says of the others."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from kplug.testing import check_launcher

pytestmark = pytest.mark.neutral


class Sound:
    """Starts processes; each other class spoils one thing."""

    def start(self, job):
        with job.log.open("ab") as log:
            process = subprocess.Popen(
                job.command, env={**os.environ, **job.environment}, stdout=log, stderr=log, start_new_session=True
            )
        return str(process.pid)

    def kill(self, job_id):
        try:
            os.killpg(int(job_id), signal.SIGKILL)
            os.waitpid(int(job_id), 0)
        except (ProcessLookupError, ChildProcessError):
            pass


class Nameless(Sound):
    """Cannot end what it has started, and need not."""

    kill = None

    def start(self, job):
        super().start(job)


class NoStart:
    def submit(self, job):
        raise NotImplementedError


class StartTakesNothing(Sound):
    def start(self):
        raise NotImplementedError


class KillTakesTwo(Sound):
    def kill(self, job_id, gently):
        raise NotImplementedError


class Numbers(Sound):
    def start(self, job):
        return int(super().start(job))


class NoId(Sound):
    def start(self, job):
        super().start(job)


class Cleans(Sound):
    def start(self, job):
        return str(subprocess.Popen(job.command, env={"KPLUG_CHECKED": "other"}).pid)


class Splits(Sound):
    def start(self, job):
        return str(subprocess.Popen(" ".join(job.command), shell=True, stderr=subprocess.DEVNULL).pid)


class Overwrites(Sound):
    def start(self, job):
        job.log.write_bytes(b"")
        return super().start(job)


class Spares(Sound):
    def __init__(self):
        self.spared = []

    def kill(self, job_id):
        self.spared.append(job_id)


class Complains(Sound):
    def kill(self, job_id):
        os.killpg(int(job_id), signal.SIGKILL)
        os.waitpid(int(job_id), 0)


@pytest.mark.parametrize("launcher", [Sound, Nameless])
def test_sound_launchers_pass(launcher, tmp_path):
    check_launcher(launcher(), tmp_path)


def test_no_directory_is_needed():
    check_launcher(Sound())


@pytest.mark.parametrize(
    ("launcher", "message"),
    [
        (NoStart, "NoStart has no method start(job)"),
        (StartTakesNothing, "StartTakesNothing.start is called as start(job): too many positional arguments"),
        (KillTakesTwo, "KillTakesTwo.kill is called as kill(job_id): missing a required argument: 'gently'"),
        (Numbers, "a job's id is text"),
        (NoId, "NoId has kill(job_id), but start returns no id"),
        (Cleans, "the job had KPLUG_CHECKED='other' in its environment"),
        (Splits, "within 5 s, the job that Splits started did not begin"),
        (Overwrites, "what the job prints was not appended to its log: its log has 'it began"),
        (Spares, "the job went on after kill("),
        (Complains, "for a job that had ended"),
    ],
)
def test_what_is_wrong_is_said(launcher, message, tmp_path):
    made = launcher()
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_launcher(made, tmp_path, seconds=5.0)
    for left in getattr(made, "spared", ()):
        os.killpg(int(left), signal.SIGKILL)
        os.waitpid(int(left), 0)
