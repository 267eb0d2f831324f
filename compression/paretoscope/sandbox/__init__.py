"""A process of its own for what files of strangers make a runtime do, held to limits by the system.

`sandbox` starts and limits it; `trial` is the program that runs there, and loads of the library
only what does its jobs: `model_jobs`, `walk_jobs`, `row_jobs` and `picture_jobs`.
"""
