"""A collector of OpenTelemetry metrics, for tests."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tests.airflow.receiver import Receiver


class Collector(Receiver):
    """Receives OTLP. `metrics` is name → kind, as they arrive."""

    answer_type = "application/x-protobuf"

    def __init__(self) -> None:
        self.metrics: dict[str, str] = {}
        self.tags: dict[str, set[str]] = {}
        super().__init__()

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which Airflow sends its metrics here."""
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": self.url,
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
        }

    def received(self, body: bytes) -> None:
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = str(metric.WhichOneof("data"))
                    self.metrics[metric.name] = kind
                    for point in getattr(metric, kind).data_points:
                        tags = self.tags.setdefault(metric.name, set())
                        tags |= {attribute.key for attribute in point.attributes}
