"""One file per command; each reads like the description of what the command does."""
