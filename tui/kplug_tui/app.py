"""The app: its places, its keys, its themes, and what all screens share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual._compositor import CompositorUpdate
from textual.app import App, RenderableType, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import get_current_worker

from kplug.errors import KplugError
from kplug.plain_text import safe_line, safe_text
from kplug.runs.index import Snapshot
from kplug_tui.changed_cells import ShownCells
from kplug_tui.formatting import LIVE
from kplug_tui.reader import DetailRead, Pace, ReadingFailed, RunReader, RunsRead
from kplug_tui.settings import Settings, read_settings, settings_file, write_settings
from kplug_tui.themes import THEMES, curve_colours

_NOTICE_SECONDS = 8.0
_MOST_NOTICES = 3
_BAD = frozenset({"failed", "lost"})


class KplugApp(App[None]):
    """Choose, train, watch, stop, resume and compare.

    Args:
        root: The directory that holds the runs; the usual one by default.
        settings: What the person has set; read from their file by default.
    """

    TITLE = "kplug"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "go('runs')", "Runs", show=False, id="app.runs"),
        Binding("2", "go('catalog')", "Catalog", show=False, id="app.catalog"),
        Binding("3", "go('devices')", "Devices", show=False, id="app.devices"),
        Binding("comma", "settings", "Settings", show=False, id="app.settings"),
        Binding("question_mark", "help", "Help", id="app.help"),
        Binding("f1", "help", "Help", show=False, id="app.help_too"),
        Binding("q", "quit", "Quit", id="app.quit"),
        Binding("ctrl+q", "quit", "Quit", show=False, id="app.quit_too"),
        Binding("ctrl+z", "suspend_process", "To the shell", show=False, id="app.suspend"),
    ]

    def __init__(self, root: Path | None = None, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings, self._problems = (settings, []) if settings is not None else read_settings()
        self.reader = RunReader(root, self.post_message, self._pace())
        self.snapshot: Snapshot | None = None
        self._states: dict[str, str] = {}
        self._shown_cells = ShownCells()

    MODES: ClassVar[dict[str, str | Callable[[], Screen]]] = {
        "runs": lambda: _screen("runs", "RunsScreen"),
        "catalog": lambda: _screen("catalog", "CatalogScreen"),
        "devices": lambda: _screen("devices", "DevicesScreen"),
    }
    DEFAULT_MODE = "runs"

    def on_mount(self) -> None:
        """Begin to read, as the person has set it."""
        for theme in THEMES:
            self.register_theme(theme)
        self._apply(self.settings)
        self.app_resume_signal.subscribe(self, lambda _: self._shown_cells.forget())
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        for problem in self._problems:
            self.warn(problem)
        if self.settings.keys:
            self.run_worker(self._check_keys, thread=True, exit_on_error=False)
        self.reader.start()

    def on_resize(self) -> None:
        """Draw all of it: a terminal of another size shows anything."""
        self._shown_cells.forget()

    def on_unmount(self) -> None:
        """Stop reading, and describing plugins: nobody waits for that any more. The runs go on."""
        from kplug.child_process import end_children

        self.reader.end()
        end_children()

    def on_runs_read(self, message: RunsRead) -> None:
        """Give the snapshot to the screen in front, and say which runs have ended.

        Screens behind it look at the snapshot when they come to the front. Textual draws the whole terminal anew
        whenever something changes on the screen right behind, and a thin connection has no room for that.
        """
        self.snapshot = message.snapshot
        for screen in self.screen_stack[-1:]:  # none when the app is being left
            screen.post_message(RunsRead(message.snapshot))
        self._announce(message.snapshot)
        self.call_later(self.reader.taken)

    def on_detail_read(self, message: DetailRead) -> None:
        """Give a run's details to the screen in front."""
        for screen in self.screen_stack[-1:]:
            screen.post_message(DetailRead(message.detail))
        self.call_later(self.reader.taken)

    def on_reading_failed(self, message: ReadingFailed) -> None:
        """Say that the runs cannot be read; reading goes on."""
        self.problem(message.problem)
        self.reader.taken()

    def say(self, text: str) -> None:
        """Tell the person something."""
        self.notify(safe_text(text), markup=False, timeout=_NOTICE_SECONDS)

    def warn(self, text: str) -> None:
        """Tell the person what they should look at."""
        self.notify(safe_text(text), severity="warning", markup=False, timeout=_NOTICE_SECONDS)

    def problem(self, text: str) -> None:
        """Tell the person what went wrong."""
        self.notify(safe_text(text), severity="error", markup=False, timeout=_NOTICE_SECONDS)

    def do(self, what: Callable[[], str | None], then: Callable[[], object] | None = None) -> None:
        """Do something that takes time in a thread, and tell what it says, or what went wrong.

        Args:
            what: What to do; returns what to tell, if anything.
            then: What to do afterwards on the screen, if nothing went wrong.
        """

        def work() -> None:
            try:
                said = what()
            except (KplugError, OSError) as error:
                self.call_from_thread(self.problem, str(error))
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the person is told and the app goes on
                self.call_from_thread(self.problem, f"{type(error).__name__}: {error}")
                return
            finally:
                self.reader.refresh()
            if get_current_worker().is_cancelled:
                return
            if said:
                self.call_from_thread(self.say, said)
            if then is not None:
                self.call_from_thread(then)

        self.run_worker(work, thread=True, exit_on_error=False)

    def change_settings(self, **changes: Any) -> None:
        """Change settings, apply them and keep them."""
        # Keys may have been written into the file by hand meanwhile.
        kept, problems = read_settings()
        keys = kept.keys if not problems and settings_file().exists() else self.settings.keys
        self.settings = replace(self.settings, **{"keys": keys, **changes})
        self._apply(self.settings)
        try:
            write_settings(self.settings)
        except KplugError as error:
            self.problem(str(error))

    def open_run(self, run_id: str) -> None:
        """Show a run on a screen of its own."""
        from kplug_tui.screens.run import RunScreen

        self.push_screen(RunScreen(run_id))

    def open_new_run(self, preset: Mapping[str, Any] | None = None, parent: str | None = None) -> None:
        """Show the form for a new run.

        Args:
            preset: Fields of a run spec to begin with.
            parent: The run that they are from.
        """
        from kplug_tui.screens.new_run import NewRunScreen

        self.push_screen(NewRunScreen(preset, parent))

    def open_comparison(self, run_ids: list[str]) -> None:
        """Show runs side by side."""
        from kplug_tui.screens.compare import CompareScreen

        self.push_screen(CompareScreen(run_ids))

    async def action_quit(self) -> None:
        """Leave; the runs go on. What stands in a form, on whichever place, is not lost without a question."""
        screens = [screen for stack in self._screen_stacks.values() for screen in stack]
        if any(
            getattr(screen, "asks_before_leaving", False) and getattr(screen, "changed", False) for screen in screens
        ):
            from kplug_tui.screens.dialogs import Confirm

            def answered(yes: bool | None) -> None:
                if yes:
                    self.exit()

            self.push_screen(Confirm("Quit? What stands in the form is lost.", "Quit"), answered)
        else:
            self.exit()

    def action_go(self, place: str) -> None:
        """Go to one of the places."""
        if self.screen.is_modal:
            return
        if self.current_mode != place:
            self.switch_mode(place)
            return
        # Back to the place itself, but not past what would be lost.
        while len(self.screen_stack) > 1 and not getattr(self.screen, "asks_before_leaving", False):
            self.pop_screen()

    def action_help(self) -> None:
        """Say which keys do what on this screen."""
        from kplug_tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_settings(self) -> None:
        """Show the settings."""
        from kplug_tui.screens.settings import SettingsScreen

        if not isinstance(self.screen, SettingsScreen):
            self.push_screen(SettingsScreen())

    def get_system_commands(self, screen: Screen) -> Any:
        """Give what the command palette offers: what this screen's keys do, and the places."""
        offered: set[str] = set()
        for active in screen.active_bindings.values():
            binding = active.binding
            title = binding.description
            if title and binding.id and active.enabled and title not in offered and active.node is screen:
                offered.add(title)
                key = f"Key {self.get_key_display(binding)}"
                yield SystemCommand(title, key, partial(self._act, binding.action, active.node))
        yield SystemCommand("Runs", "Go to the runs", lambda: self.action_go("runs"))
        yield SystemCommand("Catalog", "Go to the components", lambda: self.action_go("catalog"))
        yield SystemCommand("Devices", "Go to the devices", lambda: self.action_go("devices"))
        yield SystemCommand("New run", "Choose what to train", self.open_new_run)
        yield SystemCommand("Settings", "Theme, keys, low bandwidth, notifications", self.action_settings)
        yield SystemCommand("Help", "Keys of this screen", self.action_help)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Draw anew", "Where something else has written on the terminal", self._draw_anew)
        yield SystemCommand("Save a picture of the screen", "As SVG", self.deliver_screenshot)
        yield SystemCommand("Quit", "Leave; the runs go on", self.action_quit)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give Textual's own themes colours for curves."""
        return curve_colours(self.current_theme.dark)

    def _check_keys(self) -> None:
        """Say, in a thread, what is wrong with the keys in the settings: to know all actions takes all screens."""
        from kplug_tui.keys import problems_of

        problems = problems_of(self.settings.keys)
        if problems and self.is_running:
            more = f"\n… and {len(problems) - _MOST_NOTICES} more" if len(problems) > _MOST_NOTICES else ""
            self.call_from_thread(self.warn, "\n".join(problems[:_MOST_NOTICES]) + more)

    def _act(self, action: str, node: DOMNode) -> None:
        self.call_later(self.run_action, action, node)

    def _draw_anew(self) -> None:
        self._shown_cells.forget()
        self.refresh(layout=True)

    def _keep_theme(self, theme: Theme) -> None:
        """Keep a theme that was chosen from the palette."""
        if theme.name != self.settings.theme and theme.name in self.available_themes:
            self.change_settings(theme=theme.name)

    def _display(self, screen: Screen, renderable: RenderableType | None) -> None:
        """Send a thin connection only what is not there already."""
        if self.settings.low_bandwidth and not self._batch_count and isinstance(renderable, CompositorUpdate):
            renderable = self._shown_cells.changed(renderable)
        super()._display(screen, renderable)

    def _pace(self) -> Pace:
        return Pace.slow() if self.settings.low_bandwidth else Pace()

    def _apply(self, settings: Settings) -> None:
        if settings.theme in self.available_themes:
            self.theme = settings.theme
        else:
            self.warn(f"There is no theme {settings.theme!r}. There are {', '.join(sorted(self.available_themes))}.")
        self.set_class(settings.low_bandwidth, "low-bandwidth")
        self.animation_level = "none" if settings.low_bandwidth else "basic"
        self._shown_cells.forget()
        self.reader.pace = self._pace()
        self.set_keymap(settings.keys)

    def _announce(self, snapshot: Snapshot) -> None:
        """Say which runs have ended since the last snapshot; of many at once how many."""
        ended = []
        for summary in snapshot.runs if not self._states else self._changed(snapshot):
            run_id, state = summary["id"], str(summary["state"])
            if self._states.get(run_id) in LIVE and state not in LIVE:
                ended.append(summary)
            self._states[run_id] = state
        if not ended or not self.settings.notify:
            return
        bad = any(one["state"] in _BAD for one in ended)
        if len(ended) > _MOST_NOTICES:
            counts = Counter(str(one["state"]) for one in ended)
            said = f"{len(ended)} runs have ended: {', '.join(f'{count} {state}' for state, count in counts.items())}"
            (self.problem if bad else self.say)(said)
        else:
            for summary in ended:
                named = safe_line(str(summary["name"] or summary["id"]))
                failed = summary["state"] in _BAD
                error = f": {summary['error']}" if summary.get("error") and failed else ""
                (self.problem if failed else self.say)(f"{named}: {summary['state']}{error}")
        if self.settings.bell:
            self.bell()

    @staticmethod
    def _changed(snapshot: Snapshot) -> list[Mapping[str, Any]]:
        return [one for one in snapshot.runs if one["id"] in snapshot.changed] if snapshot.changed else []


def _screen(module: str, name: str) -> Screen:
    """Make a screen, imported now that it is needed."""
    import importlib

    return getattr(importlib.import_module(f"kplug_tui.screens.{module}"), name)()
