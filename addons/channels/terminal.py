"""The chat in the terminal: Rasa's own console, spoken to through the plain HTTP channel, so that a failed turn gets an apology.

With Rasa's own channel the console dies with a time-out when a turn fails.
"""

from addons.channels.rest import RestChannel


class TerminalChannel(RestChannel):
    """Rasa opens its console for a channel of this name."""

    @classmethod
    def name(cls) -> str:
        """The name Rasa looks for."""
        return "cmdline"

    def url_prefix(self) -> str:
        """The console sends its messages to the plain HTTP channel's address."""
        return RestChannel.name()
