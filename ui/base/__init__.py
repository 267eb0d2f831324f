"""What every page's look rests on: words, colours, the chart component, what a browser keeps.

Nothing here knows of networks or visitors.
"""
