"""What a server and a visitor's session hold: the view that a link says, and what is measured.

One server measures for all its visitors; each session keeps what its own visitor looks at.
"""
