"""A program that AOTInductor has compiled gives the labels of the net.

Covers: commands.export.graph, commands.export.onnx, commands.export.openvino, commands.export.torch_program.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch._inductor.config

from seglight.commands.export.graph import Deployed, program_of
from seglight.commands.export.torch_program import write_compiled_program
from seglight.errors import UserError
from seglight.inference.exported.runtimes import PROGRAM, load_exported
from tests.support.export_parity import expected
from tests.support.exported import METADATA
from tests.support.tiny import TinyNet


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="AOTInductor needs a C++ compiler: there is no g++")
def test_images_of_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = TinyNet(2).eval()
    path = tmp_path / "net.pt2"
    write_compiled_program(program_of(Deployed(net, probabilities=True), None), replace(METADATA, size=None), path)
    predictor = load_exported(path, trust=(PROGRAM,))
    assert predictor.class_names == METADATA.card.class_names
    for size in ((64, 64), (33, 45), (100, 150)):
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        labels, probabilities = expected(net, image)
        assert np.mean(predictor.predict(image) == labels) >= 0.999
        np.testing.assert_allclose(predictor.probabilities(image), probabilities, atol=1e-5)


def test_without_a_compiler(tmp_path: Path) -> None:
    program = torch.export.export(TinyNet(2), (torch.zeros(1, 3, 8, 8, dtype=torch.uint8),))
    with (
        torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}),
        pytest.raises(UserError, match=r"^--aot: there is no C\+\+ compiler: install g\+\+"),
    ):
        write_compiled_program(program, METADATA, tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())
