"""``brainage explain``: why a model says an age of one scan."""
