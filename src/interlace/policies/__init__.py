"""Policies: loading what a user has, scoring and sampling it, and the model that interlace makes itself."""

from interlace.policies.embedded import make_embedded
from interlace.policies.loading import load_policy, source_of
from interlace.policies.policy import Policy, refuse_other_vocabulary
from interlace.policies.sampling import decode_completion, sample_completions
from interlace.policies.scoring import response_logprobs, token_distributions
from interlace.policies.threads import CoreShare
from interlace.policies.tokenization import EncodedResponse, encode_prompt, encode_responses, refuse_long_responses

__all__ = [
    "CoreShare",
    "EncodedResponse",
    "Policy",
    "decode_completion",
    "encode_prompt",
    "encode_responses",
    "load_policy",
    "make_embedded",
    "refuse_long_responses",
    "refuse_other_vocabulary",
    "response_logprobs",
    "sample_completions",
    "source_of",
    "token_distributions",
]
