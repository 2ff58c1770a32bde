"""A line of text to type in, that does what keys mean in the order in which they come."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.widgets import Input

_ACTIONS = {binding.key: binding.action for binding in Binding.make_bindings(Input.BINDINGS)}
"""Key -> what Textual's input itself does for it, without what it has of a thing that scrolls."""


class TextLine(Input):
    """Textual's input, which acts on its own keys at once.

    Textual looks for what a key means only when every widget around has seen it; the characters typed behind it are
    long there by then. On a connection that sends keys in bunches, Home or Ctrl+U would come after them.
    """

    async def _on_key(self, event: events.Key) -> None:
        # What is printable, Textual's own handler puts in, which is called next.
        if not event.is_printable and event.key in _ACTIONS:
            event.stop()
            event.prevent_default()
            await self.run_action(_ACTIONS[event.key])
