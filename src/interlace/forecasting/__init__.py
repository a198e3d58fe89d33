"""Forecasts of what RL will do to SFT loss: pure functions of what was measured, no model, no file.

`start` turns measurements into a finite problem, `paths` follows the theory's path models prompt by prompt, `curve`
reads them against reward with intervals, `landmarks` says where they turn, `preflight` is the forecast before RL,
`afterwards` its mirror for SFT after RL, `pilots` says how many steps reward takes. While RL goes on, `calibration`
corrects the path models by what was measured, `reward_curve` says how far reward will rise, `running` puts both
together, `foresight` asks them of a stage's record at any step; `experience` holds their priors, `notes` what they
must be read with; `scoring` judges afterwards.
"""

from interlace.forecasting.afterwards import SftAfterRl, sft_after_rl
from interlace.forecasting.curve import Curve, CurvePoint
from interlace.forecasting.foresight import Foreseen, Foresight
from interlace.forecasting.landmarks import Landmarks, Stop, best_stop, landmarks_of
from interlace.forecasting.notes import KlTerm
from interlace.forecasting.paths import PromptPaths, prompt_paths
from interlace.forecasting.pilots import Pilots
from interlace.forecasting.preflight import (
    MODELS,
    Bound,
    Facts,
    Forecast,
    Preflight,
    Silent,
    facts_of,
    followed_path,
    preflight,
)
from interlace.forecasting.running import SHARES, FanPoint, Looks, RunningForecast, running_forecast
from interlace.forecasting.start import Start, start_of

__all__ = [
    # what is known of the policy that RL starts from
    "start_of", "Start", "facts_of", "Facts",
    # a path model from there
    "prompt_paths", "PromptPaths", "Curve", "CurvePoint", "landmarks_of", "Landmarks", "best_stop", "Stop",
    # all of them
    "preflight", "MODELS", "Preflight", "Forecast", "Silent", "Bound", "followed_path",
    # how many steps it takes
    "Pilots",
    # while RL goes on
    "running_forecast", "RunningForecast", "FanPoint", "Looks", "SHARES", "Foresight", "Foreseen", "KlTerm",
    # SFT after it
    "sft_after_rl", "SftAfterRl",
]  # fmt: skip
