"""A line of text to type in, that does what keys mean in the order in which they come."""

from __future__ import annotations

from textual import events
from textual.widgets import Input


class TextLine(Input):
    """Textual's input, which acts on its own keys at once.

    Textual looks for what a key means only when every widget around has seen it; the characters typed behind it are
    long there by then. On a connection that sends keys in bunches, Home or Ctrl+U would come after them.
    """

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable:
            return  # Textual's own handler, which is called next, puts it in
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)
            return
