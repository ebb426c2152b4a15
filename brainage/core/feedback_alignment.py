"""Feedback alignment: errors travel back through fixed random weights instead of the weights.

Source: Lillicrap et al. 2016, Nature Communications 7:13276.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from brainage.core.random import random_stream


class _FixedFeedback:
    """A layer whose input gradient goes through ``feedback_weight``.

    The value is that of the layer itself. Its input is detached there, and the gradient comes in by
    a second, linear path that adds zero to the value.
    """

    feedback_weight: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        exact: Tensor = super().forward(inputs.detach())  # type: ignore[misc]
        if not (torch.is_grad_enabled() and inputs.requires_grad):
            return exact
        route = self._linear_map(inputs)
        zero = route - route.detach()
        total: Tensor = exact + zero
        return total

    def _linear_map(self, inputs: Tensor) -> Tensor:
        assert isinstance(self, nn.Conv1d | nn.Conv2d | nn.Conv3d)
        mapped: Tensor = self._conv_forward(inputs, self.feedback_weight, None)
        return mapped


class FixedFeedbackLinear(_FixedFeedback, nn.Linear):
    """``nn.Linear`` with fixed feedback."""

    def _linear_map(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.feedback_weight)


class FixedFeedbackConv1d(_FixedFeedback, nn.Conv1d):
    """``nn.Conv1d`` with fixed feedback."""


class FixedFeedbackConv2d(_FixedFeedback, nn.Conv2d):
    """``nn.Conv2d`` with fixed feedback."""


class FixedFeedbackConv3d(_FixedFeedback, nn.Conv3d):
    """``nn.Conv3d`` with fixed feedback."""


_WITH_FEEDBACK: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: FixedFeedbackLinear,
    nn.Conv1d: FixedFeedbackConv1d,
    nn.Conv2d: FixedFeedbackConv2d,
    nn.Conv3d: FixedFeedbackConv3d,
}


def use_fixed_feedback(module: nn.Module, *stream: int | str) -> None:
    """Give every linear and convolutional layer of the module fixed random feedback weights.

    The layers keep their weights, names and place; the feedback weights are buffers, drawn as a
    fresh layer's weights are, and so are saved with the network.

    Args:
        module: changed in place.
        stream: what the feedback weights depend on.
    """
    with random_stream(*stream, "feedback"):
        for layer in module.modules():
            kind = _WITH_FEEDBACK.get(type(layer))
            if kind is None:
                continue
            weight = layer.weight
            assert isinstance(weight, Tensor)
            feedback = torch.empty_like(weight, requires_grad=False)
            nn.init.kaiming_uniform_(feedback, a=5**0.5)
            layer.register_buffer("feedback_weight", feedback)
            layer.__class__ = kind
