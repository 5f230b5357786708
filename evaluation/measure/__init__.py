"""Measures pairs: normalised texts are counted, counts give rates, rates get intervals.

- `normalize`: text as Whisper's authors compare it, and as others do; `leaderboard` is one of these
- `counts`: alignments of words and characters, counted per recording
- `rates`, `shares`, `translation`: metrics of summed counts
- `hallucinations`: what is written where nobody speaks
- `beside`: error rates after other normalizers than the headline's
- `bootstrap`: 95 % intervals; `sampling`: whether recordings, speakers or sessions are drawn
- `averages`: figures over the languages of a data set
- `transcripts`, `detection`: what is measured of transcripts, and of detected languages
- `scoring`: a table of pairs in, a table of scores out; `metrics`, `signatures`: what a score means
- `worst`: the recordings to listen to first; `located`: their errors, with the second of each
- `paired`, `comparison`, `changed`: two systems on the same recordings
"""
