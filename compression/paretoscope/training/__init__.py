"""Networks to start from: trained with scikit-learn, trained before and shipped, or kept.

A network that was trained once is found again in the store.
"""
