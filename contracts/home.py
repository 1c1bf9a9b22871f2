"""Every folder and file of a home (``SEGUE_HOME``), named once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HomePaths:
    """Paths in one home folder; nothing is created here.

    Servers of the embedded stack keep their data in ``<home>/<name of the server>``.

    Attributes
    ----------
    model_folder
        Where this host keeps its model, if not in the home: several hosts may share the home.

    Examples
    --------
    >>> HomePaths(Path("/srv/segue")).warehouse_file.as_posix()
    '/srv/segue/warehouse/segue.duckdb'
    """

    home: Path
    model_folder: Path | None = None

    # What workers write and the API reads.

    @property
    def model(self) -> Path:
        """The mapped model and its snapshots."""
        return self.model_folder or self.home / "model"

    @property
    def lake(self) -> Path:
        """Folder of the lake, which has a folder for each Delta table (plays, feedback, ...)."""
        return self.home / "lake"

    @property
    def quality_history(self) -> Path:
        """How good this host's model was over time (:mod:`contracts.quality_history`).

        If ``SEGUE_MODEL`` is set, the file is in that folder: hosts that share a home have a
        learner each, and only one process may write a file.
        """
        if self.model_folder is not None:
            return self.model_folder / "quality.jsonl"
        return self.home / "quality" / "model.jsonl"

    @property
    def batch_view(self) -> Path:
        """Generations of the nightly model (:mod:`contracts.batch_view`)."""
        return self.home / "batch_view"

    @property
    def content_view(self) -> Path:
        """Generations of the content view: neighbours of tracks by tags and audio features."""
        return self.home / "content_view"

    @property
    def artist_vectors(self) -> Path:
        """Content vectors of artists (NumPy archive)."""
        return self.home / "content" / "artists.npz"

    @property
    def flink(self) -> Path:
        """Checkpoints and savepoints of the Flink jobs."""
        return self.home / "flink"

    # The nightly run.

    @property
    def warehouse(self) -> Path:
        """The embedded warehouse and dbt's own files."""
        return self.home / "warehouse"

    @property
    def warehouse_file(self) -> Path:
        """The DuckDB database."""
        return self.warehouse / "segue.duckdb"

    @property
    def lake_copies(self) -> Path:
        """Copies of the lake's files, if the lake is in object storage."""
        return self.home / "lake_copies"

    @property
    def reports(self) -> Path:
        """Published reports, a folder each."""
        return self.home / "reports"

    @property
    def figures_file(self) -> Path:
        """The figures day by day (:mod:`contracts.figures`)."""
        return self.home / "figures" / "figures.json"

    @property
    def warehouse_document(self) -> Path:
        """The warehouse's tables, their tests, and what is drawn from them."""
        return self.home / "figures" / "warehouse.json"

    @property
    def runs(self) -> Path:
        """Records of nightly runs, and their lock."""
        return self.home / "runs"

    # Imports and collectors.

    @property
    def staging(self) -> Path:
        """Archived answers and checkpoints of collectors, a folder for each source."""
        return self.home / "staging"

    @property
    def imports(self) -> Path:
        """Checkpoints and rejects of imported files."""
        return self.home / "imports"

    @property
    def uploads(self) -> Path:
        """Files that listeners uploaded and the worker ``importer`` has not read to the end."""
        return self.home / "uploads"

    @property
    def credentials(self) -> Path:
        """Credentials of outside sources."""
        return self.home / "credentials.toml"

    # The local stack.

    @property
    def logs(self) -> Path:
        """Log files, one for each process."""
        return self.home / "logs"

    def log(self, name: str) -> Path:
        """Log file of a process of the stack."""
        return self.logs / f"{name}.log"

    @property
    def admin_token(self) -> Path:
        """The administrator's token, readable by its owner alone."""
        return self.home / "admin-token"

    @property
    def lock(self) -> Path:
        """Path of the file that the supervisor locks while a stack runs here."""
        return self.home / "lock"

    @property
    def run_record(self) -> Path:
        """What runs here now, as the supervisor writes it down."""
        return self.home / "run.json"

    @property
    def choices(self) -> Path:
        """Broker and ports of the last run."""
        return self.home / "stack.json"

    @property
    def simulator_runs(self) -> Path:
        """How often the simulator was started."""
        return self.home / "simulator-runs"
