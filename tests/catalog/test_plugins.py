"""Plugins: which are used, which are not, and how a person says so."""

import json
import os
import subprocess
import sys

import pytest

import kplug
from kplug.catalog.description import describe, describe_all
from kplug.catalog.discovery import catalog, components
from kplug.catalog.plugin_settings import settings_file
from kplug.catalog.plugins import disable, enable, not_installed_but_allowed, plugin, plugins
from kplug.catalog.requirements import unmet
from kplug.catalog.resolution import resolve
from kplug.errors import KplugError, UnavailableComponentError, UnknownPluginError

pytestmark = pytest.mark.neutral

WAVELET = {"kplug.losses": {"wavelet": "kplug_acme:wavelet"}}
SOURCE = {"kplug_acme.py": "raise RuntimeError('imported')"}


@pytest.fixture
def acme(install_plugin, home):
    return install_plugin("kplug-acme", WAVELET, SOURCE)


def state(name="kplug-acme"):
    return plugin(name).state


def test_kplug_is_the_first_and_the_others_follow_by_name(install_plugin, home):
    install_plugin("zeta", {"kplug.losses": {"one": "zeta:one"}})
    install_plugin("acme", {"kplug.losses": {"one": "acme:one"}}, version="1.2")
    install_plugin("nothing", {"console_scripts": {"nothing": "nothing:main"}})
    found = [one for one in plugins() if one.distribution in {"kplug", "acme", "zeta", "nothing"}]
    assert [one.distribution for one in found] == ["kplug", "acme", "zeta"]
    assert [one.version for one in found] == [kplug.__version__, "1.2", "1.0"]
    assert [one.state for one in found] == ["enabled"] * 3
    assert [component.id for component in found[1].components] == ["acme/one"]


def test_a_disabled_plugin_is_in_no_choice_and_says_how_to_get_it_back(acme):
    assert disable("kplug-acme").state == "disabled"
    assert not [one for one in components() if one.namespace == "acme"]
    with pytest.raises(
        UnavailableComponentError,
        match=r"^acme/wavelet is of kplug-acme, which is disabled: kplug plugins enable kplug-acme$",
    ):
        resolve("wavelet", "loss")
    assert [one.id for one in plugin("acme").components] == ["acme/wavelet"]
    assert enable("acme").state == "enabled"
    assert resolve("wavelet").id == "acme/wavelet"


@pytest.mark.parametrize("module", ["kplug_acme", "kplug_acme.parts"])
def test_a_disabled_plugin_is_not_imported_by_way_of_its_module_either(install_plugin, home, module):
    files = {"kplug_acme/__init__.py": SOURCE["kplug_acme.py"], "kplug_acme/parts.py": ""}
    install_plugin("kplug-acme", WAVELET, files)
    disable("kplug-acme")
    refused = rf"^{module}:wavelet is of kplug-acme, which is disabled: kplug plugins enable kplug-acme$"
    for ask in (resolve, kplug.get, lambda name, kind: describe(resolve(name, kind))):
        with pytest.raises(UnavailableComponentError, match=refused):
            ask(f"{module}:wavelet", "loss")
    assert "kplug_acme" not in sys.modules
    enable("kplug-acme")
    assert resolve(f"{module}:wavelet", "loss").id == f"{module}:wavelet"


def test_what_a_disabled_plugin_declares_of_another_project_is_not_withheld(install_plugin, home):
    install_plugin("kplug-acme", {"kplug.layers": {"dense": "keras.layers:Dense"}})
    disable("kplug-acme")
    assert resolve("keras.layers:Dense", "layer").id == "keras.layers:Dense"


def test_listing_and_switching_import_nothing(acme):
    plugins()
    disable("acme")
    enable("acme")
    assert "kplug_acme" not in sys.modules


def test_the_settings_last_and_hold_normalized_names(acme):
    disable("Kplug_ACME")
    assert json.loads(settings_file().read_text()) == {"disabled": ["kplug-acme"]}
    catalog.cache_clear()
    assert state() == "disabled"


