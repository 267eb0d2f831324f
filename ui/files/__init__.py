"""Your files: tables and models that visitors bring, looked at before anything is done with them.

The page's one module shows what was found and what is refused.
"""
