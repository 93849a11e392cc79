"""Metrics, read by the parser of Prometheus' own client."""

import httpx

from seglight.commands.serve.app import create_app
from seglight.commands.serve.settings import Settings
from tests.support.served import SeenStatus, SeenWorker, StandIn, metric, picture, png, serving


def test_metrics() -> None:
    service = StandIn("reds", "other")
    service.seen = SeenStatus(
        queued={"reds": 3, "other": 0},
        batches={1: 5, 2: 0, 4: 2},
        workers=(SeenWorker(memory=7_000), SeenWorker(memory=9_000, restarts=2)),
    )
    with serving(create_app(service, Settings()), service) as running, httpx.Client(base_url=running.url) as client:
        for _ in range(3):
            client.post("/predict", content=png(picture()))
        client.post("/predict", content=b"")
        client.request("BREW", "/nothing/a")
        client.get("/nothing/b")
        found = client.get("/metrics")
        assert found.headers["content-type"].startswith("text/plain; version=")
        text = found.text
    assert metric(text, "seglight_requests_total", route="/predict", method="POST", status="200") == 3
    assert metric(text, "seglight_requests_total", route="/predict", method="POST", status="400") == 1
    assert metric(text, "seglight_requests_total", route="other", status="404") == 2
    assert metric(text, "seglight_requests_total", method="other") == 1
    assert "nothing" not in text, "paths of requests would grow without end"
    assert metric(text, "seglight_request_seconds_count", route="/predict") == 4
    assert 0 < metric(text, "seglight_request_seconds_sum", route="/predict") < 20
    assert metric(text, "seglight_queued_images", model="reds") == 3
    assert metric(text, "seglight_batch_images_bucket", le="1.0") == 5
    assert metric(text, "seglight_batch_images_bucket", le="4.0") == 7
    assert metric(text, "seglight_batch_images_count") == 7
    assert metric(text, "seglight_batch_images_sum") == 13
    assert metric(text, "seglight_worker_memory_bytes", worker="1") == 9_000
    assert metric(text, "seglight_worker_restarts_total", worker="1") == 2
    assert metric(text, "seglight_ready") == 1
    assert metric(text, "process_resident_memory_bytes") > 1_000_000