def test_what_else_the_settings_hold_stays(acme):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('{"disabled": ["other"], "later": 1}')
    disable("acme")
    assert json.loads(settings_file().read_text()) == {"disabled": ["kplug-acme", "other"], "later": 1}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"disabled": "kplug-acme"}', '{"disabled": [1]}', "[" * 100_000, "\udcff"]
)
def test_damaged_settings_use_no_plugin_and_stay_as_they_are(acme, text):
    content = text.encode("utf-8", "surrogateescape")
    settings_file().parent.mkdir(parents=True)
    settings_file().write_bytes(content)
    catalog.cache_clear()
    found = plugin("kplug-acme")
    assert found.state == "disabled"
    assert f"{settings_file()} does not say which plugins are disabled" in found.error
    with pytest.raises(UnavailableComponentError, match=r"acme/wavelet is of kplug-acme.*Repair it, or delete it"):
        resolve("wavelet")
    for switch in (enable, disable):
        with pytest.raises(KplugError, match="Repair it, or delete it"):
            switch("kplug-acme")
    assert settings_file().read_bytes() == content
    assert resolve("focal_loss").id == "kplug/focal_loss"


def test_settings_that_cannot_be_written_are_an_error(acme, home):
    home.mkdir()
    (home / "settings").write_text("a file where a folder should be")
    catalog.cache_clear()
    with pytest.raises(KplugError, match=r"settings.plugins\.json"):
        disable("acme")


def test_kplug_itself_cannot_be_disabled(home):
    with pytest.raises(KplugError, match="kplug itself cannot be disabled"):
        disable("kplug")
    assert not settings_file().exists()


def test_an_unknown_plugin_gets_suggestions(acme):
    with pytest.raises(
        UnknownPluginError, match=r"No installed plugin is called 'kplug-acne'\. Did you mean kplug-acme\?"
    ):
        disable("kplug-acne")


def test_of_two_plugins_of_one_namespace_a_name_means_the_one_called_so(acme, install_plugin):
    install_plugin("acme", {"kplug.losses": {"other": "acme:other"}})
    assert disable("acme").distribution == "acme"
    assert (state("acme"), state("kplug-acme")) == ("disabled", "enabled")


def test_a_plugin_that_has_gone_can_be_enabled_for_when_it_comes_back(home):
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text('{"disabled": ["kplug-gone"]}')
    assert enable("kplug-gone").error == "it is not installed"
    assert json.loads(settings_file().read_text()) == {"disabled": []}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [("", "not allowed"), ("kplug-acme", "enabled"), (" Acme ,beta", "enabled"), ("beta", "not allowed")],
)
def test_an_allow_list_names_distributions_or_namespaces(acme, monkeypatch, allowed, expected):
    monkeypatch.setenv("KPLUG_PLUGINS", allowed)
    catalog.cache_clear()
    assert state() == expected
    assert state("kplug") == "enabled"
    assert bool([one for one in components() if one.namespace == "acme"]) == (expected == "enabled")


def test_what_the_allow_list_names_in_vain_is_said(acme, monkeypatch):
    monkeypatch.setenv("KPLUG_PLUGINS", "kplug_acme, Kplug,acne")
    catalog.cache_clear()
    assert not_installed_but_allowed(plugins()) == ("acne",)


def test_what_is_not_allowed_says_so_by_name(acme, monkeypatch):
    monkeypatch.setenv("KPLUG_PLUGINS", "beta")
    catalog.cache_clear()
    with pytest.raises(
        UnavailableComponentError, match="kplug-acme, which is not allowed: KPLUG_PLUGINS does not name it"
    ):
        resolve("acme/wavelet")


def test_a_component_of_the_same_name_stands_in_for_a_withheld_one(acme, install_plugin):
    install_plugin("kplug-beta", {"kplug.losses": {"wavelet": "kplug_beta:wavelet"}})
    disable("acme")
    assert resolve("wavelet").id == "beta/wavelet"


def test_a_plugin_that_needs_another_kplug_is_incompatible(install_plugin, home):
    install_plugin("kplug-acme", WAVELET, SOURCE, requires=["keras", "kplug>=99,<100"])
    found = plugin("acme")
    assert found.state == "incompatible"
    assert found.error == f"needs kplug >=99,<100, and kplug {kplug.__version__} is installed"
    with pytest.raises(UnavailableComponentError, match="which is incompatible: it needs kplug >=99,<100, and kplug"):
        resolve("wavelet")


def test_a_python_that_was_built_from_a_checkout_is_the_version_that_it_becomes(install_plugin, home, monkeypatch):
    monkeypatch.setattr("platform.python_version", lambda: "3.12.4+")
    install_plugin("kplug-acme", WAVELET, requires_python=">=3.10")
    assert state() == "enabled"


