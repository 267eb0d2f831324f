"""What pages share: the frame, controls, charts, progress of long work, where figures come from.

A part draws into whatever page calls it; none knows a page.
"""
