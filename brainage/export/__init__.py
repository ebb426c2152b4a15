"""A model as one file that other software runs: ONNX, TorchScript, a MONAI bundle."""
