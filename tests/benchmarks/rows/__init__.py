"""What is measured: one module a stage, each with the same four functions.

``prepare(folder, **size)`` writes the data once. ``ours(folder, **size)`` and ``legacy(folder, **size)`` load
it and return a function of no arguments that does the work and returns its result; each runs in its own
environment, so their imports stay inside. ``arrays(result)`` gives the result as arrays of numpy to compare.

``plain`` is optional: the legacy way in torch alone, for rows whose arms share one process.
"""
