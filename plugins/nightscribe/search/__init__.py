"""Full-text search over the segments of a lake's latest transcripts.

- `words`: the words of a text, in every script; where they stand in it
- `queries`: what a person types → words, phrases, prefixes
- `building`: from a lake to an index, in steps
- `generations`: the folder of an index; which state of it readers see
- `reading`: hits of a query
- `marks`: which parts of a text a query has found

The index is Tantivy's. SQLite's FTS5 needs no further package, but in ten million segments of 12
words it took up to 245 ms for a word, where Tantivy took 2 ms, and 14 ms for a phrase. FTS5 also
keeps everything in one file that is changed in place, so readers and a writer wait for each other's
locks, which many network file systems do not hold. Tantivy's files never change once they are
written.

The index is never the truth. All that is in it comes from the lake, and it can be deleted at any
time.
"""
