"""Why a model says an age: maps of where it looks, and what its blocks and workers say."""
