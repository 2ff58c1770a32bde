"""Options that are coerced only when they are given."""

import pytest


@pytest.mark.parametrize(
    ("value", "reason"), [("x", "valid integer"), ("0", "greater than or equal to 1"), ("1.5", "valid integer")]
)
def test_what_an_option_cannot_take_is_refused(run_kplug, tmp_path, value, reason):
    done = run_kplug("runs", "list", "--limit", value, "--runs-dir", str(tmp_path))
    assert done.returncode == 2
    assert "Invalid value for '--limit'" in done.stderr
    assert reason in done.stderr


def test_listing_runs_does_without_pydantic_and_rich(modules_after, tmp_path):
    code = f"""
import sys
sys.argv = ["kplug", "runs", "list", "--where", "epoch=1", "--sort", "epoch", "--runs-dir", {str(tmp_path)!r}]
from kplug.cli.app import main
try:
    main()
except SystemExit:
    pass
"""
    assert modules_after(code) & {"pydantic", "rich"} == set()
