"""`python -m benchmarks NAME` runs the `main(args)` of the module NAME."""

import importlib
import pkgutil
import sys
from pathlib import Path


def main() -> int:
    """Run the benchmark that the first argument names."""
    names = sorted(
        module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name[0] != "_"
    )
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m benchmarks NAME [options]\n  NAME: {', '.join(names)}")
        return 2
    importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
