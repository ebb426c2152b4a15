"""The configuration of a run: YAML in, checked frozen dataclasses out.

Sections live beside their owners (``<package>/config.py``); here they are put together. Use
``brainage.config.load`` and ``brainage.config.run``.
"""
