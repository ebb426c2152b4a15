"""Listeners of a run: a JSONL file always, MLflow, progress on the terminal."""
