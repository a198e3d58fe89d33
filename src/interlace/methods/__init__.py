"""Methods: how an update mixes imitation and reinforcement. A new one is a file and a line in METHODS.

`base` says what a method is. A recipe asks for one by `method: NAME`, or `{name: NAME, ...options}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.errors import RecipeError, unknown_name
from interlace.methods.asked import asked
from interlace.methods.base import (
    ONLY_RL,
    ONLY_SFT,
    ExpertTokens,
    Given,
    Groups,
    Hint,
    Imitated,
    Method,
    MethodOptions,
    Plan,
    Regrouped,
    SampledTokens,
    Update,
    Weights,
)
from interlace.methods.blame import blamed_on
from interlace.methods.bridge_like import BridgeLike
from interlace.methods.cagrad import CaGrad
from interlace.methods.chord_mu import ChordMu
from interlace.methods.chord_phi import ChordPhi
from interlace.methods.cycle import Cycle
from interlace.methods.data_mixing import DataMixing
from interlace.methods.dft import Dft
from interlace.methods.frontier import Frontier
from interlace.methods.gift import Gift
from interlace.methods.guarded import Guarded
from interlace.methods.guarded_frontier import GuardedFrontier
from interlace.methods.hpt import Hpt
from interlace.methods.interleaved import Interleaved
from interlace.methods.joint import Joint
from interlace.methods.kl_anchor import KlAnchor
from interlace.methods.lspo_like import LspoLike
from interlace.methods.luffy import Luffy
from interlace.methods.matched import MatchedOptions
from interlace.methods.mgda import Mgda
from interlace.methods.mifo_like import MifoLike
from interlace.methods.noise_aware import NoiseAware
from interlace.methods.noise_control import NoiseControl
from interlace.methods.pcgrad import PcGrad
from interlace.methods.positive_lm import PositiveLm
from interlace.methods.prefix_rft_like import PrefixRftLike
from interlace.methods.progressive import Progressive
from interlace.methods.projected import Projected
from interlace.methods.ptx import Ptx
from interlace.methods.random_switch import RandomSwitch
from interlace.methods.relift import Relift
from interlace.methods.replay import Replay
from interlace.methods.sequential import Sequential
from interlace.methods.soft_projected import SoftProjected
from interlace.methods.srft import Srft
from interlace.methods.superrl import SuperRl
from interlace.methods.uft import Uft
from interlace.methods.upgrad import UpGrad
from interlace.options import parse_options

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        # one weight, or a schedule of it
        Joint, Ptx, Sequential, Interleaved, Progressive, DataMixing, ChordMu,
        # token weights
        ChordPhi, Dft, Gift,
        # a switch for each prompt, or what the groups give
        Hpt, SuperRl, Relift, PositiveLm, Replay,
        # the expert inside the group, or its beginning
        Luffy, Srft, Uft, PrefixRftLike,
        # parameters
        LspoLike, MifoLike, BridgeLike,
        # near the start
        KlAnchor,
        # gradients combined
        PcGrad, UpGrad, Mgda, CaGrad, NoiseAware, Projected, SoftProjected,
        # ours
        Guarded, Frontier, GuardedFrontier, NoiseControl, Cycle,
        # controls
        RandomSwitch,
    )
}  # fmt: skip

KNOW_EXPERT: frozenset[str] = frozenset(name for name, method in METHODS.items() if method.knows_expert)
"""Methods that are told the expert's distribution, where others see draws."""
READ_EXPERT_REWARDS: frozenset[str] = frozenset(
    name for name, method in METHODS.items() if method.reads_expert_rewards or method.expert_rows
)
"""Methods that are told the rewards of the expert's responses, those in their groups too."""
SEE_LOOKS: frozenset[str] = frozenset(name for name, method in METHODS.items() if method.see is not Method.see)
"""Methods that are steered by looks at held-out prompts."""

__all__ = [
    # what a method is
    "Method", "MethodOptions", "Plan", "Weights", "ONLY_RL", "ONLY_SFT",
    # what it is handed, and what it gives back
    "Groups", "Given", "Regrouped", "Imitated", "ExpertTokens", "SampledTokens", "Hint", "Update",
    # all of them, and one that is asked for
    "METHODS", "KNOW_EXPERT", "READ_EXPERT_REWARDS", "SEE_LOOKS", "method_options", "method_config", "build_method",
    "blamed_on",
]  # fmt: skip


def method_options(config: str | Mapping[str, Any]) -> tuple[type[Method], MethodOptions]:
    """The method and its validated options. Raises RecipeError, one sentence about the first mistake."""
    asked = {"name": config} if isinstance(config, str) else dict(config)
    name = asked.pop("name", None)
    if not isinstance(name, str):
        raise RecipeError(
            f"method must say its name. Got {dict(asked) or 'none'}. Choose one of `interlace list methods`."
        )
    if name not in METHODS:
        raise RecipeError(unknown_name("method", name, METHODS))
    return METHODS[name], parse_options(METHODS[name].takes, asked, f"method {name}")


def method_config(config: str | Mapping[str, Any]) -> dict[str, Any]:
    """The config with every option written out: of `like` and the share that it takes the place of, the one that
    counts."""
    method, options = method_options(config)
    idle = set()
    if isinstance(options, MatchedOptions):
        idle = {"like"} if options.like is None else {options.share}
    return {"name": method.name, **options.model_dump(mode="json", exclude=idle)}


def build_method(config: str | Mapping[str, Any], plan: Plan) -> Method:
    """The method for a stage of `plan`, checked wherever it is asked (`asked`). Raises RecipeError as
    `method_options`."""
    method, options = method_options(config)
    with blamed_on(method, "__init__"):
        made = method(options, plan)
    return asked(made)
