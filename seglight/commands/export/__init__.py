"""Nets as files that run without seglight's nets: ONNX, OpenVINO, torch.export."""
