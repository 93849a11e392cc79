"""`export`: writes a net as ONNX, OpenVINO or torch.export, and checks the file against the net."""
