"""Whether a CPU has fast kernels for floating point of 16 bits."""

from pathlib import Path

FLAGS = {
    "bf16-mixed": ("avx512bw", "amx_bf16", "avx_ne_convert"),
    "16-mixed": ("avx512_fp16", "amx_fp16", "avx_ne_convert"),
}
"""Flags of x86 processors by precision; with one of them oneDNN has kernels for it.

Measured for a convolution and its gradient, against 32 bits: bfloat16 takes half the time with avx512_bf16, twice the
time with the rest of AVX-512 and 50 times the time without; float16 takes 50 times the time without avx512_fp16.
"""


def slow_precision(precision: str, flags: frozenset[str]) -> str | None:
    """A line to say before a run on a CPU without fast kernels for a precision; None where it has them.

    Args:
        precision: That of the trainer, such as "bf16-mixed".
        flags: Those of the processor; empty where the system does not tell them.
    """
    fast = FLAGS.get(precision, ())
    if not flags or not fast or not flags.isdisjoint(fast):
        return None
    return (
        f"trainer.precision {precision}: this processor has none of {', '.join(fast)}, and without them a step takes "
        "tens of times as long as with 32-true"
    )


def cpu_flags(info: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The flags of an x86 processor under Linux; empty elsewhere."""
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return frozenset(flags.split())
