"""Whisper's network in a small shape, and what is added to it while it learns.

The network is openai-whisper's own. Three things make it learn well from little:

- Heads that start out knowing where to look. Positions are sinusoids, so a query and a key that
  both keep some of their frequencies give a score that depends on the distance alone: encoder
  heads begin with looking around their own position, decoder heads at the token before.
- Timestamps that start out on the encoder's grid: the embedding of `<|t|>` begins as the
  sinusoid of position t, so that attending to a position and naming its time are one thing.
- Only the embeddings of tokens that the grammar can use exist while training. All others stay
  zero, so each adds exactly exp(0) to the softmax's sum, which is exact and far cheaper.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from whisper.model import ModelDimensions, MultiHeadAttention, Whisper, sinusoids

VOCABULARY = 51_865
DIMENSIONS = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=192,
    n_audio_head=4,
    n_audio_layer=3,
    n_vocab=VOCABULARY,
    n_text_ctx=448,
    n_text_state=192,
    n_text_head=4,
    n_text_layer=3,
)
_EMBEDDING = 0.1  # standard deviation of a fresh embedding's elements
_BRANCH = 0.15  # how much less than by default a fresh layer adds to what it was given


@dataclass
class Losses:
    """Each a mean over what it is measured on, in nats."""

    text: Tensor
    phonemes: Tensor
    words: Tensor
    attention: Tensor
    right: Tensor
    """Share of the answers' tokens whose best guess is right."""

    def total(self) -> Tensor:
        return self.text + 0.5 * self.phonemes + 0.5 * self.words + 0.25 * self.attention


@dataclass
class Batch:
    """Windows and their rows; every window has the same number of rows, in order."""

    features: Tensor  # (windows, 80, 2 × positions)
    offsets: Tensor  # (windows,)
    phonemes: Tensor  # (windows, positions), classes
    words: Tensor  # (windows, positions), classes
    tokens: Tensor  # (rows, length), rows of the used tokens' table, padded with 0
    targets: Tensor  # (rows, length), the same, -100 where nothing is to be learnt
    weights: Tensor  # (rows, length), of the targets in the loss
    heard: Tensor  # (rows, length, 2), positions at which the target is heard, -1 for nowhere

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


