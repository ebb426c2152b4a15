"""The affine transform in ITK's text format, which ANTs, ITK and SimpleITK read."""

import numpy as np

from brainage.preprocess.state import Matrix

# ITK counts x to the left and y to the back, NIfTI to the right and to the front.
_FLIP_XY = np.diag([-1.0, -1.0, 1.0, 1.0])


def itk_transform_text(scan_to_template: Matrix) -> str:
    """The transform that resamples a scan onto the template (``antsApplyTransforms -t``).

    ITK's transforms map points of the fixed image, the template, to the moving image, the scan:
    the inverse of the direction in which the image moves, and of the name ``from-T1w_to-MNI``.

    Args:
        scan_to_template: (4, 4), scan to template millimetres in RAS+.
    """
    template_to_scan = _FLIP_XY @ np.linalg.inv(scan_to_template) @ _FLIP_XY
    parameters = [*template_to_scan[:3, :3].ravel(), *template_to_scan[:3, 3]]
    numbers = " ".join(repr(float(value)) for value in parameters)
    return (
        "#Insight Transform File V1.0\n"
        "#Transform 0\n"
        "Transform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\n"
        "FixedParameters: 0 0 0\n"
    )
