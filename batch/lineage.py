"""Lineage of a nightly run as OpenLineage events, one JSON object a line.

Every step and every dbt model is a job with a START and a COMPLETE or FAIL event; models name the
nightly as their parent, and for each column the columns it is made of. Written by hand after the
specification (https://openlineage.io/spec/2-0-2) rather than with its client library: see docs/adr.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from batch.column_lineage import column_lineage
from batch.experiments.landing import EXPERIMENT_ARMS
from batch.merges import PLAY_MERGES
from batch.runs import Model, NightlyRun, Step
from contracts.lake import CATALOGUE, RESULTS, TABLES
from contracts.settings import Settings
from contracts.whole_files import write_whole

PRODUCER = "urn:segue:nightly"
_SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:segue:lineage")

#: Columns of what is landed, which no model makes.
_LANDED = {
    f"raw.{name}": schema.names
    for name, schema in {
        **TABLES,
        **RESULTS,
        **CATALOGUE,
        "play_merges": PLAY_MERGES,
        "experiment_arms": EXPERIMENT_ARMS,
    }.items()
}
_OF_SNAPSHOTS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")

Dataset = dict[str, Any]


def models(target: Path) -> list[Model]:
    """Return what the last dbt build made, read from its artifacts in ``target``."""
    manifest = json.loads((target / "manifest.json").read_bytes())
    results = json.loads((target / "run_results.json").read_bytes())
    nodes = manifest["nodes"] | manifest["sources"]
    found = []
    built = [
        (nodes[result["unique_id"]], result)
        for result in results["results"]
        if nodes.get(result["unique_id"], {}).get("resource_type") in {"model", "snapshot"}
    ]
    statements = {table_of(node): _statement(node) for node, _ in built}
    lineage = column_lineage(statements, _LANDED, manifest["metadata"]["adapter_type"])
    for node, result in built:
        parents = [nodes[name] for name in node["depends_on"]["nodes"] if name in nodes]
        times = [(t["started_at"], t["completed_at"]) for t in result["timing"]]
        fallback = results["metadata"]["generated_at"]
        found.append(
            Model(
                table=table_of(node),
                made_of={
                    column: [f"{source.table}.{source.column}" for source in sources]
                    for column, sources in lineage.get(table_of(node), {}).items()
                },
                inputs=[table_of(parent) for parent in parents],
                status="ok" if result["status"] == "success" else str(result["status"]),
                started_at=min((start for start, _ in times if start), default=fallback),
                finished_at=max((end for _, end in times if end), default=fallback),
                columns={
                    name: column["data_type"]
                    for name, column in node.get("columns", {}).items()
                    if column.get("data_type")
                },
            )
        )
    return found


def _statement(node: dict[str, Any]) -> str:
    """Return the query a table is made by, with the columns that dbt adds to a snapshot."""
    sql = str(node.get("compiled_code") or "")
    if node["resource_type"] != "snapshot":
        return sql
    key = node["config"]["unique_key"]
    added = ", ".join(f"{key} as {column}" for column in _OF_SNAPSHOTS)
    return f"select *, {added} from ({sql}) as described"  # noqa: S608


def table_of(node: dict[str, Any]) -> str:
    """Return ``schema.table`` of a node of dbt's manifest."""
    return f"{node['schema']}.{node.get('identifier') or node.get('alias') or node['name']}"


def events(run: NightlyRun, settings: Settings) -> list[dict[str, Any]]:
    """Return the events of a run in order of time."""
    writer = _Writer(run, settings)
    for step in run.steps:
        if step.started_at is None:
            continue
        inputs, outputs = writer.flow(step)
        writer.job(
            f"nightly.{step.name}",
            (step.started_at, _end(step, run)),
            step.status == "ok",
            inputs,
            outputs,
            step.detail,
        )
    for model in run.models:
        if model.status != "skipped":
            writer.model(model)
    writer.job(
        "nightly",
        (run.started_at, run.finished_at or run.started_at),
        run.status in {"ok", "empty"},
        [],
        [],
        run.error or "",
        parent=False,
    )
    return sorted(
        writer.events, key=lambda event: (event["eventTime"], event["eventType"] != "START")
    )


def write(run: NightlyRun, path: Path, settings: Settings) -> None:
    """Keep the events of a run beside its record."""
    text = "".join(json.dumps(event) + "\n" for event in events(run, settings))
    write_whole(path, text)


