"""The best recipe within a budget: candidates race, and what wins is refined.

Choices are made on other rows than those that judge the winner.
"""
