"""export: a net as ONNX, OpenVINO or torch.export, checked against the net itself."""
