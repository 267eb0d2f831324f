"""A process of its own for what files of strangers make a runtime do, held to limits by the system.

`sandbox` starts and limits it; `trial` is the program that runs there, without the library.
"""
