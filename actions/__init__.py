"""Custom actions: they run in the action server, which needs no Rasa. One action a file."""
