"""The sharpest direction of the SFT loss: the Hessian's largest eigenvalue, by Lanczos."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from interlace.estimate import Figure, Unresolved
from interlace.policies.gradients import HessianMethod, hessian_product
from interlace.probes.base import Price, Reading
from interlace.probes.context import ProbeContext
from interlace.probes.curvature import precision_note, rayleigh_quotients
from interlace.probes.gradient_table import LOSS
from interlace.probes.parts import merged
from interlace.statistics.intervals import mean_interval


class Smoothness:
    """l_S here: the eigenvalue of the Hessian of L that is largest in size, nats/weight^2 (C6), with its sign.

    The value is the mean over parts of the curvature along the direction that Lanczos finds on all of them, its
    interval Student t over parts; that direction was chosen on the same prompts, so the value leans upwards. B's l is
    the largest along a whole path: take the largest of several looks.

    Cost: 10 to 40 Hessian-vector products on at most 64 prompts; memory: `basis` flat vectors. Not resolved if
    `most_products` do not reach the relative `tolerance`.
    """

    name = "smoothness"
    sentence = "largest eigenvalue of the SFT loss's Hessian, by Lanczos"
    source = "B2, B3, C6"
    cost: Price = "curvature"
    needs: tuple[str, ...] = ("curvature_parts",)

    def __init__(
        self, tolerance: float = 0.01, basis: int = 8, restarts: int = 12, method: HessianMethod = "double_backward"
    ) -> None:
        self.tolerance, self.basis, self.restarts, self.method = tolerance, basis, restarts, method

    def applies(self, context: ProbeContext) -> bool:
        """Where the task has an expert and the policy is one that is trained."""
        return context.has_gradient(LOSS)

    def measure(self, context: ProbeContext) -> Reading:
        """Find the direction on all prompts, then its curvature on each part."""
        return Reading({"smoothness": self._smoothness(context)})

    def _smoothness(self, context: ProbeContext) -> Figure:
        try:
            direction = self._sharpest(context)
        except ArpackNoConvergence:
            return Unresolved(
                f"Lanczos did not reach a relative tolerance of {self.tolerance} in {self.restarts} restarts"
            )
        found = rayleigh_quotients(context, torch.from_numpy(direction).to(context.policy.model.device), self.method)
        method = f"Lanczos, Student t over parts{precision_note(context)}"
        return mean_interval(found, unit="nats/weight^2", method=method, level=context.level)

    def _sharpest(self, context: ProbeContext) -> Float[np.ndarray, "parameter"]:
        policy, space = context.policy, context.look.space
        total = merged(context.curvature_parts).total
        dtype = torch.promote_types(policy.model.dtype, torch.float32)

        def product(vector: Float[np.ndarray, "..."]) -> Float[np.ndarray, "parameter"]:
            direction = torch.from_numpy(vector.ravel()).to(policy.model.device, dtype)
            return hessian_product(policy, total, space, direction, self.method).cpu().numpy()

        start = torch.randn(space.dimension, dtype=dtype, generator=torch.Generator().manual_seed(context.seed))
        operator = LinearOperator((space.dimension,) * 2, matvec=product, dtype=start.numpy().dtype)
        _, vectors = eigsh(
            operator, k=1, which="LM", v0=start.numpy(), ncv=self.basis, maxiter=self.restarts, tol=self.tolerance
        )
        return np.ascontiguousarray(vectors[:, 0])
