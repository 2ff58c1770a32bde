#!/usr/bin/env bash
# Installs kplug with what its tests need, then runs every check: lint, types, import contracts, tests on each backend.
# Uses the active virtual environment, or makes .venv. Arguments go to the runs of pytest on TensorFlow.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONDONTWRITEBYTECODE  # without byte code, every import of TensorFlow compiles it anew

if [ -z "${VIRTUAL_ENV:-}" ]; then
    if command -v uv >/dev/null; then
        [ -d .venv ] || uv venv --python ">=3.11,<3.14" .venv
    else
        [ -d .venv ] || "${PYTHON:-python3}" -m venv .venv
    fi
    # shellcheck disable=SC1091
    . .venv/bin/activate
fi
python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || {
    echo "kplug needs Python 3.11 to 3.13; $(python --version) is active. Set PYTHON=python3.12, say." >&2
    exit 2
}
if command -v uv >/dev/null; then
    uv pip install --quiet --compile-bytecode --editable ".[dev]"
else
    python -m pip install --quiet --editable ".[dev]"
fi

export TF_CPP_MIN_LOG_LEVEL=3
ruff format --check .
ruff check .
mypy
(cd plugins/kplug-bayes && mypy)
lint-imports --no-cache
exec python tests/run_all.py "$@"
