"""Known-answer robustness: what a change of a raw scan does to the age a model predicts."""
