"""Runs and comparisons shown: on a terminal, as plain text, Markdown, CSV and one HTML file.

Enters: a `Run`, a `Comparison`. `tables` and `changes` turn them into neutral `Table`s once; `terminal`, `markdown` and
`html` only lay those out, so that every report says the same. Nothing here needs torch.
"""
