import importlib.util
import os
import shutil
import subprocess
import sys
import textwrap
from importlib import metadata
from importlib.machinery import PathFinder

import pytest

from kplug.catalog.component import Component, namespace_of
from kplug.catalog.discovery import catalog, components
from kplug.catalog.resolution import resolve
from kplug.errors import UnknownComponentError


def ids(kind):
    return [component.id for component in components(kind)]


def test_kplug_declares_its_own_components_by_entry_point():
    assert "kplug/vae" in ids("model")
    assert "kplug/digits" in ids("dataset")
    assert "kplug/focal_loss" in ids("loss")
    assert "kplug/sampling" in ids("layer")


def test_singular_and_plural_name_a_kind():
    assert components("loss") == components("losses") == components("Losses")


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(UnknownComponentError, match=r"no kind 'widgets'.*losses.*models"):
        components("widgets")


def test_a_plugin_is_listed_without_being_imported(install_plugin):
    install_plugin(
        "kplug-acme",
        {"kplug.losses": {"wavelet_loss": "kplug_acme.losses:WaveletLoss"}},
        {"kplug_acme/losses.py": "raise RuntimeError('imported')"},
    )
    assert Component(
        "loss", "acme", "wavelet_loss", "kplug_acme.losses:WaveletLoss", "kplug-acme", "1.0"
    ) in components("loss")


@pytest.mark.parametrize(
    ("distribution", "namespace"),
    [("kplug", "kplug"), ("kplug-acme", "acme"), ("Kplug_Acme.Parts", "acme-parts"), ("wavelets", "wavelets")],
)
def test_the_namespace_is_the_distribution_without_its_prefix(distribution, namespace):
    assert namespace_of(distribution) == namespace


def test_groups_of_others_are_left_alone(install_plugin):
    install_plugin("acme", {"kplug.widgets": {"one": "acme:One"}, "console_scripts": {"kplug.x": "acme:main"}})
    assert not [component for component in components() if component.distribution == "acme"]


@pytest.mark.parametrize(
    ("name", "target", "fault"),
    [
        ("Wavelet", "acme:Wavelet", "snake_case"),
        ("wavelet", "acme", "package.module:Object"),
        ("wavelet", "acme:Wave let", "package.module:Object"),
    ],
)
def test_a_malformed_entry_point_is_listed_with_its_fault(install_plugin, name, target, fault):
    install_plugin("acme", {"kplug.losses": {name: target}})
    (component,) = (one for one in components("loss") if one.distribution == "acme")
    assert fault in component.fault


@pytest.mark.parametrize("order", [("acme", "kplug-acme"), ("kplug-acme", "acme")])
def test_of_two_distributions_of_one_namespace_the_first_by_name_owns_a_name(install_plugin, order):
    for name in order:
        install_plugin(name, {"kplug.losses": {"wavelet": f"{name.replace('-', '_')}:Wavelet"}})
    faults = {one.distribution: one.fault for one in components("loss") if one.id == "acme/wavelet"}
    assert faults == {"acme": None, "kplug-acme": "acme/wavelet is already declared as acme:Wavelet"}


def test_the_order_on_the_path_does_not_say_whose_a_name_is(install_plugin, tmp_path, monkeypatch):
    site = install_plugin("acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "kplug_acme:Wavelet"}})
    (tmp_path / "other").mkdir()
    (site / "kplug_acme-1.0.dist-info").rename(tmp_path / "other" / "kplug_acme-1.0.dist-info")
    others = sys.path[1:]
    for places in ([str(site), str(tmp_path / "other")], [str(tmp_path / "other"), str(site)]):
        monkeypatch.setattr(sys, "path", [*places, *others])
        catalog.cache_clear()
        faults = {one.distribution: one.fault for one in components("loss") if one.id == "acme/wavelet"}
        assert faults == {"acme": None, "kplug-acme": "acme/wavelet is already declared as acme:Wavelet"}


def test_the_first_distribution_of_a_name_on_the_path_hides_the_others(install_plugin, tmp_path, monkeypatch):
    site = install_plugin("acme", {"kplug.losses": {"hidden": "acme:hidden"}})
    info = tmp_path / "first" / "Acme-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: Acme\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[kplug.losses]\nshown = acme:shown\n")
    monkeypatch.setattr(sys, "path", [str(info.parent), str(site), *sys.path[1:]])
    catalog.cache_clear()
    assert [(one.name, one.version) for one in components("loss") if one.namespace == "acme"] == [("shown", "2.0")]


