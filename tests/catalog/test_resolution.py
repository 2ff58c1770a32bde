import pytest

from kplug.catalog.resolution import resolve
from kplug.errors import AmbiguousNameError, BrokenComponentError, UnknownComponentError


@pytest.mark.parametrize(
    "name", ["focal_loss", "focal-loss", "FocalLoss", "FOCAL_LOSS", "kplug/focal_loss", "KPLUG/FocalLoss"]
)
def test_case_hyphens_and_underscores_do_not_matter(name):
    assert resolve(name).id == "kplug/focal_loss"


def test_an_unknown_name_gets_suggestions():
    with pytest.raises(UnknownComponentError, match=r"no loss 'focal_los'.*Did you mean focal_loss\?"):
        resolve("focal_los", "loss")


def test_a_name_unlike_all_others_gets_the_list():
    with pytest.raises(UnknownComponentError, match=r"The models are: .*vae"):
        resolve("zzzz", "model")


def test_a_name_like_no_other_is_answered_with_those_of_its_kind():
    with pytest.raises(UnknownComponentError, match=r"There is no launcher 'slurm'\. The launchers are: local\."):
        resolve("slurm", "launcher")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acme/wavelet", r"No plugin of the namespace 'acme' is installed here\. .* kplug plugins install kplug-acme$"),
        (
            "script/hinge_loss",
            r"is known in its own process alone\. Name the file that it is in: path/to/file\.py:Object$",
        ),
        ("ideas/hinge.py", r"Of a file, say which object is meant: ideas/hinge\.py:Object$"),
    ],
)
def test_a_name_that_can_be_none_of_what_is_here_is_told_where_it_may_be(name, said):
    with pytest.raises(UnknownComponentError, match=said):
        resolve(name, "loss")


def test_a_bare_name_means_kplugs_own_component(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"focal_loss": "acme:FocalLoss"}})
    assert resolve("focal_loss").namespace == "kplug"
    assert resolve("acme/focal_loss").namespace == "acme"


def test_a_bare_name_means_the_only_plugin_component_of_that_name(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    assert resolve("Wavelet").id == "acme/wavelet"


def test_a_name_of_two_plugins_lists_both(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:Wavelet"}})
    install_plugin("kplug-beta", {"kplug.losses": {"wavelet": "beta:Wavelet"}})
    with pytest.raises(AmbiguousNameError, match=r"acme/wavelet.*beta/wavelet.*full id"):
        resolve("wavelet")


def test_a_name_of_two_kinds_asks_for_the_kind(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"cosine": "acme:L"}, "kplug.metrics": {"cosine": "acme:M"}})
    with pytest.raises(AmbiguousNameError, match="say which kind"):
        resolve("cosine")
    assert resolve("cosine", "metric").kind == "metric"


def test_a_faulty_entry_point_is_broken_not_unknown(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "not a target"}})
    with pytest.raises(BrokenComponentError, match=r"acme/wavelet \(kplug-acme 1\.0\).*not a target"):
        resolve("wavelet")


def test_a_name_that_is_no_string_is_refused():
    with pytest.raises(UnknownComponentError, match="Received: 3"):
        resolve(3)


@pytest.mark.parametrize("name", ["ripple", "acme/ripple", "Ripple", "ACME/ripple"])
def test_a_component_is_found_by_what_it_was_called_before(install_plugin, name):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:W"}, "kplug.aliases": {"ripple": "wavelet"}})
    assert resolve(name, "loss").id == "acme/wavelet"


def test_what_is_called_so_now_goes_before_what_was(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:W"}, "kplug.aliases": {"ripple": "wavelet"}})
    install_plugin("kplug-beta", {"kplug.losses": {"ripple": "beta:R"}})
    assert resolve("ripple").id == "beta/ripple"
    assert resolve("acme/ripple").id == "acme/wavelet"


def test_a_renamed_plugin_is_found_by_its_old_namespace(install_plugin):
    install_plugin("kplug-zeta", {"kplug.losses": {"wavelet": "z:W"}, "kplug.aliases": {"acme/wavelet": "wavelet"}})
    assert resolve("acme/wavelet").id == "zeta/wavelet"
    install_plugin("kplug-acme", {"kplug.losses": {"other": "acme:O"}})
    with pytest.raises(UnknownComponentError):
        resolve("acme/wavelet")


def test_an_alias_of_nothing_means_nothing(install_plugin):
    install_plugin("kplug-acme", {"kplug.losses": {"wavelet": "acme:W"}, "kplug.aliases": {"ripple": "gone"}})
    with pytest.raises(UnknownComponentError, match="no loss 'ripple'"):
        resolve("ripple", "loss")
