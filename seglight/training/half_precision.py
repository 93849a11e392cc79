"""Check whether a CPU has fast kernels for 16-bit floating point."""

from pathlib import Path

FLAGS = {
    "bf16-mixed": ("avx512bw", "amx_bf16", "avx_ne_convert"),
    "16-mixed": ("avx512_fp16", "amx_fp16", "avx_ne_convert"),
}
"""Flags of x86 processors by precision; with one of them, oneDNN has kernels for it.

Measured for a convolution and its gradient, relative to 32 bits: bfloat16 takes half the time with avx512_bf16, twice
the time with the rest of AVX-512 and 50 times the time without; float16 takes 50 times the time without avx512_fp16.
"""


def slow_precision(precision: str, flags: frozenset[str]) -> str | None:
    """Return a warning for a run on a CPU without fast kernels for a precision; None if it has them.

    Args:
        precision: Precision of the trainer, such as "bf16-mixed".
        flags: Flags of the processor; empty if the system does not list them.
    """
    fast = FLAGS.get(precision, ())
    if not flags or not fast or not flags.isdisjoint(fast):
        return None
    return (
        f"trainer.precision {precision}: this processor has none of {', '.join(fast)}, and without them a step takes "
        "tens of times as long as with 32-true"
    )


def cpu_flags(info: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the flags of an x86 processor on Linux; empty elsewhere."""
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
