"""From a message to the questions it asks."""
