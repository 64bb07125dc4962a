"""Tests against the real database, lock server, action server and assistant, which they start and stop themselves."""
