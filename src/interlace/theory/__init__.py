"""The laws as pure functions: NumPy and SciPy only, no files, no randomness.

`finite` states problems; `distributional` is A, `landscape` and `misalignment` are B, `paths` is C7, D1 to D8 and D15,
`frontier` is D9 to D14; `laws` is the registry by label, from which docs/laws.md is made.
"""