def test_a_plugin_that_needs_another_python_is_incompatible(install_plugin, home):
    install_plugin("kplug-acme", WAVELET, SOURCE, requires_python=">=4")
    assert plugin("acme").error.startswith("needs Python >=4, and this is Python 3.")


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("kplug", True),
        ("kplug>=0.1", True),
        ("kplug >= 0.1.0 , < 0.2", True),
        ("kplug (>=0.1)", True),
        ("kplug[jax]>=0.1,!=0.1.1", True),
        ("kplug==0.1", True),
        ("kplug~=0.1.0", True),
        ("kplug<0.1", False),
        ("kplug>0.1", False),
        ("kplug<=0.0.9", False),
        ("kplug==0.2.*", False),
        ("KPLUG>=0.10", False),
        ("kplug>=0.1.0.1", False),
        ("kplug>=0.1.1.dev0", False),
        ("kplug>=0.1.dev0", True),
        ("kplug>=9; python_version < '3'", True),
        ("kplug>=9; python_version > '3'", False),
        ("kplug>=9; extra == 'all'", True),
        ("kplug-acme>=9", True),
        ("kplug @ file:///tmp/kplug.whl", True),
        ("kplug>=banana", False),
        ("kplug>>1", False),
    ],
)
def test_requirements_on_kplug(requirement, met):
    assert (unmet([requirement], None, "0.1.0") is None) == met


def test_plain_versions_are_compared_as_packaging_does():
    from packaging.specifiers import SpecifierSet

    versions = ["0", "0.1", "0.1.0", "0.1.1", "0.9", "0.10", "1", "1.0.0.0", "2025.1"]
    for version in versions:
        for bound in versions:
            for comparison in (">=", "<=", ">", "<", "!=", "=="):
                specifier = f"{comparison}{bound}"
                met = unmet([f"kplug{specifier}"], None, version) is None
                assert met == SpecifierSet(specifier).contains(version), (version, specifier)


def test_a_development_version_of_kplug_is_taken():
    assert unmet(["kplug>=0.1"], None, "0.2.dev1") is None


def test_a_plugin_known_to_be_broken_is_shown_so_with_its_error(acme):
    assert state() == "enabled"
    describe(resolve("wavelet"))
    found = plugin("acme")
    assert found.state == "broken"
    assert found.error == "wavelet: RuntimeError: imported"


def test_more_than_one_broken_component_are_counted(install_plugin, home):
    install_plugin("acme", {"kplug.losses": {"One": "a:b", "Two": "a:b", "three": "a:b"}})
    assert plugin("acme").error.endswith("(and 1 more of its 3 components)")


COUNT_OPENED = """
import collections, json, os, sys
opened = collections.Counter()
sys.addaudithook(lambda event, details: opened.update([str(details[0])]) if event == "open" else None)
from kplug.catalog.description import known
from kplug.catalog.discovery import components
from kplug.catalog.plugins import plugins
found = {list}
print(json.dumps([found, opened]))
"""


@pytest.mark.parametrize("listing", ["len(plugins())", "len(known(components()))"])
def test_listing_opens_no_file_more_often_than_it_must(install_plugin, home, listing):
    for number in range(20):
        parts = {f"part{index}": f"parts{number}:part{index}" for index in range(3)}
        source = "".join(f"def part{index}(): ..." + chr(10) for index in range(3))
        site = install_plugin(f"plugin{number}", {"kplug.losses": parts}, {f"parts{number}.py": source})
        install_plugin(f"package{number}", {"console_scripts": {"run": "package:main"}})
    describe_all(one for one in components("loss") if one.namespace.startswith("plugin"))
    done = subprocess.run(
        [sys.executable, "-P", "-c", COUNT_OPENED.replace("{list}", listing)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    found, opened = json.loads(done.stdout)
    assert found > 20
    descriptions = home / "cache" / "descriptions"
    assert [opened.get(str(file)) for file in descriptions.iterdir()] == [1] * 20
    in_site = {path: count for path, count in opened.items() if path.startswith(str(site))}
    for number in range(20):
        # Once to see whether it is a plugin, and once by the standard library.
        assert in_site.pop(str(site / f"plugin{number}-1.0.dist-info" / "entry_points.txt")) == 2
        assert in_site.pop(str(site / f"plugin{number}-1.0.dist-info" / "METADATA")) == 1
        assert in_site.pop(str(site / f"package{number}-1.0.dist-info" / "entry_points.txt")) == 1
    assert in_site == {}
    assert {count for path, count in opened.items() if path.endswith(("METADATA", "PKG-INFO"))} == {1}
