"""Evidence for one recipe: what became of its rows, time, size, robustness, other seeds.

`page` is the way in: the verdict, then the parts. Each other module draws one part. To add one,
write a module with ``show(subject, view, arguments)``, name it in `page`, and title it in
`ui.state.address`.
"""
