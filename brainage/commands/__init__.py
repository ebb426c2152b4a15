"""Commands with a file of their own; ``brainage.cli`` puts them together. No logic."""
