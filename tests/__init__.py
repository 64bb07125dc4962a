"""Tests by behaviour."""
