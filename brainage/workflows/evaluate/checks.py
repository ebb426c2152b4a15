"""What is looked for before an evaluation has a number, and what the report says of it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brainage.bundle.model import ModelBundle
from brainage.errors import ManifestError
from brainage.reporting.counts import some_of
from brainage.reporting.run_report import PredictedScan
from brainage.scans.manifest import ScanRecord
from brainage.workflows.evaluate.leakage import (
    ScanIdentity,
    refuse_repeats,
    refuse_shared_subjects,
    refuse_training_scans,
)
from brainage.workflows.evaluate.ledger import (
    EarlierModel,
    ScanKeys,
    earlier_use,
    ledger_path,
    note_evaluation,
    refuse_second_model,
    scan_keys,
)
from brainage.workflows.evaluate.table import UNNAMED, PredictedTable


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What the user knows of and asks for all the same."""

    other_people: bool = False
    """Subjects with the name of a training subject are other people."""

    again: bool = False
    """The scans were used to score another model before."""


@dataclass
class Checks:
    """Checks of one evaluation, each of which passes or ends it, and the sentences of the report.

    Args:
        consent: what may be let pass.
        scans: what is evaluated.
    """

    consent: Consent
    scans: Sequence[ScanIdentity]
    passed: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    earlier: list[EarlierModel] = field(default_factory=list)
    """Other models that were scored on some of the scans."""

    def each_once(self) -> None:
        """No scan comes twice."""
        refuse_repeats(self.scans)
        self.passed.append("No scan comes twice.")

    def not_in_training(self, model: str, bundle: ModelBundle) -> None:
        """The model saw neither the scans nor their subjects."""
        self.warnings += refuse_training_scans(
            model, bundle.calibration, self.scans, other_people=self.consent.other_people
        )
        self.passed.append(
            "No scan was used to train or to stop the model: names of subjects and bytes of scans "
            "were compared with those that the model notes."
        )

    def folds_apart(self, predicted: Sequence[PredictedScan]) -> None:
        """No subject and no scan is in two folds, of a table that has folds."""
        folds: dict[str, list[ScanIdentity]] = defaultdict(list)
        for scan, identity in zip(predicted, self.scans, strict=True):
            if scan.fold is not None:
                folds[f"fold {scan.fold}"].append(identity)
        if folds:
            refuse_shared_subjects(folds)
            self.passed.append("Every subject was predicted out of one fold.")

    def files_there(self) -> None:
        """Say how many scans of a table cannot be read."""
        if absent := sum(scan.sha256 is None for scan in self.scans):
            some = some_of(absent, len(self.scans), "scan", ("is", "are"))
            self.warnings.append(
                f"{some} not where the table says; what is not there was compared by name only."
            )

    def first_model(self, model: str, keys: Sequence[ScanKeys]) -> None:
        """No other model was scored on these scans, or the user asks for it again."""
        use = earlier_use(ledger_path(), model, keys)
        refuse_second_model(use, len(keys), again=self.consent.again)
        self.earlier += use.others
        if self.earlier:
            self.warnings.append(
                f"{len(self.earlier) + 1} models have been scored on these scans or some of them, "
                "this one included: the lowest of their errors is too good, by more the more "
                "there are."
            )
        else:
            self.passed.append(
                "No other model was scored on these scans before, as far as was noted here."
            )

    def keys(self, known: Sequence[ScanRecord | PredictedScan]) -> list[ScanKeys]:
        """What the ledger knows the scans by; ``known`` has their subjects, sessions and ages."""
        return [
            scan_keys(each.subject, each.session, each.age_years or 0.0, identity.sha256)
            for each, identity in zip(known, self.scans, strict=True)
        ]

    @staticmethod
    def note(model: str, keys: Sequence[ScanKeys]) -> None:
        """Add the evaluation to the ledger."""
        note_evaluation(ledger_path(), model, keys)


def refuse_other_model(
    predictions: Path, table: PredictedTable, model: str, bundle: ModelBundle
) -> None:
    """The training that is compared with has to be that of the model that predicted.

    Raises:
        ManifestError: with both hashes.
    """
    if table.model.startswith(UNNAMED):
        raise ManifestError(
            f"{predictions}: does not say which model made it (there is no column model_hash); "
            "leave out --model, and the report will say that training was not compared"
        )
    if table.model.partition("+")[0] != bundle.model_hash:
        raise ManifestError(
            f"{predictions}: not predictions of {model}: their model is {table.model}, "
            f"the hash of this one is {bundle.model_hash}"
        )
