"""``brainage track``: what MLflow missed, and models by name."""
