"""Your files: tables and models that visitors bring, looked at before anything is done with them.

`page` shows what was found and what is refused; `examples` are files to try by one click.
"""