def test_distributions_in_an_archive_and_of_another_finder_are_found(install_plugin, tmp_path, monkeypatch):
    site = install_plugin("packed", {"kplug.losses": {"part": "packed:part"}})
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", site)
    elsewhere = tmp_path / "elsewhere"
    site.rename(elsewhere)
    monkeypatch.syspath_prepend(archive)

    class Finder:
        @staticmethod
        def find_spec(*_):
            return None

        @staticmethod
        def find_distributions(context):
            (elsewhere / "packed-1.0.dist-info" / "METADATA").write_text("Name: found\nVersion: 3\n")
            return PathFinder.find_distributions(metadata.DistributionFinder.Context(path=[str(elsewhere)]))

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    catalog.cache_clear()
    assert {one.id for one in components("loss")} >= {"packed/part", "found/part"}


@pytest.mark.parametrize(
    ("distribution", "whose"), [("kplug-kplug", "kplug's own"), ("script", "that of kplug.register")]
)
def test_a_reserved_namespace_is_no_plugins(install_plugin, home, distribution, whose):
    install_plugin(
        distribution, {"kplug.losses": {"focal_loss": "evil:Loss"}, "kplug.aliases": {"old_name": "focal_loss"}}
    )
    (component,) = (one for one in components("loss") if one.distribution == distribution)
    assert component.fault == f"the namespace {component.namespace!r} is {whose}"
    assert resolve("focal_loss", "loss").distribution == "kplug"
    with pytest.raises(UnknownComponentError):
        resolve("old_name", "loss")


def test_unreadable_metadata_costs_nobody_else_anything(install_plugin):
    site = install_plugin("acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    broken = site / "garbage-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_bytes(b"\xff\xfe\x00garbage")
    (broken / "entry_points.txt").write_bytes(b"[kplug.losses]\nx = \xff\xfe:\x00")
    catalog.cache_clear()
    assert "acme/wavelet" in ids("loss")
    assert "kplug/focal_loss" in ids("loss")
    (one,) = catalog().unreadable
    assert one.name == "garbage"
    assert f"{broken} cannot be read: UnicodeDecodeError" in one.error


def test_a_damaged_list_of_entry_points_costs_pydantic_nothing(install_plugin, run_kplug):
    site = install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    damaged = site / "kplug_acme-1.0.dist-info" / "entry_points.txt"
    damaged.write_text("[kplug.losses]\nno equals sign\n")
    code = "import kplug, kplug.runs.spec; kplug.FocalLoss(gamma=2.0)"
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=search, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused = run_kplug("plugins", "uninstall", "acme")
    assert f"its metadata in {damaged.parent} cannot be read" in refused.stderr
    assert "delete the directory" in refused.stderr


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_metadata_that_are_garbage_keep_no_backend_from_training(install_plugin, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    site = install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    info = site / "kplug_acme-1.0.dist-info"
    (info / "entry_points.txt").write_bytes(b"[kplug.losses]\nx = y:z\n\xff\xfe\x80\x81")
    code = """
        from kplug.damaged_metadata import pass_over_damaged
        pass_over_damaged()
        import keras, numpy as np
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(np.zeros((4, 2)), np.zeros((4, 1)), verbose=0)
    """
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=search, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_catalog_is_read_once_per_process(install_plugin, monkeypatch):
    install_plugin("acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    first = components()
    monkeypatch.setattr("kplug.catalog.discovery.distributions_with", lambda _: pytest.fail("read again"))
    assert components() == first
