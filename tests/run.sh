#!/usr/bin/env bash
# Installs kplug with what its tests need, then runs every check: lint, types, import contracts, tests on each backend.
# Uses the active virtual environment, or makes .venv. Arguments go to pytest's first run.
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
# A plugin's own tests need no installation, which would change the catalog that kplug's tests look at. That it is
# installed, listed, trained and removed is tests/test_kplug_bayes.py. Its slow tests compare backends from TensorFlow.
test_plugin() { (cd plugins/kplug-bayes && PYTHONPATH="$PWD/src" python -m pytest "$@"); }
# The parts once more on the other backends, one after the other, beside TensorFlow: each keeps one core busy.
numeric=(tests/losses tests/layers tests/metrics tests/testing tests/models tests/training tests/test_saving.py)
on_other_backends() {
    local quick failed=0
    # Nearly all of JAX's time is compiling what runs once: without most optimizations, and in one piece, it takes a
    # third of it.
    quick="--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    XLA_FLAGS="$quick" python -c 'import jax; jax.numpy.zeros(1)' 2>/dev/null || quick=""  # an XLA without such flags
    KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 XLA_FLAGS="$quick" \
        python -m pytest -m "not neutral" "${numeric[@]}" || failed=$?
    KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 XLA_FLAGS="$quick" test_plugin -m "not neutral and not slow" || failed=$?
    if python -c 'import torch' 2>/dev/null; then
        KERAS_BACKEND=torch python -m pytest -m "not neutral" "${numeric[@]}" || failed=$?
        KERAS_BACKEND=torch test_plugin -m "not neutral and not slow" || failed=$?
    else
        echo "PyTorch is not installed: its tests were not run."
    fi
    return "$failed"
}
on_other_backends >.other-tests.log 2>&1 &
others=$!
failed=0
KERAS_BACKEND=tensorflow python -m pytest "$@" || failed=$?
KERAS_BACKEND=tensorflow test_plugin || failed=$?
wait "$others" || failed=$?
cat .other-tests.log
rm -f .other-tests.log
exit "$failed"
