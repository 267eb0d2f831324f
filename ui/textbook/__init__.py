"""Textbook: the article's two programs, as printed and mended.

The page's one module holds both programs and draws what they give.
"""
