"""A precision is called slow where the processor has no kernels for it, and nowhere else.

Covers: callbacks.preflight.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglight.callbacks import preflight
from seglight.training.half_precision import cpu_flags, slow_precision
from tests.support import fabricate
from tests.support.bad_input import recipe
from tests.support.command import Ran

ZEN3 = frozenset(["fpu", "sse", "avx", "avx2", "fma", "f16c"])
SKYLAKE = ZEN3 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
ZEN4 = SKYLAKE | {"avx512_bf16"}
SAPPHIRE_RAPIDS = ZEN4 | {"amx_bf16", "amx_tile", "avx512_fp16"}


@pytest.mark.parametrize(
    ("precision", "fast"),
    [
        ("32-true", {ZEN3, SKYLAKE, ZEN4, SAPPHIRE_RAPIDS}),
        ("bf16-mixed", {SKYLAKE, ZEN4, SAPPHIRE_RAPIDS}),
        ("16-mixed", {SAPPHIRE_RAPIDS}),
    ],
)
def test_processors(precision: str, fast: set[frozenset[str]]) -> None:
    processors = {ZEN3, SKYLAKE, ZEN4, SAPPHIRE_RAPIDS}
    assert {flags for flags in processors if slow_precision(precision, flags) is None} == fast
    assert slow_precision(precision, frozenset()) is None, "a system that does not tell"


def test_flags_are_the_systems(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: X\nflags\t\t: fpu avx2\nbugs\t\t: none\nflags\t\t: fpu\n")
    assert cpu_flags(info) == {"fpu", "avx2"}
    assert cpu_flags(tmp_path / "nowhere") == frozenset()


@pytest.mark.parametrize(("flags", "lines"), [(ZEN3, 1), (ZEN4, 0)])
def test_fit_says_it_once_and_before_the_run(
    seglight_cli: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: Any, lines: int
) -> None:
    monkeypatch.setattr(preflight, "cpu_flags", lambda: flags)
    root = fabricate.camvid(tmp_path / "CamVid", train=2, val=1)
    config = recipe(tmp_path / "recipe.yaml", "CamVidDataModule", root=str(root))
    for command in ("fit", "validate"):
        ran = seglight_cli(command, "-c", config, "--trainer.precision", "bf16-mixed", "--run_dir", tmp_path / command)
        assert ran.rc == 0
        said = [line for line in ran.err.splitlines() if line.startswith("seglight: trainer.precision bf16-mixed: ")]
        assert len(said) == lines
        assert all("a step takes tens of times as long as with 32-true" in line for line in said)
