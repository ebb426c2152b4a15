"""The model bundle: a folder with everything a prediction needs, refused when incomplete."""
