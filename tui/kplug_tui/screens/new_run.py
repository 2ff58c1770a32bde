"""Choosing what to train: a form that offers what fits, checks as one types, and starts the run."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult, ScreenStackError
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import Button, Static

from kplug.catalog.component import Component
from kplug.catalog.description import Description, known
from kplug.catalog.references import is_reference
from kplug.errors import KplugError
from kplug.places import runs_root
from kplug.plain_text import safe_line, safe_text
from kplug.runs.completion import complete
from kplug.runs.devices import Gpu, gpus
from kplug.runs.directory import RunDirectory
from kplug.runs.launch import launch
from kplug.runs.spec import BACKENDS
from kplug_tui.describing import described
from kplug_tui.formatting import age, bare, size
from kplug_tui.new_run_form import NewRunForm, Place
from kplug_tui.new_run_help import documentation_of, plural_of
from kplug_tui.new_run_rows import Candidate, Row, candidates_of, problems_of, rows_of
from kplug_tui.presets import preset_of
from kplug_tui.reader import RunsRead
from kplug_tui.run_fields import backend_problem
from kplug_tui.screens.kplug_screen import KplugScreen
from kplug_tui.screens.new_run_text import Reading, SpecText, written
from kplug_tui.screens.pick import Item, Pick, item
from kplug_tui.spec_text import CannotBeSaidError
from kplug_tui.stack import on_top
from kplug_tui.widgets.form import Form, FormRow
from kplug_tui.widgets.key_bar import KeyBar
from kplug_tui.widgets.table import Table
from kplug_tui.widgets.top_bar import TopBar

_WIDE = 110
_LOW = 16
_PAUSE_SECONDS = 0.25
_PATIENCE_SECONDS = 1.5


class NewRunScreen(KplugScreen):
    """The form for a new run.

    Args:
        preset: Fields of a run spec to begin with.
        parent: The run that they are from.
    """

    asks_before_leaving = True

    CSS_PATH = "new_run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5,ctrl+r", "start", "Start", id="new.start"),
        Binding("f6,ctrl+g", "start(True)", "And watch", id="new.watch"),
        Binding("f2,ctrl+o", "presets", "Earlier", id="new.presets"),
        Binding("f3,ctrl+t", "spec_text", "Command", id="new.command"),
        Binding("f4,ctrl+l", "read", "Explain", id="new.explain"),
        Binding("f7,ctrl+n", "find", "Find", show=False, id="new.find"),
        Binding("escape", "leave", "Back", id="new.leave"),
        Binding("ctrl+q", "quit", show=False, id="new.quit"),
    ]

    def __init__(self, preset: Mapping[str, Any] | None = None, parent: str | None = None) -> None:
        super().__init__()
        self.form = NewRunForm(_usual_backend())
        self._preset = preset
        self._from = parent
        self._gpus: list[Gpu] = []
        self._rows: list[Row] = []
        self._open: Pick | None = None
        self._picking: Place | None = None
        self._due: Timer | None = None
        self._asked = 0
        self._starting = False
        self._begun = self.form.state()

    def compose(self) -> ComposeResult:
        """Make the screen."""
        yield TopBar("runs", "New run")
        with Container(id="halves"):
            yield Form(id="form")
            with Vertical(id="aside"):
                yield Static("", id="about-title", classes="title", markup=False)
                with VerticalScroll(id="about", can_focus=False):
                    yield Static("", id="about-text", markup=False)
                with VerticalScroll(id="command", can_focus=False):
                    yield Static("", id="command-text", markup=False)
        with Horizontal(id="bottom"):
            yield Static("", id="status", markup=False)
            yield Button("Start", id="start", compact=True, variant="primary")
            yield Button("Start and watch", id="watch", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the form, and learn in the background what the components take."""
        if self.kplug.snapshot is not None:
            self.query_one(TopBar).count(self.kplug.snapshot.runs)
        if self._preset is not None:
            self._fill(self._preset)
        self.refill()
        self.call_after_refresh(self._form.go_to, ("model",))
        self._begin_to_learn()
        self.run_worker(self._look_at_devices, thread=True, exit_on_error=False)

    def on_resize(self) -> None:
        """Put the documentation beside the form where there is room."""
        self.set_class(self.size.width >= _WIDE, "wide")
        self.set_class(self.size.height < _LOW, "low")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Keys may come before the form does."""
        return bool(self.query(FormRow))

    @property
    def changed(self) -> bool:
        """Whether something would be lost by leaving."""
        return self.form.state() != self._begun

    @property
    def _form(self) -> Form:
        return self.query_one(Form)

    def refill(self) -> None:
        """Show the form as it is now, and check it soon."""
        self._rows = rows_of(self.form)
        self._form.show(self._rows)
        self._explain(self._form.current)
        self._show_command()
        if self._open is not None and self._picking is not None:
            self._open.offer(_items(candidates_of(self.form, self._picking)))
        if self._due is not None:
            self._due.stop()
        self._due = self.set_timer(_PAUSE_SECONDS, self._check)

    def on_runs_read(self, message: RunsRead) -> None:
        """Count the runs."""
        self.query_one(TopBar).count(message.snapshot.runs)

    def on_form_row_reached(self, message: FormRow.Reached) -> None:
        """Explain the row that the keys go to."""
        self._explain(message.row)

    def on_form_row_typed(self, message: FormRow.Typed) -> None:
        """Take a text into the form."""
        if message.row.sort == "component":
            self._choose(message.row.place, message.text)
        else:
            self.form.set(message.row.place, message.text)
            self.refill()

    def on_form_row_unfolded(self, message: FormRow.Unfolded) -> None:
        """Show all parameters of a component, or only the first."""
        place, wanted = message.row.place, message.text != "no"
        part = self.form.part(place)
        if part is None or part.unfolded == wanted:
            return
        at = [row.place for row in self._rows].index(place)
        part.unfolded = wanted
        self.refill()
        if message.row.sort == "more":
            self.call_after_refresh(self._form.go_to, self._rows[at].place)

    def on_form_row_asked(self, message: FormRow.Asked) -> None:
        """Show what can be chosen."""
        row = message.row
        if self._open is not None:
            self._open.type(message.text)
            return
        if row.sort == "component":
            part = self.form.part(row.place)
            component = self.form.component(part) if part is not None and row.text else None
            pick = Pick(
                f"Choose one of the {plural_of(str(row.place[0]))}:",
                _items(candidates_of(self.form, row.place)),
                component.id if component is not None else None,
                message.text,
                is_reference,
            )
            self._picking = row.place
            self._ask(pick, lambda name: self._choose(row.place, name))
        else:
            pick = Pick(f"{row.label}:", self._values(row), row.text, message.text, lambda text: row.free)
            self._ask(pick, lambda text: self.on_form_row_typed(FormRow.Typed(row, text)))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start by a button."""
        self.action_start(event.button.id == "watch")

    def action_start(self, watch: bool = False) -> None:
        """Start the run, if nothing is wrong."""
        problems = problems_of(self._rows)
        if problems:
            self._form.go_to(problems[0][0])
            self.kplug.warn(problems[0][1])
            return
        if self._starting:
            return
        self._starting = True
        self._say("Starting …")
        values, limit = self.form.values(), self.form.max_running
        self.run_worker(lambda: self._start(values, limit, watch), thread=True, exit_on_error=False)

    def action_presets(self) -> None:
        """Fill the form from an earlier run."""
        runs = self.kplug.snapshot.runs if self.kplug.snapshot is not None else ()
        if not runs:
            self.kplug.warn("There are no earlier runs.")
            return
        items = [
            item(
                run["id"],
                str(run["name"] or run["id"]),
                f"{bare(run['model'])} on {bare(run['dataset'])} · {run['state']} · {age(run['created'])} ago",
            )
            for run in runs
        ]

        def take(run_id: str) -> None:
            if self.changed:
                self.confirmed("Replace what stands in the form?", "Replace", lambda: self._take(run_id))
            else:
                self._take(run_id)

        self._ask(Pick("Begin with the settings of:", items), take)

    def action_spec_text(self) -> None:
        """Show the command and the file that ask for the same."""
        try:
            command, why_not = self._command(), ""
        except CannotBeSaidError as error:
            command, why_not = None, str(error)
        self.app.push_screen(SpecText(self.form.values(), command, why_not))

    def action_read(self) -> None:
        """Show all that is known of the row that the keys go to."""
        row = self._form.current
        if row is not None:
            self.app.push_screen(Reading(*documentation_of(self.form, row)))

    def action_find(self) -> None:
        """Go to a field by its name."""
        rows = {str(index): row for index, row in enumerate(self._rows) if row.sort not in {"title", "more"}}
        items = [item(key, row.label, row.text or row.default) for key, row in rows.items()]
        self._ask(Pick("Go to:", items), lambda key: self._form.go_to(rows[key].place))

    def action_leave(self) -> None:
        """Leave the form, after a question if something would be lost."""
        if self.changed and not self._starting:
            self.confirmed("Leave the form? What stands in it is lost.", "Leave", self.dismiss)
        else:
            self.dismiss()

    async def action_quit(self) -> None:
        """Leave the app, after a question if something would be lost."""
        await self.app.action_quit()

    def _choose(self, place: Place, name: str) -> None:
        reached = self.form.choose(place, name)
        self.refill()
        if is_reference(name):
            self._begin_to_learn()
        self.call_after_refresh(self._form.go_to, reached)

    def _values(self, row: Row) -> list[Item]:
        items = [item("", f"{row.default or 'none'} (default)")]
        for text in row.choices:
            problem = backend_problem(text) if row.place == ("backend",) and text in BACKENDS else None
            items.append(item(text, text, problem or "", problem is None))
        if row.place == ("device",):
            items += [
                item(f"gpu:{gpu.index}", f"gpu:{gpu.index}", f"{gpu.name} · {size(gpu.free_bytes)} free")
                for gpu in self._gpus
            ]
            if len(self._gpus) > 1:
                every = f"gpu:{','.join(str(gpu.index) for gpu in self._gpus)}"
                items.append(item(every, every, "all of them share each batch"))
            if not self._gpus:
                items[:] = [one for one in items if one["key"] != "gpu"]
                items.append(item("gpu", "gpu", "there is no GPU here that NVIDIA's driver shows", False))
        return items

    def _fill(self, values: Mapping[str, Any]) -> None:
        problems = self.form.fill(values)
        self._begun = self.form.state()
        if problems:
            self.kplug.warn("\n".join(problems[:3]))

    def _take(self, run_id: str) -> None:
        directory = RunDirectory(self.kplug.reader.root / run_id)

        def filled(values: Mapping[str, Any]) -> None:
            if not values:
                self.kplug.problem(f"What {run_id} was asked to do cannot be read.")
                return
            self._from = run_id
            self._fill(values)
            self.refill()
            self._begin_to_learn()
            self._form.go_to(("model",))

        def read() -> None:
            try:
                self._tell(filled, preset_of(directory))
            except KplugError as error:
                self._tell(self.kplug.problem, str(error))

        self.run_worker(read, thread=True, exit_on_error=False, group="preset")

    def _explain(self, row: Row | None) -> None:
        if row is None:
            return
        row = next((one for one in self._rows if one.place == row.place), row)
        title, text = documentation_of(self.form, row)
        self.query_one("#about-title", Static).update(safe_line(title))
        self.query_one("#about-text", Static).update(safe_text(text))
        self.query_one("#about", VerticalScroll).scroll_home(animate=False)

    def _show_command(self) -> None:
        if not self.has_class("wide"):
            return
        try:
            command = self._command()
        except CannotBeSaidError as error:
            command = f"No options say this: {error}."
        self.query_one("#command-text", Static).update(safe_text(f"{command}\n\n{written(self.form.values())[0]}"))

    def _command(self) -> str:
        root = self.kplug.reader.root
        return self.form.command(*([] if root == runs_root() else ["--runs-dir", str(root)]))

    def _check(self) -> None:
        """Say whether the run could start, and if not, the first thing that is wrong."""
        problems = problems_of(self._rows)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self._say(problems[0][1] + more, "wrong")
            return
        if any(part.name and self.form.description(part) is None for _, part in self.form.parts()):
            self._say("Looking at what the components take …")
            return
        self._asked += 1
        asked, values = self._asked, self.form.values()

        def work() -> None:
            try:
                spec = complete(values, source="the form")
                said, sort = (
                    f"Ready: {bare(spec.model.name)} on {bare(spec.dataset.name)}, {spec.epochs} epochs",
                    "ready",
                )
            except KplugError as error:
                said, sort = str(error), "wrong"
            except Exception as error:  # noqa: BLE001 - whatever it is, the person is told
                said, sort = f"{type(error).__name__}: {error}", "wrong"
            self._tell(lambda _: self._say(said, sort) if asked == self._asked and not self._starting else None, None)

        self.run_worker(work, thread=True, exit_on_error=False, group="check", exclusive=True)

    def _start(self, values: Mapping[str, Any], limit: int | None, watch: bool) -> None:
        """Check and launch, in a thread."""
        try:
            run = launch(complete(values, source="the form"), self.kplug.reader.root, limit, self._from)
        except (KplugError, OSError) as error:
            self._tell(self._failed, str(error))
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and can start again
            self._tell(self._failed, f"{type(error).__name__}: {error}")
            return
        self.kplug.reader.refresh()
        self._tell(self._started if not watch else self._watched, run.id)

    def _failed(self, problem: str) -> None:
        self._starting = False
        self._asked += 1  # what a check from before finds is not said over it
        self._say(problem, "wrong")
        self.kplug.problem(problem)

    def _watched(self, run_id: str) -> None:
        self._close()
        self.kplug.open_run(run_id)

    def _started(self, run_id: str) -> None:
        app = self.kplug
        self._close()
        app.say(f"Started: {run_id}")
        tries = [0]

        def find() -> None:
            tries[0] += 1
            try:
                screen = app.screen
            except ScreenStackError:  # the app has ended
                return
            for table in screen.query("#runs").results(Table):
                if any(row["id"] == run_id for row in table.rows):
                    table.go_to(run_id)
                    return
            if tries[0] * 0.1 < _PATIENCE_SECONDS:
                app.set_timer(0.1, find)

        app.call_later(find)

    def _close(self) -> None:
        self._starting = False
        self._begun = self.form.state()
        if on_top(self):
            self.dismiss()

    def _say(self, text: str, sort: str = "") -> None:
        status = self.query_one("#status", Static)
        sign = {"ready": "✓ ", "wrong": "✗ "}.get(sort, "")
        status.update(sign + safe_line(text.replace("\n", " ")))
        status.set_class(sort == "ready", "ready")
        status.set_class(sort == "wrong", "wrong")

    def _ask(self, pick: Pick, then: Callable[[str], object]) -> None:
        def answered(key: str | None) -> None:
            self._open = self._picking = None
            if key is not None:
                then(key)

        self._open = pick
        self.app.push_screen(pick, answered)

    def _begin_to_learn(self) -> None:
        # A thread of its own: leaving the app waits for those of its pool.
        threading.Thread(target=self._learn, name="kplug-describe", daemon=True).start()

    def _learn(self) -> None:
        """Fetch the descriptions, in a thread: first those that are cached, then one plugin after the other."""
        missing = self.form.unknown()
        cached = known(missing)
        if not self._tell(self._learned, cached):
            return
        with contextlib.suppress(KplugError):  # the app has been left
            for found in described(one for one in missing if one not in cached):
                if not self._tell(self._learned, found):
                    return

    def _learned(self, found: Mapping[Component, Description]) -> None:
        self.form.descriptions.update(found)
        self.refill()

    def _look_at_devices(self) -> None:
        found = gpus()

        def take(_: object) -> None:
            self._gpus = found

        self._tell(take, None)

    def _tell(self, what: Callable[[Any], object], given: Any) -> bool:
        """Call something on the screen from a thread, unless the screen has gone; say whether it was there."""
        if not self.is_attached or not self.app.is_running:
            return False
        try:
            self.app.call_from_thread(what, given)
        except RuntimeError:  # the app has just ended
            return False
        return True


def _usual_backend() -> str:
    named = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return named if named in BACKENDS else "tensorflow"


def _items(candidates: list[Candidate]) -> list[Item]:
    return [item(one.id, one.title, one.note, one.fits) for one in candidates]
