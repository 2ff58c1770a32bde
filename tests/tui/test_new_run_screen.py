"""The screen of the form for a new run, driven by keys and by the mouse."""

from types import SimpleNamespace

import pytest
from textual.widgets import Input, Static

from kplug.catalog.description import describe_all
from kplug.errors import RunStorageError
from kplug.runs.completion import complete
from kplug.runs.devices import Gpu
from kplug_tui.app import KplugApp
from kplug_tui.new_run_form import NewRunForm
from kplug_tui.screens.dialogs import Ask, Confirm
from kplug_tui.screens.new_run import NewRunScreen
from kplug_tui.screens.new_run_text import Reading, SpecText
from kplug_tui.screens.pick import Pick
from kplug_tui.settings import Settings
from kplug_tui.widgets.form import Form, FormRow
from kplug_tui.widgets.table import Table

pytestmark = pytest.mark.neutral

SMALL, WIDE = (80, 24), (120, 40)


@pytest.fixture(autouse=True)
def _described(monkeypatch):
    """Have the descriptions in the cache, and no GPU."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr("kplug_tui.screens.new_run.gpus", list)
    describe_all(NewRunForm().unknown())


@pytest.fixture
def started(monkeypatch, make_run):
    """The runs that were started instead of real ones: spec, limit and parent."""
    calls = []

    def launch(spec, root, max_running=None, parent=None):
        calls.append(SimpleNamespace(spec=spec, root=root, max_running=max_running, parent=parent))
        return SimpleNamespace(id=make_run(state="completed", run_id="20260101-000000-new").id)

    monkeypatch.setattr("kplug_tui.screens.new_run.launch", launch)
    return calls


@pytest.fixture
def filling(tmp_path, drive, until):
    """Give a function that opens the form in an app and takes steps there."""

    def begin(steps, size=SMALL, preset=None, parent=None):
        async def all_steps():
            app = KplugApp(tmp_path / "runs", Settings())
            async with app.run_test(size=size) as pilot:
                await until(pilot, lambda: app.snapshot is not None)
                app.open_new_run(preset, parent)
                await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and not app.screen.form.unknown())
                await until(pilot, lambda: at(app) is not None)
                await steps(app, pilot)

        drive(all_steps)

    return begin


def at(app):
    row = next((form.current for form in app.screen.query(Form)), None)
    return row.place if row is not None else None


def status(app):
    return str(app.screen.query_one("#status", Static).render())


async def typed(pilot, text):
    await pilot.press(*("space" if sign == " " else sign for sign in text))


async def go(app, pilot, *place):
    """Let the keys go to a field."""
    app.screen.query_one(Form).go_to(place)
    await pilot.pause()
    assert at(app) == place


VAE = {"model": "kplug/vae", "dataset": "kplug/digits"}


def test_model_and_data_set_are_chosen_and_a_parameter_set_by_keys(filling, until, started):
    async def steps(app, pilot):
        screen = app.screen
        assert at(app) == ("model",)
        assert status(app).startswith("✗ Choose a model.") or not status(app)
        await pilot.press("enter")
        assert isinstance(app.screen, Pick)
        await typed(pilot, "vae")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen and at(app) == ("model",))
        await pilot.press("down")
        assert at(app) == ("model", "latent_dim")
        await typed(pilot, "16")
        await pilot.press("pagedown")
        assert at(app) == ("dataset",)
        await typed(pilot, "dig")
        assert isinstance(app.screen, Pick)
        await pilot.press("enter")
        await until(pilot, lambda: status(app) == "✓ Ready: vae on digits, 10 epochs")
        await pilot.press("f5")
        await until(pilot, lambda: app.screen is not screen)
        assert started[0].spec == complete({**VAE, "model": {"name": "vae", "parameters": {"latent_dim": 16}}})
        assert (started[0].parent, started[0].max_running, started[0].root) == (None, None, app.reader.root)

    filling(steps)


TINY_LOSS = '''
import keras


class TinyLoss(keras.losses.Loss):
    """The mean squared error, scaled.

    Args:
        scale: How much it counts.
    """

    def __init__(self, scale: float = 1.0, name: str = "tiny_loss", **options):
        super().__init__(name=name, **options)
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)
'''


def test_a_part_in_a_file_is_named_and_its_parameters_arrive(filling, until, started, tmp_path):
    file = tmp_path / "parts.py"
    file.write_text(TINY_LOSS)

    async def steps(app, pilot):
        screen = app.screen
        await go(app, pilot, "loss")
        await typed(pilot, f"{file}:TinyLoss")
        await pilot.press("enter")
        await until(
            pilot, lambda: app.screen is screen and ("loss", "scale") in [row.place for row in screen._rows], 60
        )
        await go(app, pilot, "loss", "scale")
        await typed(pilot, "2.5")
        await until(pilot, lambda: status(app).startswith("✓ Ready"), 60)
        await pilot.press("f5")
        await until(pilot, lambda: started)
        assert (started[0].spec.loss.name, started[0].spec.loss.parameters) == (f"{file}:TinyLoss", {"scale": 2.5})
        assert list(started[0].spec.files) == [str(file)]

    filling(steps, preset={"model": "augmented_cnn", "dataset": "digits"})


def test_the_focused_field_stays_in_sight_when_rows_come_above_it(filling, until):
    async def steps(app, pilot):
        screen = app.screen
        await go(app, pilot, "dataset")
        focused = app.focused
        screen.form.choose(("model",), "vae")
        screen.refill()
        await until(pilot, lambda: ("model", "latent_dim") in [row.place for row in screen._rows])
        await pilot.pause()
        assert app.focused is focused
        await until(pilot, lambda: screen._form.region.contains_region(focused.region))

    filling(steps)


def test_the_cursor_stands_on_the_run_that_was_started(filling, until, started, make_run):
    make_run(run_id="20270101-000000-other")

    async def steps(app, pilot):
        await pilot.press("ctrl+r")
        await until(pilot, lambda: not isinstance(app.screen, NewRunScreen))
        table = app.screen.query_one("#runs", Table)
        await until(pilot, lambda: table.row is not None and table.row["id"] == "20260101-000000-new")

    filling(steps, preset=VAE)


def test_start_and_watch_opens_the_run_instead_of_the_form(filling, until, started, monkeypatch):
    opened = []
    monkeypatch.setattr(KplugApp, "open_run", lambda self, run_id: opened.append(run_id))

    async def steps(app, pilot):
        await pilot.press("f6")
        await until(pilot, lambda: opened)
        assert not isinstance(app.screen, NewRunScreen)
        assert started[0].parent == "a-run"

    filling(steps, preset=VAE, parent="a-run")
    assert opened == ["20260101-000000-new"]


def test_what_is_wrong_is_gone_to_instead_of_started(filling, until, started):
    async def steps(app, pilot):
        await go(app, pilot, "model", "latent_dim")
        await typed(pilot, "0")
        await until(pilot, lambda: status(app) == "✗ model's latent_dim: expected int > 0.")
        await go(app, pilot, "epochs")
        await pilot.press("f5")
        await pilot.pause()
        assert at(app) == ("model", "latent_dim")
        assert not started
        await pilot.press("backspace")
        await until(pilot, lambda: status(app).startswith("✓ Ready"))

    filling(steps, preset=VAE)


def test_what_only_the_whole_shows_is_said(filling, until):
    async def steps(app, pilot):
        await go(app, pilot, "device")
        await typed(pilot, "gpu:3")
        await pilot.press("enter")
        await until(pilot, lambda: "there is no GPU here" in status(app))

    filling(steps, preset=VAE)


def test_a_run_that_cannot_be_started_leaves_the_form(filling, until, monkeypatch):
    def launch(*given):
        raise RunStorageError("The disk is full.")

    monkeypatch.setattr("kplug_tui.screens.new_run.launch", launch)

    async def steps(app, pilot):
        await until(pilot, lambda: status(app).startswith("✓ Ready"))
        await pilot.press("f5")
        await until(pilot, lambda: status(app) == "✗ The disk is full.")
        assert isinstance(app.screen, NewRunScreen)
        await pilot.press("f5")
        await until(pilot, lambda: "The disk is full." in status(app))

    filling(steps, preset=VAE)


def test_what_does_not_fit_is_refused_with_the_reason(filling, until):
    async def steps(app, pilot):
        await go(app, pilot, "dataset")
        await typed(pilot, "synthetic_topics")
        note = app.screen.query_one("#note", Static)
        await until(pilot, lambda: "for topic-modeling" in str(note.render()))
        await pilot.press("enter")
        assert isinstance(app.screen, Pick)
        assert str(note.render()).startswith("It cannot be chosen: for topic-modeling")
        await pilot.press("escape")
        assert app.screen.form.text(("dataset",)) == "kplug/digits"

    filling(steps, preset={"model": "augmented_cnn", "dataset": "kplug/digits"})


def test_what_is_typed_faster_than_the_list_opens_is_searched_for_too(filling, until):
    async def steps(app, pilot):
        row = next(one for one in app.screen.query(FormRow) if one.row.place == ("model",))
        for sign in "vq":
            row.post_message(FormRow.Asked(row.row, sign))
        await until(pilot, lambda: isinstance(app.screen, Pick) and app.screen.query(Input))
        await until(pilot, lambda: app.screen.query_one(Input).value == "vq")
        await pilot.press("escape")
        assert isinstance(app.screen, NewRunScreen)

    filling(steps, preset=VAE)


def test_values_are_turned_with_the_cursor_keys_and_taken_back(filling):
    async def steps(app, pilot):
        form = app.screen.form
        await go(app, pilot, "precision")
        await pilot.press("right")
        assert form.text(("precision",)) == "float32"
        await pilot.press("right")
        assert form.text(("precision",)) == "mixed_float16"
        await pilot.press("left", "left")
        assert form.text(("precision",)) == ""
        await go(app, pilot, "model", "conditional")
        await pilot.press("space")
        assert form.text(("model", "conditional")) == "true"
        await pilot.press("space")
        assert form.text(("model", "conditional")) == "false"
        await pilot.press("delete")
        assert form.text(("model", "conditional")) == ""

    filling(steps, preset=VAE)


def test_metrics_are_added_and_taken_away(filling, until):
    async def steps(app, pilot):
        form = app.screen.form
        await go(app, pilot, "metrics")
        await typed(pilot, "cal")
        await pilot.press("enter")
        await until(pilot, lambda: len(at(app) or ()) == 2)
        place = at(app)
        assert form.text(place) == "kplug/expected_calibration_error"
        await pilot.press("down")
        assert at(app) == (*place, "num_bins")
        await typed(pilot, "5")
        await pilot.press("up", "delete")
        await until(pilot, lambda: at(app) == ("metrics",))
        assert "metrics" not in form.values()

    filling(steps, preset={"model": "augmented_cnn", "dataset": "digits"})


def test_parameters_are_unfolded_and_folded(filling, until):
    async def steps(app, pilot):
        await go(app, pilot, "optimizer", "…more")
        await pilot.press("enter")
        await until(pilot, lambda: at(app) == ("optimizer", "beta_1"))
        await go(app, pilot, "optimizer")
        await pilot.press("left")
        await pilot.pause()
        places = [one.row.place for one in app.screen.query(FormRow)]
        assert ("optimizer", "beta_1") not in places
        assert ("optimizer", "learning_rate") in places

    filling(steps, preset=VAE)


def test_leaving_asks_only_if_something_would_be_lost(filling, until):
    async def steps(app, pilot):
        screen = app.screen
        await go(app, pilot, "epochs")
        await typed(pilot, "3")
        await pilot.press("escape")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("backspace", "escape")
        await until(pilot, lambda: not isinstance(app.screen, NewRunScreen | Confirm))

    filling(steps, preset=VAE)


def test_quitting_asks_likewise(filling, until):
    async def steps(app, pilot):
        await go(app, pilot, "epochs")
        await typed(pilot, "3")
        await pilot.press("ctrl+q")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n", "backspace", "ctrl+q")
        await until(pilot, lambda: not app.is_running)

    filling(steps, preset=VAE)


def test_letters_in_the_form_are_no_keys_of_the_app(filling):
    async def steps(app, pilot):
        screen = app.screen
        await go(app, pilot, "name")
        await typed(pilot, "q2?,s")
        assert screen.form.text(("name",)) == "q2?,s"
        assert app.screen is screen
        await go(app, pilot, "model")
        await typed(pilot, "q")
        assert isinstance(app.screen, Pick)

    filling(steps, preset=VAE)


def test_an_earlier_run_fills_the_form_after_a_question(filling, until, make_run, started):
    make_run(run_id="20260101-000000-older", name="older", epochs=7, model={"name": "vae", "parameters": {"beta": 2.0}})

    async def steps(app, pilot):
        screen = app.screen
        await go(app, pilot, "epochs")
        await typed(pilot, "3")
        await pilot.press("f2")
        await typed(pilot, "older")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: screen.form.text(("epochs",)) == "7")
        assert screen.form.text(("model", "beta")) == "2.0"
        assert not screen.changed
        await pilot.press("f5")
        await until(pilot, lambda: started)
        assert started[0].parent == "20260101-000000-older"

    filling(steps, preset=VAE)


def test_without_earlier_runs_it_says_so(filling):
    async def steps(app, pilot):
        await pilot.press("f2")
        assert isinstance(app.screen, NewRunScreen)

    filling(steps)


def test_the_command_and_the_file_are_copied_and_saved(filling, until, tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text("old")
    copied = []
    monkeypatch.setattr(KplugApp, "copy_to_clipboard", lambda self, text: copied.append(text))

    async def steps(app, pilot):
        await pilot.press("f3")
        assert isinstance(app.screen, SpecText)
        await pilot.press("c", "t")
        assert copied[0].startswith("kplug train vae --data digits")
        assert copied[1] == 'model = "kplug/vae"\ndataset = "kplug/digits"\nbackend = "tensorflow"\n'
        await pilot.press("s")
        assert isinstance(app.screen, Ask)
        app.screen.query_one(Input).value = str(tmp_path / "mine.txt")
        await pilot.press("enter")
        assert isinstance(app.screen, Ask)
        app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert file.read_text() == "old"
        await pilot.press("y")
        await until(pilot, lambda: file.read_text() == copied[1])

    filling(steps, preset=VAE)


def test_a_file_that_cannot_be_written_is_said(filling, until, tmp_path):
    async def steps(app, pilot):
        await pilot.press("f3", "s")
        app.screen.query_one(Input).value = str(tmp_path / "nowhere" / "mine.toml")
        await pilot.press("enter")
        await until(pilot, lambda: any("cannot be written" in one.message for one in app._notifications))

    filling(steps, preset=VAE)


def test_documentation_stands_beside_the_form_where_there_is_room(filling, until, text_on):
    async def steps(app, pilot):
        await go(app, pilot, "model", "latent_dim")
        await until(pilot, lambda: "Number of latent dimensions." in text_on(app))
        about, form = app.screen.query_one("#aside").region, app.screen.query_one(Form).region
        assert about.x >= form.right
        assert "kplug train vae --data digits" in text_on(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        about, form = app.screen.query_one("#aside").region, app.screen.query_one(Form).region
        assert about.y >= form.bottom
        assert "Number of latent dimensions." in text_on(app)

    filling(steps, size=WIDE, preset=VAE)


def test_all_of_the_documentation_is_read_on_a_key(filling):
    async def steps(app, pilot):
        await pilot.press("f4")
        assert isinstance(app.screen, Reading)
        await pilot.press("escape")
        assert isinstance(app.screen, NewRunScreen)

    filling(steps, preset=VAE)


def test_a_field_is_found_by_its_name(filling, until):
    async def steps(app, pilot):
        await pilot.press("f7")
        await typed(pilot, "batch_size")
        await pilot.press("enter")
        await until(pilot, lambda: at(app) == ("batch_size",))

    filling(steps, preset=VAE)


def test_gpus_are_offered_with_their_free_memory(filling, until, monkeypatch, text_on):
    found = [Gpu(0, "a", "H200", 2**37, 2**36), Gpu(1, "b", "H200", 2**37, 0)]
    monkeypatch.setattr("kplug_tui.screens.new_run.gpus", lambda: found)

    async def steps(app, pilot):
        await go(app, pilot, "device")
        await until(pilot, lambda: app.screen._gpus)
        await pilot.press("enter")
        await until(pilot, lambda: "H200 · 64.0 GiB free" in text_on(app))
        assert "gpu:0,1" in text_on(app)

    filling(steps, preset=VAE)


def test_a_backend_that_is_not_installed_cannot_be_chosen(filling, until, monkeypatch):
    monkeypatch.setattr(
        "kplug_tui.screens.new_run.backend_problem", lambda name: "not installed" if name == "torch" else None
    )

    async def steps(app, pilot):
        await go(app, pilot, "backend")
        await typed(pilot, "torch")
        await pilot.press("enter")
        assert isinstance(app.screen, Pick)
        await pilot.press("escape")
        assert app.screen.form.text(("backend",)) == ""

    filling(steps, preset=VAE)


def test_the_mouse_goes_to_fields_chooses_and_starts(filling, until, started):
    async def steps(app, pilot):
        screen = app.screen

        async def click(place, x):
            row = next(one for one in screen.query(FormRow) if one.row.place == place)
            await until(
                pilot, lambda: row.region.height and app.get_widget_at(*row.region.offset)[0] in [row, *row.children]
            )
            await pilot.click(row, offset=(x, 0))

        await click(("model", "latent_dim"), 4)
        await until(pilot, lambda: at(app) == ("model", "latent_dim"))
        await click(("model",), 30)
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press("escape")
        await pilot.click("#start")
        await until(pilot, lambda: started)

    filling(steps, preset=VAE)


def test_what_one_form_learns_is_not_learned_again_by_the_next(drive, until, tmp_path, monkeypatch):
    import threading

    allowed, asked = threading.Event(), []
    learned = {}
    monkeypatch.setattr("kplug_tui.screens.new_run.known", lambda wanted: {})
    monkeypatch.setattr("kplug.catalog.description.known", lambda wanted: dict(learned))

    def describe_later(wanted):
        asked.append(len(wanted))
        allowed.wait(20)
        learned.update(describe_all(wanted))
        return learned

    monkeypatch.setattr("kplug.catalog.description.describe_all", describe_later)

    async def steps():
        app = KplugApp(tmp_path / "runs", Settings())
        async with app.run_test(size=SMALL) as pilot:
            await until(pilot, lambda: app.snapshot is not None)
            for _ in range(2):
                app.open_new_run()
                await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and at(app) == ("model",))
                await until(pilot, lambda: asked)
                if not allowed.is_set():
                    await pilot.press("escape")
                    await until(pilot, lambda: not isinstance(app.screen, NewRunScreen))
                    allowed.set()
            await until(pilot, lambda: not app.screen.form.unknown())

    drive(steps)
    assert len(asked) == 1


def test_descriptions_arrive_while_a_list_is_open(drive, until, tmp_path, monkeypatch):
    import threading

    allowed = threading.Event()
    monkeypatch.setattr("kplug_tui.screens.new_run.known", lambda wanted: {})
    monkeypatch.setattr("kplug.catalog.description.known", lambda wanted: {})

    def describe_later(wanted):
        allowed.wait(20)
        return describe_all(wanted)

    monkeypatch.setattr("kplug.catalog.description.describe_all", describe_later)

    async def steps():
        app = KplugApp(tmp_path / "runs", Settings())
        async with app.run_test(size=SMALL) as pilot:
            await until(pilot, lambda: app.snapshot is not None)
            app.open_new_run()
            await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and at(app) == ("model",))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, Pick))
            table = app.screen.query_one(Table)
            await until(pilot, lambda: table.rows)
            assert {one["note"] for one in table.rows} == {"…"}
            allowed.set()
            await until(pilot, lambda: "…" not in {one["note"] for one in table.rows})

    drive(steps)


def test_hostile_text_is_shown_as_text(filling, text_on, until):
    async def steps(app, pilot):
        await until(pilot, lambda: "[red]" in text_on(app))
        assert "\x1b" not in text_on(app)

    filling(steps, size=WIDE, preset={"model": "[red]x\x1b[2J[/red]", "dataset": "digits", "name": "[b]\x1b]0;x\x07"})


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (80, 24), (200, 60)])
def test_no_size_breaks_it(filling, size, text_on):
    async def steps(app, pilot):
        for keys in (["pagedown"] * 4, ["enter"], ["escape"], ["f3"], ["escape"], ["f4"], ["escape"]):
            await pilot.press(*keys)
        await pilot.resize_terminal(31, 7)
        await pilot.pause()
        await pilot.resize_terminal(*size)
        await pilot.pause()
        assert isinstance(app.screen, NewRunScreen)

    filling(steps, size=size, preset=VAE)
