"""Files of torch.export (.pt2): a program that torch reads, or one that AOTInductor has compiled."""

from pathlib import Path

import torch
from torch.export import ExportedProgram

from seglight.checkpoints.model_card import KEY
from seglight.errors import UserError
from seglight.inference.exported.metadata import Metadata


def write_torch_program(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write a traced graph."""
    torch.export.save(program, path, extra_files={KEY: metadata.to_json()})


def write_compiled_program(program: ExportedProgram, metadata: Metadata, path: Path) -> None:
    """Write a traced graph as machine code for processors like this one, by AOTInductor.

    Raises:
        UserError: There is no C++ compiler, or the net can't be compiled.
    """
    from torch._inductor import aoti_compile_and_package
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
        aoti_compile_and_package(
            program, package_path=str(path), inductor_configs={"aot_inductor.metadata": {KEY: metadata.to_json()}}
        )
    except InvalidCxxCompiler as error:
        raise UserError("--aot: there is no C++ compiler: install g++, or name one in the variable CXX") from error
    except Exception as error:  # torch raises errors of lowering, the compiler and the linker
        raise UserError("--aot: AOTInductor can't compile this net: see --debug for its message") from error