class Learner(nn.Module):
    """The network with its training-only parts: frame classifiers and the used embeddings."""

    def __init__(self, used_tokens: list[int], phonemes: int, words: int, timestamps: int) -> None:
        """`used_tokens` end with `timestamps` timestamp tokens, from 0.00 on."""
        super().__init__()
        self.whisper = Whisper(DIMENSIONS)
        width = DIMENSIONS.n_text_state
        self.register_buffer("used_tokens", torch.tensor(used_tokens))
        self.embeddings = nn.Parameter(torch.randn(len(used_tokens), width) * _EMBEDDING)
        self.phoneme_head = nn.Linear(width, phonemes + 1)
        self.word_head = nn.Linear(width, words + 1)
        with torch.no_grad():
            grid = sinusoids(timestamps, width) * (_EMBEDDING * math.sqrt(2))
            self.embeddings[-timestamps:] = grid
            self._look_around()
        # The table of all tokens is put together by `checkpoint`.
        self.whisper.decoder.token_embedding.weight.requires_grad_(False)
        self._unused = math.log(VOCABULARY - len(used_tokens))

    def _look_around(self) -> None:
        width = DIMENSIONS.n_audio_state
        for blocks in (self.whisper.encoder.blocks, self.whisper.decoder.blocks):
            for block in blocks:
                block.attn.out.weight *= _BRANCH
                block.mlp[2].weight *= _BRANCH
                if block.cross_attn:
                    block.cross_attn.out.weight *= _BRANCH
        for layer, block in enumerate(self.whisper.encoder.blocks):
            reach = 2 + 2 * layer
            for head, shift in enumerate((0, -reach, reach)):
                _look_at(block.attn, head, shift, torch.eye(width), sharpness=2.5)
        turn = torch.linalg.qr(torch.randn(width, width))[0]
        positions = sinusoids(DIMENSIONS.n_text_ctx, width) @ turn
        decoder = self.whisper.decoder
        decoder.positional_embedding.copy_(positions * (_EMBEDDING * math.sqrt(2)))
        for block in decoder.blocks:
            for head, shift in enumerate((-1, -2)):
                _look_at(block.attn, head, shift, turn, sharpness=4.0, pairs=48)
            # From the time that a timestamp names to that position of the encoder, and back.
            _look_at(block.cross_attn, 0, 0, torch.eye(width), sharpness=2.5)
            _pass_on(block.cross_attn, 0)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Encoder output (windows, positions, width), and what its second block gave."""
        encoder = self.whisper.encoder
        x = F.gelu(encoder.conv1(batch.features))
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)
        at = batch.offsets[:, None] + torch.arange(x.shape[1], device=x.device)
        x = x + encoder.positional_embedding[at]
        early = x
        for number, block in enumerate(encoder.blocks):
            x = block(x)
            early = x if number == 1 else early
        return encoder.ln_post(x), early

    def decode(self, audio: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of the used tokens (rows, length, used), and the guided heads' loss."""
        decoder = self.whisper.decoder
        rows, length = batch.tokens.shape
        windows, _, width = audio.shape
        x = F.embedding(batch.tokens, self.embeddings) + decoder.positional_embedding[:length]
        guided = []
        for number, block in enumerate(decoder.blocks):
            x = x + block.attn(block.attn_ln(x), mask=decoder.mask)[0]
            # The rows of a window, one behind the other, ask the same keys and values.
            asked = block.cross_attn_ln(x).reshape(windows, -1, width)
            if number > 0:
                guided.append(self._attention_loss(block.cross_attn, asked, audio, batch))
            x = x + block.cross_attn(asked, audio)[0].reshape(rows, length, width)
            x = x + block.mlp(block.mlp_ln(x))
        return F.linear(decoder.ln(x), self.embeddings).float(), torch.stack(guided).mean()

    def _attention_loss(
        self, attention: MultiHeadAttention, asked: Tensor, audio: Tensor, batch: Batch
    ) -> Tensor:
        """-log of what the first head gives to the positions where the next token is heard.

        Measured on the first row of each window alone: the others ask the same of the head.
        """
        size = DIMENSIONS.n_text_state // DIMENSIONS.n_text_head
        length = batch.tokens.shape[1]
        heard = batch.heard.reshape(len(audio), -1, 2)[:, :length]
        first, last = heard.unbind(-1)
        known = first >= 0
        window, place = known.nonzero(as_tuple=True)
        query = F.linear(
            asked[window, place], attention.query.weight[:size], attention.query.bias[:size]
        )
        key = F.linear(audio, attention.key.weight[:size])
        by_window = [query[window == number] @ key[number].T for number in range(len(audio))]
        scores = torch.cat(by_window).float() * size**-0.5
        at = torch.arange(audio.shape[1], device=audio.device)
        outside = (at < first[known][:, None]) | (at >= last[known][:, None])
        inside = scores.masked_fill(outside, -torch.inf).logsumexp(-1)
        return (scores.logsumexp(-1) - inside).clamp(max=9.0).mean()

    def losses(self, batch: Batch, *, decoder_only: bool = False) -> Losses:
        zero = batch.features.new_zeros(())
        if decoder_only:
            with torch.no_grad():
                audio, _ = self.encode(batch)
            phonemes = words = zero
        else:
            audio, early = self.encode(batch)
            phonemes = F.cross_entropy(
                self.phoneme_head(early).float().flatten(0, 1), batch.phonemes.flatten()
            )
            words = F.cross_entropy(
                self.word_head(audio).float().flatten(0, 1), batch.words.flatten()
            )
        logits, attention = self.decode(audio, batch)
        wanted = batch.targets >= 0
        logits, targets = logits[wanted], batch.targets[wanted]
        everything = torch.logaddexp(
            logits.logsumexp(-1), torch.full_like(logits[:, 0], self._unused)
        )
        surprise = everything - logits.gather(1, targets[:, None])[:, 0]
        text = (surprise * batch.weights[wanted]).mean()
        right = (logits.argmax(-1) == targets).float().mean()
        return Losses(text, phonemes, words, attention, right)

    def checkpoint(self) -> dict[str, object]:
        """What `whisper.load_model` reads, in float16: dimensions and weights."""
        weights = {k: v.detach().cpu().half() for k, v in self.whisper.state_dict().items()}
        table = torch.zeros(VOCABULARY, DIMENSIONS.n_text_state, dtype=torch.float16)
        table[self.used_tokens.cpu()] = self.embeddings.detach().cpu().half()
        weights["decoder.token_embedding.weight"] = table
        return {"dims": vars(DIMENSIONS), "model_state_dict": weights}


def _look_at(
    attention: MultiHeadAttention,
    head: int,
    shift: int,
    basis: Tensor,
    *,
    sharpness: float,
    pairs: int = DIMENSIONS.n_audio_state // 2,
) -> None:
    """Let a head prefer the position `shift` behind its own.

    Positions are sinusoids in a basis, whose first rows are the sines and whose second half the
    cosines; the head reads its share of them, spread over the `pairs` fastest.
    """
    half = basis.shape[0] // 2
    size = basis.shape[0] // attention.n_head
    chosen = torch.linspace(0, pairs - 1, size // 2).round().long()
    rate = torch.exp(-math.log(10_000) / (half - 1) * chosen)
    sine, cosine = basis[chosen], basis[chosen + half]
    turn = (rate * shift)[:, None]
    part = slice(head * size, (head + 1) * size)
    attention.key.weight[part] = torch.cat([sine, cosine]) * sharpness
    attention.query.weight[part] = sharpness * torch.cat(
        [sine * turn.cos() + cosine * turn.sin(), cosine * turn.cos() - sine * turn.sin()]
    )
    attention.query.bias[part] = 0


def _pass_on(attention: MultiHeadAttention, head: int) -> None:
    """Let a head hand on the sinusoids that it sees, for its share of the frequencies."""
    width = attention.value.weight.shape[0]
    size = width // attention.n_head
    chosen = torch.linspace(0, width // 2 - 1, size // 2).round().long()
    channels = torch.cat([chosen, chosen + width // 2])
    part = torch.arange(head * size, (head + 1) * size)
    attention.value.weight[part] = 0
    attention.value.weight[part, channels] = 1
    attention.value.bias[part] = 0
    attention.out.weight[:, part] = 0
    attention.out.weight[channels, part] = _EMBEDDING
