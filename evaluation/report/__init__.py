"""Reports: scores for a terminal, a pull request and a browser.

- `by_language`, `figures`: scores arranged and formatted
- `contents`: everything that a page shows; its parts are `headline_table`, `bars`, `matrices`,
  `averages`, `trends`, `systems`, `alignment`, `baseline`
- `left_out`: references without a transcript, in words
- `charts`: bars and trends as SVG
- `html` (with its templates), `markdown`, `text`: the three forms
- `links`: where to listen; `published`: OpenAI's figures
"""
