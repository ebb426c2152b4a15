"""The model that the tests of the formats have."""

from tests.export.conftest import graph, model, volumes

__all__ = ["graph", "model", "volumes"]
