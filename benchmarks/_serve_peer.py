"""LitServe with the same net and the same answer.

`python -m benchmarks._serve_peer MODEL PORT WORKERS BATCH WAIT_S THREADS` runs in an environment that has LitServe,
which is no dependency of the benchmarks. An image comes as a form, the way LitServe's examples take files.
"""

import io
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray

import seglight
from seglight.images.decode import decode_image
from seglight.images.draw import palette_image


class Segmentation(litserve.LitAPI):  # type: ignore[misc]
    """One net, applied to images one by one or in batches."""

    def setup(self, device: str) -> None:
        """Load the net."""
        self.net = seglight.load(sys.argv[1], device="cpu", threads=int(sys.argv[6]))

    def decode_request(self, request: Request) -> NDArray[np.uint8]:
        """Pixels of the uploaded file; LitServe passes the form of a request under this annotation."""
        return decode_image(request["image"].file.read(), "image")

    def predict(self, x: NDArray[np.uint8]) -> Any:
        """Label map of an image, or those of several of one size, which LitServe has stacked."""
        return self.net.predict(x) if x.ndim == 3 else self.net.predict_batch([*x])

    def encode_response(self, output: NDArray[np.uint8]) -> Response:
        """The label map as an index PNG."""
        file = io.BytesIO()
        palette_image(output, self.net.palette).save(file, "PNG")
        return Response(file.getvalue(), media_type="image/png")


def main() -> None:
    """Serve until the process is ended."""
    _, _, port, workers, batch, wait, _ = sys.argv
    api = Segmentation(max_batch_size=int(batch), batch_timeout=float(wait))
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=int(workers), timeout=False)
    server.run(host="127.0.0.1", port=int(port), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