def _end(step: Step, run: NightlyRun) -> str:
    after = [
        s.started_at for s in run.steps if s.started_at and s.started_at > str(step.started_at)
    ]
    return min(after, default=run.finished_at or str(step.started_at))


class _Writer:
    def __init__(self, run: NightlyRun, settings: Settings) -> None:
        self.run = run
        self.events: list[dict[str, Any]] = []
        self.jobs = settings.namespace
        self.warehouse = f"{run.target}://{settings.namespace}"

    def flow(self, step: Step) -> tuple[list[Dataset], list[Dataset]]:
        """Return what a step reads and writes."""
        raw = [self.dataset(f"raw.{name}") for name in self.run.lake_versions]
        lake = [
            self.dataset(name, "delta", version=version)
            for name, version in self.run.lake_versions.items()
        ]
        plays = [self.dataset("marts.fct_plays")]
        built = [self.dataset(model.table) for model in self.run.models]
        generation = step.rows.get("generation")
        match step.name:
            case "land":
                return lake, raw
            case "quality":
                return raw, []
            case "build":
                return raw, built
            case "retrain":
                view = [self.dataset("batch_view", "segue", version=generation or 0)]
                return plays, view if generation else []
            case "reports":
                names = [name for name in step.rows if name != "generation"]
                return plays, [self.dataset(name, "segue-reports") for name in names]
        return [], []

    def model(self, model: Model) -> None:
        """Add the events of a dbt model."""
        rows = self.run.step("build").rows
        name = model.table.partition(".")[2]
        made = self.dataset(model.table, columns=model.columns, rows=rows.get(name))
        if model.made_of:
            fields = {
                column: {"inputFields": [self._field(source) for source in sources]}
                for column, sources in model.made_of.items()
            }
            facet = _facet("1-2-0/ColumnLineageDatasetFacet", fields=fields)
            made.setdefault("facets", {})["columnLineage"] = facet
        self.job(
            f"dbt.{name}",
            (model.started_at, model.finished_at),
            model.status == "ok",
            [self.dataset(table) for table in model.inputs],
            [made],
        )

    def _field(self, source: str) -> dict[str, str]:
        table, _, column = source.rpartition(".")
        return {"namespace": self.warehouse, "name": table, "field": column}

    def dataset(
        self,
        name: str,
        namespace: str = "",
        *,
        version: int | None = None,
        columns: dict[str, str] | None = None,
        rows: int | None = None,
    ) -> Dataset:
        """Return a dataset with the facets that are known."""
        found: Dataset = {"namespace": namespace or self.warehouse, "name": name}
        facets: dict[str, Any] = {}
        if columns:
            fields = [{"name": n, "type": t} for n, t in columns.items()]
            facets["schema"] = _facet("1-1-1/SchemaDatasetFacet", fields=fields)
        if version is not None:
            facets["version"] = _facet(
                "1-0-1/DatasetVersionDatasetFacet", datasetVersion=str(version)
            )
        if facets:
            found["facets"] = facets
        if rows is not None:
            statistics = _facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=rows)
            found["outputFacets"] = {"outputStatistics": statistics}
        return found

    def job(
        self,
        name: str,
        span: tuple[str, str],
        good: bool,
        inputs: list[Dataset],
        outputs: list[Dataset],
        word: str = "",
        *,
        parent: bool = True,
    ) -> None:
        """Add START and COMPLETE or FAIL of one job."""
        facets: dict[str, Any] = {}
        if parent:
            facets["parent"] = _facet(
                "1-0-1/ParentRunFacet",
                run={"runId": self.run_id("nightly")},
                job={"namespace": self.jobs, "name": "nightly"},
            )
        for kind, at in zip(("START", "COMPLETE" if good else "FAIL"), span, strict=True):
            told = facets
            if kind == "FAIL":
                error = _facet(
                    "1-0-1/ErrorMessageRunFacet", message=word, programmingLanguage="python"
                )
                told = facets | {"errorMessage": error}
            self.events.append(
                {
                    "eventTime": at,
                    "eventType": kind,
                    "producer": PRODUCER,
                    "schemaURL": _SPEC,
                    "run": {"runId": self.run_id(name), "facets": told},
                    "job": {"namespace": self.jobs, "name": name, "facets": {}},
                    "inputs": inputs,
                    "outputs": outputs,
                }
            )

    def run_id(self, job: str) -> str:
        """Return the same id for the same job of the same run."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.run.id}/{job}"))


def _facet(schema: str, **fields: Any) -> dict[str, Any]:
    version, name = schema.split("/")
    url = f"{_FACETS}/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}
