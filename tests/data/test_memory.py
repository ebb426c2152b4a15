import psutil
import pytest

from brainage.data.memory import free_memory_bytes


@pytest.fixture
def group(tmp_path):
    """A control group /job/step below the root of all groups."""

    def made(folder="job/step", limit="max", used=0, cached=0):
        path = tmp_path / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "memory.max").write_text(f"{limit}\n")
        (path / "memory.current").write_text(f"{used}\n")
        (path / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")

    return made


@pytest.fixture
def free(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/job/step\n")
    return lambda: free_memory_bytes(tmp_path, own)


def test_a_limit_leaves_what_is_not_used_and_what_files_may_give_back(group, free):
    group(limit=1000, used=700, cached=50)
    assert free() == 350


def test_the_limit_of_a_group_above_counts(group, free):
    group()
    group("job", limit=500, used=100)
    assert free() == 400


def test_a_group_beyond_its_limit_leaves_nothing(group, free):
    group(limit=10, used=700)
    assert free() == 0


def test_without_a_limit_it_is_the_machine_s(group, free, tmp_path):
    group()
    available = psutil.virtual_memory().available
    assert free() == pytest.approx(available, rel=0.2)
    assert free_memory_bytes(tmp_path, tmp_path / "nothing") == pytest.approx(available, rel=0.2)
