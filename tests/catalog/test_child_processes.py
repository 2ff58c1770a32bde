"""What a bad component does to the process that looks at it: it costs itself, and no other component or process."""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import kplug
from kplug.catalog.description import describe, describe_all
from kplug.catalog.discovery import components
from kplug.catalog.resolution import resolve


def parts_of(namespace):
    return [one for one in components() if one.namespace == namespace]


def test_a_component_that_ends_the_process_costs_the_others_nothing(install_plugin, home):
    install_plugin(
        "bad",
        {"kplug.losses": {"a_fine": "good_part:part", "b_crash": "bad_part:part", "c_after": "good_part:part"}},
        {"bad_part.py": "import os; os._exit(7)", "good_part.py": "def part(y_true, y_pred): 'Fine.'"},
    )
    fine, crash, after = (describe(component) for component in parts_of("bad"))
    assert (fine.status, after.status) == ("ok", "ok")
    assert crash.error == "importing it ended the process with exit code 7"


def test_a_component_that_hangs_costs_those_of_other_modules_nothing(install_plugin, home, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "6")
    hangs = {f"a_hangs_{index}": "bad_part:part" for index in range(9)}
    install_plugin(
        "bad",
        {"kplug.losses": {**hangs, "z_after": "good_part:part"}},
        {
            "bad_part.py": "import threading; threading.Event().wait()",
            "good_part.py": "def part(y_true, y_pred): 'Fine.'",
        },
    )
    *hanging, after = (describe_all(parts_of("bad"))[component] for component in parts_of("bad"))
    assert after.status == "ok"
    first, *_, last = (one.error for one in hanging)
    assert first == "importing it took longer than 6 s"
    assert last == "not reached: importing a_hangs_1 of the same plugin took longer than 6 s"


def test_facts_that_no_json_can_hold_break_their_component_alone(install_plugin, home):
    source = """
        from kplug.catalog.facts import Facts
        def odd(y_true, y_pred): 'Odd.'
        odd.__kplug_facts__ = Facts(metrics=(object,))
        def part(y_true, y_pred): 'Fine.'
    """
    install_plugin("bad", {"kplug.losses": {"odd": "bad_part:odd", "part": "bad_part:part"}}, {"bad_part.py": source})
    odd, part = (describe(component) for component in parts_of("bad"))
    assert odd.error == "TypeError: Object of type type is not JSON serializable"
    assert part.status == "ok"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"metrics": [object]}, r"metrics must be a list of texts, such as \['accuracy'\]"),
        (
            {"tasks": "image-classification"},
            r"component\(tasks='image-classification'\): tasks must be a list of texts",
        ),
        ({"loss": len}, "loss must be a name, such as 'mean_squared_error'"),
    ],
)
def test_facts_that_are_no_text_are_refused_where_they_are_stated(facts, message):
    with pytest.raises(TypeError, match=message):
        kplug.component(**facts)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="processes have no groups here")
@pytest.mark.parametrize("ending", ["", "import os; os._exit(3)", "import time; time.sleep(600)"])
def test_what_a_plugin_starts_while_it_is_imported_does_not_outlive_the_look_at_it(
    install_plugin, home, tmp_path, monkeypatch, ending
):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "6")
    started = tmp_path / "started"
    source = f"""
        import pathlib, subprocess, sys, threading
        sleeping = [sys.executable, "-c", "import time; time.sleep(600)"]
        child, other = subprocess.Popen(sleeping), subprocess.Popen(sleeping, start_new_session=True)
        pathlib.Path({str(started)!r}).write_text(f"{{child.pid}} {{other.pid}}")
        threading.Thread(target=child.wait).start()
        def part(y_true, y_pred): 'Fine.'
        {ending}
    """
    install_plugin("bad", {"kplug.losses": {"part": "bad_part:part"}}, {"bad_part.py": source})
    assert describe(resolve("bad/part")).broken == bool(ending)
    for process in map(int, started.read_text().split()):
        insist_gone(process)


def test_one_that_keeps_pythons_lock_is_given_up(install_plugin, home, monkeypatch):
    source = "import re\nre.match('(a+)+$', 'a' * 60 + 'b')"
    install_plugin("bad", {"kplug.losses": {"part": "bad_part:part"}}, {"bad_part.py": source})
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "3")
    assert describe(resolve("bad/part")).error == "importing it took longer than 3 s"


def test_one_that_ends_the_process_later_is_not_taken_for_what_comes_behind_it(install_plugin, home):
    modules = {
        "ticking.py": "import os, threading\nthreading.Timer(1.0, os._exit, (3,)).start()\ndef part(a, b): 'Ticks.'",
        "slow.py": "import time\ntime.sleep(3)\ndef part(a, b): 'Slow.'",
    }
    install_plugin("bad", {"kplug.losses": {"a": "ticking:part", "b": "slow:part", "c": "slow:part"}}, modules)
    _, second, third = (describe_all(parts_of("bad"))[component] for component in parts_of("bad"))
    assert (second.status, third.status) == ("ok", "ok")


def test_one_that_takes_the_answers_place_away_is_broken_alone(install_plugin, home):
    source = """
        import glob, os, shutil, tempfile
        for folder in glob.glob(os.path.join(tempfile.gettempdir(), "kplug-*")):
            shutil.rmtree(folder)
        def part(y_true, y_pred): 'Fine.'
    """
    install_plugin("bad", {"kplug.losses": {"part": "bad_part:part"}}, {"bad_part.py": source})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        assert describe(resolve("bad/part")).broken


def insist_gone(process):
    deadline = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "it lives on"
            time.sleep(0.05)


def test_what_looks_at_a_plugin_does_not_outlive_who_asked(install_plugin, home, tmp_path):
    started = tmp_path / "started"
    source = f"""
        import os, pathlib, subprocess, sys, time
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        pathlib.Path({str(started)!r}).write_text(f"{{os.getpid()}} {{other.pid}}\\n")
        time.sleep(600)
    """
    install_plugin("bad", {"kplug.losses": {"part": "bad_part:part"}}, {"bad_part.py": source})
    aside = tmp_path / "temporary"
    aside.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(aside)}
    asking = subprocess.Popen([sys.executable, "-m", "kplug", "show", "bad/part"], env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (started.exists() and started.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        asking.kill()
        asking.wait()
    for process in started.read_text().split():
        insist_gone(int(process))
    assert not list(aside.glob("kplug-*"))


def test_one_that_never_stops_talking_fills_no_disk(install_plugin, home, monkeypatch):
    monkeypatch.setenv("KPLUG_INSPECTION_TIMEOUT", "3")
    source = "import sys\nwhile True: sys.stderr.write('noise ' * 100 + 'the end\\n')"
    install_plugin("bad", {"kplug.losses": {"part": "bad_part:part"}}, {"bad_part.py": source})
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        sizes = []
        with ThreadPoolExecutor(1) as pool:
            described = pool.submit(describe, resolve("bad/part"))
            while not described.done():
                sizes.append(sum(one.stat().st_size for one in Path(folder).rglob("*") if one.is_file()))
                time.sleep(0.1)
        assert "took longer than 3 s" in described.result().error
    assert max(sizes) < 100_000
