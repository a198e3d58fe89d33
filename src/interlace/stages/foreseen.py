"""What TRL and Transformers find out only once they train, tried beforehand on one weight: packages, settings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments
from transformers.integrations import get_reporting_integration_callbacks
from transformers.optimization import get_scheduler
from transformers.utils import is_liger_kernel_available

from interlace.errors import RecipeError

OF_LAYERS = ("apollo", "galore", "lomo")
"""Optimizers made for the layers of a model, which one weight has not: only their packages are looked for."""


def refuse_what_fails_later(stage: str, arguments: TrainingArguments) -> None:
    """Raise RecipeError for an option with which no trainer can be made or begun on this machine.

    Cost: one weight, no model.
    """
    for option, tried in TRIED.items():
        try:
            tried(arguments)
        except (ImportError, RuntimeError, ValueError, TypeError, LookupError) as error:
            raise RecipeError(
                f"{option} of stage {stage!r} must be what a trainer can be made with here. Got "
                f"{_plain(getattr(arguments, option))}, of which is said: {' '.join(str(error).split())} Change it, or "
                "install what it needs."
            ).about(option) from error


def _plain(value: object) -> object:
    """Of a name in Transformers' own type, the text."""
    return repr(getattr(value, "value", value))


def _one_weight() -> torch.nn.Module:
    """Drawn by no random state: what is tried changes nothing that is trained."""
    return torch.nn.Linear(1, 1, device="meta").to_empty(device="cpu")


def _reporting(arguments: TrainingArguments) -> None:
    for callback in get_reporting_integration_callbacks(arguments.report_to):
        callback()


def _kernels(arguments: TrainingArguments) -> None:
    if arguments.use_liger_kernel and not is_liger_kernel_available():
        raise ImportError("liger-kernel is not installed (pip install liger-kernel).")


def _optimizer(arguments: TrainingArguments) -> torch.optim.Optimizer:
    """The optimizer of one weight; where it is not torch's own, one to hang a schedule on."""
    layer = _one_weight()
    asked = arguments.optim.value
    if any(name in asked for name in OF_LAYERS):
        _packages(arguments, layer)
    else:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, layer)
        if kind.__module__.startswith("torch."):
            return kind(layer.parameters(), **options)
    return torch.optim.SGD(layer.parameters(), lr=arguments.learning_rate)


def _packages(arguments: TrainingArguments, layer: torch.nn.Module) -> None:
    try:
        Trainer.get_optimizer_cls_and_kwargs(arguments, layer)
    except ValueError:  # of its layers
        return


def _schedule(arguments: TrainingArguments) -> None:
    steps, layer = arguments.max_steps, _one_weight()
    get_scheduler(
        arguments.lr_scheduler_type,
        optimizer=torch.optim.SGD(layer.parameters(), lr=arguments.learning_rate),
        num_warmup_steps=arguments.get_warmup_steps(steps),
        num_training_steps=steps,
        scheduler_specific_kwargs=arguments.lr_scheduler_kwargs,
    )


def _loader(arguments: TrainingArguments) -> None:
    DataLoader(
        TensorDataset(torch.zeros(1)),
        num_workers=arguments.dataloader_num_workers,
        persistent_workers=arguments.dataloader_persistent_workers,
        multiprocessing_context=arguments.dataloader_multiprocessing_context,
    )


def _alone(arguments: TrainingArguments) -> None:
    if arguments.fsdp and arguments.world_size == 1:
        raise ValueError("it works in distributed training only.")


TRIED: dict[str, Callable[[TrainingArguments], object]] = {
    "report_to": _reporting,
    "log_level": TrainingArguments.get_process_log_level,
    "use_liger_kernel": _kernels,
    "optim": _optimizer,
    "lr_scheduler_type": _schedule,
    "dataloader_num_workers": _loader,
    "fsdp": _alone,
}
"""What is tried of each option; of several the one that names it."""
