"""The catalog on the screen: what is installed, what it takes, and what is wrong with it."""

import threading

import pytest
from textual.widgets import Input, Static

from kplug.catalog.discovery import UnreadableDistribution, components
from kplug_tui.app import KplugApp
from kplug_tui.catalog_page import Entry, page_of, reflowed
from kplug_tui.screens.catalog import CatalogScreen, ComponentTable
from kplug_tui.settings import Settings
from kplug_tui.widgets.kind_bar import KindBar

pytestmark = [pytest.mark.neutral, pytest.mark.slow]

WAVELET = """
    import kplug

    @kplug.component(tasks=["image-classification"], references=["Haar, 1910"])
    def wavelet(y_true, y_pred, levels: int = 3):
        \"\"\"Compares [bold]wavelet[/bold] coefficients.

        Args:
            levels: How many levels there are.
        \"\"\"
"""


@pytest.fixture
def app(tmp_path):
    return KplugApp(tmp_path / "runs", Settings())


@pytest.fixture
def acme(install_plugin):
    return install_plugin(
        "kplug-acme",
        {
            "kplug.losses": {"wavelet": "kplug_acme:wavelet", "Bad-Name": "kplug_acme:wavelet"},
            "kplug.models": {"broken": "kplug_acme_broken:Model"},
        },
        {"kplug_acme.py": WAVELET, "kplug_acme_broken.py": "raise ValueError('[red]no such thing\\x1b[31m')"},
    )


@pytest.fixture
def shown(app, drive, until):
    """Give a function that shows the catalog, waits until all is described, and takes steps there."""

    def begin(steps, size=(120, 40), described=True):
        async def all_steps():
            async with app.run_test(size=size) as pilot:
                await pilot.press("2")
                await until(pilot, lambda: app.screen.query(ComponentTable) and table(app).rows)
                if described:
                    await until(pilot, lambda: "…" not in {row["state"] for row in rows_of_all(app)}, 50.0)
                await steps(pilot)

        drive(all_steps)

    return begin


def table(app):
    return app.screen.query_one(ComponentTable)


def rows_of_all(app):
    return [{"id": entry.id, "state": entry.state} for entry in app.screen._entries.values()]


def ids(app):
    return [row["id"] for row in table(app).rows]


def page(app):
    return app.screen.query_one("#about", Static).content.plain


def go_to(app, component):
    key = next(row["key"] for row in table(app).rows if row["id"] == component)
    table(app).go_to(key)


def test_a_component_is_shown_with_all_there_is_to_know_of_it(app, acme, shown):
    async def steps(pilot):
        go_to(app, "acme/wavelet")
        await pilot.pause()
        for expected in (
            "Compares [bold]wavelet[/bold] coefficients.",
            "levels  int, default 3",
            "How many levels there are.",
            "image-classification",
            "Haar, 1910",
            "kplug-acme 1.0",
            "kplug_acme:wavelet",
            "kplug_acme.py:",
        ):
            assert expected in page(app)
        go_to(app, "kplug/vae")
        await pilot.pause()
        assert "latent_dim" in page(app)
        assert "Kingma" in page(app)

    shown(steps)


def test_broken_components_are_shown_with_their_error(app, acme, shown, text_on):
    async def steps(pilot):
        assert "2 broken" in text_on(app)
        go_to(app, "acme/broken")
        await pilot.pause()
        assert "[red]no such thing" in page(app)
        assert "\x1b" not in page(app)
        go_to(app, "acme/Bad-Name")
        await pilot.pause()
        assert "not snake_case" in page(app)
        await pilot.press("n")
        assert isinstance(app.screen, CatalogScreen)

    shown(steps)


def test_distributions_that_cannot_be_read_are_named():
    one = UnreadableDistribution("[/]somewhere", "UnicodeDecodeError: \x1b[31mno")
    text = page_of(Entry("key", "unreadable", one.name, error=one.error)).plain
    assert "[/]somewhere" in text
    assert "UnicodeDecodeError" in text
    assert "\x1b" not in text


def test_paragraphs_are_broken_where_the_screen_ends_and_code_stays():
    code = "```\nx = 1\ny = 2\n```\n- one\n- two"
    text = f"A summary.\n\nA long\nparagraph.\n\nArgs:\n    a: Some\n        thing.\n\nExample:\n\n{code}"
    assert reflowed(text, True) == f"A summary.\n\nA long paragraph.\n\nExample:\n\n{code}"
    assert "    a: Some" in reflowed(text)


def test_the_search_answers_as_one_types(app, acme, shown):
    async def steps(pilot):
        await pilot.press("slash", *"coeff los")
        assert ids(app) == ["acme/wavelet"]
        await pilot.press("enter")
        assert table(app).has_focus
        await pilot.press("escape")
        assert len(ids(app)) > 50
        await pilot.press("slash", *"nothing at all")
        assert ids(app) == []
        assert app.screen.query_one(KindBar).kinds["all"] == 0
        await pilot.press("escape")
        await pilot.press("slash", *"topic-modeling")
        assert "kplug/neural_topic_model" in ids(app)

    shown(steps)


