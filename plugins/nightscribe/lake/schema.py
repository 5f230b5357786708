"""The tables of the lake: every column with its type, unit and meaning.

This file is the documentation of the tables. `nightscribe.lake.keys` has their keys, and
`nightscribe.lake.views` the views over them. A change that older readers cannot read needs a higher
`LAKE_FORMAT`.

Identifiers are SHA-256 digests in lower-case hexadecimal: whole for contents (`recording_id`,
`model_id`), the first 16 digits for `options_key`. Times are UTC with microseconds. Seconds are
float64, so that an exported transcript has the same digits as the engine's own output.
"""

from __future__ import annotations

import pyarrow as pa

LAKE_FORMAT = 1
"""Version of this layout; `open_lake` refuses a lake with a higher one."""

SEQUENCE = "sequence"
"""Column that `Lake` fills: the order of the commits to a table."""

_TIME = pa.timestamp("us", tz="UTC")


def _column(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"comment": meaning})


def _required(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return _column(name, kind, meaning, nullable=False)


_RUN_ID = _required("run_id", pa.string(), "run that wrote the row, of Airflow or of the CLI")
_CREATED_AT = _required("created_at", _TIME, "when the row was created")
_SEQUENCE = _column(
    SEQUENCE,
    pa.int64(),
    "order of the commits to the table, whatever the clocks of the machines say: later rows have a "
    "higher number, those of one commit the same; null in rows of older versions",
)
_RECORDING_ID = _required("recording_id", pa.string(), "SHA-256 of the recording's encoded bytes")
_TASK = _required("task", pa.string(), "`transcribe` or `translate` (to English)")
_MODEL_ID = _required("model_id", pa.string(), "SHA-256 of the checkpoint")
_OPTIONS_KEY = _required(
    "options_key", pa.string(), "hash of the decoding options that change the text"
)
_VARIETY = _column(
    "variety",
    pa.string(),
    "regional variety of the language as a tag of BCP 47: `zh-TW`, `pt-BR`; null if not stated",
)

_SPEAKER = _column("speaker", pa.string(), "who speaks, if the manifest or data set names it")
_SESSION = _column(
    "session", pa.string(), "session of several recordings, if the manifest or data set names it"
)

RECORDINGS = pa.schema(
    [
        _RECORDING_ID,
        _required("duration_s", pa.float64(), "length of the decoded audio, s"),
        _required("container", pa.string(), "format as FFmpeg names it: wav, flac, ogg …"),
        _required("codec", pa.string(), "audio codec as FFmpeg names it: pcm_s16le, mp3, opus …"),
        _required("sample_rate", pa.int32(), "sample rate of the encoded audio, Hz"),
        _required("channels", pa.int32(), "channels of the encoded audio"),
        _required("size_bytes", pa.int64(), "size of the encoded file"),
        _column("warning", pa.string(), "damage of a file that can still be used in part"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SOURCES = pa.schema(
    [
        _required("archive", pa.string(), "URI of the folder, prefix, zip or tar"),
        _required("member", pa.string(), "path inside the archive"),
        _RECORDING_ID,
        _required("collection", pa.string(), "URI that the scan was given"),
        _required("position", pa.int64(), "order in which the members of the archive are read"),
        _required("size_bytes", pa.int64(), "size that the archive states"),
        _required("version", pa.string(), "etag or modification time, to detect changes"),
        _column(
            "language_hint",
            pa.string(),
            "language of the manifest, as a code; null if nobody speaks (`zxx`)",
        ),
        _column("metadata", pa.string(), "the manifest's other columns, as a JSON object"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SCANS = pa.schema(
    [
        _required("uri", pa.string(), "zip, tar or manifest that was read to its end"),
        _required("size_bytes", pa.int64(), "size of that file"),
        _required("version", pa.string(), "etag or modification time of that file"),
        _required("kind", pa.string(), "`container` or `manifest`"),
        _required("entries", pa.int64(), "members or rows that can be used"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

REJECTED = pa.schema(
    [
        _required("uri", pa.string(), "archive URI; for a member, followed by `!/` and its path"),
        _required("version", pa.string(), "etag or modification time of the file, or empty"),
        _required("reason", pa.string(), "one of `nightscribe.errors.Reason`"),
        _required("detail", pa.string(), "what was found, in words"),
        _column("recording_id", pa.string(), "set if the input was hashed before it failed"),
        _column("model_id", pa.string(), "set if the transcription failed"),
        _column("task", pa.string(), "set if the transcription failed"),
        _column("options_key", pa.string(), "set if the transcription failed"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

REFERENCES = pa.schema(
    [
        _RECORDING_ID,
        _TASK,
        _required(
            "dataset", pa.string(), "data set of the manifest, else the name of the collection"
        ),
        _required("language", pa.string(), "spoken language, as a code; `zxx` if nobody speaks"),
        _VARIETY,
        _required(
            "text",
            pa.string(),
            "true text: the spoken words, or their translation; empty if nobody speaks",
        ),
        _column("split", pa.string(), "test, dev, train …, if the manifest has a split"),
        _SPEAKER,
        _SESSION,
        _RUN_ID,
        _CREATED_AT,
    ]
)

ANNOTATIONS = pa.schema(
    [
        _required("manifest", pa.string(), "URI of the manifest, or path of a data set's list"),
        _required("archive", pa.string(), "URI of the folder, prefix, zip or tar"),
        _required("member", pa.string(), "path inside the archive"),
        _column("language", pa.string(), "spoken language, as a code; `zxx` if nobody speaks"),
        _VARIETY,
        _column("text", pa.string(), "the spoken words; empty if nobody speaks"),
        _column("translation", pa.string(), "their translation into English"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _column("split", pa.string(), "test, dev, train …"),
        _SPEAKER,
        _SESSION,
        _column("metadata", pa.string(), "the other columns, as a JSON object"),
        _required("line", pa.int64(), "line of the manifest; of a list, its number"),
        _column("depth", pa.int64(), "folders above the manifest; null for a data set's list"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

TRANSCRIPTS = pa.schema(
    [
        _required("transcript_id", pa.string(), "unique; rows of `segments` refer to it"),
        _RECORDING_ID,
        _MODEL_ID,
        _TASK,
        _OPTIONS_KEY,
        _required("model", pa.string(), "name or path by which the model was requested"),
        _required("options", pa.string(), "decoding options, as a JSON object"),
        _required("language", pa.string(), "spoken language, detected or given, as a code"),
        _column(
            "language_probability",
            pa.float64(),
            "probability of the detected language; null if given",
        ),
        _required("text", pa.string(), "whole text of the transcript"),
        _required("duration_s", pa.float64(), "length of the decoded audio, s"),
        _column("avg_logprob", pa.float64(), "mean over the segments, weighted by their tokens"),
        _column("temperature", pa.float64(), "highest temperature of its segments"),
        _required("segment_count", pa.int32(), "number of rows in `segments`"),
        _required("engine", pa.string(), "`reference` or `batched`"),
        _required("precision", pa.string(), "`float32`, `float16` …"),
        _required(
            "versions",
            pa.string(),
            "versions of nightscribe, openai-whisper, torch and av, as JSON",
        ),
        _required("batch_id", pa.string(), "batch that wrote it"),
        _required("attempt_id", pa.string(), "attempt at that batch, see `batches`"),
        _SEQUENCE,
        _RUN_ID,
        _CREATED_AT,
    ]
)

WORD = pa.struct(
    [
        _required("word", pa.string(), "with its leading space, as in Whisper"),
        _required("start", pa.float64(), "seconds from the start of the recording"),
        _required("end", pa.float64(), "seconds from the start of the recording"),
        _required("probability", pa.float64(), "mean over the tokens of the word"),
    ]
)

SEGMENTS = pa.schema(
    [
        _required("transcript_id", pa.string(), "its row of `transcripts`"),
        _RECORDING_ID,
        _required("index", pa.int32(), "0, 1, 2 … within the transcript"),
        _required("seek", pa.int64(), "start of its window, frames of 10 ms"),
        _required("start_s", pa.float64(), "seconds from the start of the recording"),
        _required("end_s", pa.float64(), "seconds from the start of the recording"),
        _required("text", pa.string(), "with its leading space, as in Whisper"),
        _required("tokens", pa.list_(pa.int32()), "token ids, timestamps included"),
        _required("temperature", pa.float64(), "sampling temperature of its window"),
        _required("avg_logprob", pa.float64(), "mean log-probability of the tokens of its window"),
        _required("compression_ratio", pa.float64(), "zlib compression ratio of its window's text"),
        _required("no_speech_prob", pa.float64(), "probability that its window has no speech"),
        _column("words", pa.list_(WORD), "timed words; null without word timestamps"),
    ]
)

BATCHES = pa.schema(
    [
        _required("attempt_id", pa.string(), "identifies the attempt"),
        _required(
            "batch_id", pa.string(), "identifies the batch; all attempts at it have the same"
        ),
        _MODEL_ID,
        _required("recordings", pa.int64(), "distinct recordings that were processed"),
        _required(
            "transcripts", pa.int64(), "transcripts that it wrote, one per recording and task"
        ),
        _required("rejections", pa.int64(), "transcriptions that failed"),
        _required("device", pa.string(), "name of the device"),
        _required(
            "audio_s", pa.float64(), "length of the transcribed audio, counted once per task, s"
        ),
        _required("wall_s", pa.float64(), "time from the first byte read to the last segment, s"),
        _required("rtfx", pa.float64(), "audio_s / wall_s"),
        _required(
            "peak_memory_bytes", pa.int64(), "peak memory of the GPU, or of the process on a CPU"
        ),
        _required("worker", pa.string(), "host name and process id"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

PLANS = pa.schema(
    [
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _required("recordings", pa.int64(), "recordings that lack a transcript"),
        _required("transcripts", pa.int64(), "transcripts to make, one per recording and task"),
        _required("audio_s", pa.float64(), "length of their audio, counted once per task, s"),
        _required("batches", pa.int64(), "batches into which they are divided"),
        _required("workers", pa.int64(), "batches that are transcribed at once"),
        _column(
            "rtfx",
            pa.float64(),
            "seconds of audio per second of one worker, as measured before; null if the model has "
            "never run",
        ),
        _column(
            "expected_s",
            pa.float64(),
            "time from this row to the last commit, as it was expected from that speed and earlier "
            "runs, s; null if the model has never run",
        ),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SCORES = pa.schema(
    [
        _required("score_id", pa.string(), "identifies the evaluation"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken language, from the reference"),
        _VARIETY,
        _column("split", pa.string(), "split of all its recordings, as in `reference_texts`"),
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _TASK,
        _OPTIONS_KEY,
        _required(
            "metric",
            pa.string(),
            "wer, cer, mer, wil, insertion_bursts, deletion_bursts, lid_accuracy, "
            "text_over_silence, wer_raw, cer_nfc, wer_leaderboard, cer_whisper; bleu, "
            "chrf (chrF++); where nobody speaks hallucination_rate, hallucinated_words_per_hour",
        ),
        _required(
            "value",
            pa.float64(),
            "a fraction for rates; 0–100 for bleu and chrf; words per hour",
        ),
        _column("ci_low", pa.float64(), "lower end of the 95 % bootstrap interval"),
        _column("ci_high", pa.float64(), "upper end of the 95 % bootstrap interval"),
        _required(
            "headline",
            pa.bool_(),
            "whether to quote it for this language: WER or CER, BLEU, or hallucination_rate",
        ),
        _required("utterances", pa.int64(), "recordings with a reference and a transcript"),
        _column("of_references", pa.int64(), "references that a transcript could be scored with"),
        _column(
            "sampling_unit",
            pa.string(),
            "what the interval draws: recording, or speaker or session if references name them",
        ),
        _column("sampling_units", pa.int64(), "how many of these there are"),
        _column("reference_units", pa.int64(), "words (characters for cer) in the references"),
        _column("substitutions", pa.int64(), "words or characters"),
        _column("deletions", pa.int64(), "words or characters"),
        _column("insertions", pa.int64(), "words or characters"),
        _required("signature", pa.string(), "versions of normalizer and libraries, or sacrebleu's"),
        _SEQUENCE,
        _RUN_ID,
        _CREATED_AT,
    ]
)

VERDICTS = pa.schema(
    [
        _required("score_id", pa.string(), "evaluation, as in `scores`"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken language, from the reference"),
        _VARIETY,
        _TASK,
        _column("metric", pa.string(), "as in `scores`; null if the group as a whole was judged"),
        _column("model_id", pa.string(), "newest system of the group; null if it has none"),
        _column("model", pa.string(), "name or path"),
        _column("options_key", pa.string(), "hash of its decoding options"),
        _column("baseline_model_id", pa.string(), "system of the baseline; null without one"),
        _column("baseline_model", pa.string(), "name or path"),
        _column("baseline_options_key", pa.string(), "hash of its decoding options"),
        _required("utterances", pa.int64(), "recordings that were compared"),
        _required("baseline_utterances", pa.int64(), "recordings of the baseline"),
        _column("baseline", pa.float64(), "value of the baseline on the compared recordings"),
        _column("value", pa.float64(), "value of the newest system on the compared recordings"),
        _column("difference", pa.float64(), "value less baseline"),
        _column("ci_low", pa.float64(), "lower end of the difference's 95 % interval"),
        _column("ci_high", pa.float64(), "upper end of the difference's 95 % interval"),
        _column(
            "p_value",
            pa.float64(),
            "of being worse by more than the margin: one direction, corrected for all figures",
        ),
        _column("margin", pa.float64(), "points, 0 to 100, by which it may be worse"),
        _column(
            "limit_points",
            pa.float64(),
            "points, 0 to 100, that `value` must not be beyond; such a row compares nothing",
        ),
        _column("sampling_unit", pa.string(), "as in `scores`"),
        _column("sampling_units", pa.int64(), "as in `scores`"),
        _column("needed_units", pa.int64(), "units with which the gate could tell; null if it can"),
        _required(
            "verdict",
            pa.string(),
            "worse, better, held, too few to tell; of a limit: beyond limit, within limit; of a "
            "group as a whole: missing (no recording to compare), incomplete (few), no baseline",
        ),
        _column("action", pa.string(), "what the rules do about it: `fail` or `warn`"),
        _required("closes", pa.bool_(), "whether it closes the gate"),
        _required("rules", pa.string(), "`file`: those of gate.toml; `default`: none was given"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

ERROR = pa.struct(
    [
        _required("kind", pa.string(), "`substitution`, `deletion` or `insertion`"),
        _required("reference", pa.string(), "normalised words; empty for an insertion"),
        _required("hypothesis", pa.string(), "normalised words; empty for a deletion"),
        _required("units", pa.int64(), "words, or letters of an unspaced language"),
        _required("start_s", pa.float64(), "seconds from the start of the recording"),
    ]
)

UTTERANCE_ERRORS = pa.schema(
    [
        _required("score_id", pa.string(), "evaluation, as in `scores`"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken language, from the reference"),
        _VARIETY,
        _TASK,
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _OPTIONS_KEY,
        _RECORDING_ID,
        _required("transcript_id", pa.string(), "as in `transcripts`, when it was scored"),
        _required(
            "metric",
            pa.string(),
            "`wer`, `cer`; for translations `chrf`; where nobody speaks "
            "`hallucinated_words_per_hour`",
        ),
        _column(
            "errors",
            pa.int64(),
            "words or letters in error, or invented where nobody speaks; null for translations",
        ),
        _column("units", pa.int64(), "words or letters of the reference; null for translations"),
        _column("chrf", pa.float64(), "chrF++ of the translation, 0 to 100"),
        _required("error_runs", pa.int64(), "all errors, of which `listed` has the longest 100"),
        _required("listed", pa.list_(ERROR), "errors in the order of the transcript"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

BASELINES = pa.schema(
    [
        _required("baseline_id", pa.string(), "identifies the call that set the baseline"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken language, from the reference"),
        _VARIETY,
        _TASK,
        _RECORDING_ID,
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _OPTIONS_KEY,
        _required("text", pa.string(), "text of the transcript when the baseline was set"),
        _column("detected_language", pa.string(), "null if the language was given"),
        _column("reason", pa.string(), "why the baseline was set, as given by its author"),
        _SEQUENCE,
        _RUN_ID,
        _CREATED_AT,
    ]
)

PASSED_OVER = pa.struct(
    [
        _required("suffix", pa.string(), "`.pdf` …, `(none)`, `(hidden)` or `(other)`"),
        _required("files", pa.int64(), "files that were passed over"),
    ]
)

ACCOUNT_PARTS = pa.schema(
    [
        _required("collection", pa.string(), "URI that the scan was given"),
        _required(
            "part", pa.string(), "`scan`, or the spec of the ingest task that counted these files"
        ),
        _required("found", pa.int64(), "files found; in an ingest task, members of containers"),
        _required("known", pa.int64(), "files that were read by an earlier run and are unchanged"),
        _required("used", pa.int64(), "files that were read: recordings, containers, manifests"),
        _required("rejected", pa.int64(), "files that cannot be used; `rejected` has the reasons"),
        _required("passed_over", pa.int64(), "files that are not read because of their name"),
        _required("suffixes", pa.list_(PASSED_OVER), "the files passed over, by suffix"),
        _SEQUENCE,
        _RUN_ID,
        _CREATED_AT,
    ]
)

WARNINGS = pa.schema(
    [
        _RECORDING_ID,
        _required("kind", pa.string(), "one of `nightscribe.errors.WarningKind`"),
        _required("detail", pa.string(), "what was found, in words"),
        _column("missing_s", pa.float64(), "audio that was not decoded, s; null if unknown"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

WAVEFORMS = pa.schema(
    [
        _RECORDING_ID,
        _required("step_s", pa.float64(), "seconds of a level"),
        _required(
            "levels", pa.binary(), "a byte for each step: 0 is -60 dBFS or less, 255 is 0 dBFS"
        ),
        _RUN_ID,
        _CREATED_AT,
    ]
)

_DECISION_ID = _required(
    "decision_id", pa.string(), "identifies what one person decided at one moment"
)
_PERSON = _required("person", pa.string(), "who decided, as Airflow names them")

CORRECTIONS = pa.schema(
    [
        _DECISION_ID,
        _required("transcript_id", pa.string(), "its row of `transcripts`"),
        _RECORDING_ID,
        _TASK,
        _required("index", pa.int32(), "the segment, as in `segments`"),
        _required("start_s", pa.float64(), "start of the segment, s"),
        _required("end_s", pa.float64(), "end of the segment, s"),
        _required("is_added", pa.bool_(), "whether the model wrote no such segment"),
        _required("version", pa.int32(), "1, 2 … for the corrections of a segment"),
        _required("replaced", pa.string(), "text before: the model's, or of the version before"),
        _required("text", pa.string(), "text after; empty if nothing is said"),
        _PERSON,
        _RUN_ID,
        _CREATED_AT,
    ]
)

REVIEWS = pa.schema(
    [
        _DECISION_ID,
        _required("transcript_id", pa.string(), "transcript that was reviewed"),
        _RECORDING_ID,
        _TASK,
        _required("version", pa.int32(), "1, 2 … for the reviews of a recording and task"),
        _required("verdict", pa.string(), "`accepted`, `skipped`, or `reopened` by undoing these"),
        _required(
            "queue",
            pa.string(),
            "how the transcript was chosen: `sample` (at random), `doubtful`, or `selected` by "
            "the person",
        ),
        _required("language", pa.string(), "spoken language that the person heard, as a code"),
        _column("text", pa.string(), "whole text that was accepted; null for other verdicts"),
        _PERSON,
        _RUN_ID,
        _CREATED_AT,
    ]
)

SOURCE_STATES = pa.schema(
    [
        _required("archive", pa.string(), "as in `sources`"),
        _required("member", pa.string(), "as in `sources`"),
        _required(
            "missing",
            pa.string(),
            "`member`: the file is gone; `archive`: the whole zip or tar is; `nothing`: it is back",
        ),
        _RUN_ID,
        _CREATED_AT,
    ]
)

FORGOTTEN = pa.schema(
    [
        _RECORDING_ID,
        _required(
            "places",
            pa.list_(pa.string()),
            "SHA-256 of archive and member, joined by a line feed, of each place where it was",
        ),
        _required(
            "files",
            pa.list_(pa.string()),
            "the same with size_bytes and version of the file, so that it is not read again",
        ),
        _column("reason", pa.string(), "why, as given by who wanted it"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SCHEMAS: dict[str, pa.Schema] = {
    "recordings": RECORDINGS,
    "sources": SOURCES,
    "scans": SCANS,
    "rejected": REJECTED,
    "reference_texts": REFERENCES,
    "annotations": ANNOTATIONS,
    "transcripts": TRANSCRIPTS,
    "segments": SEGMENTS,
    "plans": PLANS,
    "batches": BATCHES,
    "scores": SCORES,
    "verdicts": VERDICTS,
    "utterance_errors": UTTERANCE_ERRORS,
    "baselines": BASELINES,
    "account_parts": ACCOUNT_PARTS,
    "warnings": WARNINGS,
    "source_states": SOURCE_STATES,
    "waveforms": WAVEFORMS,
    "corrections": CORRECTIONS,
    "reviews": REVIEWS,
    "forgotten": FORGOTTEN,
}
"""Table name → schema. The name is `reference_texts` because SQL reserves `references`."""

ADDED_LATER = frozenset(
    {
        "annotations",
        "baselines",
        "account_parts",
        "warnings",
        "source_states",
        "waveforms",
        "corrections",
        "reviews",
        "verdicts",
        "utterance_errors",
        "forgotten",
        "plans",
    }
)
"""Tables that an older lake of the same format may not have."""

ADDED_COLUMNS: dict[str, frozenset[str]] = {
    "reference_texts": frozenset({"variety", "speaker", "session"}),
    "annotations": frozenset({"variety", "speaker", "session"}),
    "transcripts": frozenset({"sequence"}),
    "scores": frozenset(
        {"variety", "split", "of_references", "sampling_unit", "sampling_units", "sequence"}
    ),
    "baselines": frozenset({"variety", "sequence"}),
    "account_parts": frozenset({"sequence"}),
    "verdicts": frozenset(
        {"variety", "limit_points", "sampling_unit", "sampling_units", "needed_units"}
    ),
    "utterance_errors": frozenset({"variety"}),
    "plans": frozenset({"expected_s"}),
}
"""Table → columns that the table of an older lake of the same format may not have.

They are null in older rows, so they must be nullable. `open_lake` adds them to the table; in a lake
that may only be read, the views show nulls.
"""


def _without_comment(field: pa.Field) -> pa.Field:
    """The field without its comment and those of the fields inside it."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct([_without_comment(inner) for inner in kind])
    elif pa.types.is_list(kind):
        kind = pa.list_(_without_comment(kind.value_field))
    return pa.field(field.name, kind, nullable=field.nullable)


WRITTEN_SCHEMAS: dict[str, pa.Schema] = {
    name: pa.schema([_without_comment(field) for field in schema])
    for name, schema in SCHEMAS.items()
}
"""Table name → schema of the rows that are written: without comments.

delta-rs refuses rows with other comments than the table's, and an older lake has older comments.
"""
