"""Checkpoints: whole or not there, named when damaged, and of one run alone."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from brainage.core.checkpoint import FACTS, CheckpointStore
from brainage.errors import CheckpointError


def everything(name: str) -> bool:
    return True


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, "run")


def test_tensors_and_facts_come_back_bit_for_bit(store: CheckpointStore) -> None:
    tensors = {
        "a/weight": torch.randn(3, 4, 5).transpose(0, 2),
        "a/half": torch.randn(7).bfloat16(),
        "b/count": torch.tensor(2**40),
    }
    store.save(7, tensors, {"history": [{"loss": 0.1 + 0.2}]})
    loaded, facts = store.load(everything)
    assert facts["history"] == [{"loss": 0.1 + 0.2}]
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype


def test_only_what_is_wanted_is_read(store: CheckpointStore) -> None:
    store.save(1, {"a/x": torch.ones(2), "b/x": torch.ones(2)}, {})
    loaded, _ = store.load(lambda name: name.startswith("b/"))
    assert list(loaded) == ["b/x"]


def test_there_is_none_before_the_first(store: CheckpointStore) -> None:
    assert store.load(everything) is None


def test_a_new_checkpoint_takes_the_place_of_the_one_before(store: CheckpointStore) -> None:
    for step in (9, 10, 200):
        store.save(step, {"x": torch.tensor(step)}, {})
    assert [path.name for path in store.folder.iterdir()] == ["step-00000200"]
    assert store.load(everything)[0]["x"] == 200


def test_a_crash_between_two_steps_of_saving_leaves_the_newest_whole_one(
    store: CheckpointStore,
) -> None:
    store.save(1, {"x": torch.tensor(1)}, {})
    (store.folder / "step-00000002.part").mkdir()
    assert store.load(everything)[0]["x"] == 1
    store.save(2, {"x": torch.tensor(2)}, {})
    assert store.load(everything)[0]["x"] == 2


@pytest.mark.parametrize("failing", ["os.fsync", "json.dump", "save"])
def test_a_failed_write_leaves_the_previous_checkpoint(
    failing: str, store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(1, {"x": torch.tensor(1)}, {})

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"brainage.core.checkpoint.{failing}", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        store.save(2, {"x": torch.tensor(2)}, {})
    assert store.load(everything)[0]["x"] == 1
    assert store.latest.name == "step-00000001"


@pytest.mark.parametrize("keep", [0, 20])
@pytest.mark.parametrize("file", [FACTS, ".metadata", "__0_0.distcp"])
def test_a_damaged_checkpoint_is_named(file: str, keep: int, store: CheckpointStore) -> None:
    store.save(1, {"x": torch.randn(500)}, {})
    path = store.latest / file
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"step-00000001.*cannot be read"):
        store.load(everything)


def test_what_the_message_of_a_damaged_checkpoint_advises_works(store: CheckpointStore) -> None:
    store.save(1, {"x": torch.tensor(1)}, {})
    older = shutil.copytree(store.latest, store.folder / "kept")
    store.save(2, {"x": torch.tensor(2)}, {})
    shutil.move(older, store.folder / "step-00000001")
    (store.latest / FACTS).write_text("{")
    with pytest.raises(CheckpointError, match=r"step-00000002.*; delete this folder and resume"):
        store.load(everything)
    shutil.rmtree(store.latest)
    assert store.load(everything)[0]["x"] == 1
    shutil.rmtree(store.latest)
    assert store.load(everything) is None


def test_a_missing_part_is_named(store: CheckpointStore) -> None:
    store.save(1, {"x": torch.randn(500)}, {})
    (store.latest / "__0_0.distcp").unlink()
    with pytest.raises(CheckpointError, match=r"step-00000001.*cannot be read"):
        store.load(everything)


def test_another_format_is_refused(store: CheckpointStore) -> None:
    store.save(1, {}, {})
    facts = store.latest / FACTS
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"format": 1}))
    with pytest.raises(CheckpointError, match="format 2, got 1"):
        store.load(everything)
