"""`/metrics` in the format of Prometheus (prometheus.io/docs/instrumenting/exposition_formats)."""

import time
from collections.abc import Iterator, Mapping

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seglight.commands.serve.service import Service

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histogram of times."""

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
"""Methods that are counted by their name: clients may send any word as a method."""

OTHER = "other"
"""Label of methods that are not counted by their name, and of paths that no route has."""

LEFT = "499"
"""Status of a request whose client left before it was answered, as nginx counts it."""


class Metrics:
    """Counts of requests, times until they are answered, and the state of the service.

    Args:
        service: Service whose state is shown.

    Attributes:
        registry: All metrics of this server.
    """

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "seglight_requests",
            "Requests that were answered, by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "seglight_request_seconds",
            "Time from the header of a request to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.registry.register(_ServiceCollector(service))

    def count(self, route: str, method: str, status: str, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)


class CountedRequests:
    """ASGI middleware that counts requests by the pattern of their route, which contains nothing of the request.

    Args:
        app: Application that is called.
        metrics: Counts of this server.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = LEFT
        start = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noted)
        finally:
            route = scope.get("route")
            name = route.path if isinstance(route, Route) else OTHER
            method = scope["method"] if scope["method"] in METHODS else OTHER
            self.metrics.count(name, method, status, time.perf_counter() - start)


class _ServiceCollector(Collector):
    """State of a service, read when the metrics are asked for."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        status = self.service.status()
        queued = GaugeMetricFamily("seglight_queued_images", "Images that wait to be predicted.", labels=["model"])
        for model, number in status.queued.items():
            queued.add_metric([model], number)
        yield queued
        yield _batch_sizes(status.batches)
        memory = GaugeMetricFamily(
            "seglight_worker_memory_bytes", "Resident memory of a process that predicts.", labels=["worker"]
        )
        restarts = CounterMetricFamily(
            "seglight_worker_restarts", "How often a process that predicts was started again.", labels=["worker"]
        )
        for number, worker in enumerate(status.workers):
            memory.add_metric([str(number)], worker.memory)
            restarts.add_metric([str(number)], worker.restarts)
        yield memory
        yield restarts
        yield GaugeMetricFamily("seglight_ready", "Whether all models are ready.", value=float(status.ready))


def _batch_sizes(batches: Mapping[int, int]) -> HistogramMetricFamily:
    """The histogram of the sizes of batches.

    Args:
        batches: Number of batches by their size.
    """
    total, buckets = 0, list[tuple[str, float]]()
    for size in sorted(batches):
        total += batches[size]
        buckets.append((str(float(size)), total))
    images = sum(size * number for size, number in batches.items())
    return HistogramMetricFamily(
        "seglight_batch_images",
        "Images that were passed to a net together.",
        buckets=[*buckets, ("+Inf", total)],
        sum_value=images,
    )


def router(metrics: Metrics) -> APIRouter:
    """The route of the metrics."""
    routes = APIRouter()

    @routes.get("/metrics", tags=["operation"], response_class=Response, summary="Metrics in the format of Prometheus")
    async def metrics_page() -> Response:
        return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
