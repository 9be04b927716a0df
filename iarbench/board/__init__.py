"""The board: rows of results as a static page that opens from a folder, without a server or any other host.

One way: `gather` reads rows, `groups` and `attribution` put together what may stand side by side, `ranking` and
`curves` order it, `data` makes it JSON, `pages` HTML, `site` a folder.
"""
