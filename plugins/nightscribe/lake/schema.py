"""The tables of the lake: every column with its type, unit and meaning.

Read this file as the documentation of the lake. `SCHEMAS` is what the tables are made
with; `KEYS` says what makes a row of each table unique; `nightscribe.lake.views` puts
views over them. A change that old readers cannot take raises `LAKE_FORMAT`.

Identifiers are lower-case hexadecimal SHA-256 digests, whole for a content
(`recording_id`, `model_id`), the first 16 digits for a combination (`options_key`).
Times are UTC with microseconds. Seconds are float64, so that a transcript exported
from the lake is the same to the last digit as one written by the engine.
"""

from __future__ import annotations

import pyarrow as pa

LAKE_FORMAT = 1
"""Version of the layout below; a lake with a higher one is refused (see `lake.store`)."""

_TIME = pa.timestamp("us", tz="UTC")


def _column(name: str, kind: pa.DataType, meaning: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"comment": meaning})


def _required(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return _column(name, kind, meaning, nullable=False)


_RUN_ID = _required("run_id", pa.string(), "run that wrote the row: Airflow's run id, or a CLI run")
_CREATED_AT = _required("created_at", _TIME, "when the row was made")
_RECORDING_ID = _required("recording_id", pa.string(), "SHA-256 of the recording's encoded bytes")
_TASK = _required("task", pa.string(), "`transcribe` or `translate` (to English)")
_MODEL_ID = _required("model_id", pa.string(), "SHA-256 of the checkpoint file")
_OPTIONS_KEY = _required("options_key", pa.string(), "hash of all else that changes the text")

RECORDINGS = pa.schema(
    [
        _RECORDING_ID,
        _required("duration_s", pa.float64(), "length of the decoded audio, s"),
        _required("container", pa.string(), "format as FFmpeg names it: wav, flac, ogg …"),
        _required("codec", pa.string(), "audio codec as FFmpeg names it: pcm_s16le, mp3, opus …"),
        _required("sample_rate", pa.int32(), "of the encoded audio, Hz"),
        _required("channels", pa.int32(), "of the encoded audio"),
        _required("size_bytes", pa.int64(), "of the encoded file"),
        _column("warning", pa.string(), "what was wrong with a file that could still be used"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SOURCES = pa.schema(
    [
        _required("archive", pa.string(), "URI of the folder, prefix, zip or tar that holds it"),
        _required("member", pa.string(), "path inside the archive"),
        _RECORDING_ID,
        _required("collection", pa.string(), "archive URI that the scan was given"),
        _required("position", pa.int64(), "place in the archive: members are read in this order"),
        _required("size_bytes", pa.int64(), "as the archive states it"),
        _required("version", pa.string(), "etag, or modification time: changes when the file does"),
        _column("language_hint", pa.string(), "language code from the manifest"),
        _column("metadata", pa.string(), "the manifest's other columns, as a JSON object"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SCANS = pa.schema(
    [
        _required("uri", pa.string(), "a container or manifest that was read to its end"),
        _required("size_bytes", pa.int64(), "of that file"),
        _required("version", pa.string(), "etag, or modification time"),
        _required("kind", pa.string(), "`container` or `manifest`"),
        _required("entries", pa.int64(), "usable members, or rows, that it held"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

REJECTED = pa.schema(
    [
        _required("uri", pa.string(), "archive URI, then `!/` and the member path, if any"),
        _required("version", pa.string(), "etag or modification time of the file; may be empty"),
        _required("reason", pa.string(), "from the closed list `nightscribe.errors.Reason`"),
        _required("detail", pa.string(), "what was found, in words"),
        _column("recording_id", pa.string(), "set when the input failed after it was hashed"),
        _column("model_id", pa.string(), "set when the input failed in transcription"),
        _column("task", pa.string(), "set when the input failed in transcription"),
        _column("options_key", pa.string(), "set when the input failed in transcription"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

REFERENCES = pa.schema(
    [
        _RECORDING_ID,
        _TASK,
        _required(
            "dataset", pa.string(), "data set: the manifest's column, else the collection's name"
        ),
        _required("language", pa.string(), "language spoken in the recording, as a code"),
        _required("text", pa.string(), "ground truth: the words, or their translation"),
        _column("split", pa.string(), "test, dev, train … where the manifest says so"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

TRANSCRIPTS = pa.schema(
    [
        _required("transcript_id", pa.string(), "unique to this row; `segments` refer to it"),
        _RECORDING_ID,
        _MODEL_ID,
        _TASK,
        _OPTIONS_KEY,
        _required("model", pa.string(), "the name or path that the model was asked for by"),
        _required("options", pa.string(), "the options themselves, as a JSON object"),
        _required("language", pa.string(), "language spoken: detected, or given"),
        _column("language_probability", pa.float64(), "of the detected language; null if given"),
        _required("text", pa.string(), "the whole transcript"),
        _required("duration_s", pa.float64(), "length of the decoded audio, s"),
        _column("avg_logprob", pa.float64(), "mean over segments, weighted by their tokens"),
        _column("temperature", pa.float64(), "the worst (highest) of any segment"),
        _required("segment_count", pa.int32(), "rows in `segments`"),
        _required("engine", pa.string(), "`reference` or `batched`"),
        _required("precision", pa.string(), "`float32`, `float16` …"),
        _required("versions", pa.string(), "of nightscribe, openai-whisper, torch, av; JSON"),
        _required("batch_id", pa.string(), "the batch that made it"),
        _required("attempt_id", pa.string(), "the attempt at that batch; see `batches`"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

WORD = pa.struct(
    [
        _required("word", pa.string(), "with its leading space, as Whisper gives it"),
        _required("start", pa.float64(), "s from the start of the recording"),
        _required("end", pa.float64(), "s from the start of the recording"),
        _required("probability", pa.float64(), "mean over the word's tokens"),
    ]
)

SEGMENTS = pa.schema(
    [
        _required("transcript_id", pa.string(), "row of `transcripts`"),
        _RECORDING_ID,
        _required("index", pa.int32(), "0, 1, 2 … within the transcript"),
        _required("seek", pa.int64(), "start of the window it was decoded in, frames of 10 ms"),
        _required("start_s", pa.float64(), "s from the start of the recording"),
        _required("end_s", pa.float64(), "s from the start of the recording"),
        _required("text", pa.string(), "with its leading space, as Whisper gives it"),
        _required("tokens", pa.list_(pa.int32()), "token ids, timestamps included"),
        _required("temperature", pa.float64(), "at which the window was decoded"),
        _required("avg_logprob", pa.float64(), "mean log-probability of the window's tokens"),
        _required("compression_ratio", pa.float64(), "of the window's text under zlib"),
        _required("no_speech_prob", pa.float64(), "that the window has no speech"),
        _column("words", pa.list_(WORD), "null unless word timestamps were asked for"),
    ]
)

BATCHES = pa.schema(
    [
        _required("attempt_id", pa.string(), "one attempt at a batch"),
        _required("batch_id", pa.string(), "the batch; the same for every attempt"),
        _MODEL_ID,
        _required("recordings", pa.int64(), "distinct recordings worked on"),
        _required("transcripts", pa.int64(), "finished in it, one per recording and task"),
        _required("rejections", pa.int64(), "that failed in this attempt"),
        _required("device", pa.string(), "the device's name"),
        _required("audio_s", pa.float64(), "audio transcribed, counted once per task, s"),
        _required("wall_s", pa.float64(), "from the first byte read to the last segment, s"),
        _required("rtfx", pa.float64(), "audio_s / wall_s"),
        _required("peak_memory_bytes", pa.int64(), "of the device if CUDA, else of the process"),
        _required("worker", pa.string(), "host name and process id"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

SCORES = pa.schema(
    [
        _required("score_id", pa.string(), "one evaluation: its rows belong together"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken, from the reference"),
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _TASK,
        _OPTIONS_KEY,
        _required(
            "metric",
            pa.string(),
            "wer, cer, mer, wil, insertion_bursts, deletion_bursts, lid_accuracy, "
            "text_over_silence; bleu, chrf (chrF++)",
        ),
        _required("value", pa.float64(), "a fraction for rates; 0–100 for bleu and chrf"),
        _column("ci_low", pa.float64(), "lower end of the 95 % bootstrap interval"),
        _column("ci_high", pa.float64(), "upper end of the 95 % bootstrap interval"),
        _required(
            "headline", pa.bool_(), "the figure to quote for this language: WER or CER, BLEU"
        ),
        _required("utterances", pa.int64(), "recordings with a reference and a transcript"),
        _column("reference_units", pa.int64(), "words (or characters, for cer) in the references"),
        _column("substitutions", pa.int64(), "words or characters"),
        _column("deletions", pa.int64(), "words or characters"),
        _column("insertions", pa.int64(), "words or characters"),
        _required("signature", pa.string(), "normaliser and library versions; sacrebleu's own"),
        _RUN_ID,
        _CREATED_AT,
    ]
)

BASELINES = pa.schema(
    [
        _required("baseline_id", pa.string(), "one setting of baselines: its rows belong together"),
        _required("dataset", pa.string(), "as in `reference_texts`"),
        _required("language", pa.string(), "spoken, from the reference"),
        _TASK,
        _RECORDING_ID,
        _MODEL_ID,
        _required("model", pa.string(), "name or path"),
        _OPTIONS_KEY,
        _required("text", pa.string(), "the transcript's, as it was when the baseline was set"),
        _column("detected_language", pa.string(), "null where the options name the language"),
        _column("reason", pa.string(), "why it was set, in the words of who did"),
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
    "transcripts": TRANSCRIPTS,
    "segments": SEGMENTS,
    "batches": BATCHES,
    "scores": SCORES,
    "baselines": BASELINES,
}
"""Table name → schema. `reference_texts`, since SQL reserves the word `references`."""

ADDED_LATER = frozenset({"baselines"})
"""Tables that lakes of the same format may lack."""
