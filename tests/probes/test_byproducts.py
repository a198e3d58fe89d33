"""What costs no forward: where the weights went, and the noise that a trainer's own micro-batches show."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from interlace.estimate import Estimate, Unresolved
from interlace.policies import Policy
from interlace.policies.gradients import ResponseSum
from interlace.policies.kept import KeptPolicy
from interlace.probes import PROBES, Moment, ProbeContext
from interlace.probes.micro_gradients import MicroGradients, norm_weights
from interlace.probes.moment import keep_weights
from tests.probes import naive
from tests.probes.conftest import moved

Looks = Callable[..., ProbeContext]


def value(figure: object) -> float:
    assert isinstance(figure, Estimate), figure
    return figure.value


def flat(policy: Policy) -> np.ndarray:
    return np.concatenate([weight.detach().numpy().ravel() for weight in naive.trainable(policy)])


def test_movement_is_that_of_the_flat_vectors(look: Looks) -> None:
    seen = look()
    figures = PROBES["movement"].measure(seen).figures
    before = flat(moved(seen.policy, seed=2, length=0.002))
    update, way = flat(seen.policy) - before, before - flat(seen.start)
    assert value(figures["update_norm"]) == pytest.approx(np.linalg.norm(update), rel=1e-6)
    assert value(figures["displacement_norm"]) == pytest.approx(np.linalg.norm(way), rel=1e-6)
    cosine = update @ way / np.linalg.norm(update) / np.linalg.norm(way)
    assert value(figures["update_displacement_cosine"]) == pytest.approx(cosine, abs=1e-6)


def test_a_kept_start_is_a_start_too(look: Looks, little: Policy) -> None:
    """A start that shares the trained model, as in a trainer of one's own: its weights are those kept aside."""
    start = KeptPolicy.of(little)
    origin = keep_weights(little.model)
    with torch.no_grad():
        for weight in little.model.parameters():
            weight += 0.01
    seen = ProbeContext(little, start, look().target, 4, 0, moment=Moment(origin))
    figures = PROBES["movement"].measure(seen).figures
    assert value(figures["displacement_norm"]) == 0.0
    assert isinstance(figures["update_displacement_cosine"], Unresolved)
    assert value(figures["update_norm"]) == pytest.approx(0.01 * np.sqrt(flat(little).size))
    assert seen.look.directions["displacement"].numpy() == pytest.approx(0.01 * np.ones(flat(little).size))


def norm_gradients(policy: Policy, sums: list[ResponseSum]) -> np.ndarray:
    norms = {id(weight) for weight in norm_weights(policy.model)}
    kept = np.concatenate([np.full(weight.numel(), id(weight) in norms) for weight in naive.trainable(policy)])
    return np.stack([naive.gradient(policy, total)[kept] for total in sums])


def test_micro_batches_are_told_apart_in_what_is_accumulated(look: Looks, little: Policy) -> None:
    """Backward after backward into one `.grad`, read in between, against the gradient of each alone."""
    seen = look()
    sums = [part.total for part in seen.parts(6)["sums", "sft_loss"]]
    little.model.eval()
    micro = MicroGradients()
    for total in sums:
        naive.value(little, total).backward()
        micro.see(little.model, batch_size=4)
    little.model.zero_grad()
    found = micro.taken()
    vectors = norm_gradients(little, sums)
    assert len(found) == len(sums) and not micro.sums
    assert np.stack([vector.numpy() for vector in found]) == pytest.approx(vectors, rel=1e-4, abs=1e-6)
    figures = PROBES["norm_layer_noise"].measure(look(moment=Moment(None, None, found, 4))).figures
    signal = naive.mean_product(list(vectors), list(vectors), same=True)
    share = signal / np.mean([vector @ vector for vector in vectors])
    scale = figures["norm_layer_gradient_noise_scale"]
    assert value(figures["norm_layer_gradient_signal_share"]) == pytest.approx(min(1.0, share), rel=1e-4)
    if isinstance(scale, Estimate):
        assert scale.unit == "sequences" and scale.value == pytest.approx(4 * (1 / share - 1), rel=1e-3)


def test_without_accumulation_there_is_no_noise_to_see(look: Looks) -> None:
    assert not PROBES["norm_layer_noise"].applies(look())
    few = Moment(None, None, (torch.ones(3), torch.ones(3)), 4)
    assert not PROBES["norm_layer_noise"].applies(look(moment=few))


def test_frozen_norms_show_nothing(little: Policy) -> None:
    for weight in norm_weights(little.model):
        weight.requires_grad_(False)
    micro = MicroGradients()
    micro.see(little.model, 4)
    assert micro.taken() == ()
