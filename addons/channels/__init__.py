"""Where messages come in and go out: own connectors for platforms whose built-in ones lose messages or verify no caller."""
