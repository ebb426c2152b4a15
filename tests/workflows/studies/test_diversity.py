import math

import pytest
import torch

from brainage.workflows.studies.diversity import (
    output_diversity,
    pair_counts,
    pair_similarity,
    variance_ratios,
)
from brainage.workflows.studies.roles import mean_leaders, network_scores

WORKERS = torch.tensor([[[3.0, 0.0], [0.0, 4.0], [-6.0, 0.0], [0.0, 0.0]]])


def test_cosines_and_distances_of_known_vectors():
    cosine, distance = pair_similarity(WORKERS)
    assert cosine[0, 0, :3].tolist() == pytest.approx([1.0, 0.0, -1.0])
    assert cosine[0, 0, 3].isnan()
    assert distance[0, 0].tolist() == pytest.approx([0.0, 5 / 7, 1.0, 1.0])
    assert float(distance[0, 3, 3]) == 0.0


def test_scale_changes_nothing():
    for plain, scaled in zip(pair_similarity(WORKERS), pair_similarity(100 * WORKERS), strict=True):
        assert torch.allclose(plain, scaled, equal_nan=True)


def test_variance_ratios_are_the_smaller_over_the_larger():
    ratios = variance_ratios(torch.tensor([1.0, 4.0, 0.0]))
    assert ratios[0].tolist() == [1.0, 0.25, 0.0]
    assert torch.equal(ratios, ratios.T)
    assert float(ratios[2, 2]) == 1.0


def test_pairs_are_counted_once_and_never_with_themselves():
    mixed, both = pair_counts(
        torch.tensor([[True, False, False, False], [True, True, True, False]])
    )
    assert mixed.sum((1, 2)).tolist() == [3, 3]
    assert both.sum((1, 2)).tolist() == [3, 0]
    assert not bool(both.diagonal(dim1=1, dim2=2).any())
    assert not bool(mixed[:, 1:][0].any())


def test_a_set_in_batches_has_the_means_of_all_pairs(engine, test_images):
    leaders = mean_leaders(network_scores(engine, test_images), 0.5)
    found = output_diversity(engine, test_images, leaders, 0.5)
    inputs = torch.cat([batch.inputs for batch in test_images.batches(0)])
    with torch.no_grad():
        outputs = engine.chain.all_outputs(inputs)[0].workers_BWC
    lead, follow = (mask.nonzero()[:, 0].tolist() for mask in (leaders[0], ~leaders[0]))
    similar, apart = [], []
    for row in outputs.double():
        for a in lead:
            for b in follow:
                lengths = float(row[a].norm()), float(row[b].norm())
                total = sum(lengths)
                apart.append(float((row[a] - row[b]).norm()) / total if total else 0.0)
                if min(lengths) > 0:
                    similar.append(float(row[a] @ row[b]) / math.prod(lengths))
    own = found["block 1"]["outputs"]["training"]["leader-follower"]
    assert own["cosine_similarity"]["mean"] == pytest.approx(sum(similar) / len(similar), abs=1e-5)
    assert own["normalised_distance"]["mean"] == pytest.approx(sum(apart) / len(apart), abs=1e-5)
    variance = outputs.double().var(0, correction=0).sum(1)
    ratios = [float(min(variance[a], variance[b]) / max(variance[a], variance[b]))
              for a in lead for b in follow]  # fmt: skip
    assert own["normalised_variance"]["mean"] == pytest.approx(sum(ratios) / 4, abs=1e-5)
