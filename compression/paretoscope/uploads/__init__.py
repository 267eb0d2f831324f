"""Files of unknown origin: what they are, whether they may be opened, and what they hold.

An ONNX model is a program, so nothing of one runs in this process. A file passes, in this order:
its size and kind by its first bytes (`kinds`), a gate that reads its structure and runs nothing of
it (`gate`), and a trial in a process of its own with limits (`sandbox`, `trial`). Tables are read
strictly (`csvs`), archives of pictures in that process too (`pictures`). `checking` puts these
together: what a file is in one line, or one sentence on why it is refused.
"""
