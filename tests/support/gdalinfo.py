"""What GDAL's command line says of a file."""

import re
import subprocess
from pathlib import Path


def place(path: Path) -> str:
    """What gdalinfo says of where a raster lies: size, reference system, origin, pixel size, corners."""
    said = subprocess.run(["gdalinfo", str(path)], capture_output=True, text=True, check=True).stdout
    assert "Corner Coordinates" in said
    said = said[said.index("Size is") : said.index("Band 1")]
    return re.sub(r"^(Image Structure )?Metadata:\n( .*\n)*", "", said, flags=re.MULTILINE)