def test_one_kind_can_be_shown_by_key_and_by_mouse(app, acme, shown):
    async def steps(pilot):
        await pilot.press("right")
        assert {row["kind"] for row in table(app).rows} == {"loss"}
        await pilot.press("left", "left")
        assert {row["kind"] for row in table(app).rows} == {"launcher"}
        await pilot.press("escape")
        assert len({row["kind"] for row in table(app).rows}) > 5
        await pilot.click(KindBar, offset=(2 + len(f" all {len(ids(app))} "), 0))
        assert {row["kind"] for row in table(app).rows} == {"loss"}

    shown(steps)


def test_a_new_run_begins_with_a_model_or_data_set(app, shown, monkeypatch):
    presets = []
    monkeypatch.setattr(app, "open_new_run", lambda preset=None, parent=None: presets.append(preset))

    async def steps(pilot):
        for component in ("kplug/vae", "kplug/digits", "kplug/focal_loss"):
            go_to(app, component)
            await pilot.press("n")
        assert presets == [{"model": "kplug/vae"}, {"dataset": "kplug/digits"}]
        assert any("model or a data set" in one.message for one in app._notifications)

    shown(steps)


def test_a_plugin_is_disabled_and_enabled_by_key(app, acme, shown, until, text_on, home):
    async def steps(pilot):
        entries = {entry.id: entry.key for entry in app.screen._entries.values()}
        table(app).go_to(entries["acme/wavelet"])
        await until(pilot, lambda: app.screen.entry.id == "acme/wavelet")
        await pilot.press("e")
        await until(pilot, lambda: app.screen.entry.state == "not used")
        assert {one.state for one in app.screen._entries.values() if one.id.startswith("acme/")} == {"not used"}
        assert "kplug plugins enable kplug-acme" in text_on(app)
        assert "acme/wavelet" not in [one.id for one in components()]
        await pilot.press("e")
        await until(pilot, lambda: app.screen.entry.state == "ok")
        assert "acme/wavelet" in [one.id for one in components()]

    shown(steps)


def test_kplug_itself_is_not_disabled(app, shown, until):
    async def steps(pilot):
        assert app.screen.entry.id.startswith("kplug/")
        await pilot.press("e")
        await until(pilot, lambda: app._notifications)
        assert [one.message for one in app._notifications] == ["kplug itself cannot be disabled."]
        assert app.screen.entry.state == "ok"

    shown(steps)


def test_the_page_is_read_on_all_of_a_narrow_screen(app, shown):
    async def steps(pilot):
        await pilot.press("enter")
        assert app.screen.query_one("#page").has_focus
        assert not table(app).display
        await pilot.press("escape")
        assert table(app).display
        assert table(app).has_focus

    shown(steps, (80, 24))


def test_what_is_not_described_yet_fills_in(app, acme, shown, until, monkeypatch):
    from kplug.catalog import description

    go_on = threading.Event()
    usual = description.describe_all
    monkeypatch.setattr(description, "describe_all", lambda wanted: (go_on.wait(30), usual(wanted))[1])

    async def steps(pilot):
        go_to(app, "acme/wavelet")
        await pilot.pause()
        assert "Importing it" in page(app)
        go_on.set()
        await until(pilot, lambda: "Compares" in page(app))

    shown(steps, described=False)


def test_a_plugin_that_hangs_keeps_none_of_the_others_back(app, acme, install_plugin, shown, until, monkeypatch):
    from kplug.catalog import description

    install_plugin("kplug-aaa", {"kplug.losses": {"hanging": "aaa_plugin:part"}}, {"aaa_plugin.py": "part = print"})
    go_on, usual = threading.Event(), description.describe_all

    def hanging(wanted):
        if wanted[0].namespace == "aaa":
            go_on.wait(60)
        return usual(wanted)

    monkeypatch.setattr(description, "describe_all", hanging)

    async def steps(pilot):
        go_to(app, "acme/wavelet")
        try:
            await until(pilot, lambda: "Compares" in page(app), 50.0)
            assert next(row["state"] for row in rows_of_all(app) if row["id"] == "aaa/hanging") == "…"
        finally:
            go_on.set()

    shown(steps, described=False)


def test_what_was_installed_meanwhile_is_found_when_it_is_read_again(app, shown, install_plugin, until):
    async def steps(pilot):
        assert "later/part" not in ids(app)
        install_plugin("later", {"kplug.losses": {"part": "later_plugin:part"}}, {"later_plugin.py": "part = print"})
        await pilot.press("r")
        await until(pilot, lambda: "later/part" in ids(app))

    shown(steps)


def test_no_size_breaks_it(app, shown):
    async def steps(pilot):
        for size in ((20, 5), (200, 60), (40, 12), (20, 50), (120, 6), (80, 24)):
            await pilot.resize_terminal(*size)
            for keys in (("enter", "pagedown", "escape"), ("slash", "a", "escape"), ("end", "home")):
                await pilot.press(*keys)
        assert isinstance(app.screen.query_one(Input), Input)

    shown(steps)
