"""The options of TRL's that interlace sets itself, each with the reason and what to say instead."""

from __future__ import annotations

_SEEDS = "seeds are the recipe's `seeds`"
_PRECISION = "weights are of the recipe's `dtype`, forwards of bfloat16 with `bf16: true`, measurements included"
_MODEL = "the recipe's `model`, `model_options` and `dtype` say the model"
_MEASURE = "interlace measures, as `measure` says"
_SAVING = "interlace keeps checkpoints that it can continue from; say `save_steps`"
_HUB = "nothing leaves the machine; publish what the run folder holds afterwards"

RESERVED: dict[str, str] = {
    "output_dir": "checkpoints go to the run folder; say `--out` of the command",
    "resume_from_checkpoint": "the same command continues a run",
    "disable_tqdm": "interlace shows its own progress",
    "remove_unused_columns": "rewards receive the task's columns",
    "logging_nan_inf_filter": "a loss that is not finite is never hidden",
    "auto_find_batch_size": "a batch size that changes itself changes the result",
    **dict.fromkeys(("seed", "data_seed", "full_determinism"), _SEEDS),
    **dict.fromkeys(("fp16", "bf16_full_eval", "fp16_full_eval"), _PRECISION),
    **dict.fromkeys(("model_init_kwargs", "trust_remote_code"), _MODEL),
    **dict.fromkeys(("eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "do_eval"), _MEASURE),
    **dict.fromkeys(("save_strategy", "save_only_model", "load_best_model_at_end", "ignore_data_skip"), _SAVING),
    **dict.fromkeys(("restore_callback_states_from_checkpoint", "enable_jit_checkpoint"), _SAVING),
    **dict.fromkeys(("push_to_hub", "hub_model_id", "hub_token", "hub_strategy", "log_completions_hub_repo"), _HUB),
    **dict.fromkeys(("do_train", "do_predict"), "a stage trains"),
}
