"""The GPUs of a machine and which of them a run gets, on a driver that is made up."""

import pynvml
import pytest

from kplug.errors import SpecError
from kplug.runs.completion import complete
from kplug.runs.devices import check_device, choose, environment_of, gpus, named_gpus, share_device
from kplug.runs.spec import spec_from

pytestmark = pytest.mark.neutral

GIB = 2**30
UUIDS = ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]
USED = [30 * GIB, 5 * GIB, 10 * GIB]


class Memory:
    def __init__(self, used):
        self.total, self.used = 40 * GIB, used


@pytest.fixture
def driver(monkeypatch):
    """A driver with three GPUs, of which the second has the most free memory, and none tells its power."""

    def by_index(index):
        if not 0 <= index < 3:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return index

    def by_uuid(uuid):
        if uuid not in UUIDS:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return UUIDS.index(uuid)

    def unsupported(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 3,
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetUUID": lambda handle: UUIDS[handle],
        "nvmlDeviceGetName": lambda handle: f"Model {handle}",
        "nvmlDeviceGetMemoryInfo": lambda handle: Memory(USED[handle]),
        "nvmlDeviceGetUtilizationRates": unsupported,
        "nvmlDeviceGetPowerUsage": unsupported,
        "nvmlDeviceGetTemperature": lambda handle, kind: 40 + handle,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def no_driver(monkeypatch):
    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)


def test_gpus_are_listed_with_what_the_driver_tells(driver):
    found = gpus()
    assert [(gpu.index, gpu.uuid, gpu.name) for gpu in found] == [
        (0, "GPU-aaaa-1", "Model 0"),
        (1, "GPU-bbbb-2", "Model 1"),
        (2, "GPU-cccc-3", "Model 2"),
    ]
    assert [gpu.free_bytes for gpu in found] == [10 * GIB, 35 * GIB, 30 * GIB]
    assert (found[2].temperature_celsius, found[2].power_watts, found[2].utilization_percent) == (42, None, None)


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("2,0", ["GPU-cccc-3", "GPU-aaaa-1"]),
        ("GPU-bbbb-2", ["GPU-bbbb-2"]),
        ("GPU-cc", ["GPU-cccc-3"]),
        ("1,7,0", ["GPU-bbbb-2"]),
        ("-1", []),
        ("", []),
    ],
)
def test_only_visible_gpus_count_in_their_order(driver, monkeypatch, visible, uuids):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [gpu.uuid for gpu in gpus()] == uuids
    assert [gpu.index for gpu in gpus()] == list(range(len(uuids)))


def test_auto_takes_the_gpu_with_most_free_memory_that_no_other_run_uses(driver):
    assert [gpu.index for gpu in choose("auto")] == [1]
    assert [gpu.index for gpu in choose("gpu", busy=["GPU-bbbb-2"])] == [2]
    assert [gpu.index for gpu in choose("auto", busy=UUIDS)] == [1]


def test_named_gpus_are_taken_as_named_and_the_cpu_takes_none(driver):
    assert [gpu.index for gpu in choose("gpu:2,0")] == [2, 0]
    assert choose("cpu") == []


def test_without_a_driver_auto_leaves_it_to_the_backend_and_gpu_is_refused(no_driver):
    assert gpus() == []
    assert choose("auto") is None
    with pytest.raises(SpecError, match="there is no GPU here"):
        choose("gpu")


def test_a_process_sees_the_chosen_gpus_only_and_takes_memory_as_it_needs_it(driver, monkeypatch):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    assert environment_of(choose("gpu:1,2")) == {
        "CUDA_VISIBLE_DEVICES": "GPU-bbbb-2,GPU-cccc-3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    assert environment_of([]) == {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    assert environment_of(None) == {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@pytest.mark.parametrize(
    ("device", "backend", "batch_size", "message"),
    [
        ("gpu:3", "jax", 128, r"there is no gpu:3 here\. There is gpu:0 \(Model 0\), gpu:1 \(Model 1\), gpu:2"),
        ("gpu:1,1", "jax", 128, "names a GPU twice"),
        ("gpu:0,1", "torch", 128, "on PyTorch a run trains on one GPU"),
        ("gpu:0,1", "jax", 127, "a batch of 127 cannot be shared equally by 2 GPUs"),
    ],
)
def test_devices_that_cannot_be_used_are_refused(driver, device, backend, batch_size, message):
    with pytest.raises(SpecError, match=message):
        check_device(device, backend, batch_size)


@pytest.mark.parametrize("device", ["gpu0", "cuda:0", "gpu:", "gpu:0,", "gpu:-1", "GPU", "", "gpu:0\n"])
def test_words_that_name_no_device_are_refused(device):
    with pytest.raises(SpecError, match="should be auto, cpu, gpu, gpu:0 or gpu:0,1"):
        spec_from({"model": "vae", "dataset": "digits", "device": device})


def test_a_missing_gpu_is_refused_before_anything_starts(no_driver):
    with pytest.raises(SpecError, match="device = 'gpu:0': there is no GPU here"):
        complete({"model": "vae", "dataset": "digits", "device": "gpu:0"})


def waiting(device, gpus=None):
    return {"device": device, "gpus": gpus}


def going_on(device, gpus=None, state="running"):
    return {"device": device, "gpus": gpus, "state": state}


@pytest.mark.parametrize(
    ("mine", "other", "shared"),
    [
        # Whatever a run was asked for: what it trains on counts.
        (waiting("gpu:0", ["A"]), going_on("auto", ["A"]), True),
        (waiting("gpu:0", ["A"]), going_on("auto", ["B"]), False),
        (waiting("gpu:0", ["A"]), going_on("cpu", []), False),
        # Numbers count from what CUDA_VISIBLE_DEVICES leaves each process.
        (waiting("gpu:0", ["A"]), going_on("gpu:0", ["B"]), False),
        (waiting("gpu:0", ["A"]), going_on("gpu:1", ["A"]), True),
        (waiting("gpu:0,1", ["A", "B"]), going_on("gpu:0", ["B"], "queued"), True),
        # Which one it gets is not yet known.
        (waiting("gpu:0", ["A"]), going_on("auto", None, "starting"), True),
        (waiting("gpu:0", ["A"]), going_on("auto", None, "queued"), False),
        # Where the driver does not tell, the numbers have to do.
        (waiting("gpu:0"), going_on("gpu:0,1", ["A", "B"]), True),
        (waiting("gpu:0"), going_on("gpu:1", ["B"]), False),
        (waiting("auto"), going_on("gpu:1", ["B"]), True),
        (waiting("cpu"), going_on("auto", []), True),
    ],
)
def test_runs_on_named_gpus_wait_for_those_that_have_them(mine, other, shared):
    assert share_device(mine, other) is shared


def test_the_gpus_that_a_device_names_are_those_of_this_process(driver, monkeypatch):
    assert named_gpus("gpu:2,0") == ["GPU-cccc-3", "GPU-aaaa-1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert named_gpus("gpu:0") == ["GPU-bbbb-2"]
    assert [named_gpus(device) for device in ("auto", "gpu", "cpu", "gpu:7")] == [None] * 4


@pytest.mark.parametrize("question", ["nvmlDeviceGetUUID", "nvmlDeviceGetName"])
def test_a_gpu_that_answers_no_more_is_left_out(driver, monkeypatch, question):
    def lost(handle):
        if handle == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return f"answer {handle}"

    monkeypatch.setattr(pynvml, question, lost)
    assert [gpu.index for gpu in gpus()] == [0, 2]
