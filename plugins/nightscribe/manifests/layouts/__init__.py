"""Evaluation data sets in the layouts in which they are distributed.

Each module reads one layout, and opens nothing but the lists of its data set:

| module | layout | below the path that is given |
| --- | --- | --- |
| `fleurs` | `fleurs` | `<locale>/<split>.tsv` (7 columns, no header), audio in `<locale>/audio/<split>.tar.gz` or `<locale>/audio/<split>/` |
| `common_voice` | `common-voice` | `<locale>/<split>.tsv` (columns `path`, `sentence`, `client_id`), audio in `<locale>/clips/` |
| `covost2` | `covost2` | the same, and `covost_v2.<locale>_en.<split>.tsv` (`path`, `translation`, `client_id`) beside or in the locale's folder |
| `librispeech` | `librispeech` | `<split>/<speaker>/<chapter>/*.trans.txt`, FLAC beside them |
| `mls` | `mls` | `mls_<language>/<split>/transcripts.txt`, audio in `audio/<speaker>/<book>/` |
| `manifest_file` | `manifest` | the path is itself a CSV, TSV or JSON Lines file, see `nightscribe.manifests.manifest` |

What they share:

- `registry`: the layouts by name, `read_layout`
- `utterance`: what a layout gives for each line of a list
- `folders`: the folders of a data set's languages
- `lists`: lists of which every line must be as the layout says

A tree that is not as its layout says is a `ConfigurationError`, which names the file and says what
was expected.
"""  # noqa: E501  a row of a table is one line
